//! The use cases: load, decide, commit, then perform.
//!
//! Each function here is short and alike. A network call never happens inside a transaction: the
//! intent is committed first, with the job that will find the truth if we die, and the outcome is
//! committed afterwards. The engine knows no HTTP framework, no SQL and no provider's bytes; what
//! it needs from the world are the four traits in `ports.rs`.

mod accounts;
mod adopting;
mod attempts;
mod bills;
mod by_number;
mod charges;
mod egress;
mod error;
mod events;
mod idempotency;
mod jobs;
mod keys;
mod notifications;
mod orders;
mod planted;
mod ports;
mod provider_replies;
mod recent;
mod refund_by_number;
mod refunds;
mod refusals;
mod replies;
mod sandbox_key;
mod sandbox_payer;
mod sealing;
mod seals;
mod verbatim;
mod views;
mod watch;
mod webhooks;
mod writes;

pub use accounts::Account;
pub use adopting::{OldOrder, Standing};
pub use attempts::NewAttempt;
pub use bills::{BillContent, BillFile, BillFormat, BillRequest, BillWhose};
pub use charges::{Expires, NewCharge};
pub use egress::Egress;
pub use error::{Advice, Error, MoneyMoved, ProviderError, Retry};
pub use idempotency::{IdempotentRequest, Render, Reply, Tells};
pub use keys::key_hash;
pub use ports::*;
pub use refund_by_number::NumberedRefund;
pub use refunds::NewRefund;
pub use sealing::{Resealed, closed_secrets, give_up, reseal, seal_clear};
pub use seals::{MasterKeys, SealError};
pub use verbatim::Heard;
pub use views::{
    ActionView, AttemptView, CashierView, ChannelView, ChargeView, DeletedView, DeliveryView,
    EndpointView, EventView, FailureView, ListView, PayerView, RefundView, RefusedNoticeView,
    TryView,
};
pub use watch::Watching;
pub use webhooks::{EndpointPatch, NewEndpoint};

use accounts::Accounts;
use bills::BillDesk;
use jobs::Runner;
use keys::KeyCache;
use recent::Recent;
use refunds::Turns;
use refusals::Refusals;
use std::sync::Arc;
pub use tongbao_channels::{BillDate, BillKind, BillPacking};
use tongbao_core::{Policy, Polling};
use tongbao_types::{AppName, Mint, Span, Timestamp};
use watch::Watchers;

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// What the engine needs from the world.
pub struct Ports {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The network.
    pub wire: Arc<dyn Wire>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub dice: Arc<dyn Dice>,
}

/// What the configuration says.
pub struct Setup {
    /// The tenants.
    pub apps: Vec<App>,
    /// Their accounts; the first that serves a channel is an app's default for it.
    pub accounts: Vec<Account>,
    /// How often and how long to ask about an order.
    pub polling: Polling,
    /// Where this gateway is reached from outside, without a trailing slash.
    pub public_url: String,
    /// Which addresses webhooks may reach.
    pub egress: Egress,
    /// How long a call to a provider may take.
    pub call_timeout: Span,
    /// How long a job is held by the instance that is at it; longer than any run can take unless
    /// given. A run that takes longer is run by another instance too, which does no harm.
    pub lease: Option<Span>,
    /// The older services' ways of telling a merchant.
    pub callbacks: Arc<dyn Callbacks>,
    /// What seals the secrets in the store.
    pub master_keys: MasterKeys,
}

struct Inner {
    ports: Ports,
    apps: Vec<App>,
    accounts: Accounts,
    polling: Polling,
    public_url: String,
    egress: Egress,
    call_timeout: Span,
    lease: Option<Span>,
    callbacks: Arc<dyn Callbacks>,
    master_keys: MasterKeys,
    keys: KeyCache,
    endpoints: webhooks::EndpointCache,
    recent: Recent,
    refusals: Refusals,
    turns: Turns,
    bills: BillDesk,
    watchers: Watchers,
    runner: Runner,
}

impl Engine {
    /// Joins the ports and the configuration. An error names two accounts of one name.
    pub fn new(ports: Ports, setup: Setup) -> Result<Engine, String> {
        Ok(Engine(Arc::new(Inner {
            ports,
            apps: setup.apps,
            accounts: Accounts::new(setup.accounts)?,
            polling: setup.polling,
            public_url: setup.public_url,
            egress: setup.egress,
            call_timeout: setup.call_timeout,
            lease: setup.lease,
            callbacks: setup.callbacks,
            master_keys: setup.master_keys,
            keys: KeyCache::default(),
            endpoints: webhooks::EndpointCache::default(),
            recent: Recent::default(),
            refusals: Refusals::default(),
            turns: Turns::default(),
            bills: BillDesk::default(),
            watchers: Watchers::default(),
            runner: Runner::default(),
        })))
    }

    /// Whether requests can be served now.
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.store().ready().await?)
    }

    /// Which addresses webhooks may reach.
    pub fn egress(&self) -> &Egress {
        &self.0.egress
    }

    /// So many random decimal digits, for numbers that people read.
    pub fn random_digits(&self, count: usize) -> String {
        let mut digits = String::with_capacity(count);
        while digits.len() < count {
            // Below 250 each digit is as likely as the next.
            let fair = self.random::<16>().into_iter().filter(|byte| *byte < 250);
            let wanted = count - digits.len();
            digits.extend(fair.take(wanted).map(|byte| char::from(b'0' + byte % 10)));
        }
        digits
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.0.ports.store
    }

    pub(crate) fn wire(&self) -> &Arc<dyn Wire> {
        &self.0.ports.wire
    }

    /// The time that orders go by.
    pub fn now(&self) -> Timestamp {
        self.clock().now()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.ports.clock
    }

    pub(crate) fn app(&self, name: &AppName) -> Option<&App> {
        self.0.apps.iter().find(|app| app.name == *name)
    }

    /// What an app wants done with money that it did not expect. One that is no longer configured
    /// gets what is usual.
    pub(crate) fn policy(&self, name: &AppName) -> Policy {
        self.app(name).map(|app| app.policy).unwrap_or_default()
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    pub(crate) fn polling(&self) -> &Polling {
        &self.0.polling
    }

    /// Where this gateway is reached from outside, without a trailing slash.
    pub fn public_url(&self) -> &str {
        &self.0.public_url
    }

    pub(crate) fn call_timeout(&self) -> Span {
        self.0.call_timeout
    }

    /// How long a job is held.
    pub(crate) fn lease(&self) -> Span {
        let longer_than_a_run =
            || self.polling().ttl.max(self.call_timeout()).times(3) + Span::from_seconds(30);
        self.0.lease.unwrap_or_else(longer_than_a_run)
    }

    pub(crate) fn callbacks(&self) -> &dyn Callbacks {
        self.0.callbacks.as_ref()
    }

    pub(crate) fn master_keys(&self) -> &MasterKeys {
        &self.0.master_keys
    }

    pub(crate) fn key_cache(&self) -> &KeyCache {
        &self.0.keys
    }

    pub(crate) fn endpoint_cache(&self) -> &webhooks::EndpointCache {
        &self.0.endpoints
    }

    pub(crate) fn recent(&self) -> &Recent {
        &self.0.recent
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    pub(crate) fn bill_desk(&self) -> &BillDesk {
        &self.0.bills
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }

    pub(crate) fn runner(&self) -> &Runner {
        &self.0.runner
    }

    pub(crate) fn dice(&self) -> &dyn Dice {
        self.0.ports.dice.as_ref()
    }

    /// Fresh random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.ports.dice.fill(&mut bytes);
        bytes
    }

    /// 32 random hex digits.
    pub(crate) fn random_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.random::<16>())
    }

    /// A mint for one decision at this moment.
    pub(crate) fn mint(&self) -> Mint {
        Mint::new(self.clock().now(), self.random())
    }
}

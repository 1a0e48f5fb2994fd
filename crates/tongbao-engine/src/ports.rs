//! The ports: what the engine needs from the world. These are its only traits; the binary brings
//! the real ones, tests bring pretended ones.
//!
//! [`Store::commit`] is the one door for writes that concern money: all of a [`Commit`] is written
//! in one transaction, or nothing.

pub use crate::bills::shelf::{BillKey, BillShelf, KeptBill};
pub use crate::seals::SecretPlace;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tongbao_core::{
    Callback, Changes, Charge, Delivery, Endpoint, Event, EventKind, Job, JobChange, Loaded,
    Policy, ProviderReply, Refund, RefusedNotice, Scope,
};
use tongbao_crypt::{Certificate, ClientIdentity};
use tongbao_types::{
    AccountName, ApiKeyId, AppName, ChargeId, DeliveryId, EndpointId, EventId, HttpRequest,
    HttpResponse, Mode, OrderNo, OutTradeNo, RefundId, RefundNo, Sealed, Secret, Span, Timestamp,
};

/// Everything that is written together.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// A decision about a charge, with its events and jobs.
    pub changes: Option<Changes>,
    /// The public bodies of the events in `changes`, rendered, in the same order.
    pub event_bodies: Vec<String>,
    /// New deliveries.
    pub deliveries: Vec<Delivery>,
    /// A delivery after a try, to update.
    pub delivery_tried: Option<Delivery>,
    /// Jobs beside those in `changes`.
    pub jobs: Vec<JobChange>,
    /// A step of an idempotent request.
    pub idempotency: Option<IdempotencyStep>,
    /// A notice that was not believed: inserted, or counted up under its charge and code.
    pub refused: Option<RefusedNotice>,
    /// A provider's own words, in place of the last of that kind about that charge.
    pub provider_reply: Option<ProviderReply>,
    /// An endpoint to insert, if this is its first version; otherwise to write in the place of the
    /// version before. The commit fails with [`CommitError::Stale`] if that one is not there any
    /// more, or the new one is there already.
    pub endpoint: Option<Endpoint>,
    /// An endpoint to delete, with its open deliveries.
    pub endpoint_gone: Option<EndpointId>,
}

/// A step of a request that bears an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyStep {
    /// The request begins; the commit fails with [`CommitError::IdempotencyKeyTaken`] if the key
    /// is there.
    Begin(IdempotencyRow),
    /// The request is answered; the reply is kept for the next one with this key.
    Done {
        /// Whose key.
        scope: Scope,
        /// The key.
        key: String,
        /// The reply's status.
        status: u16,
        /// The reply's body.
        body: String,
    },
    /// The request came to nothing and may be sent again under the same key.
    Forget {
        /// Whose key.
        scope: Scope,
        /// The key.
        key: String,
    },
}

/// A kept `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Whose key.
    pub scope: Scope,
    /// The key, at most 255 characters.
    pub key: String,
    /// SHA-256 of method, path and body of the first request, in hex.
    pub fingerprint: String,
    /// The charge that the first request makes, if it makes one.
    pub charge: Option<ChargeId>,
    /// The refund that the first request makes, if it makes one.
    pub refund: Option<RefundId>,
    /// The reply, once there is one: status and body, which is sealed if it holds a secret.
    pub reply: Option<(u16, String)>,
    /// When the first request began, by the business clock.
    pub created_at: Timestamp,
}

/// A secret as it is kept.
#[derive(Debug, Clone)]
pub struct KeptSecret {
    /// Where.
    pub place: SecretPlace,
    /// As what.
    pub text: Sealed,
}

/// Why a commit was not written. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A row has moved on since it was loaded; load and decide again.
    #[error("a row has moved on since it was loaded")]
    Stale,
    /// The job's lease was lost to somebody else, or the job is gone.
    #[error("the job's lease was lost")]
    LeaseLost,
    /// The order_no is in use in this scope.
    #[error("the order_no is in use")]
    OrderNoTaken,
    /// The out_trade_no is in use at this account.
    #[error("the out_trade_no is in use")]
    OutTradeNoTaken,
    /// The refund_no is in use in this scope.
    #[error("the refund_no is in use")]
    RefundNoTaken,
    /// The out_refund_no is in use at this account.
    #[error("the out_refund_no is in use")]
    OutRefundNoTaken,
    /// The Idempotency-Key is in use in this scope.
    #[error("the Idempotency-Key is in use")]
    IdempotencyKeyTaken,
    /// There is no room where the database keeps its files.
    #[error("there is no room left: {0}")]
    Full(StoreError),
    /// The database cannot do it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The database cannot answer. The text is for the log, not for callers of the API.
#[derive(Debug, thiserror::Error)]
#[error("the database cannot answer: {0}")]
pub struct StoreError(pub String);

/// An event as it is kept, with its public body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The event.
    pub event: Event,
    /// The public object as JSON, rendered when it was committed.
    pub body: String,
}

/// A delivery with all that is needed to make or show it.
#[derive(Debug, Clone)]
pub struct LoadedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Its event.
    pub event: StoredEvent,
    /// Its endpoint, unless that was deleted.
    pub endpoint: Option<Endpoint>,
}

/// An API key as it is kept: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it opens.
    pub scope: Scope,
    /// SHA-256 of the key's text, in hex.
    pub hash: String,
    /// Its last four characters, to tell keys apart.
    pub tail: String,
    /// The operator's own words.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Which part of a list is wanted, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    /// At most so many.
    pub limit: u32,
    /// Only those that come after this one in the list (older).
    pub starting_after: Option<Id>,
    /// Only those that come before this one in the list (newer), the nearest ones.
    pub ending_before: Option<Id>,
}

/// Which charges are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChargeFilter {
    /// With this number.
    pub order_no: Option<OrderNo>,
    /// With this status.
    pub status: Option<String>,
    /// With an attempt through this channel.
    pub channel: Option<tongbao_types::Channel>,
    /// Made at this moment or later.
    pub created_after: Option<Timestamp>,
    /// Made before this moment.
    pub created_before: Option<Timestamp>,
}

/// Which refunds are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundFilter {
    /// Of this charge.
    pub charge: Option<ChargeId>,
    /// With this number.
    pub refund_no: Option<RefundNo>,
    /// With this status.
    pub status: Option<String>,
    /// Made at this moment or later.
    pub created_after: Option<Timestamp>,
    /// Made before this moment.
    pub created_before: Option<Timestamp>,
}

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// About this charge.
    pub charge: Option<ChargeId>,
    /// Of this kind.
    pub kind: Option<EventKind>,
}

/// Which deliveries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// With this status.
    pub status: Option<String>,
}

/// The database.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes all of it in one transaction, durably, or nothing.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;
    /// Writes all of these in one transaction, durably, or nothing of any: for many charges that
    /// belong together. No two may be about the same charge, number or job.
    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), CommitError>;

    /// A charge of any scope, with the notices refused for it.
    async fn charge(&self, id: ChargeId) -> Result<Option<Loaded>, StoreError>;
    /// The version of a charge of any scope: cheap to ask for, and another after each decision.
    async fn charge_version(&self, id: ChargeId) -> Result<Option<i64>, StoreError> {
        Ok(self.charge(id).await?.map(|loaded| loaded.charge.version))
    }
    /// The charge of an order at a provider, without refused notices.
    async fn charge_by_out_trade_no(
        &self,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Option<Loaded>, StoreError>;
    /// Charges of a scope, newest first, with the notices refused for them.
    async fn charges(
        &self,
        scope: &Scope,
        filter: &ChargeFilter,
        page: Page<ChargeId>,
    ) -> Result<Vec<Loaded>, StoreError>;

    /// What the provider said about a charge, the last of each kind.
    async fn provider_replies(&self, charge: ChargeId) -> Result<Vec<ProviderReply>, StoreError>;

    /// A refund of any scope.
    async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError>;
    /// Refunds of a scope, newest first.
    async fn refunds(
        &self,
        scope: &Scope,
        filter: &RefundFilter,
        page: Page<RefundId>,
    ) -> Result<Vec<Refund>, StoreError>;

    /// An event of a scope.
    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<StoredEvent>, StoreError>;
    /// Events of a scope, newest first.
    async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// All endpoints of a scope, newest first.
    async fn endpoints(&self, scope: &Scope) -> Result<Vec<Endpoint>, StoreError>;
    /// A delivery of any scope.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<LoadedDelivery>, StoreError>;
    /// Deliveries of a scope, newest first.
    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Leases up to `limit` jobs that are due at `now` (the business clock), oldest first. The
    /// lease itself runs by the database's clock.
    async fn claim(&self, now: Timestamp, lease: Span, limit: u32) -> Result<Vec<Job>, StoreError>;
    /// When the next job that nobody holds falls due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// All endpoints of all scopes, whose secrets are to be sealed anew.
    async fn all_endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;
    /// The kept replies that hold a secret: all that are sealed, and what looks like one of an
    /// earlier version, which did not seal them.
    async fn secret_replies(&self) -> Result<Vec<KeptSecret>, StoreError>;
    /// Writes a sealed text in the place of another one, if that still stands there; says whether
    /// it did. An endpoint gets its next version by it.
    async fn reseal(&self, kept: &KeptSecret, anew: &Sealed) -> Result<bool, StoreError>;

    /// A kept `Idempotency-Key`.
    async fn idempotency(
        &self,
        scope: &Scope,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError>;

    /// The key with this hash, revoked or not.
    async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError>;
    /// All keys of an app, newest first.
    async fn api_keys(&self, app: &AppName) -> Result<Vec<ApiKey>, StoreError>;
    /// Keeps a key; one with the same id is replaced.
    async fn save_api_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// The kept bills.
    fn bills(&self) -> &dyn BillShelf;

    /// Forgets Idempotency-Keys that began before this moment. Returns how many.
    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError>;
    /// Whether the database answers now and has room for a commit; otherwise why not.
    async fn ready(&self) -> Result<(), CommitError>;
    /// Whether other processes may write the same database, so that nothing may be remembered here.
    fn is_shared(&self) -> bool;
}

/// Why no answer came. What happened at the other end is not known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WireError {
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// The connection could not be made or broke.
    #[error("{0}")]
    Broken(String),
    /// The answer is longer than is read.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The address may not be reached from here.
    #[error("{0}")]
    Forbidden(String),
}

/// An outgoing call that somebody carries.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Scheme, host and port, perhaps a path prefix, without a trailing slash.
    pub base: String,
    /// What to send.
    pub request: HttpRequest,
    /// How long to wait for all of it.
    pub timeout: Span,
    /// How many bytes of the answer's body are read.
    pub answer_max: usize,
    /// Whose network this may reach.
    pub reach: Reach,
    /// Over TLS: who we are and whom we trust. Plain HTTP has no use for it.
    pub tls: Tls,
}

/// What a call over TLS shows and trusts. The default shows nothing and trusts the machine's roots.
/// Calls that differ in it share no connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Shown to a server that asks for a client certificate (WeChat Pay, 商户API证书).
    pub identity: Option<Arc<ClientIdentity>>,
    /// The one root that is trusted instead of the machine's: a sandbox's own. Names are verified
    /// all the same.
    pub root: Option<Arc<Certificate>>,
}

/// Which addresses an outgoing call may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A provider, by the operator's configuration: any address.
    Provider,
    /// A merchant's endpoint: the rules of [`crate::Egress`], for each resolved address.
    Merchant,
}

/// The network.
#[async_trait]
pub trait Wire: Send + Sync + 'static {
    /// Sends and reads the whole answer. Redirects are not followed.
    async fn send(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError>;

    /// Looks up where a merchant's host leads, and sends nothing. An error says why it may not be
    /// reached, by the rules of [`Reach::Merchant`]. What cannot be found out within a few seconds
    /// is no error, since each try looks again. A wire that does not say otherwise knows nothing.
    async fn look_up(&self, host: &str) -> Result<(), String> {
        let _unknown = host;
        Ok(())
    }

    /// Sends, and gives the body piece by piece as it comes. [`Outgoing::timeout`] is how long to
    /// wait for the head, and then for each piece; the pieces together are no longer than
    /// [`Outgoing::answer_max`]. A wire that does not say otherwise has one piece.
    async fn stream(&self, outgoing: Outgoing) -> Result<StreamedResponse, WireError> {
        let HttpResponse { status, headers, body } = self.send(outgoing).await?;
        let body: BodyStream = Box::pin(futures_util::stream::iter([Ok(body)]));
        Ok(StreamedResponse { status, headers, body })
    }
}

/// A body that is still coming. After an error nothing follows; asked again after its end, it says
/// that it has ended.
pub type BodyStream =
    std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, WireError>> + Send>>;

/// An answer whose body is still coming.
pub struct StreamedResponse {
    /// The status code.
    pub status: u16,
    /// Names as they came, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: BodyStream,
}

/// How the older services tell their merchants of a payment; the profiles bring it.
pub trait Callbacks: Send + Sync + 'static {
    /// The callbacks that an event of a profile's charge causes.
    fn caused_by(&self, kind: EventKind, charge: &Charge) -> Vec<Callback>;
    /// What is sent where, given the charge as it stands and what its provider said. An error says
    /// why nothing can be sent now; it is tried again.
    fn request(
        &self,
        callback: Callback,
        loaded: &Loaded,
        replies: &[ProviderReply],
    ) -> Result<CallbackRequest, String>;
    /// Whether an answer accepts.
    fn accepts(&self, callback: Callback, answer: &HttpResponse) -> bool;
}

/// A callback's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRequest {
    /// Where it goes.
    pub url: String,
    /// JSON.
    pub body: String,
}

/// Callbacks of a gateway without profiles.
pub struct NoCallbacks;

impl Callbacks for NoCallbacks {
    fn caused_by(&self, _: EventKind, _: &Charge) -> Vec<Callback> {
        Vec::new()
    }

    fn request(
        &self,
        _: Callback,
        _: &Loaded,
        _: &[ProviderReply],
    ) -> Result<CallbackRequest, String> {
        Err("the profile of this charge is no longer configured".to_owned())
    }

    fn accepts(&self, _: Callback, _: &HttpResponse) -> bool {
        false
    }
}

/// The clocks.
pub trait Clock: Send + Sync + 'static {
    /// Business time: expiry, looks, retries. Under `tongbao dev` it can be moved.
    fn now(&self) -> Timestamp;
    /// Real time: what signs a message or measures its age.
    fn wall(&self) -> Timestamp;
}

/// Randomness.
pub trait Dice: Send + Sync + 'static {
    /// Fills the bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// An app as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// What it wants done with money that it did not expect.
    pub policy: Policy,
    /// Whether what its providers say about an order is kept in their own words, for an older
    /// service's profile that shows it.
    pub keeps_replies: bool,
}

/// The text of a new API key and what is kept of it. The text is shown once.
#[derive(Debug)]
pub struct NewKey {
    /// `sk_test_…` or `sk_live_…`.
    pub text: Secret<String>,
    /// What is kept.
    pub kept: ApiKey,
}

/// The prefix of keys of a mode.
pub const fn key_prefix(mode: Mode) -> &'static str {
    match mode {
        Mode::Test => "sk_test_",
        Mode::Live => "sk_live_",
    }
}

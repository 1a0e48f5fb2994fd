//! What all parts of the running sandbox share: keys, world, faults, traffic log, clock.

use crate::credentials::{self, Credentials, Keys};
use crate::faults::FaultBook;
use crate::tls::Tls;
use crate::traffic::Traffic;
use crate::wechat::BillFiles;
use crate::wechat::oauth::LoginCodes;
use crate::world::World;
use crate::{Options, Rules, SandboxClock, SandboxError};
use crate::{payer, reach};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tongbao_types::{Span, Timestamp};

/// How long a receiver of notifications may take (both providers: 5 seconds).
const NOTICE_TIMEOUT: Duration = Duration::from_secs(5);
const JOURNAL: &str = "sandbox-journal.jsonl";

/// The shared state. Locks are held for moments and never while waiting.
pub(crate) struct Pretend {
    pub(crate) credentials: Credentials,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: SandboxClock,
    /// What the listener speaks TLS with, if it does.
    pub(crate) tls: Option<Tls>,
    /// Wakes the notifier after a change of the world.
    pub(crate) wake: Notify,
    /// Counts sent notifications, for those that wait to be overtaken.
    pub(crate) sent: watch::Sender<u64>,
    pub(crate) client: reqwest::Client,
    world: Mutex<World>,
    faults: Mutex<FaultBook>,
    /// What an amount does once only has been done for these, see `magic`.
    done: Mutex<HashSet<String>>,
    bill_files: Mutex<BillFiles>,
    login_codes: Mutex<LoginCodes>,
    traffic: Mutex<Traffic>,
}

impl Pretend {
    pub(crate) fn open(options: Options) -> Result<Pretend, SandboxError> {
        let folder = options.credentials_dir.as_ref().or(options.data_dir.as_ref());
        let year = options.clock.real_now().jiff().to_zoned(jiff::tz::TimeZone::UTC).year();
        let (credentials, keys) = credentials::open(folder.map(AsRef::as_ref), year)?;
        let tls = options
            .tls
            .then(|| Tls::open(folder.map(AsRef::as_ref), year, &keys.merchant_authority));
        let tls = tls.transpose()?;
        let mut world = match &options.data_dir {
            None => World::new(options.mch_rules),
            Some(folder) => {
                let made = std::fs::create_dir_all(folder);
                made.map_err(|source| crate::JournalError::Io { path: folder.clone(), source })?;
                World::open(&folder.join(JOURNAL), options.mch_rules)?
            }
        };
        let client = reqwest::Client::builder()
            .timeout(NOTICE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(reach::Resolver)
            .http1_only()
            .http1_title_case_headers()
            .build()?;
        world.set_payers(payer::payers(&credentials));
        options.clock.resume(world.clock_offset());
        Ok(Pretend {
            tls,
            ..Pretend::of((credentials, Arc::new(keys)), options.clock, client, world)
        })
    }

    /// The same providers with the same keys in an empty world, at another time.
    pub(crate) fn anew(&self, clock: SandboxClock, rules: Rules) -> Pretend {
        let mut world = World::new(rules);
        world.set_payers(payer::payers(&self.credentials));
        let keys = (self.credentials.clone(), Arc::clone(&self.keys));
        Pretend::of(keys, clock, self.client.clone(), world)
    }

    fn of(
        (credentials, keys): (Credentials, Arc<Keys>),
        clock: SandboxClock,
        client: reqwest::Client,
        world: World,
    ) -> Pretend {
        Pretend {
            credentials,
            keys,
            clock,
            tls: None,
            wake: Notify::new(),
            sent: watch::Sender::new(0),
            client,
            world: Mutex::new(world),
            faults: Mutex::default(),
            done: Mutex::default(),
            bill_files: Mutex::default(),
            login_codes: Mutex::default(),
            traffic: Mutex::default(),
        }
    }

    /// The sandbox's present.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock and remembers it.
    pub(crate) fn advance(&self, by: Span) {
        self.clock.advance(by);
        self.world().set_clock_offset(self.clock.offset());
    }

    /// The world, locked.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the world and lets the notifier look.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let done = act(&mut self.world(), self.now());
        self.wake.notify_one();
        done
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultBook> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the first time that this is asked; it is no more afterwards.
    pub(crate) fn is_first(&self, what: String) -> bool {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(what)
    }

    pub(crate) fn bill_files(&self) -> MutexGuard<'_, BillFiles> {
        self.bill_files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn login_codes(&self) -> MutexGuard<'_, LoginCodes> {
        self.login_codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Who gets in when too many come: how often a caller may ask, how much is under way at once, and
//! how many watch.
//!
//! Three kinds of requests have room of their own, so that one cannot crowd another out: orders,
//! which the shop can send again, are turned away first; notices, which say that somebody has paid,
//! last. What is turned away here has changed nothing.

use crate::auth::bearer;
use crate::rates::{Buckets, Rate};
use crate::room::neighbourhood;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tongbao_engine::{Engine, Error, Retry};
use tongbao_types::{Code, Span};

/// The numbers that an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many orders are under way at once; twice as many reads, four times as many notices.
    pub orders_under_way: usize,
    /// Requests in a second with one key, or from one address that a profile lets in without one.
    pub requests_per_key: u32,
    /// Requests in a second without a key from one address: payers' browsers.
    pub requests_per_address: u32,
    /// Wrong keys in a minute from one address.
    pub wrong_keys_per_address: u32,
    /// Endless replies (server-sent events) at once.
    pub watchers: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            orders_under_way: 1024,
            requests_per_key: 5000,
            requests_per_address: 200,
            wrong_keys_per_address: 30,
            watchers: 2048,
        }
    }
}

/// What a request is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A monitor asks whether we live; never turned away.
    Health,
    /// A provider tells.
    Notice,
    /// Something is made that costs a call to a provider.
    Order,
    /// Everything else.
    Read,
}

/// Endless replies for one key, and for one address without a key, which may be that of a whole
/// mobile network.
const WATCHERS_PER_KEY: usize = 1024;
const WATCHERS_PER_ADDRESS: usize = 256;

/// A caller may come with this much of its rate at once.
const KEY_BURST: Duration = Duration::from_secs(2);
const ADDRESS_BURST: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

/// Shared by all faces.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    limits: Limits,
    began: Instant,
    hasher: RandomState,
    orders: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    notices: Arc<AtomicUsize>,
    by_key: Buckets<u64>,
    by_address: Buckets<IpAddr>,
    wrong_keys: Buckets<IpAddr>,
    watchers: Mutex<Watchers>,
}

/// A request that was let in, until it is answered.
pub struct UnderWay(Option<Arc<AtomicUsize>>);

/// An endless reply that was let in, until it ends.
pub struct Watch {
    gate: Gate,
    watcher: Watcher,
}

#[derive(Default)]
struct Watchers {
    total: usize,
    by_watcher: HashMap<Watcher, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Watcher {
    Key(u64),
    Address(IpAddr),
}

impl Default for Gate {
    fn default() -> Gate {
        Gate::new(Limits::default())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.0.limits).finish()
    }
}

impl Gate {
    /// A gate with nobody in it.
    pub fn new(limits: Limits) -> Gate {
        let second = Duration::from_secs(1);
        let by_key = Rate::new(limits.requests_per_key, second, KEY_BURST);
        let by_address = Rate::new(limits.requests_per_address, second, ADDRESS_BURST);
        let wrong_keys = Rate::new(limits.wrong_keys_per_address, MINUTE, MINUTE);
        Gate(Arc::new(Inner {
            limits,
            began: Instant::now(),
            hasher: RandomState::new(),
            orders: Arc::default(),
            reads: Arc::default(),
            notices: Arc::default(),
            by_key: Buckets::new(by_key),
            by_address: Buckets::new(by_address),
            wrong_keys: Buckets::new(wrong_keys),
            watchers: Mutex::default(),
        }))
    }

    /// Lets a request in if there is room for its kind.
    ///
    /// Fails with [`Code::Unavailable`].
    pub fn begin(&self, class: Class) -> Result<UnderWay, Error> {
        let orders_max = self.0.limits.orders_under_way;
        let (count, max, what) = match class {
            Class::Health => return Ok(UnderWay(None)),
            Class::Order => (&self.0.orders, orders_max, "orders"),
            Class::Read => (&self.0.reads, orders_max.saturating_mul(2), "requests"),
            Class::Notice => (&self.0.notices, orders_max.saturating_mul(4), "notices"),
        };
        let under_way = UnderWay(Some(Arc::clone(count)));
        if count.fetch_add(1, Ordering::Relaxed) < max {
            return Ok(under_way);
        }
        let message = format!(
            "tongbao has as many {what} under way as it takes at once ({max}). Nothing was done; \
             send the same request again after Retry-After."
        );
        Err(not_now(Code::Unavailable, message, Duration::from_secs(1), Retry::SameRequest))
    }

    /// The key that the request bears, if it may be tried; what comes of it must be handed to
    /// [`Gate::tried`].
    ///
    /// Fails with [`Code::RateLimited`] if too many wrong keys came from this address and this one
    /// was never good here; else as [`bearer`] does.
    pub fn key_to_try<'a>(
        &self,
        engine: &Engine,
        headers: &'a HeaderMap,
        client: IpAddr,
    ) -> Result<&'a str, Error> {
        let key = bearer(headers)?;
        match self.0.wrong_keys.look(&neighbourhood(client), self.now()) {
            // An honest shop behind the same address must not pay for the other one.
            Err(wait) if !engine.has_known(key) => {
                let message = "Too many wrong keys came from this address. Keys that worked \
                               before still do.";
                Err(too_often(message.to_owned(), wait))
            }
            _ => Ok(key),
        }
    }

    /// Counts a key that was tried, for the address if it was wrong and for itself if it was good.
    ///
    /// Fails with [`Code::RateLimited`] if the key is used too often, else as `outcome`.
    pub fn tried<T>(
        &self,
        key: &str,
        client: IpAddr,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        if outcome.as_ref().is_err_and(|error| error.code == Code::InvalidKey) {
            // At worst the bucket is empty already.
            let _empty = self.0.wrong_keys.take(neighbourhood(client), self.now());
        }
        let good = outcome?;
        self.count_key(key)?;
        Ok(good)
    }

    /// Counts a request of a caller that needs no key because of its address.
    ///
    /// Fails with [`Code::RateLimited`].
    pub fn admit_neighbour(&self, client: IpAddr) -> Result<(), Error> {
        self.count_key(neighbourhood(client))
    }

    /// Counts a request that bears no key and needs none.
    ///
    /// Fails with [`Code::RateLimited`].
    pub fn admit_stranger(&self, client: IpAddr) -> Result<(), Error> {
        let limit = self.0.limits.requests_per_address;
        self.0.by_address.take(neighbourhood(client), self.now()).map_err(|wait| {
            let message = format!(
                "More than {limit} requests a second came from {client}. If that is your reverse \
                 proxy, name it in server.trusted_proxies."
            );
            too_often(message, wait)
        })
    }

    fn count_key(&self, who: impl Hash) -> Result<(), Error> {
        let limit = self.0.limits.requests_per_key;
        self.0.by_key.take(self.0.hasher.hash_one(who), self.now()).map_err(|wait| {
            let message = format!(
                "More than {limit} requests a second came with this key; \
                 limits.requests_per_key says how many may."
            );
            too_often(message, wait)
        })
    }

    /// Lets an endless reply begin, for the key that the request bears, else for its address. The
    /// key is not judged here.
    ///
    /// Fails with [`Code::RateLimited`].
    pub fn watch(&self, client: IpAddr, key: Option<&HeaderValue>) -> Result<Watch, Error> {
        let by_key = |key: &HeaderValue| Watcher::Key(self.0.hasher.hash_one(key.as_bytes()));
        let watcher = key.map_or(Watcher::Address(neighbourhood(client)), by_key);
        let own_max = match watcher {
            Watcher::Key(_) => WATCHERS_PER_KEY,
            Watcher::Address(_) => WATCHERS_PER_ADDRESS,
        };
        let mut watchers = self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let own = watchers.by_watcher.get(&watcher).copied().unwrap_or(0);
        if own >= own_max || watchers.total >= self.0.limits.watchers {
            let message = "Too many watch already. Read the charge now and then instead.";
            return Err(too_often(message.to_owned(), Duration::from_secs(5)));
        }
        watchers.total += 1;
        watchers.by_watcher.insert(watcher, own + 1);
        drop(watchers);
        Ok(Watch { gate: self.clone(), watcher })
    }

    /// The same for a request with these headers.
    pub fn watch_with(&self, client: IpAddr, headers: &HeaderMap) -> Result<Watch, Error> {
        self.watch(client, headers.get(AUTHORIZATION))
    }

    fn now(&self) -> Duration {
        self.0.began.elapsed()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = self.gate.0.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.total -= 1;
        if let Some(own) = watchers.by_watcher.get_mut(&self.watcher) {
            *own -= 1;
            if *own == 0 {
                watchers.by_watcher.remove(&self.watcher);
            }
        }
    }
}

fn too_often(message: String, wait: Duration) -> Error {
    not_now(Code::RateLimited, message, wait, Retry::After)
}

fn not_now(code: Code, message: String, wait: Duration, retry: Retry) -> Error {
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    let retry_after = Some(Span::from_micros(micros));
    Error { retry_after, retry, ..Error::new(code, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn each_kind_has_room_of_its_own_and_gives_it_back() {
        let gate = Gate::new(Limits { orders_under_way: 1, ..Limits::default() });
        let order = gate.begin(Class::Order).unwrap();
        for _ in 0..3 {
            let Err(error) = gate.begin(Class::Order) else { panic!("there was no room") };
            assert_eq!((error.code, error.retry), (Code::Unavailable, Retry::SameRequest));
            assert!(error.retry_after.is_some());
        }
        let others = [Class::Read, Class::Notice, Class::Notice, Class::Health];
        let others: Vec<UnderWay> = others.map(|class| gate.begin(class).unwrap()).into();
        assert!(gate.begin(Class::Notice).is_ok());
        drop((order, others));
        assert!(gate.begin(Class::Order).is_ok());
    }

    #[test]
    fn strangers_are_counted_by_their_address() {
        let gate = Gate::new(Limits { requests_per_address: 1, ..Limits::default() });
        (0..5).for_each(|_| gate.admit_stranger(CLIENT).unwrap());
        let error = gate.admit_stranger(CLIENT).unwrap_err();
        assert_eq!((error.code, error.retry), (Code::RateLimited, Retry::After));
        assert!(error.retry_after.is_some_and(|wait| wait <= Span::from_seconds(1)));
        assert!(gate.admit_stranger("192.0.2.2".parse().unwrap()).is_ok());
    }

    #[test]
    fn watchers_are_bounded_for_each_address_and_in_all() {
        let gate = Gate::new(Limits { watchers: WATCHERS_PER_ADDRESS + 1, ..Limits::default() });
        let mut watching: Vec<Watch> =
            (0..WATCHERS_PER_ADDRESS).map(|_| gate.watch(CLIENT, None).unwrap()).collect();
        assert!(gate.watch(CLIENT, None).is_err());
        let key = HeaderValue::from_static("Bearer sk_test_1");
        watching.push(gate.watch(CLIENT, Some(&key)).unwrap());
        assert!(gate.watch("192.0.2.2".parse().unwrap(), None).is_err());
        watching.truncate(1);
        assert!(gate.watch(CLIENT, None).is_ok());
        drop(watching);
        assert!(gate.0.watchers.lock().unwrap().by_watcher.is_empty());
    }
}

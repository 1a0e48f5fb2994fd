//! How often somebody may come: token buckets, each kept as the one moment at which it is full
//! again, in tables that never grow beyond a bound.
//!
//! Looking and taking are two steps, since a wrong key is counted only when it has turned out to be
//! wrong.

use lru::LruCache;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many callers are remembered; the one that came longest ago is forgotten first. An entry is
/// under a hundred bytes, so a table stays below seven megabytes.
const REMEMBERED_MAX: usize = 65_536;

const SHARDS: usize = 16;

/// How often, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    interval: Duration,
    burst: Duration,
}

/// The buckets of all callers of one kind.
pub(crate) struct Buckets<K> {
    rate: Rate,
    remembered_max: usize,
    hasher: RandomState,
    shards: [Mutex<LruCache<K, Duration>>; SHARDS],
}

impl Rate {
    /// `count` in each `period`, and as many as fit into `burst` at once.
    pub(crate) fn new(count: u32, period: Duration, burst: Duration) -> Rate {
        Rate { interval: period / count.max(1), burst }
    }

    /// The moment at which the bucket is full again after one more, or how long to wait for one.
    fn next(self, full_at: Option<Duration>, now: Duration) -> Result<Duration, Duration> {
        let next = full_at.unwrap_or(now).max(now) + self.interval;
        match (next - now).checked_sub(self.burst.max(self.interval)) {
            None | Some(Duration::ZERO) => Ok(next),
            Some(wait) => Err(wait),
        }
    }
}

impl<K: Hash + Eq> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Buckets<K> {
        let shards = std::array::from_fn(|_| Mutex::new(LruCache::unbounded()));
        Buckets { rate, remembered_max: REMEMBERED_MAX, hasher: RandomState::new(), shards }
    }

    /// Takes one. `now` is the time since the process began.
    ///
    /// Fails with how long to wait if there is none.
    pub(crate) fn take(&self, key: K, now: Duration) -> Result<(), Duration> {
        let mut shard = self.shard(&key);
        if let Some(full_at) = shard.get_mut(&key) {
            *full_at = self.rate.next(Some(*full_at), now)?;
            return Ok(());
        }
        let full_at = self.rate.next(None, now)?;
        if shard.len() >= self.remembered_max / SHARDS {
            shard.pop_lru();
        }
        shard.put(key, full_at);
        Ok(())
    }

    /// Whether there is one to take; fails as [`Buckets::take`] does.
    pub(crate) fn look(&self, key: &K, now: Duration) -> Result<(), Duration> {
        let full_at = self.shard(key).peek(key).copied();
        self.rate.next(full_at, now).map(|_| ())
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, LruCache<K, Duration>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64);
        let shard = &self.shards[hash.expect("it is below the number of shards")];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn as_many_as_fit_come_at_once_and_then_one_in_each_interval() {
        let buckets = Buckets::new(Rate::new(10, ms(1000), ms(300)));
        let take = |now| buckets.take("a", ms(now));
        assert_eq!([take(0), take(0), take(0)], [Ok(()), Ok(()), Ok(())]);
        assert_eq!(take(0), Err(ms(100)));
        assert_eq!(take(40), Err(ms(60)));
        assert_eq!(take(100), Ok(()));
        assert_eq!(take(100), Err(ms(100)));
        // Rest fills the bucket, and not beyond its brim.
        assert_eq!([take(9000), take(9000), take(9000)], [Ok(()), Ok(()), Ok(())]);
        assert_eq!(take(9000), Err(ms(100)));
        assert_eq!(buckets.take("b", ms(9000)), Ok(()));
    }

    #[test]
    fn looking_takes_nothing() {
        let buckets = Buckets::new(Rate::new(1, ms(1000), ms(1000)));
        assert_eq!(buckets.look(&"a", ms(0)), Ok(()));
        assert_eq!(buckets.look(&"a", ms(0)), Ok(()));
        assert_eq!(buckets.take("a", ms(0)), Ok(()));
        assert_eq!(buckets.look(&"a", ms(400)), Err(ms(600)));
        assert_eq!(buckets.take("a", ms(400)), Err(ms(600)));
    }

    #[test]
    fn a_burst_shorter_than_the_interval_still_lets_one_through() {
        let buckets = Buckets::new(Rate::new(1, ms(1000), ms(1)));
        assert_eq!(buckets.take("a", ms(0)), Ok(()));
        assert_eq!(buckets.take("a", ms(0)), Err(ms(1000)));
    }

    #[test]
    fn a_crowd_of_addresses_takes_a_bounded_memory() {
        let rate = Rate::new(1, ms(1000), ms(1000));
        let buckets = Buckets { remembered_max: 160, ..Buckets::new(rate) };
        for n in 0..10_000 {
            assert_eq!(buckets.take(n, ms(0)), Ok(()));
        }
        let remembered: usize = buckets.shards.iter().map(|s| s.lock().unwrap().len()).sum();
        assert!(remembered <= 160, "{remembered}");
        assert!(buckets.take(9999, ms(0)).is_err(), "the last one is forgotten already");
    }
}

//! Charges that wait for their payer, as they were last written: a notification mostly comes
//! minutes after its order, and need not read back what this process has just written.
//!
//! It is only a saving. What is decided on an entry that has become old is refused by the
//! version of the charge, and decided again on what the database holds. Where other processes
//! write the same database nothing is kept, and nobody but the way of notifications asks here.

use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tongbao_core::{Attempt, AttemptState, Loaded};
use tongbao_types::{AccountName, OutTradeNo};

/// The lock is held for a look-up and never across an await.
pub(crate) struct Recent(Mutex<LruCache<String, Arc<Loaded>>>);

/// A charge takes about two kilobytes, so this is some 256 MiB while so many wait at once: with the
/// five minutes that a charge waits, some 400 orders a second. Fewer take less.
const CHARGES_MAX: NonZeroUsize = NonZeroUsize::new(131_072).expect("it is not zero");

impl Default for Recent {
    fn default() -> Recent {
        // Room is made as it is needed, not for all of them at once.
        let mut charges = LruCache::unbounded();
        charges.resize(CHARGES_MAX);
        Recent(Mutex::new(charges))
    }
}

impl Recent {
    /// Takes the charge of an order out, as it was last written here. A notification that is
    /// believed changes it anyway.
    pub(crate) fn take(&self, account: &AccountName, number: &OutTradeNo) -> Option<Loaded> {
        let found = self.lock().pop(&order(account, number))?;
        Some(Arc::unwrap_or_clone(found))
    }

    /// Keeps what was written if it waits for its payer, and forgets it if it does so no longer.
    pub(crate) fn written(&self, after: &Loaded) {
        let waits = |attempt: &Attempt| attempt.state == AttemptState::Awaiting;
        let kept = after.attempts.iter().any(waits).then(|| Arc::new(after.clone()));
        for attempt in &after.attempts {
            let order = order(&attempt.account, &attempt.out_trade_no);
            match &kept {
                Some(kept) => drop(self.lock().put(order, Arc::clone(kept))),
                None => drop(self.lock().pop(&order)),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<String, Arc<Loaded>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An order at a provider; no name holds a blank.
fn order(account: &AccountName, number: &OutTradeNo) -> String {
    format!("{account} {number}")
}

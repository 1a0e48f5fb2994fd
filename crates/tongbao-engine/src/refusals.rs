//! Notices that were not believed: the reason is left at the charge, for the merchant.
//!
//! A stranger who knows an order number can send such notices as fast as the network carries them.
//! So they are counted here, and written at most once a second for each charge, with one line in
//! the log; the first of them at once.

use crate::{Commit, Engine, Error};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongbao_core::{JobChange, JobKind, NewJob, RefusedNotice};
use tongbao_types::{ChargeId, Code, Span, Timestamp};

/// What waits to be written. The lock is held for a look and never across an await.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<ChargeId, Counted>>);

#[derive(Debug)]
struct Counted {
    written_at: Timestamp,
    waiting: Vec<Refusal>,
}

/// A notice, or several of one code, to be written; and the look that it makes due.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    notice: RefusedNotice,
    look: Option<JobKind>,
}

const WRITTEN_EVERY: Span = Span::from_seconds(1);
/// So many charges are counted for at once; beyond that each refusal is written by itself.
const CHARGES_MAX: usize = 16_384;

impl Refusals {
    /// Counts one. Returns what is to be written now.
    fn count(&self, new: Refusal, now: Timestamp) -> Option<Refusal> {
        let mut charges = self.lock();
        let charge = new.notice.charge;
        let Some(counted) = charges.get_mut(&charge) else {
            if charges.len() < CHARGES_MAX {
                charges.insert(charge, Counted { written_at: now, waiting: Vec::new() });
            }
            return Some(new);
        };
        counted.add(new);
        counted.take(now)
    }

    /// What has waited long enough, one for each charge; charges at rest are forgotten.
    fn due(&self, now: Timestamp) -> Vec<Refusal> {
        let mut charges = self.lock();
        let due: Vec<Refusal> = charges.values_mut().filter_map(|one| one.take(now)).collect();
        charges.retain(|_, one| !one.waiting.is_empty() || !one.is_due(now));
        due
    }

    /// Everything that waits, at the end.
    fn all(&self) -> Vec<Refusal> {
        std::mem::take(&mut *self.lock()).into_values().flat_map(|one| one.waiting).collect()
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let charges = self.lock();
        let waiting = charges.values().filter(|one| !one.waiting.is_empty());
        waiting.map(|one| one.written_at + WRITTEN_EVERY).min()
    }

    fn put_back(&self, refusal: Refusal, now: Timestamp) {
        let none = || Counted { written_at: now, waiting: Vec::new() };
        self.lock().entry(refusal.notice.charge).or_insert_with(none).add(refusal);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChargeId, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn is_due(&self, now: Timestamp) -> bool {
        // Time may be moved back; then nothing shall wait for the old one.
        now >= self.written_at + WRITTEN_EVERY || now < self.written_at
    }

    fn add(&mut self, new: Refusal) {
        let same = self.waiting.iter_mut().find(|one| one.notice.code == new.notice.code);
        match same {
            None => self.waiting.push(new),
            Some(one) => {
                let count = one.notice.count + new.notice.count;
                one.notice = RefusedNotice { count, ..new.notice };
                one.look = new.look.or(one.look);
            }
        }
    }

    fn take(&mut self, now: Timestamp) -> Option<Refusal> {
        if self.waiting.is_empty() || !self.is_due(now) {
            return None;
        }
        self.written_at = now;
        Some(self.waiting.remove(0))
    }
}

impl Engine {
    /// Leaves the reason at a charge why something said about it is not believed, and makes `look`
    /// due in the same commit.
    pub(crate) async fn record_refusal(
        &self,
        charge: ChargeId,
        (code, reason): (Code, String),
        look: Option<JobKind>,
    ) -> Result<(), Error> {
        let now = self.clock().now();
        let notice = RefusedNotice { charge, code, reason, count: 1, last_at: now };
        match self.refusals().count(Refusal { notice, look }, now) {
            Some(refusal) => self.write_refusal(refusal).await,
            None => {
                self.runner().promised(now + WRITTEN_EVERY);
                Ok(())
            }
        }
    }

    /// Writes what was counted and is due.
    pub(crate) async fn write_due_refusals(&self, now: Timestamp) {
        self.write_refusals(self.refusals().due(now)).await;
    }

    /// Writes all that was counted, before the process ends.
    pub(crate) async fn write_all_refusals(&self) {
        self.write_refusals(self.refusals().all()).await;
    }

    async fn write_refusals(&self, refusals: Vec<Refusal>) {
        for refusal in refusals {
            if let Err(error) = self.write_refusal(refusal.clone()).await {
                tracing::warn!(%error, "refused notices could not be recorded yet");
                self.refusals().put_back(refusal, self.clock().now());
            }
        }
    }

    async fn write_refusal(&self, refusal: Refusal) -> Result<(), Error> {
        let Refusal { notice, look } = refusal;
        let RefusedNotice { charge, code, ref reason, count, .. } = notice;
        tracing::warn!(charge.id = %charge, %code, reason, count, "what was said is not believed");
        let mut mint = self.mint();
        let run_at = mint.now();
        let hasten = |kind| JobChange::Hasten(NewJob { id: mint.id(), kind, run_at });
        let jobs: Vec<JobChange> = look.map(hasten).into_iter().collect();
        let is_look = !jobs.is_empty();
        let refused = Some(notice);
        self.store().commit(Commit { refused, jobs, ..Commit::default() }).await?;
        self.watchers().tell(charge);
        if is_look {
            self.runner().promised(run_at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::Mint;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    fn refusal(charge: ChargeId, code: Code) -> Refusal {
        let notice =
            RefusedNotice { charge, code, reason: String::new(), count: 1, last_at: at(0) };
        Refusal { notice, look: None }
    }

    #[test]
    fn the_first_is_written_at_once_and_the_others_of_its_second_together() {
        let charge: ChargeId = Mint::new(at(0), [7; 10]).id();
        let refusals = Refusals::default();
        let one = |code| refusal(charge, code);
        assert!(refusals.count(one(Code::SignatureMismatch), at(0)).is_some());
        for millis in 1..1000 {
            assert_eq!(refusals.count(one(Code::SignatureMismatch), at(millis)), None);
        }
        assert_eq!(refusals.count(one(Code::NoticeStale), at(999)), None);
        assert_eq!(refusals.next(), Some(at(1000)));
        assert_eq!(refusals.due(at(999)), []);
        let written: Vec<_> = [1000, 1500, 2000, 3000]
            .into_iter()
            .flat_map(|millis| refusals.due(at(millis)))
            .map(|one| (one.notice.code, one.notice.count))
            .collect();
        assert_eq!(written, [(Code::SignatureMismatch, 999), (Code::NoticeStale, 1)]);
        assert_eq!((refusals.next(), refusals.lock().len()), (None, 0), "and then forgotten");
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut mint = Mint::new(at(0), [7; 10]);
        let refusals = Refusals::default();
        for _ in 0..CHARGES_MAX + 10 {
            let one = refusal(mint.id(), Code::SignatureMismatch);
            assert!(refusals.count(one, at(0)).is_some());
        }
        assert_eq!(refusals.lock().len(), CHARGES_MAX);
    }
}

//! Virtual time. It is tokio's paused clock, which moves to the next timer when nothing else can
//! run, plus jumps over the stretches in which nobody waits for anything near.
//!
//! Each look at the clock takes a microsecond, as if computing took time; so ids sort by their
//! making, as they do on a machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tongbao_engine::Clock;
use tongbao_types::{Span, Timestamp};

/// The true time, which providers, payers and databases keep.
pub(crate) struct SimClock {
    began: Instant,
    ahead_micros: AtomicI64,
    agenda: Mutex<BTreeMap<(Timestamp, u64), oneshot::Sender<()>>>,
    entries: AtomicU64,
}

/// When every life begins: 2026-11-21T06:00:00Z.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_seconds(1_795_240_800);

impl SimClock {
    /// Begins now.
    pub(crate) fn new() -> SimClock {
        SimClock {
            began: Instant::now(),
            ahead_micros: AtomicI64::new(0),
            agenda: Mutex::default(),
            entries: AtomicU64::new(0),
        }
    }

    /// The present, a microsecond later at each look.
    pub(crate) fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let ahead = self.ahead_micros.fetch_add(1, Ordering::Relaxed);
        BEGINNING + Span::from_micros(passed.saturating_add(ahead))
    }

    /// Leaves out the time until a moment; nobody must be waiting for anything before it.
    pub(crate) fn jump_to(&self, moment: Timestamp) {
        let span = moment.since(self.now());
        self.ahead_micros.fetch_add(span.as_micros(), Ordering::Relaxed);
    }

    /// Waits for a moment that may be far away; time is not kept from jumping meanwhile.
    pub(crate) async fn far(&self, moment: Timestamp) {
        let (sender, receiver) = oneshot::channel();
        let entry = self.entries.fetch_add(1, Ordering::Relaxed);
        self.agenda().insert((moment, entry), sender);
        // A sender that is gone means that the life is over.
        let _ = receiver.await;
    }

    /// Wakes those whose moment has come; whether there were any.
    pub(crate) fn ring(&self) -> bool {
        let now = self.now();
        for count in 0.. {
            let mut agenda = self.agenda();
            let Some(entry) = agenda.first_entry().filter(|entry| entry.key().0 <= now) else {
                return count > 0;
            };
            // Whoever does not wait any more need not be woken.
            let _ = entry.remove().send(());
        }
        true
    }

    /// When somebody is to be woken next.
    pub(crate) fn next_ring(&self) -> Option<Timestamp> {
        self.agenda().keys().next().map(|(moment, _)| *moment)
    }

    fn agenda(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Timestamp, u64), oneshot::Sender<()>>> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one gateway takes for the time: the true one, put wrong by so much.
pub(crate) struct Watch {
    pub(crate) truth: Arc<SimClock>,
    pub(crate) wrong_micros: Arc<AtomicI64>,
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        let wrong = self.wrong_micros.load(Ordering::Relaxed);
        Timestamp::from_micros(self.truth.now().as_micros() + wrong)
    }

    fn wall(&self) -> Timestamp {
        self.now()
    }
}

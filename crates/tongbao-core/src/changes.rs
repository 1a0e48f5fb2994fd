//! Changes: everything that one decision about one charge writes, as a value.
//!
//! The store writes it in one transaction or not at all. The charge's version guards its attempts
//! and the numbers of its events too, so whoever decided on older rows comes second and decides
//! again.

use crate::{Attempt, Charge, Event, EventKind, JobChange, JobKind, Loaded, NewJob, Refund};
use tongbao_types::{AttemptId, Bug, Mint, RefundId, Timestamp, is_planted};

/// Whether the charge's row is new or stood at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeWrite {
    /// The charge and its order_no must not exist yet.
    Insert,
    /// The row must still be at this version.
    Update {
        /// The version that was loaded.
        from: i64,
    },
}

/// What a decision writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The charge as it will be; its version is already the next one.
    pub charge: Charge,
    /// All its attempts as they will be.
    pub attempts: Vec<Attempt>,
    /// How to write the charge.
    pub write: ChargeWrite,
    /// Attempts to insert.
    pub attempts_new: Vec<AttemptId>,
    /// Attempts to update.
    pub attempts_changed: Vec<AttemptId>,
    /// All its refunds as they will be.
    pub refunds: Vec<Refund>,
    /// Refunds to insert.
    pub refunds_new: Vec<RefundId>,
    /// Refunds to update.
    pub refunds_changed: Vec<RefundId>,
    /// Events, in order.
    pub events: Vec<Event>,
    /// Promises made and dropped.
    pub jobs: Vec<JobChange>,
}

impl Changes {
    /// Starts from what was loaded; the version moves on.
    pub(crate) fn of(loaded: Loaded) -> Changes {
        let write = ChargeWrite::Update { from: loaded.charge.version };
        let mut changes = Changes::write(loaded.charge, write);
        changes.attempts = loaded.attempts;
        changes.refunds = loaded.refunds;
        changes.charge.version += 1;
        changes
    }

    /// Starts from a charge that is not written yet.
    pub(crate) fn insert(charge: Charge) -> Changes {
        Changes::write(charge, ChargeWrite::Insert)
    }

    fn write(charge: Charge, write: ChargeWrite) -> Changes {
        Changes {
            charge,
            attempts: Vec::new(),
            write,
            attempts_new: Vec::new(),
            attempts_changed: Vec::new(),
            refunds: Vec::new(),
            refunds_new: Vec::new(),
            refunds_changed: Vec::new(),
            events: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// What a reader would load after this is written.
    pub fn after(&self) -> Loaded {
        Loaded {
            charge: self.charge.clone(),
            attempts: self.attempts.clone(),
            refunds: self.refunds.clone(),
            refused: Vec::new(),
        }
    }

    /// Adds an event about the charge with the next number.
    pub(crate) fn tell(&mut self, kind: EventKind, mint: &mut Mint) {
        self.tell_of(kind, None, mint);
    }

    /// Adds an event about a refund with the next number of its charge.
    pub(crate) fn tell_refund(&mut self, kind: EventKind, refund: RefundId, mint: &mut Mint) {
        self.tell_of(kind, Some(refund), mint);
    }

    fn tell_of(&mut self, kind: EventKind, refund: Option<RefundId>, mint: &mut Mint) {
        self.charge.events += 1;
        if is_planted(Bug::SequenceFromClock) {
            self.charge.events = mint.now().as_micros();
        }
        self.events.push(Event {
            id: mint.id(),
            scope: self.charge.scope.clone(),
            charge: self.charge.id,
            refund,
            kind,
            sequence: self.charge.events,
            created_at: mint.now(),
        });
    }

    pub(crate) fn promise(&mut self, kind: JobKind, run_at: Timestamp, mint: &mut Mint) {
        self.jobs.push(JobChange::Put(NewJob { id: mint.id(), kind, run_at }));
    }

    pub(crate) fn forget(&mut self, kind: JobKind) {
        self.jobs.push(JobChange::Drop(kind));
    }

    /// Changes one attempt and remembers that it must be written.
    pub(crate) fn change(&mut self, id: AttemptId, edit: impl FnOnce(&mut Attempt)) {
        let found = self.attempts.iter_mut().find(|attempt| attempt.id == id);
        edit(found.expect("an attempt is only changed with the charge that it was loaded with"));
        if !self.attempts_changed.contains(&id) && !self.attempts_new.contains(&id) {
            self.attempts_changed.push(id);
        }
    }

    /// Changes one refund and remembers that it must be written.
    pub(crate) fn change_refund(&mut self, id: RefundId, edit: impl FnOnce(&mut Refund)) {
        let found = self.refunds.iter_mut().find(|refund| refund.id == id);
        edit(found.expect("a refund is only changed with the charge that it was loaded with"));
        if !self.refunds_changed.contains(&id) && !self.refunds_new.contains(&id) {
            self.refunds_changed.push(id);
        }
    }
}

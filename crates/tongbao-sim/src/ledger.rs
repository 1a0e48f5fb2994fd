//! What was written, watched as it is written: every state moves only along its edges, every lease
//! is settled once by whoever holds it, and no payment is given back twice.
//!
//! Nothing of the core's or the store's own rules is used here; the edges stand below.

use crate::trace::{Trace, say};
use std::collections::BTreeMap;
use tongbao_core::{AttemptState, Changes, ChargeWrite, Job, JobChange};
use tongbao_engine::{Commit, CommitError};
use tongbao_types::{ChargeId, JobId, Timestamp};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule is broken; one word or two.
    pub rule: &'static str,
    /// By what.
    pub what: String,
}

/// The watch over all writes of a life.
#[derive(Default)]
pub(crate) struct Ledger {
    versions: BTreeMap<ChargeId, i64>,
    states: BTreeMap<String, &'static str>,
    leases: BTreeMap<JobId, (i64, Timestamp)>,
    violations: Vec<Violation>,
}

/// From where a state may move where. What was closed or refused may turn out to be paid, and a
/// refund that failed to have succeeded; nothing else ever comes back.
const CHARGES: &[(&str, &[&str])] = &[
    ("", &["pending"]),
    ("pending", &["succeeded", "closed", "failed"]),
    ("closed", &["succeeded"]),
    ("failed", &["succeeded"]),
];
const ATTEMPTS: &[(&str, &[&str])] = &[
    ("", &["placing"]),
    ("placing", &["pending", "closing", "succeeded", "closed", "failed"]),
    ("pending", &["closing", "succeeded", "closed"]),
    ("closing", &["succeeded", "closed"]),
    ("closed", &["succeeded"]),
    ("failed", &["succeeded"]),
];
const REFUNDS: &[(&str, &[&str])] = &[
    ("", &["pending"]),
    ("pending", &["succeeded", "failed", "closed"]),
    ("failed", &["succeeded"]),
    ("closed", &["succeeded"]),
];
const DELIVERIES: &[(&str, &[&str])] = &[("", &["pending"]), ("pending", &["succeeded", "failed"])];

impl Ledger {
    /// Something is wrong.
    pub(crate) fn accuse(&mut self, rule: &'static str, what: String) {
        self.violations.push(Violation { rule, what });
    }

    pub(crate) fn take_violations(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }

    /// A commit was written or refused.
    pub(crate) fn committed(
        &mut self,
        commit: &Commit,
        error: Option<&CommitError>,
        trace: &Trace,
    ) {
        if let Some(error) = error {
            say!(trace, "commit refused: {error}");
            return;
        }
        let changes = commit.changes.as_ref();
        for change in changes.iter().flat_map(|changes| &changes.jobs).chain(&commit.jobs) {
            self.settled(change);
        }
        if let Some(changes) = changes {
            self.changed(changes, trace);
        }
        for delivery in commit.deliveries.iter().chain(&commit.delivery_tried) {
            self.moves(&delivery.id.to_string(), delivery.state.status(), DELIVERIES);
        }
        if let Some(delivery) = &commit.delivery_tried {
            say!(
                trace,
                "commit {} {} after {}",
                delivery.id,
                delivery.state.status(),
                delivery.n_tries
            );
        }
        if let Some(refused) = &commit.refused {
            say!(trace, "commit refused notice {} {}", refused.charge, refused.code);
        }
    }

    /// Jobs were leased.
    pub(crate) fn claimed(&mut self, jobs: &[Job], until: Timestamp, trace: &Trace) {
        for job in jobs {
            say!(trace, "claim  {} epoch {} run {}", job.kind.key(), job.epoch, job.runs);
            self.leases.insert(job.id, (job.epoch, until));
        }
    }

    /// A lease is settled by the epoch that it was last given with, and once.
    fn settled(&mut self, change: &JobChange) {
        let (id, epoch) = match change {
            JobChange::Finish { id, epoch } | JobChange::Again { id, epoch, .. } => (id, *epoch),
            JobChange::Put(_) | JobChange::Hasten(_) | JobChange::Drop(_) => return,
        };
        let held = self.leases.remove(id).map(|(epoch, _)| epoch);
        if held != Some(epoch) {
            let what = format!("job {id} is settled by epoch {epoch}, held by {held:?}");
            self.accuse("stale lease", what);
        }
    }

    fn changed(&mut self, changes: &Changes, trace: &Trace) {
        let charge = &changes.charge;
        let events: Vec<&str> = changes.events.iter().map(|event| event.kind.as_str()).collect();
        say!(
            trace,
            "commit {} v{} {} {events:?}",
            charge.id,
            charge.version,
            charge.state.status()
        );
        self.version(changes);
        self.moves(&charge.id.to_string(), charge.state.status(), CHARGES);
        for attempt in &changes.attempts {
            self.moves(&attempt.id.to_string(), attempt.state.status(), ATTEMPTS);
        }
        for refund in &changes.refunds {
            self.moves(&refund.id.to_string(), refund.state.status(), REFUNDS);
        }
        self.reserved(changes);
    }

    /// Each write follows the one before it.
    fn version(&mut self, changes: &Changes) {
        let charge = &changes.charge;
        let before = self.versions.insert(charge.id, charge.version).unwrap_or(0);
        let from = match changes.write {
            ChargeWrite::Insert => 0,
            ChargeWrite::Update { from } => from,
        };
        if before != from || charge.version != before + 1 {
            let what = format!("{} v{before} is overwritten by v{}", charge.id, charge.version);
            self.accuse("lost write", what);
        }
    }

    fn moves(&mut self, id: &str, to: &'static str, edges: &[(&str, &[&str])]) {
        let from = self.states.insert(id.to_owned(), to).unwrap_or("");
        let allowed = edges.iter().any(|(one, others)| *one == from && others.contains(&to));
        // A charge may be made and be paid in one commit only by way of pending.
        if from != to && !allowed {
            self.accuse("edge", format!("{id} moves from {from:?} to {to:?}"));
        }
    }

    /// What is given back of a payment, or is on its way, is never more than was paid.
    fn reserved(&mut self, changes: &Changes) {
        for attempt in &changes.attempts {
            let AttemptState::Succeeded { amount, .. } = attempt.state else { continue };
            let of_it = changes.refunds.iter().filter(|refund| refund.attempt == attempt.id);
            let open = of_it.filter(|r| ["pending", "succeeded"].contains(&r.state.status()));
            let sum: i64 = open.map(|refund| refund.amount.fen().0).sum();
            if sum > amount.0 {
                let what = format!("{sum} of {} fen of {} are given back", amount.0, attempt.id);
                self.accuse("refunded too much", what);
            }
        }
    }
}

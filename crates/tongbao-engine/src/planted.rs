//! The planted bugs that tear a commit apart; see [`Bug`]. Without them a commit is one commit.

use crate::{Commit, IdempotencyStep};
use tongbao_core::{Changes, ChargeWrite, JobChange, JobKind, NewJob};
use tongbao_types::{Bug, is_planted};

/// Takes out of a commit what is to be written later, by a commit of its own.
pub(crate) fn apart(commit: &mut Commit) -> Option<Commit> {
    if is_planted(Bug::EventApart) {
        return events(commit);
    }
    if is_planted(Bug::DeliveryApart) && !commit.deliveries.is_empty() {
        return Some(deliveries(commit));
    }
    let is_begin = matches!(commit.idempotency, Some(IdempotencyStep::Begin(_)));
    if is_planted(Bug::KeyApart) && is_begin {
        let idempotency = commit.idempotency.take();
        return Some(Commit { idempotency, ..Commit::default() });
    }
    None
}

/// The charge once more, with nothing new but its events.
fn events(commit: &mut Commit) -> Option<Commit> {
    let first = commit.changes.as_mut().filter(|changes| !changes.events.is_empty())?;
    let mut told = Changes {
        write: ChargeWrite::Update { from: first.charge.version },
        attempts_new: Vec::new(),
        attempts_changed: Vec::new(),
        refunds_new: Vec::new(),
        refunds_changed: Vec::new(),
        jobs: Vec::new(),
        ..first.clone()
    };
    told.charge.version += 1;
    first.events.clear();
    let event_bodies = std::mem::take(&mut commit.event_bodies);
    Some(Commit { changes: Some(told), event_bodies, ..deliveries(commit) })
}

fn deliveries(commit: &mut Commit) -> Commit {
    let delivers =
        |job: &JobChange| matches!(job, JobChange::Put(NewJob { kind: JobKind::Deliver(_), .. }));
    let (jobs, others) = std::mem::take(&mut commit.jobs).into_iter().partition(delivers);
    commit.jobs = others;
    Commit { deliveries: std::mem::take(&mut commit.deliveries), jobs, ..Commit::default() }
}

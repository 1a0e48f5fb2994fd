//! Jobs: promises written in the same transaction as their cause.
//!
//! A job has a key, so that the same promise is never made twice; an instance that works on it
//! holds a lease, and the epoch of the lease fences off a worker that was too slow.

use tongbao_types::{AttemptId, ChargeId, DeliveryId, JobId, RefundId, Span, Timestamp};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Ask the provider about an order, and close it when nobody pays.
    PollAttempt(AttemptId, ChargeId),
    /// Close an order at the provider.
    CloseAttempt(AttemptId, ChargeId),
    /// Close a charge when its time to choose a channel is over.
    ExpireCharge(ChargeId),
    /// Ask the provider about a refund, and send it if the provider does not know it.
    PerformRefund(RefundId, ChargeId),
    /// Send an event to an endpoint.
    Deliver(DeliveryId),
}

impl JobKind {
    /// Its name in the database and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            JobKind::PollAttempt(..) => "poll_attempt",
            JobKind::CloseAttempt(..) => "close_attempt",
            JobKind::ExpireCharge(..) => "expire_charge",
            JobKind::PerformRefund(..) => "perform_refund",
            JobKind::Deliver(..) => "deliver",
        }
    }

    /// One promise, one key.
    pub fn key(self) -> String {
        match self {
            JobKind::PollAttempt(attempt, _) => format!("poll:{}", attempt.bare()),
            JobKind::CloseAttempt(attempt, _) => format!("close:{}", attempt.bare()),
            JobKind::ExpireCharge(charge) => format!("expire:{}", charge.bare()),
            JobKind::PerformRefund(refund, _) => format!("refund:{}", refund.bare()),
            JobKind::Deliver(delivery) => format!("deliver:{}", delivery.bare()),
        }
    }
}

/// A job to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// Not before this moment.
    pub run_at: Timestamp,
}

/// A job that an instance has leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// When it was due.
    pub run_at: Timestamp,
    /// How many runs went before this one.
    pub runs: u32,
    /// The fencing token of this lease.
    pub epoch: i64,
}

/// What a commit does to jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobChange {
    /// Make the promise; if one with this key exists it stays as it is.
    Put(NewJob),
    /// Make the promise; if one with this key exists and nobody works on it, it falls due no later
    /// than this one.
    Hasten(NewJob),
    /// The promise has no object any more, whoever holds it.
    Drop(JobKind),
    /// This lease has done its work: the job goes. The commit fails if the lease was lost.
    Finish {
        /// Which job.
        id: JobId,
        /// The lease that did it.
        epoch: i64,
    },
    /// This lease puts the job off. The commit fails if the lease was lost.
    Again {
        /// Which job.
        id: JobId,
        /// The lease that did it.
        epoch: i64,
        /// Not before this moment.
        run_at: Timestamp,
        /// Why, for people who look at the queue.
        error: Option<String>,
    },
}

/// The wait before run number `runs + 1` of a job that must succeed in the end: doubling from
/// `first` up to `most`.
pub(crate) fn backoff(first: Span, most: Span, runs: u32) -> Span {
    let doubled = first.times(1_i64 << runs.min(30));
    if doubled > most { most } else { doubled }
}

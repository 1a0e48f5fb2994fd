//! Background work: one file per kind of job, and the runner that knows none of them.
//!
//! A job is a promise that stands in the database. Each kind may run twice, on two machines at
//! once, or be cut off anywhere: its file says why that is safe.

mod close_attempt;
mod deliver;
mod expire_charge;
mod perform_refund;
mod poll_attempt;
mod runner;

pub(crate) use runner::Runner;

use crate::{Commit, Engine, Error};
use tongbao_core::{Job, JobChange, JobKind};

/// Why a job goes on although it got an answer.
const CONTRADICTION: &str = "the answer contradicts what was asked and is not believed";

impl Engine {
    async fn run_job(&self, job: &Job) -> Result<(), Error> {
        match job.kind {
            JobKind::PollAttempt(attempt, charge) => self.poll_attempt(job, charge, attempt).await,
            JobKind::CloseAttempt(attempt, charge) => {
                self.close_attempt(job, charge, attempt).await
            }
            JobKind::ExpireCharge(charge) => self.expire_charge(job, charge).await,
            JobKind::PerformRefund(refund, charge) => {
                self.perform_refund(job, charge, refund).await
            }
            JobKind::Deliver(delivery) => self.deliver(job, delivery).await,
        }
    }

    /// Writes nothing but what becomes of a job.
    async fn settle(&self, change: JobChange) -> Result<(), Error> {
        self.store().commit(Commit { jobs: vec![change], ..Commit::default() }).await?;
        Ok(())
    }
}

fn finish(job: &Job) -> JobChange {
    JobChange::Finish { id: job.id, epoch: job.epoch }
}

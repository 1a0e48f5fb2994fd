//! Units of work: everything that writes, as values. On SQLite the one writer performs them in
//! groups; on a server each is performed in a transaction of its own, perhaps more than once.

use crate::bills::{self, BillWork};
use crate::commit;
use crate::error::Broken;
use crate::plan::{Plan, Row};
use crate::queue::{self, Claim};
use crate::sql::{Transaction, run};
use crate::tables::{api_keys, idempotency_keys};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query, UpdateStatement};
use tongbao_core::Job;
use tongbao_types::Timestamp;

/// A unit of work.
pub(crate) enum Work {
    /// Write a commit.
    Commit(Box<Plan>),
    /// Write many commits, or none of them.
    Commits(Vec<Plan>),
    /// Lease jobs.
    Claim(Claim),
    /// Keep a row of `api_keys`.
    SaveApiKey(Row),
    /// Write a sealed text in the place of another.
    Reseal(Box<UpdateStatement>),
    /// Write something of a bill.
    Bill(BillWork),
    /// Forget Idempotency-Keys that began before this moment.
    Prune(Timestamp),
}

/// What a unit of work brought.
#[derive(Default)]
pub(crate) struct Done {
    /// The jobs that were leased.
    pub(crate) jobs: Vec<Job>,
    /// How many rows were forgotten.
    pub(crate) pruned: u64,
    /// Whether a sealed text was replaced.
    pub(crate) resealed: bool,
}

/// Does the work inside a transaction that the caller began and will end.
pub(crate) async fn perform<T: Transaction + ?Sized>(
    work: &Work,
    transaction: &mut T,
) -> Result<Done, Broken> {
    let mut done = Done::default();
    match work {
        Work::Commit(plan) => commit::apply(plan, transaction).await?,
        Work::Commits(plans) => {
            for plan in plans {
                commit::apply(plan, transaction).await?;
            }
        }
        Work::Claim(claim) => done.jobs = queue::claim(claim, transaction).await?,
        Work::SaveApiKey(row) => {
            let known = OnConflict::column("id").update_columns(api_keys::COLUMNS).to_owned();
            let mut insert = commit::insert(api_keys::TABLE, &api_keys::COLUMNS, [row.clone()]);
            run(transaction, insert.on_conflict(known)).await?;
        }
        Work::Reseal(update) => done.resealed = run(transaction, &**update).await? == 1,
        Work::Bill(work) => bills::perform(work, transaction).await?,
        Work::Prune(before) => {
            let mut delete = Query::delete().from_table(idempotency_keys::TABLE).to_owned();
            let old = Expr::col("created_at").lt(before.as_micros());
            done.pruned = run(transaction, delete.and_where(old)).await?;
        }
    }
    Ok(done)
}

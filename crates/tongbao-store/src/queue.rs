//! The job queue: leasing by compare-and-swap, and when the next job falls due.
//!
//! Both walk the index `jobs_due` (lease_until, run_at, id) from its front, so jobs that wait for a
//! later time cost nothing, and jobs that somebody holds are never looked at. Leases run by the
//! database's clock, since instances may disagree about the time.

use crate::error::{self, Broken, Fault};
use crate::sql::{Transaction, ask, run};
use crate::tables::{Cells, id, jobs};
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use tongbao_core::Job;
use tongbao_engine::StoreError;
use tongbao_types::{JobId, Span, Timestamp};
use uuid::Uuid;

/// So many jobs are leased by one statement; SQLite bounds the depth of its conditions.
const CHUNK: usize = 200;

/// A wish to lease jobs.
pub(crate) struct Claim {
    /// Due at this moment, by the business clock.
    pub(crate) now: Timestamp,
    /// For so long.
    pub(crate) lease: Span,
    /// At most so many.
    pub(crate) limit: u32,
    /// Marks the rows that this claim won.
    pub(crate) owner: Uuid,
    /// Marks of claims before it that got no answer; what they won is given out now.
    pub(crate) lost: Vec<Uuid>,
}

/// Leases due jobs, oldest first.
pub(crate) async fn claim<T: Transaction + ?Sized>(
    claim: &Claim,
    transaction: &mut T,
) -> Result<Vec<Job>, Broken> {
    let backend = transaction.backend();
    let mut due = Vec::new();
    for select in [free(), abandoned(backend)] {
        let mut select = select;
        let select = select
            .columns(jobs::READ)
            .and_where(Expr::col("run_at").lte(claim.now.as_micros()))
            .limit(u64::from(claim.limit));
        for row in ask(transaction, select).await? {
            due.push(jobs::read(&row)?);
        }
    }
    due.sort_by_key(|job| (job.run_at, job.id));
    let mut won = taken_before(claim, transaction).await?;
    let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
    due.truncate(limit.saturating_sub(won.len()));
    for candidates in due.chunks(CHUNK) {
        won.extend(lease(claim, candidates, transaction).await?);
    }
    Ok(won)
}

/// What was leased by claims whose answer was lost.
async fn taken_before<T: Transaction + ?Sized>(
    claim: &Claim,
    transaction: &mut T,
) -> Result<Vec<Job>, Broken> {
    if claim.lost.is_empty() {
        return Ok(Vec::new());
    }
    let select = oldest_first()
        .columns(jobs::READ)
        .and_where(Expr::col("lease_until").gt(clock(transaction.backend())))
        .and_where(Expr::col("lease_owner").is_in(claim.lost.iter().map(|owner| id(*owner))))
        .to_owned();
    let rows = ask(transaction, &select).await?;
    Ok(rows.iter().map(jobs::read).collect::<Result<_, StoreError>>()?)
}

/// Takes those candidates that nobody else took meanwhile: each row's epoch says so.
async fn lease<T: Transaction + ?Sized>(
    claim: &Claim,
    candidates: &[Job],
    transaction: &mut T,
) -> Result<Vec<Job>, Broken> {
    let lease = clock(transaction.backend()).add(claim.lease.as_micros());
    let mut as_seen = Cond::any();
    for job in candidates {
        let row = Expr::col("id").eq(id(job.id.uuid())).and(Expr::col("epoch").eq(job.epoch));
        as_seen = as_seen.add(row);
    }
    let update = Query::update()
        .table(jobs::TABLE)
        .value("epoch", Expr::col("epoch").add(1_i64))
        .value("runs", Expr::col("runs").add(1_i64))
        .value("lease_until", lease)
        .value("lease_owner", id(claim.owner))
        .cond_where(as_seen)
        .to_owned();
    let taken = run(transaction, &update).await?;
    let mut won: Vec<Job> = candidates.to_vec();
    if taken != candidates.len() as u64 {
        let mine = mine(claim, candidates, transaction).await?;
        won.retain(|job| mine.contains(&job.id));
    }
    won.iter_mut().for_each(|job| job.epoch += 1);
    Ok(won)
}

async fn mine<T: Transaction + ?Sized>(
    claim: &Claim,
    candidates: &[Job],
    transaction: &mut T,
) -> Result<Vec<JobId>, Broken> {
    let ids = candidates.iter().map(|job| job.id.uuid());
    let select = Query::select()
        .column("id")
        .from(jobs::TABLE)
        .and_where(Expr::col("id").is_in(ids))
        .and_where(Expr::col("lease_owner").eq(id(claim.owner)))
        .to_owned();
    let rows = ask(transaction, &select).await?;
    let ids = rows.iter().map(|row| Cells::of(row, 0).id());
    Ok(ids.collect::<Result<_, StoreError>>()?)
}

/// When the next job that nobody holds falls due.
pub(crate) async fn next_due(
    database: &DatabaseConnection,
) -> Result<Option<Timestamp>, StoreError> {
    let mut first: Option<Timestamp> = None;
    for mut select in [free(), abandoned(database.get_database_backend())] {
        let row = database.query_one(select.column("run_at").limit(1)).await;
        if let Some(row) = row.map_err(error::store)? {
            let run_at = Cells::of(&row, 0).time()?;
            first = Some(first.map_or(run_at, |first| first.min(run_at)));
        }
    }
    Ok(first)
}

/// Jobs that nobody holds, in the order in which they fall due.
fn free() -> SelectStatement {
    let free = Expr::col("lease_until").eq(0_i64);
    oldest_first().and_where(free).to_owned()
}

/// Jobs whose holder did not come back in time.
fn abandoned(backend: DbBackend) -> SelectStatement {
    oldest_first()
        .and_where(Expr::col("lease_until").gt(0_i64))
        .and_where(Expr::col("lease_until").lte(clock(backend)))
        .to_owned()
}

fn oldest_first() -> SelectStatement {
    Query::select()
        .from(jobs::TABLE)
        .order_by("run_at", Order::Asc)
        .order_by("id", Order::Asc)
        .to_owned()
}

/// Gives back what a process that is gone held. Only the process that owns the database alone may
/// know that.
pub(crate) async fn release_all<T: Transaction + ?Sized>(
    transaction: &mut T,
) -> Result<u64, Fault> {
    let update = Query::update()
        .table(jobs::TABLE)
        .value("lease_until", 0_i64)
        .value("epoch", Expr::col("epoch").add(1_i64))
        .and_where(Expr::col("lease_until").gt(0_i64))
        .to_owned();
    run(transaction, &update).await
}

/// The database's clock in microseconds since 1970 UTC.
fn clock(backend: DbBackend) -> Expr {
    Expr::cust(match backend {
        DbBackend::Postgres => "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        DbBackend::MySql => "cast(unix_timestamp(now(6)) * 1000000 as signed)",
        _ => "cast(unixepoch('subsec') * 1000000 as integer)",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;

    #[tokio::test]
    async fn nothing_but_what_is_due_is_looked_at() {
        let empty = explain::empty().await;
        for (mut select, seek) in [
            (free(), "lease_until=?"),
            (abandoned(DbBackend::Sqlite), "lease_until>? AND lease_until<?"),
        ] {
            let first = explain::built(&empty.0, select.column("run_at").limit(1)).await;
            assert_eq!(first[0], format!("SEARCH jobs USING COVERING INDEX jobs_due ({seek})"));
            select.columns(jobs::READ).and_where(Expr::col("run_at").lte(9_i64));
            let claim = explain::built(&empty.0, &select).await;
            let seek = seek.replace("=?", "=? AND run_at<?");
            assert_eq!(claim[0], format!("SEARCH jobs USING INDEX jobs_due ({seek})"));
        }
        explain::end(empty).await;
    }
}

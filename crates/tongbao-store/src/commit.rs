//! The door for writes: one plan, statement by statement, inside a transaction that the caller
//! began and will end. Every uniqueness is an index and every guard is the number of rows that a
//! conditional statement touched; nothing is read to decide. [`crate::sqlite_batch`] writes many
//! plans at once and must mean the same.

use crate::error::{self, Broken, Fault};
use crate::plan::{Plan, Row};
use crate::sql::{Transaction, ask, run};
use crate::tables::{
    Row as _, attempts, charge_numbers, charges, deliveries, endpoints, events, id,
    idempotency_keys, jobs, provider_replies, refunds, refused_notices,
};
use sea_orm::Value;
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, OnConflict, Query, UpdateStatement};
use tongbao_core::{JobKind, RefusedNotice};
use tongbao_engine::CommitError;
use tongbao_types::{DeliveryId, EndpointId};
use uuid::Uuid;

/// Writes all of it, or says why not; then the transaction must be undone.
pub(crate) async fn apply<T: Transaction + ?Sized>(
    plan: &Plan,
    transaction: &mut T,
) -> Result<(), Broken> {
    step_key(plan, transaction).await?;
    write_charge(plan, transaction).await?;
    let rows = &plan.deliveries;
    insert_all(transaction, deliveries::TABLE, &deliveries::COLUMNS, rows).await?;
    if let Some(row) = &plan.delivery_tried {
        let mut update = set(deliveries::TABLE, &deliveries::CHANGING, &row[1..]);
        let update = update.and_where(Expr::col("id").eq(row[0].clone()));
        touched(transaction, update, CommitError::Stale).await?;
    }
    write_jobs(plan, transaction).await?;
    if let Some(notice) = &plan.refused {
        run(transaction, &count_refused(notice)).await?;
    }
    if let Some(row) = &plan.provider_reply {
        run(transaction, &save_provider_reply(row)).await?;
    }
    write_endpoint(plan, transaction).await?;
    if let Some(endpoint) = plan.endpoint_gone {
        remove_endpoint(endpoint, transaction).await?;
    }
    Ok(())
}

async fn step_key<T: Transaction + ?Sized>(plan: &Plan, transaction: &mut T) -> Result<(), Broken> {
    let here = |row: &Row| {
        Expr::col("app")
            .eq(row[0].clone())
            .and(Expr::col("mode").eq(row[1].clone()))
            .and(Expr::col("key").eq(row[2].clone()))
    };
    if let Some(row) = &plan.key_begun {
        let insert = insert(idempotency_keys::TABLE, &idempotency_keys::COLUMNS, [row.clone()]);
        let taken = if_taken(CommitError::IdempotencyKeyTaken);
        run(transaction, &insert).await.map_err(taken)?;
    }
    if let Some(row) = &plan.key_done {
        let mut update = set(idempotency_keys::TABLE, &["status", "body"], &row[3..]);
        run(transaction, update.and_where(here(row))).await?;
    }
    if let Some(row) = &plan.key_forgotten {
        let mut delete = Query::delete().from_table(idempotency_keys::TABLE).to_owned();
        run(transaction, delete.and_where(here(row))).await?;
    }
    Ok(())
}

/// The charge's row comes first: its version guards the attempts, the refunds and the numbers of
/// the events.
async fn write_charge<T: Transaction + ?Sized>(
    plan: &Plan,
    transaction: &mut T,
) -> Result<(), Broken> {
    if let Some(row) = &plan.charge_new {
        let insert = insert(charges::TABLE, &charges::COLUMNS, [row.clone()]);
        run(transaction, &insert).await?;
    }
    if let Some(row) = &plan.charge_changed {
        let mut update = set(charges::TABLE, &charges::CHANGING, &row[2..]);
        let update = update
            .and_where(Expr::col("id").eq(row[0].clone()))
            .and_where(Expr::col("version").eq(row[1].clone()));
        touched(transaction, update, CommitError::Stale).await?;
    }
    if let Some(row) = &plan.charge_numbered {
        let insert = insert(charge_numbers::TABLE, &charge_numbers::COLUMNS, [row.clone()]);
        run(transaction, &insert).await?;
    }
    let rows = &plan.attempts_new;
    insert_all(transaction, attempts::TABLE, &attempts::COLUMNS, rows).await?;
    for row in &plan.attempts_changed {
        let mut update = set(attempts::TABLE, &attempts::CHANGING, &row[2..]);
        let update = update
            .and_where(Expr::col("charge").eq(row[0].clone()))
            .and_where(Expr::col("id").eq(row[1].clone()));
        touched(transaction, update, CommitError::Stale).await?;
    }
    write_refunds(plan, transaction).await?;
    insert_all(transaction, events::TABLE, &events::COLUMNS, &plan.events).await
}

async fn write_refunds<T: Transaction + ?Sized>(
    plan: &Plan,
    transaction: &mut T,
) -> Result<(), Broken> {
    let rows = &plan.refunds_new;
    insert_all(transaction, refunds::TABLE, &refunds::COLUMNS, rows).await?;
    for row in &plan.refunds_changed {
        let mut update = set(refunds::TABLE, &refunds::CHANGING, &row[1..]);
        let update = update.and_where(Expr::col("id").eq(row[0].clone()));
        touched(transaction, update, CommitError::Stale).await?;
    }
    Ok(())
}

async fn write_jobs<T: Transaction + ?Sized>(
    plan: &Plan,
    transaction: &mut T,
) -> Result<(), Broken> {
    let held =
        |row: &Row| Expr::col("id").eq(row[0].clone()).and(Expr::col("epoch").eq(row[1].clone()));
    for row in &plan.jobs_finished {
        let mut delete = Query::delete().from_table(jobs::TABLE).to_owned();
        touched(transaction, delete.and_where(held(row)), CommitError::LeaseLost).await?;
    }
    for row in &plan.jobs_again {
        let mut update = set(jobs::TABLE, &["run_at", "last_error"], &row[2..]);
        let update = update
            .value("lease_until", 0_i64)
            .value("epoch", Expr::col("epoch").add(1_i64))
            .and_where(held(row));
        touched(transaction, update, CommitError::LeaseLost).await?;
    }
    if !plan.jobs_dropped.is_empty() {
        let keys = plan.jobs_dropped.iter().map(|row| row[0].clone());
        let mut delete = Query::delete().from_table(jobs::TABLE).to_owned();
        let delete = delete.and_where(Expr::col("key").is_in(keys));
        run(transaction, delete).await?;
    }
    if !plan.jobs_put.is_empty() {
        let keep = OnConflict::column("key").do_nothing_on(["key"]).to_owned();
        let mut insert = insert(jobs::TABLE, &jobs::COLUMNS, plan.jobs_put.iter().cloned());
        run(transaction, insert.on_conflict(keep)).await?;
    }
    for (row, latest) in &plan.jobs_hastened {
        run(transaction, &hasten(row, *latest)).await?;
    }
    Ok(())
}

/// Whoever holds the promise that is there is already at work on it.
fn hasten(row: &Row, latest: i64) -> InsertStatement {
    let known = |column| Expr::col((jobs::TABLE, column));
    let is_late = known("lease_until").eq(0_i64).and(known("run_at").gt(latest));
    let run_at = Expr::case(is_late, latest).finally(known("run_at"));
    let sooner = OnConflict::column("key").value("run_at", run_at).to_owned();
    insert(jobs::TABLE, &jobs::COLUMNS, [row.clone()]).on_conflict(sooner).to_owned()
}

fn count_refused(notice: &RefusedNotice) -> InsertStatement {
    let table = refused_notices::TABLE;
    let count = Expr::col((table, "count")).add(notice.count);
    let known = OnConflict::columns(["charge", "code"])
        .value("count", count)
        .value("reason", notice.reason.clone())
        .value("last_at", notice.last_at.as_micros())
        .to_owned();
    insert(table, &refused_notices::COLUMNS, [refused_notices::row(notice)])
        .on_conflict(known)
        .to_owned()
}

fn save_provider_reply(row: &Row) -> InsertStatement {
    let (table, columns) = (provider_replies::TABLE, &provider_replies::COLUMNS);
    let latest = OnConflict::columns(["charge", "kind"]).update_columns(["body", "at"]).to_owned();
    insert(table, columns, [row.clone()]).on_conflict(latest).to_owned()
}

async fn write_endpoint<T: Transaction + ?Sized>(
    plan: &Plan,
    transaction: &mut T,
) -> Result<(), Broken> {
    if let Some(row) = &plan.endpoint_new {
        let insert = insert(endpoints::TABLE, &endpoints::COLUMNS, [row.clone()]);
        run(transaction, &insert).await.map_err(if_taken(CommitError::Stale))?;
    }
    if let Some(row) = &plan.endpoint_changed {
        let mut update = set(endpoints::TABLE, &endpoints::CHANGING, &row[2..]);
        let update = update
            .and_where(Expr::col("id").eq(row[0].clone()))
            .and_where(Expr::col("version").eq(row[1].clone()));
        touched(transaction, update, CommitError::Stale).await?;
    }
    Ok(())
}

/// The endpoint goes with its open deliveries and the promises to make them; what was delivered
/// or given up stays to be read.
async fn remove_endpoint<T: Transaction + ?Sized>(
    endpoint: EndpointId,
    transaction: &mut T,
) -> Result<(), Broken> {
    let open = Expr::col("endpoint").eq(id(endpoint.uuid())).and(Expr::col("status").eq("pending"));
    let select = Query::select().column("id").from(deliveries::TABLE).and_where(open).to_owned();
    let mut ids: Vec<Uuid> = Vec::new();
    for row in ask(transaction, &select).await? {
        ids.push(row.cell(0)?);
    }
    for ids in ids.chunks(500) {
        let keys = ids.iter().map(|id| JobKind::Deliver(DeliveryId::from_uuid(*id)).key());
        let mut delete = Query::delete().from_table(jobs::TABLE).to_owned();
        run(transaction, delete.and_where(Expr::col("key").is_in(keys))).await?;
        let mut delete = Query::delete().from_table(deliveries::TABLE).to_owned();
        let these = Expr::col("id").is_in(ids.iter().copied());
        run(transaction, delete.and_where(these)).await?;
    }
    let mut delete = Query::delete().from_table(endpoints::TABLE).to_owned();
    run(transaction, delete.and_where(Expr::col("id").eq(id(endpoint.uuid())))).await?;
    Ok(())
}

async fn insert_all<T: Transaction + ?Sized>(
    transaction: &mut T,
    table: &'static str,
    columns: &[&'static str],
    rows: &[Row],
) -> Result<(), Broken> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = insert(table, columns, rows.iter().cloned());
    run(transaction, &insert).await?;
    Ok(())
}

/// Why an insert was refused, where one with this key is there already.
fn if_taken(refusal: CommitError) -> impl FnOnce(Fault) -> Broken {
    |cause| match error::is_taken(&cause) {
        true => Broken::Refused(refusal),
        false => Broken::Database(cause),
    }
}

/// An insert of whole rows.
pub(crate) fn insert(
    table: &'static str,
    columns: &[&'static str],
    rows: impl IntoIterator<Item = Row>,
) -> InsertStatement {
    let mut insert = Query::insert().into_table(table).columns(columns.iter().copied()).to_owned();
    for row in rows {
        insert.values_panic(row.into_iter().map(Expr::val));
    }
    insert
}

fn set(table: &'static str, columns: &[&'static str], values: &[Value]) -> UpdateStatement {
    let values = values.iter().cloned().map(Expr::val);
    Query::update().table(table).values(columns.iter().copied().zip(values)).to_owned()
}

/// Runs a statement that must touch exactly one row.
async fn touched<T: Transaction + ?Sized>(
    transaction: &mut T,
    statement: &impl sea_orm::StatementBuilder,
    otherwise: CommitError,
) -> Result<(), Broken> {
    match run(transaction, statement).await? {
        1 => Ok(()),
        _ => Err(Broken::Refused(otherwise)),
    }
}

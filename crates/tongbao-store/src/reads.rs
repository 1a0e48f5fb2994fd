//! What is read: one function for each question of the port, the same for all engines. Nothing here
//! decides; whoever decides on what was read is guarded by the write.

use crate::error;
use crate::tables::{
    Cells, api_keys, attempts, charges, deliveries, endpoints, events, id, idempotency_keys,
    refused_notices,
};
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult};
use std::collections::HashMap;
use tongbao_core::{Attempt, Delivery, Endpoint, Loaded, RefusedNotice, Scope};
use tongbao_engine::{
    ApiKey, ChargeFilter, DeliveryFilter, EventFilter, IdempotencyRow, LoadedDelivery, Page,
    StoreError, StoredEvent,
};
use tongbao_types::{AccountName, AppName, ChargeId, DeliveryId, EventId, OutTradeNo};
use uuid::Uuid;

type Read<T> = Result<T, StoreError>;

/// A charge with its attempts in one statement, and with the notices refused for it.
pub(crate) async fn charge(
    database: &DatabaseConnection,
    charge: ChargeId,
) -> Read<Option<Loaded>> {
    let mut select = charges_with_attempts();
    let select = select.and_where(Expr::col((charges::TABLE, "id")).eq(id(charge.uuid())));
    let Some(mut loaded) = fold(&ask(database, select).await?, 0)?.pop() else { return Ok(None) };
    loaded.refused = refused(database, &[charge]).await?;
    Ok(Some(loaded))
}

/// The same, found by an attempt's number, without refused notices.
pub(crate) async fn charge_by_out_trade_no(
    database: &DatabaseConnection,
    account: &AccountName,
    number: &OutTradeNo,
) -> Read<Option<Loaded>> {
    let found = Query::select()
        .column("charge")
        .from(attempts::TABLE)
        .and_where(Expr::col("account").eq(account.as_str()))
        .and_where(Expr::col("out_trade_no").eq(number.as_str()))
        .to_owned();
    let mut select = charges_with_attempts();
    let select = select.and_where(Expr::col((charges::TABLE, "id")).in_subquery(found));
    Ok(fold(&ask(database, select).await?, 0)?.pop())
}

/// Charges of a scope, newest first.
pub(crate) async fn charges(
    database: &DatabaseConnection,
    scope: &Scope,
    filter: &ChargeFilter,
    page: Page<ChargeId>,
) -> Read<Vec<Loaded>> {
    let mut select = list(charges::TABLE, &charges::COLUMNS, scope);
    if let Some(order_no) = &filter.order_no {
        select.and_where(Expr::col("order_no").eq(order_no.as_str()));
    }
    if let Some(status) = &filter.status {
        select.and_where(Expr::col("status").eq(status.as_str()));
    }
    if let Some(after) = filter.created_after {
        select.and_where(Expr::col("created_at").gte(after.as_micros()));
    }
    if let Some(before) = filter.created_before {
        select.and_where(Expr::col("created_at").lt(before.as_micros()));
    }
    if let Some(channel) = filter.channel {
        let of_it = Expr::col((attempts::TABLE, "charge")).equals((charges::TABLE, "id"));
        let through = Query::select()
            .expr(Expr::val(1_i64))
            .from(attempts::TABLE)
            .and_where(of_it)
            .and_where(Expr::col("channel").eq(channel.as_str()))
            .to_owned();
        select.and_where(Expr::exists(through));
    }
    let rows = paged(database, select, bounds(page, ChargeId::uuid)).await?;
    let ids: Vec<ChargeId> = rows.iter().map(|r| charges::read_id(r, 0)).collect::<Read<_>>()?;
    let mut attempts = attempts_of(database, &ids).await?;
    let mut refused = by_charge(refused(database, &ids).await?, |notice| notice.charge);
    let loaded = rows.iter().zip(ids).map(|(row, id)| {
        Ok(Loaded {
            charge: charges::read(row, 0)?,
            attempts: attempts.remove(&id).unwrap_or_default(),
            refused: refused.remove(&id).unwrap_or_default(),
        })
    });
    loaded.collect()
}

/// An event of a scope.
pub(crate) async fn event(
    database: &DatabaseConnection,
    scope: &Scope,
    event: EventId,
) -> Read<Option<StoredEvent>> {
    let mut select = list(events::TABLE, &events::COLUMNS, scope);
    let rows = ask(database, select.and_where(Expr::col("id").eq(id(event.uuid())))).await?;
    rows.first().map(|row| events::read(row, 0)).transpose()
}

/// Events of a scope, newest first.
pub(crate) async fn events(
    database: &DatabaseConnection,
    scope: &Scope,
    filter: &EventFilter,
    page: Page<EventId>,
) -> Read<Vec<StoredEvent>> {
    let mut select = list(events::TABLE, &events::COLUMNS, scope);
    if let Some(charge) = filter.charge {
        select.and_where(Expr::col("charge").eq(id(charge.uuid())));
    }
    if let Some(kind) = filter.kind {
        select.and_where(Expr::col("kind").eq(kind.as_str()));
    }
    let rows = paged(database, select, bounds(page, EventId::uuid)).await?;
    rows.iter().map(|row| events::read(row, 0)).collect()
}

/// All endpoints of a scope, newest first.
pub(crate) async fn endpoints(database: &DatabaseConnection, scope: &Scope) -> Read<Vec<Endpoint>> {
    let mut select = list(endpoints::TABLE, &endpoints::COLUMNS, scope);
    let rows = ask(database, select.order_by("id", Order::Desc)).await?;
    rows.iter().filter_map(|row| endpoints::read(row, 0).transpose()).collect()
}

/// A delivery with its event and its endpoint, in one statement.
pub(crate) async fn delivery(
    database: &DatabaseConnection,
    delivery: DeliveryId,
) -> Read<Option<LoadedDelivery>> {
    let of = |column| Expr::col((deliveries::TABLE, column));
    let event = of("app")
        .equals((events::TABLE, "app"))
        .and(of("mode").equals((events::TABLE, "mode")))
        .and(of("event").equals((events::TABLE, "id")));
    let endpoint = of("endpoint").equals((endpoints::TABLE, "id"));
    let select = Query::select()
        .columns(deliveries::COLUMNS.map(|column| (deliveries::TABLE, column)))
        .columns(events::COLUMNS.map(|column| (events::TABLE, column)))
        .columns(endpoints::COLUMNS.map(|column| (endpoints::TABLE, column)))
        .from(deliveries::TABLE)
        .inner_join(events::TABLE, event)
        .left_join(endpoints::TABLE, endpoint)
        .and_where(of("id").eq(id(delivery.uuid())))
        .to_owned();
    let rows = ask(database, &select).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(LoadedDelivery {
        delivery: deliveries::read(row, 0)?,
        event: events::read(row, deliveries::COLUMNS.len())?,
        endpoint: endpoints::read(row, deliveries::COLUMNS.len() + events::COLUMNS.len())?,
    }))
}

/// Deliveries of a scope, newest first.
pub(crate) async fn deliveries(
    database: &DatabaseConnection,
    scope: &Scope,
    filter: &DeliveryFilter,
    page: Page<DeliveryId>,
) -> Read<Vec<Delivery>> {
    let mut select = list(deliveries::TABLE, &deliveries::COLUMNS, scope);
    if let Some(endpoint) = filter.endpoint {
        select.and_where(Expr::col("endpoint").eq(id(endpoint.uuid())));
    }
    if let Some(event) = filter.event {
        select.and_where(Expr::col("event").eq(id(event.uuid())));
    }
    if let Some(status) = &filter.status {
        select.and_where(Expr::col("status").eq(status.as_str()));
    }
    let rows = paged(database, select, bounds(page, DeliveryId::uuid)).await?;
    rows.iter().map(|row| deliveries::read(row, 0)).collect()
}

/// A kept `Idempotency-Key`.
pub(crate) async fn idempotency(
    database: &DatabaseConnection,
    scope: &Scope,
    key: &str,
) -> Read<Option<IdempotencyRow>> {
    let mut select = list(idempotency_keys::TABLE, &idempotency_keys::COLUMNS, scope);
    let rows = ask(database, select.and_where(Expr::col("key").eq(key))).await?;
    rows.first().map(idempotency_keys::read).transpose()
}

/// The key with this hash.
pub(crate) async fn api_key(database: &DatabaseConnection, hash: &str) -> Read<Option<ApiKey>> {
    let mut select = whole(api_keys::TABLE, &api_keys::COLUMNS);
    let rows = ask(database, select.and_where(Expr::col("hash").eq(hash))).await?;
    rows.first().map(api_keys::read).transpose()
}

/// All keys of an app, newest first.
pub(crate) async fn api_keys(database: &DatabaseConnection, app: &AppName) -> Read<Vec<ApiKey>> {
    let mut select = whole(api_keys::TABLE, &api_keys::COLUMNS);
    let select = select.and_where(Expr::col("app").eq(app.as_str()));
    let rows = ask(database, select.order_by("id", Order::Desc)).await?;
    rows.iter().map(api_keys::read).collect()
}

/// Makes charges out of rows of charges joined with attempts, the first column of a charge at `at`.
pub(crate) fn fold(rows: &[QueryResult], at: usize) -> Read<Vec<Loaded>> {
    let mut all: Vec<Loaded> = Vec::new();
    for row in rows {
        let id = charges::read_id(row, at)?;
        if all.last().is_none_or(|last| last.charge.id != id) {
            let charge = charges::read(row, at)?;
            all.push(Loaded { charge, attempts: Vec::new(), refused: Vec::new() });
        }
        let attempt = attempts::read(row, at + charges::COLUMNS.len())?;
        let last = all.last_mut().expect("one was pushed if there was none");
        last.attempts.extend(attempt);
    }
    all.iter_mut().for_each(|loaded| loaded.attempts.sort_by_key(|attempt| attempt.id));
    Ok(all)
}

/// The notices refused for these charges.
pub(crate) async fn refused(
    database: &DatabaseConnection,
    charges: &[ChargeId],
) -> Read<Vec<RefusedNotice>> {
    if charges.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = whole(refused_notices::TABLE, &refused_notices::COLUMNS);
    let these = Expr::col("charge").is_in(charges.iter().map(|id| id.uuid()));
    let select = select.and_where(these).order_by("code", Order::Asc);
    ask(database, select).await?.iter().map(refused_notices::read).collect()
}

/// Whether the database answers.
pub(crate) async fn ready(database: &DatabaseConnection) -> Read<()> {
    ask(database, Query::select().expr(Expr::val(1_i64))).await.map(drop)
}

async fn attempts_of(
    database: &DatabaseConnection,
    charges: &[ChargeId],
) -> Read<HashMap<ChargeId, Vec<Attempt>>> {
    if charges.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = whole(attempts::TABLE, &attempts::COLUMNS);
    let these = Expr::col("charge").is_in(charges.iter().map(|id| id.uuid()));
    let select = select.and_where(these).order_by("id", Order::Asc);
    let rows = ask(database, select).await?;
    let all = rows.iter().filter_map(|row| attempts::read(row, 0).transpose());
    Ok(by_charge(all.collect::<Read<Vec<_>>>()?, |attempt| attempt.charge))
}

fn by_charge<T>(all: Vec<T>, of: impl Fn(&T) -> ChargeId) -> HashMap<ChargeId, Vec<T>> {
    let mut sorted: HashMap<ChargeId, Vec<T>> = HashMap::new();
    for one in all {
        sorted.entry(of(&one)).or_default().push(one);
    }
    sorted
}

fn charges_with_attempts() -> SelectStatement {
    let of_it = Expr::col((attempts::TABLE, "charge")).equals((charges::TABLE, "id"));
    Query::select()
        .columns(charges::COLUMNS.map(|column| (charges::TABLE, column)))
        .columns(attempts::COLUMNS.map(|column| (attempts::TABLE, column)))
        .from(charges::TABLE)
        .left_join(attempts::TABLE, of_it)
        .to_owned()
}

fn whole(table: &'static str, columns: &[&'static str]) -> SelectStatement {
    Query::select().columns(columns.iter().copied()).from(table).to_owned()
}

fn list(table: &'static str, columns: &[&'static str], scope: &Scope) -> SelectStatement {
    let mut select = whole(table, columns);
    select
        .and_where(Expr::col("app").eq(scope.app.as_str()))
        .and_where(Expr::col("mode").eq(scope.mode.as_str()))
        .to_owned()
}

fn bounds<Id>(page: Page<Id>, uuid: impl Fn(Id) -> Uuid) -> Page<Uuid> {
    Page {
        limit: page.limit,
        starting_after: page.starting_after.map(&uuid),
        ending_before: page.ending_before.map(uuid),
    }
}

/// Ids are in the order of their making, so they are also the cursor. The nearest newer ones are
/// read upwards and turned round.
async fn paged(
    database: &DatabaseConnection,
    mut select: SelectStatement,
    page: Page<Uuid>,
) -> Read<Vec<QueryResult>> {
    let mut between = Cond::all();
    if let Some(after) = page.starting_after {
        between = between.add(Expr::col("id").lt(id(after)));
    }
    if let Some(before) = page.ending_before {
        between = between.add(Expr::col("id").gt(id(before)));
    }
    let upwards = page.ending_before.is_some();
    let order = if upwards { Order::Asc } else { Order::Desc };
    let select = select.cond_where(between).order_by("id", order).limit(page.limit.into());
    let mut rows = ask(database, select).await?;
    if upwards {
        rows.reverse();
    }
    Ok(rows)
}

async fn ask(database: &DatabaseConnection, select: &SelectStatement) -> Read<Vec<QueryResult>> {
    database.query_all(select).await.map_err(error::store)
}

/// For whoever folds rows that carry a number before the charge.
pub(crate) fn place(row: &QueryResult) -> Read<i64> {
    Cells::of(row, 0).next()
}

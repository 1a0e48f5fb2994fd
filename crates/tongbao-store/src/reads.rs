//! What is read: one function for each question of the port, the same for all engines. Nothing here
//! decides; whoever decides on what was read is guarded by the write.

use crate::error;
use crate::tables::{
    Row, api_keys, attempts, charges, damaged, deliveries, endpoints, event_bodies, events, id,
    idempotency_keys, provider_replies, refunds, refused_notices,
};
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult};
use std::collections::HashMap;
use tongbao_core::{
    Attempt, Charge, Delivery, Endpoint, Loaded, ProviderReply, Refund, RefusedNotice, Scope,
};
use tongbao_engine::{
    ApiKey, ChargeFilter, DeliveryFilter, EventFilter, IdempotencyRow, LoadedDelivery, Page,
    RefundFilter, StoreError, StoredEvent,
};
use tongbao_types::{
    AccountName, AppName, ChargeId, DeliveryId, EventId, Fen, OutTradeNo, RefundId,
};
use uuid::Uuid;

type Read<T> = Result<T, StoreError>;

/// A charge with its attempts in one statement, and with its refunds, if it has any, and the
/// notices refused for it.
pub(crate) async fn charge(
    database: &DatabaseConnection,
    charge: ChargeId,
) -> Read<Option<Loaded>> {
    let mut select = charges_with_attempts();
    let select = select.and_where(Expr::col((charges::TABLE, "id")).eq(id(charge.uuid())));
    let mut found = fold(&ask(database, select).await?)?;
    fill_refunds(database, &mut found).await?;
    let Some(mut loaded) = found.pop() else { return Ok(None) };
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
    let mut found = fold(&ask(database, select).await?)?;
    fill_refunds(database, &mut found).await?;
    Ok(found.pop())
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
    let found = rows.iter().map(|row| charges::read(row, 0)).collect::<Read<Vec<_>>>()?;
    let ids: Vec<ChargeId> = found.iter().map(|charge| charge.id).collect();
    let mut attempts = attempts_of(database, &found).await?;
    let mut refused = by_charge(refused(database, &ids).await?, |notice| notice.charge);
    let loaded = found.into_iter().map(|charge| Loaded {
        attempts: attempts.remove(&charge.id).unwrap_or_default(),
        refunds: Vec::new(),
        refused: refused.remove(&charge.id).unwrap_or_default(),
        charge,
    });
    let mut loaded: Vec<Loaded> = loaded.collect();
    fill_refunds(database, &mut loaded).await?;
    Ok(loaded)
}

/// What the provider said about a charge, the last of each kind.
pub(crate) async fn provider_replies(
    database: &DatabaseConnection,
    charge: ChargeId,
) -> Read<Vec<ProviderReply>> {
    let mut select = whole(provider_replies::TABLE, &provider_replies::COLUMNS);
    let select = select.and_where(Expr::col("charge").eq(id(charge.uuid())));
    let rows = ask(database, select).await?;
    let replies: Read<Vec<ProviderReply>> = rows.iter().map(provider_replies::read).collect();
    let mut replies = replies?;
    replies.sort_by_key(|reply| reply.kind);
    Ok(replies)
}

/// A refund of any scope.
pub(crate) async fn refund(
    database: &DatabaseConnection,
    refund: RefundId,
) -> Read<Option<Refund>> {
    let mut select = whole(refunds::TABLE, &refunds::COLUMNS);
    let rows = ask(database, select.and_where(Expr::col("id").eq(id(refund.uuid())))).await?;
    rows.first().map(|row| refunds::read(row, 0)).transpose()
}

/// Refunds of a scope, newest first.
pub(crate) async fn refunds(
    database: &DatabaseConnection,
    scope: &Scope,
    filter: &RefundFilter,
    page: Page<RefundId>,
) -> Read<Vec<Refund>> {
    let mut select = list(refunds::TABLE, &refunds::COLUMNS, scope);
    if let Some(charge) = filter.charge {
        select.and_where(Expr::col("charge").eq(id(charge.uuid())));
    }
    if let Some(refund_no) = &filter.refund_no {
        select.and_where(Expr::col("refund_no").eq(refund_no.as_str()));
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
    let rows = paged(database, select, bounds(page, RefundId::uuid)).await?;
    rows.iter().map(|row| refunds::read(row, 0)).collect()
}

/// An event of a scope.
pub(crate) async fn event(
    database: &DatabaseConnection,
    scope: &Scope,
    event: EventId,
) -> Read<Option<StoredEvent>> {
    let mut select = list(events::TABLE, &events::COLUMNS, scope);
    let rows = ask(database, select.and_where(Expr::col("id").eq(id(event.uuid())))).await?;
    let mut found = rows.iter().map(|row| events::read(row, 0)).collect::<Read<Vec<_>>>()?;
    make_whole(database, &mut found).await?;
    Ok(found.pop())
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
    let mut found = rows.iter().map(|row| events::read(row, 0)).collect::<Read<Vec<_>>>()?;
    make_whole(database, &mut found).await?;
    Ok(found)
}

/// Texts that are kept short become whole again: see [`event_bodies`].
async fn make_whole(database: &DatabaseConnection, found: &mut [StoredEvent]) -> Read<()> {
    for at in 0..found.len() {
        let Some(number) = event_bodies::ends_like(&found[at])? else { continue };
        let charge = found[at].event.charge;
        let is_it =
            |other: &&StoredEvent| other.event.charge == charge && other.event.sequence == number;
        let whole = match found.iter().find(is_it) {
            Some(known) => known.body.clone(),
            None => body_of(database, charge, number).await?,
        };
        event_bodies::lengthen(&mut found[at], &whole);
    }
    Ok(())
}

async fn body_of(database: &DatabaseConnection, charge: ChargeId, number: i64) -> Read<String> {
    let select = Query::select()
        .column("body")
        .from(events::TABLE)
        .and_where(Expr::col("charge").eq(id(charge.uuid())))
        .and_where(Expr::col("sequence").eq(number))
        .to_owned();
    let rows = ask(database, &select).await?;
    let row = rows.first().ok_or_else(|| damaged(&"the event that another ends like is gone"))?;
    row.cell(0)
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
    let mut event = [events::read(row, deliveries::COLUMNS.len())?];
    make_whole(database, &mut event).await?;
    let [event] = event;
    Ok(Some(LoadedDelivery {
        delivery: deliveries::read(row, 0)?,
        event,
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

/// Makes charges out of rows of charges joined with attempts.
fn fold(rows: &[QueryResult]) -> Read<Vec<Loaded>> {
    let mut all: Vec<Loaded> = Vec::new();
    rows.iter().try_for_each(|row| fold_row(&mut all, row))?;
    all.iter_mut().for_each(|loaded| loaded.attempts.sort_by_key(|attempt| attempt.id));
    Ok(all)
}

/// Adds a row of a charge joined with an attempt to the charge before it or as a new one.
pub(crate) fn fold_row(all: &mut Vec<Loaded>, row: &impl Row) -> Read<()> {
    let id = charges::read_id(row, 0)?;
    if all.last().is_none_or(|last| last.charge.id != id) {
        let charge = charges::read(row, 0)?;
        let (attempts, refunds) = (Vec::new(), Vec::new());
        all.push(Loaded { charge, attempts, refunds, refused: Vec::new() });
    }
    let last = all.last_mut().expect("one was pushed if there was none");
    let amount = last.charge.amount.fen();
    let attempt = attempts::read(row, charges::COLUMNS.len(), |_| amount)?;
    last.attempts.extend(attempt);
    Ok(())
}

/// The question for the refunds of those charges that have any, oldest first; none if no charge
/// has any.
fn ask_for_refunds<'a>(charges: impl IntoIterator<Item = &'a Loaded>) -> Option<SelectStatement> {
    let any = charges.into_iter().filter(|loaded| loaded.charge.refunds > 0);
    let ids: Vec<Uuid> = any.map(|loaded| loaded.charge.id.uuid()).collect();
    let mut select = whole(refunds::TABLE, &refunds::COLUMNS);
    let these = select.and_where(Expr::col("charge").is_in(ids.iter().copied()));
    (!ids.is_empty()).then(|| these.order_by("id", Order::Asc).to_owned())
}

/// Gives the refunds that were found to their charges, of which one may be there several times.
fn give_refunds<'a>(
    rows: &[QueryResult],
    charges: impl IntoIterator<Item = &'a mut Loaded>,
) -> Read<()> {
    let all = rows.iter().map(|row| refunds::read(row, 0)).collect::<Read<Vec<_>>>()?;
    let all = by_charge(all, |refund| refund.charge);
    for loaded in charges {
        loaded.refunds = all.get(&loaded.charge.id).cloned().unwrap_or_default();
    }
    Ok(())
}

async fn fill_refunds(database: &DatabaseConnection, charges: &mut [Loaded]) -> Read<()> {
    let Some(select) = ask_for_refunds(&*charges) else { return Ok(()) };
    give_refunds(&ask(database, &select).await?, charges)
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

/// A charge's version.
pub(crate) async fn charge_version(
    database: &DatabaseConnection,
    id: ChargeId,
) -> Read<Option<i64>> {
    let mut select = Query::select().column("version").from(charges::TABLE).to_owned();
    let rows = ask(database, select.and_where(Expr::col("id").eq(id.uuid()))).await?;
    rows.first().map(|row| row.cell(0)).transpose()
}

/// Whether the database answers.
pub(crate) async fn ready(database: &DatabaseConnection) -> Read<()> {
    ask(database, Query::select().expr(Expr::val(1_i64))).await.map(drop)
}

async fn attempts_of(
    database: &DatabaseConnection,
    charges: &[Charge],
) -> Read<HashMap<ChargeId, Vec<Attempt>>> {
    if charges.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = whole(attempts::TABLE, &attempts::COLUMNS);
    let these = Expr::col("charge").is_in(charges.iter().map(|charge| charge.id.uuid()));
    let select = select.and_where(these).order_by("id", Order::Asc);
    let rows = ask(database, select).await?;
    let amounts: HashMap<ChargeId, Fen> =
        charges.iter().map(|charge| (charge.id, charge.amount.fen())).collect();
    let read = |row| attempts::read(row, 0, |charge| amounts[&charge]).transpose();
    let all = rows.iter().filter_map(read);
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

/// Asks.
pub(crate) async fn ask(
    database: &DatabaseConnection,
    select: &SelectStatement,
) -> Read<Vec<QueryResult>> {
    database.query_all(select).await.map_err(error::store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Maker, attempt, charge, insert, scope};
    use crate::explain;

    #[tokio::test]
    async fn refunds_are_asked_for_where_there_are_any_and_found_by_their_charge() {
        let empty = explain::empty().await;
        let maker = &mut Maker::new();
        let mut charges = Vec::new();
        for at in 0..3 {
            let charge = charge(maker, &scope("a"), &format!("N{at}"));
            let attempt = attempt(maker, charge.id, "acc", "T");
            charges.push(insert(charge, vec![attempt]).after());
        }
        assert!(ask_for_refunds(&charges).is_none());
        charges[0].charge.refunds = 1;
        charges[2].charge.refunds = 2;
        let steps = explain::built(&empty.0, &ask_for_refunds(&charges).unwrap()).await;
        assert_eq!(steps[0], "SEARCH refunds USING INDEX refunds_charge (charge=?)");
        explain::end(empty).await;
    }

    #[tokio::test]
    async fn a_page_of_refunds_is_read_in_the_order_of_an_index() {
        let empty = explain::empty().await;
        let mut select = list(refunds::TABLE, &refunds::COLUMNS, &scope("a"));
        select.order_by("id", Order::Desc).limit(9);
        let steps = explain::built(&empty.0, &select).await;
        assert_eq!(steps, ["SEARCH refunds USING INDEX refunds_scope (app=? AND mode=?)"]);
        explain::end(empty).await;
    }
}

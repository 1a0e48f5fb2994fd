//! After a commit whose answer was lost: was it written? Most commits bear something that no other
//! one bears, an event's id above all; where it is found, so is all the rest.

use crate::error::Fault;
use crate::plan::Plan;
use crate::sql::{Transaction, ask};
use crate::tables::{deliveries, endpoints, events, idempotency_keys, jobs};
use crate::work::Work;
use sea_orm::Value;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};

/// Whether this work was written before. `false` where it bears no mark: then it does no harm a
/// second time, or is refused as stale or as another's job, and is decided again.
pub(crate) async fn landed<T: Transaction + ?Sized>(
    work: &Work,
    transaction: &mut T,
) -> Result<bool, Fault> {
    let mark = match work {
        Work::Commit(plan) => mark(plan),
        // All or none of them, so the first speaks for the others.
        Work::Commits(plans) => plans.first().and_then(mark),
        Work::Claim(_) | Work::SaveApiKey(_) | Work::Reseal(_) | Work::Bill(_) | Work::Prune(_) => {
            None
        }
    };
    match mark {
        Some(mark) => Ok(!ask(transaction, &mark).await?.is_empty()),
        None => Ok(false),
    }
}

fn mark(plan: &Plan) -> Option<SelectStatement> {
    if let Some(row) = plan.events.first() {
        return Some(same(events::TABLE, &events::COLUMNS, &["app", "mode", "id"], row));
    }
    if let Some(row) = plan.deliveries.first() {
        return Some(same(deliveries::TABLE, &deliveries::COLUMNS, &["id"], row));
    }
    if let Some(row) = &plan.key_begun {
        // The moment, in microseconds, tells our request from the same one that came beside it.
        let own = ["app", "mode", "key", "fingerprint", "created_at"];
        return Some(same(idempotency_keys::TABLE, &idempotency_keys::COLUMNS, &own, row));
    }
    if let Some(row) = &plan.endpoint_new {
        return Some(same(endpoints::TABLE, &endpoints::COLUMNS, &["id"], row));
    }
    if let Some(row) = &plan.endpoint_changed {
        // Another's change may have got the version instead; one with the same in all columns will
        // do for ours.
        let (all, values) = (&endpoints::CHANGING, &row[2..]);
        let mut select = same(endpoints::TABLE, all, all, values);
        return Some(select.and_where(Expr::col("id").eq(row[0].clone())).to_owned());
    }
    // A promise that was there already is kept instead of ours, so this may miss.
    let row = plan.jobs_put.first()?;
    Some(same(jobs::TABLE, &jobs::COLUMNS, &["id"], row))
}

/// Asks for the row that has the same in these columns.
fn same(
    table: &'static str,
    columns: &[&'static str],
    own: &[&'static str],
    row: &[Value],
) -> SelectStatement {
    let value = |name: &str| -> Value {
        let at = columns.iter().position(|column| *column == name);
        row[at.expect("it is one of the table's columns")].clone()
    };
    let mut select = Query::select().expr(Expr::val(1_i64)).from(table).to_owned();
    for name in own {
        let (column, value) = (Expr::col(*name), value(name));
        let nothing = value == value.as_null();
        select.and_where(if nothing { column.is_null() } else { column.eq(value) });
    }
    select.limit(1).to_owned()
}

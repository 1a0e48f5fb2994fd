//! `events`: one row for each event, with its public body. Rows are only ever added.

use super::{Cells, id, id_maybe, number, text, time};
use sea_orm::{QueryResult, Value};
use tongbao_core::Event;
use tongbao_engine::{StoreError, StoredEvent};
use tongbao_types::RefundId;

pub(crate) const TABLE: &str = "events";

pub(crate) const COLUMNS: [&str; 9] =
    ["app", "mode", "id", "charge", "refund", "kind", "sequence", "created_at", "body"];

pub(crate) fn row(event: &Event, body: String) -> Vec<Value> {
    vec![
        text(event.scope.app.as_str()),
        text(event.scope.mode.as_str()),
        id(event.id.uuid()),
        id(event.charge.uuid()),
        id_maybe(event.refund.map(RefundId::uuid)),
        text(event.kind.as_str()),
        number(event.sequence),
        time(event.created_at),
        text(body),
    ]
}

/// Reads an event whose columns begin at `at`.
pub(crate) fn read(row: &QueryResult, at: usize) -> Result<StoredEvent, StoreError> {
    let mut cells = Cells::of(row, at);
    let event = Event {
        scope: cells.scope()?,
        id: cells.id()?,
        charge: cells.id()?,
        refund: cells.id_maybe()?,
        kind: cells.word()?,
        sequence: cells.next()?,
        created_at: cells.time()?,
    };
    Ok(StoredEvent { event, body: cells.next()? })
}

//! `idempotency_keys`: requests that bore an `Idempotency-Key`, with the reply once there is one.

use super::{Cells, damaged, id_maybe, number_maybe, text, text_maybe, time};
use sea_orm::{QueryResult, Value};
use tongbao_engine::{IdempotencyRow, StoreError};
use tongbao_types::{ChargeId, RefundId};

pub(crate) const TABLE: &str = "idempotency_keys";

pub(crate) const COLUMNS: [&str; 9] =
    ["app", "mode", "key", "fingerprint", "charge", "refund", "status", "body", "created_at"];

pub(crate) fn row(kept: &IdempotencyRow) -> Vec<Value> {
    let reply = kept.reply.as_ref();
    vec![
        text(kept.scope.app.as_str()),
        text(kept.scope.mode.as_str()),
        text(kept.key.clone()),
        text(kept.fingerprint.clone()),
        id_maybe(kept.charge.map(ChargeId::uuid)),
        id_maybe(kept.refund.map(RefundId::uuid)),
        number_maybe(reply.map(|(status, _)| i64::from(*status))),
        text_maybe(reply.map(|(_, body)| body.clone())),
        time(kept.created_at),
    ]
}

pub(crate) fn read(row: &QueryResult) -> Result<IdempotencyRow, StoreError> {
    let mut cells = Cells::of(row, 0);
    Ok(IdempotencyRow {
        scope: cells.scope()?,
        key: cells.next()?,
        fingerprint: cells.next()?,
        charge: cells.id_maybe()?,
        refund: cells.id_maybe()?,
        reply: read_reply(&mut cells)?,
        created_at: cells.time()?,
    })
}

fn read_reply(cells: &mut Cells<'_>) -> Result<Option<(u16, String)>, StoreError> {
    let status: Option<i64> = cells.next()?;
    let body: Option<String> = cells.next()?;
    let status = status.map(u16::try_from).transpose().map_err(|error| damaged(&error))?;
    Ok(status.zip(body))
}

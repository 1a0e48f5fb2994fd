//! `refused_notices`: notices that were not believed, counted under their charge and code.

use super::{Cells, id, number, text, time};
use sea_orm::{QueryResult, Value};
use tongbao_core::RefusedNotice;
use tongbao_engine::StoreError;

pub(crate) const TABLE: &str = "refused_notices";

pub(crate) const COLUMNS: [&str; 5] = ["charge", "code", "reason", "count", "last_at"];

pub(crate) fn row(notice: &RefusedNotice) -> Vec<Value> {
    vec![
        id(notice.charge.uuid()),
        text(notice.code.as_str()),
        text(notice.reason.clone()),
        number(notice.count),
        time(notice.last_at),
    ]
}

pub(crate) fn read(row: &QueryResult) -> Result<RefusedNotice, StoreError> {
    let mut cells = Cells::of(row, 0);
    Ok(RefusedNotice {
        charge: cells.id()?,
        code: cells.word()?,
        reason: cells.next()?,
        count: cells.next()?,
        last_at: cells.time()?,
    })
}

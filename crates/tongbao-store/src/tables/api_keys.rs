//! `api_keys`: what is kept of API keys; never a key itself.

use super::{Cells, id, text, text_maybe, time, time_maybe};
use sea_orm::{QueryResult, Value};
use tongbao_engine::{ApiKey, StoreError};

pub(crate) const TABLE: &str = "api_keys";

pub(crate) const COLUMNS: [&str; 8] =
    ["id", "app", "mode", "hash", "tail", "description", "created_at", "revoked_at"];

pub(crate) fn row(key: &ApiKey) -> Vec<Value> {
    vec![
        id(key.id.uuid()),
        text(key.scope.app.as_str()),
        text(key.scope.mode.as_str()),
        text(key.hash.clone()),
        text(key.tail.clone()),
        text_maybe(key.description.clone()),
        time(key.created_at),
        time_maybe(key.revoked_at),
    ]
}

pub(crate) fn read(row: &QueryResult) -> Result<ApiKey, StoreError> {
    let mut cells = Cells::of(row, 0);
    Ok(ApiKey {
        id: cells.id()?,
        scope: cells.scope()?,
        hash: cells.next()?,
        tail: cells.next()?,
        description: cells.next()?,
        created_at: cells.time()?,
        revoked_at: cells.time_maybe()?,
    })
}

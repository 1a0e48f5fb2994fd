//! `endpoints`: where apps want to be told.

use super::json::Json;
use super::{Cells, id, number, text, text_maybe, time, time_maybe};
use sea_orm::{QueryResult, Value};
use tongbao_core::Endpoint;
use tongbao_engine::StoreError;
use tongbao_types::Secret;

pub(crate) const TABLE: &str = "endpoints";

pub(crate) const COLUMNS: [&str; 11] = [
    "id",
    "app",
    "mode",
    "url",
    "events",
    "enabled",
    "description",
    "secret",
    "secret_old",
    "secret_old_until",
    "created_at",
];

pub(crate) fn row(endpoint: &Endpoint) -> Vec<Value> {
    let old = endpoint.secret_old.as_ref();
    vec![
        id(endpoint.id.uuid()),
        text(endpoint.scope.app.as_str()),
        text(endpoint.scope.mode.as_str()),
        text(endpoint.url.clone()),
        text(endpoint.events.write()),
        number(i64::from(endpoint.enabled)),
        text_maybe(endpoint.description.clone()),
        text(seal(&endpoint.secret)),
        text_maybe(old.map(|(secret, _)| seal(secret))),
        time_maybe(old.map(|(_, until)| *until)),
        time(endpoint.created_at),
    ]
}

/// Reads an endpoint whose columns begin at `at`; nothing if an outer join found none.
pub(crate) fn read(row: &QueryResult, at: usize) -> Result<Option<Endpoint>, StoreError> {
    let mut cells = Cells::of(row, at);
    if cells.is_null()? {
        return Ok(None);
    }
    Ok(Some(Endpoint {
        id: cells.id()?,
        scope: cells.scope()?,
        url: cells.next()?,
        events: Json::read(&cells.next::<String>()?)?,
        enabled: cells.next::<i64>()? != 0,
        description: cells.next()?,
        secret: unseal(cells.next()?),
        secret_old: read_old(&mut cells)?,
        created_at: cells.time()?,
    }))
}

fn read_old(
    cells: &mut Cells<'_>,
) -> Result<Option<(Secret<String>, tongbao_types::Timestamp)>, StoreError> {
    let secret: Option<String> = cells.next()?;
    let until = cells.time_maybe()?;
    Ok(secret.map(unseal).zip(until))
}

/// What is kept of a signing secret: the text itself. Sealing at rest belongs here.
fn seal(secret: &Secret<String>) -> String {
    secret.expose().clone()
}

fn unseal(kept: String) -> Secret<String> {
    Secret::new(kept)
}

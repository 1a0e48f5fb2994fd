//! `endpoints`: where apps want to be told. An update writes [`CHANGING`].

use super::json::Json;
use super::{Cells, id, number, text, text_maybe, time, time_maybe};
use sea_orm::{QueryResult, Value};
use tongbao_core::Endpoint;
use tongbao_engine::StoreError;
use tongbao_types::{Sealed, Timestamp};

pub(crate) const TABLE: &str = "endpoints";

pub(crate) const COLUMNS: [&str; 12] = [
    "id",
    "app",
    "mode",
    "created_at",
    "url",
    "events",
    "enabled",
    "description",
    "secret",
    "secret_old",
    "secret_old_until",
    "version",
];

/// The columns that an update writes; the tail of [`COLUMNS`].
pub(crate) const CHANGING: [&str; 8] = [
    "url",
    "events",
    "enabled",
    "description",
    "secret",
    "secret_old",
    "secret_old_until",
    "version",
];

pub(crate) fn row(endpoint: &Endpoint) -> Vec<Value> {
    let mut row = vec![
        id(endpoint.id.uuid()),
        text(endpoint.scope.app.as_str()),
        text(endpoint.scope.mode.as_str()),
        time(endpoint.created_at),
    ];
    row.extend(changing(endpoint));
    row
}

/// The values of [`CHANGING`].
pub(crate) fn changing(endpoint: &Endpoint) -> [Value; CHANGING.len()] {
    let old = endpoint.secret_old.as_ref();
    [
        text(endpoint.url.clone()),
        text(endpoint.events.write()),
        number(i64::from(endpoint.enabled)),
        text_maybe(endpoint.description.clone()),
        text(endpoint.secret.as_text()),
        text_maybe(old.map(|(secret, _)| secret.as_text().to_owned())),
        time_maybe(old.map(|(_, until)| *until)),
        number(endpoint.version),
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
        created_at: cells.time()?,
        url: cells.next()?,
        events: Json::read(&cells.next::<String>()?)?,
        enabled: cells.next::<i64>()? != 0,
        description: cells.next()?,
        secret: Sealed::from_text(cells.next()?),
        secret_old: read_old(&mut cells)?,
        version: cells.next()?,
    }))
}

fn read_old(cells: &mut Cells<'_>) -> Result<Option<(Sealed, Timestamp)>, StoreError> {
    let secret: Option<String> = cells.next()?;
    let until = cells.time_maybe()?;
    Ok(secret.map(Sealed::from_text).zip(until))
}

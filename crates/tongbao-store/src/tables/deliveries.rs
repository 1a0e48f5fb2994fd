//! `deliveries`: one row for each event and endpoint that is told of it.

use super::json::{read_tries, write_tries};
use super::{Cells, damaged, id, number, text, text_maybe, time};
use sea_orm::{QueryResult, Value};
use tongbao_core::{Callback, Delivery, DeliveryState, Target};
use tongbao_engine::StoreError;
use tongbao_types::EndpointId;
use uuid::Uuid;

pub(crate) const TABLE: &str = "deliveries";

pub(crate) const COLUMNS: [&str; 12] = [
    "id",
    "app",
    "mode",
    "event",
    "kind",
    "endpoint",
    "callback",
    "created_at",
    "status",
    "at",
    "tries",
    "n_tries",
];

/// The columns that an update writes; the tail of [`COLUMNS`].
pub(crate) const CHANGING: [&str; 4] = ["status", "at", "tries", "n_tries"];

pub(crate) fn row(delivery: &Delivery) -> Vec<Value> {
    let (endpoint, callback) = match delivery.target {
        Target::Endpoint(endpoint) => (endpoint.uuid(), None),
        // The column is older than callbacks, and never empty.
        Target::Callback(callback) => (Uuid::nil(), Some(callback)),
    };
    let mut row = vec![
        id(delivery.id.uuid()),
        text(delivery.scope.app.as_str()),
        text(delivery.scope.mode.as_str()),
        id(delivery.event.uuid()),
        text(delivery.kind.as_str()),
        id(endpoint),
        text_maybe(callback.map(|callback| callback.as_str().to_owned())),
        time(delivery.created_at),
    ];
    row.extend(changing(delivery));
    row
}

/// The values of [`CHANGING`].
pub(crate) fn changing(delivery: &Delivery) -> [Value; CHANGING.len()] {
    let at = match delivery.state {
        DeliveryState::Pending { next_at } => next_at,
        DeliveryState::Succeeded { at } | DeliveryState::Failed { at } => at,
    };
    [
        text(delivery.state.status()),
        time(at),
        text(write_tries(&delivery.tries)),
        number(i64::from(delivery.n_tries)),
    ]
}

/// Reads a delivery whose columns begin at `at`.
pub(crate) fn read(row: &QueryResult, at: usize) -> Result<Delivery, StoreError> {
    let mut cells = Cells::of(row, at);
    Ok(Delivery {
        id: cells.id()?,
        scope: cells.scope()?,
        event: cells.id()?,
        kind: cells.word()?,
        target: read_target(&mut cells)?,
        created_at: cells.time()?,
        state: read_state(&mut cells)?,
        tries: read_tries(&cells.next::<String>()?)?,
        n_tries: u32::try_from(cells.next::<i64>()?).map_err(|error| damaged(&error))?,
    })
}

fn read_target(cells: &mut Cells<'_>) -> Result<Target, StoreError> {
    let endpoint: EndpointId = cells.id()?;
    let callback: Option<Callback> = cells.word_maybe()?;
    Ok(callback.map_or(Target::Endpoint(endpoint), Target::Callback))
}

fn read_state(cells: &mut Cells<'_>) -> Result<DeliveryState, StoreError> {
    let status: String = cells.next()?;
    let at = cells.time()?;
    Ok(match status.as_str() {
        "pending" => DeliveryState::Pending { next_at: at },
        "succeeded" => DeliveryState::Succeeded { at },
        "failed" => DeliveryState::Failed { at },
        _ => return Err(damaged(&format!("unknown status of a delivery: {status:?}"))),
    })
}

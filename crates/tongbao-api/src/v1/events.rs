//! Events: what happened to charges, for those who would rather ask than be told.

use super::page::page;
use crate::extract::{Caller, Id, NoParams, Params};
use crate::openapi::{Reading, objects, values};
use crate::{App, Problem};
use axum::Json;
use axum::extract::State;
use tongbao_engine::{EventFilter, EventView, ListView};
use tongbao_types::EventId;

/// List events
///
/// Newest first; the events of one charge are numbered without gaps (`sequence`).
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "Events",
    operation_id = "listEvents",
    params(
        ("charge" = Option<values::ChargeId>, Query, description = "About this charge."),
        ("type" = Option<objects::EventType>, Query, description = "Of this type."),
        values::EventPage,
    ),
    responses((status = 200, description = "The events.", body = objects::EventList), Reading),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<ListView<EventView>>, Problem> {
    let page = page(&mut params)?;
    let filter = EventFilter { charge: params.parse("charge")?, kind: params.parse("type")? };
    params.finish()?;
    Ok(Json(app.engine.events(&caller.0, &filter, page).await?))
}

/// Read an event
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    tag = "Events",
    operation_id = "readEvent",
    params(("id" = values::EventId, Path, description = "The event's id.")),
    responses((status = 200, description = "The event.", body = objects::Event), Reading),
)]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    id: Id<EventId>,
    _none: NoParams,
) -> Result<Json<EventView>, Problem> {
    Ok(Json(app.engine.event(&caller.0, id.0).await?))
}

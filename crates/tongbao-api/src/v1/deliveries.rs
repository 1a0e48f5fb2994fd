//! Deliveries: each event on its way to each endpoint, with every try.

use super::Nothing;
use super::page::page;
use crate::extract::{Caller, Id, NoParams, Params, Post};
use crate::openapi::{Making, Reading, objects, values};
use crate::problem::render_changed;
use crate::{App, Problem, idempotency};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use tongbao_engine::{DeliveryFilter, DeliveryView, ListView};
use tongbao_types::DeliveryId;

const STATUSES: [&str; 3] = ["pending", "succeeded", "failed"];

/// List deliveries
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/deliveries",
    tag = "Webhooks",
    operation_id = "listDeliveries",
    params(
        ("endpoint" = Option<values::EndpointId>, Query, description = "To this endpoint."),
        ("event" = Option<values::EventId>, Query, description = "Of this event."),
        ("status" = Option<objects::DeliveryStatus>, Query, description = "With this status."),
        values::DeliveryPage,
    ),
    responses((status = 200, description = "The deliveries.", body = objects::DeliveryList),
        Reading),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<ListView<DeliveryView>>, Problem> {
    let page = page(&mut params)?;
    let filter = DeliveryFilter {
        endpoint: params.parse("endpoint")?,
        event: params.parse("event")?,
        status: params.word("status", &STATUSES)?,
    };
    params.finish()?;
    Ok(Json(app.engine.deliveries(&caller.0, &filter, page).await?))
}

/// Read a delivery
#[utoipa::path(
    get,
    path = "/v1/deliveries/{id}",
    tag = "Webhooks",
    operation_id = "readDelivery",
    params(("id" = values::DeliveryId, Path, description = "The delivery's id.")),
    responses((status = 200, description = "The delivery.", body = objects::Delivery), Reading),
)]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    id: Id<DeliveryId>,
    _none: NoParams,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(app.engine.delivery(&caller.0, id.0).await?))
}

/// Send a delivery again
///
/// At once, whatever became of it; its three days of retries begin anew.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/resend",
    tag = "Webhooks",
    operation_id = "resendDelivery",
    params(("id" = values::DeliveryId, Path, description = "The delivery's id."),
        ("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
            description = "The same key gets the first reply again.")),
    request_body(content = Nothing, description = "Nothing, or an empty object."),
    responses((status = 200, description = "The delivery.", body = objects::Delivery), Making),
)]
pub(crate) async fn resend(
    State(app): State<App>,
    caller: Caller,
    id: Id<DeliveryId>,
    _none: NoParams,
    post: Post<Nothing>,
) -> Response {
    let work = app.engine.resend(&caller.0, id.0);
    let (engine, request) = (&app.engine, post.idempotent);
    let reply = engine.idempotently(&caller.0, request, render_changed, work).await;
    idempotency::response(reply)
}

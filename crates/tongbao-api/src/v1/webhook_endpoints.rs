//! Webhook endpoints: where an app wants to be told.

use super::Nothing;
use super::page::page;
use super::texts::{Length, lines, wrong};
use crate::extract::{Caller, Change, Id, NoParams, Params, Post};
use crate::openapi::{Making, Reading, objects, values};
use crate::problem::{render_changed, render_created};
use crate::{App, Problem, idempotency};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use tongbao_engine::{DeletedView, EndpointPatch, EndpointView, Error, ListView, NewEndpoint};
use tongbao_types::EndpointId;
use utoipa::ToSchema;

const DESCRIPTION: Length = Length::Characters(200);
const EVENTS_MAX: usize = 50;

/// A new endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEndpoint {
    /// Where to POST, `https://…` or `http://…`; not into private networks.
    #[schema(
        max_length = 500,
        pattern = "^ *[Hh][Tt][Tt][Pp][Ss]?:",
        example = "https://shop.example/webhooks/tongbao"
    )]
    url: String,
    /// Names of events, beginnings such as `charge.*`, or `*` (the default) for all but `poll.*`.
    #[schema(value_type = Option<Vec<values::EventPattern>>, min_items = 1, max_items = 50,
        example = json!(["charge.*"]))]
    events: Option<Vec<String>>,
    /// Your own words.
    #[schema(value_type = Option<values::EndpointDescription>)]
    description: Option<String>,
    /// Whether it is told anything yet; `true` if not said.
    enabled: Option<bool>,
}

/// What changes; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateEndpoint {
    /// Where to POST.
    #[schema(max_length = 500, pattern = "^ *[Hh][Tt][Tt][Pp][Ss]?:")]
    url: Option<String>,
    /// Names of events.
    #[schema(value_type = Option<Vec<values::EventPattern>>, min_items = 1, max_items = 50)]
    events: Option<Vec<String>>,
    /// Your own words; `null` takes them away.
    #[serde(default, deserialize_with = "even_null")]
    #[schema(value_type = Option<values::EndpointDescription>)]
    description: Option<Option<String>>,
    /// Whether it is told anything.
    enabled: Option<bool>,
}

/// Tells `null` from a field that was not sent.
fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl CreateEndpoint {
    fn check(self) -> Result<NewEndpoint, Error> {
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            return Err(wrong("events", "Name at least one event, or * for all."));
        }
        Ok(NewEndpoint {
            url: self.url,
            events: events(self.events.unwrap_or_default())?,
            description: description(self.description)?,
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

impl UpdateEndpoint {
    fn check(self) -> Result<EndpointPatch, Error> {
        Ok(EndpointPatch {
            url: self.url,
            events: self.events.map(events).transpose()?,
            description: self.description.map(description).transpose()?,
            enabled: self.enabled,
        })
    }
}

fn events(events: Vec<String>) -> Result<Vec<String>, Error> {
    if events.len() > EVENTS_MAX {
        return Err(wrong("events", format!("Name at most {EVENTS_MAX} events.")));
    }
    Ok(events)
}

fn description(text: Option<String>) -> Result<Option<String>, Error> {
    text.map(|text| lines("description", text, DESCRIPTION)).transpose()
}

/// Create a webhook endpoint
///
/// The reply shows the secret (`whsec_…`) with which webhooks are signed by the Standard Webhooks
/// scheme. Only this reply and the one to `rotate_secret` show it.
#[utoipa::path(
    post,
    path = "/v1/webhook_endpoints",
    tag = "Webhooks",
    operation_id = "createWebhookEndpoint",
    params(("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
        description = "The same key with the same body gets the first reply again.")),
    request_body(content = CreateEndpoint, example = json!({
        "url": "https://shop.example/webhooks/tongbao", "events": ["charge.*"]
    })),
    responses((status = 201, description = "The endpoint, with its secret.",
        body = objects::NewWebhookEndpoint), Making),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    _none: NoParams,
    post: Post<CreateEndpoint>,
) -> Result<Response, Problem> {
    let work = app.engine.create_endpoint(&caller.0, post.fields.check()?);
    let (engine, request) = (&app.engine, post.idempotent);
    let reply = engine.idempotently(&caller.0, request, render_created, work).await;
    Ok(idempotency::response(reply))
}

/// List webhook endpoints
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/webhook_endpoints",
    tag = "Webhooks",
    operation_id = "listWebhookEndpoints",
    params(values::EndpointPage),
    responses((status = 200, description = "The endpoints.",
        body = objects::WebhookEndpointList), Reading),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<ListView<EndpointView>>, Problem> {
    let page = page(&mut params)?;
    params.finish()?;
    Ok(Json(app.engine.endpoints(&caller.0, page).await?))
}

/// Read a webhook endpoint
#[utoipa::path(
    get,
    path = "/v1/webhook_endpoints/{id}",
    tag = "Webhooks",
    operation_id = "readWebhookEndpoint",
    params(("id" = values::EndpointId, Path, description = "The endpoint's id.")),
    responses((status = 200, description = "The endpoint.", body = objects::WebhookEndpoint),
        Reading),
)]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    id: Id<EndpointId>,
    _none: NoParams,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(app.engine.endpoint(&caller.0, id.0).await?))
}

/// Change a webhook endpoint
#[utoipa::path(
    patch,
    path = "/v1/webhook_endpoints/{id}",
    tag = "Webhooks",
    operation_id = "updateWebhookEndpoint",
    params(("id" = values::EndpointId, Path, description = "The endpoint's id.")),
    request_body(content = UpdateEndpoint, example = json!({"enabled": false})),
    responses((status = 200, description = "The endpoint.", body = objects::WebhookEndpoint),
        Making),
)]
pub(crate) async fn update(
    State(app): State<App>,
    caller: Caller,
    id: Id<EndpointId>,
    _none: NoParams,
    change: Change<UpdateEndpoint>,
) -> Result<Json<EndpointView>, Problem> {
    let patch = change.0.check()?;
    Ok(Json(app.engine.update_endpoint(&caller.0, id.0, patch).await?))
}

/// Delete a webhook endpoint
///
/// Deliveries that it has not accepted yet are given up.
#[utoipa::path(
    delete,
    path = "/v1/webhook_endpoints/{id}",
    tag = "Webhooks",
    operation_id = "deleteWebhookEndpoint",
    params(("id" = values::EndpointId, Path, description = "The endpoint's id.")),
    responses((status = 200, description = "What remains.", body = objects::Deleted), Reading),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    id: Id<EndpointId>,
    _none: NoParams,
) -> Result<Json<DeletedView>, Problem> {
    Ok(Json(app.engine.delete_endpoint(&caller.0, id.0).await?))
}

/// Change the secret of a webhook endpoint
///
/// The old secret signs too for 24 hours, so that receivers can be changed without a gap.
#[utoipa::path(
    post,
    path = "/v1/webhook_endpoints/{id}/rotate_secret",
    tag = "Webhooks",
    operation_id = "rotateWebhookSecret",
    params(("id" = values::EndpointId, Path, description = "The endpoint's id."),
        ("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
            description = "The same key gets the first reply again.")),
    request_body(content = Nothing, description = "Nothing, or an empty object."),
    responses((status = 200, description = "The endpoint, with its new secret.",
        body = objects::NewWebhookEndpoint), Making),
)]
pub(crate) async fn rotate_secret(
    State(app): State<App>,
    caller: Caller,
    id: Id<EndpointId>,
    _none: NoParams,
    post: Post<Nothing>,
) -> Response {
    let work = app.engine.rotate_secret(&caller.0, id.0);
    let (engine, request) = (&app.engine, post.idempotent);
    let reply = engine.idempotently(&caller.0, request, render_changed, work).await;
    idempotency::response(reply)
}

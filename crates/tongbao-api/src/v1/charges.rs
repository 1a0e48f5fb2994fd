//! Charges: create, read, list, close, ask the provider now.

use super::Nothing;
use super::charge_request::CreateCharge;
use super::page::page;
use crate::extract::{Caller, Id, NoParams, Params, Post};
use crate::openapi::{Making, Reading, objects, values};
use crate::problem::{render_changed, render_created, sentence};
use crate::{App, Problem, idempotency};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use tongbao_engine::{ChargeFilter, ChargeView, ListView};
use tongbao_types::{ChargeId, OrderNo};

const STATUSES: [&str; 4] = ["pending", "succeeded", "closed", "failed"];

/// Create a charge
///
/// With a channel, the order is placed at the provider at once and `action` says what to show to
/// the payer; if the provider gives no clear answer the charge is pending without an action, and
/// `GET` shows the action once it is known. Without a channel nothing is placed: the payer chooses
/// one at the cashier, or you do with `POST /v1/charges/{id}/attempts`. A code that you scanned
/// (`payer.auth_code`) is paid in the reply, or pending for at most 45 seconds.
#[utoipa::path(
    post,
    path = "/v1/charges",
    tag = "Charges",
    operation_id = "createCharge",
    params(("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
        description = "The same key with the same body gets the first reply again.")),
    request_body(content = CreateCharge, example = json!({
        "amount": 1200, "subject": "Coffee beans, 250 g", "channel": "wechat.native",
        "order_no": "20261121-0001", "metadata": {"cart": "8341"}
    })),
    responses((status = 201, description = "The charge.", body = objects::Charge), Making),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    _none: NoParams,
    post: Post<CreateCharge>,
) -> Result<Response, Problem> {
    let new = post.fields.check()?;
    let reply = app.engine.create_charge(&caller.0, new, post.idempotent, render_created).await;
    Ok(idempotency::response(reply))
}

/// List charges
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/charges",
    tag = "Charges",
    operation_id = "listCharges",
    params(
        ("order_no" = Option<String>, Query, description = "With this number of yours.",
            min_length = 1, max_length = 64, pattern = "^[!-~]+$"),
        ("status" = Option<objects::ChargeStatus>, Query, description = "With this status."),
        ("channel" = Option<objects::ChannelName>, Query,
            description = "With an attempt through this channel."),
        ("created_after" = Option<String>, Query, format = DateTime,
            description = "Made at this moment or later."),
        ("created_before" = Option<String>, Query, format = DateTime,
            description = "Made before this moment."),
        values::ChargePage,
    ),
    responses((status = 200, description = "The charges.", body = objects::ChargeList), Reading),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<ListView<ChargeView>>, Problem> {
    let page = page(&mut params)?;
    let order_no =
        params.parse_by("order_no", |text| OrderNo::new(text).map_err(|cause| sentence(&cause)))?;
    let filter = ChargeFilter {
        order_no,
        status: params.word("status", &STATUSES)?,
        channel: params.parse("channel")?,
        created_after: params.parse("created_after")?,
        created_before: params.parse("created_before")?,
    };
    params.finish()?;
    Ok(Json(app.engine.charges(&caller.0, &filter, page).await?))
}

/// Read a charge
#[utoipa::path(
    get,
    path = "/v1/charges/{id}",
    tag = "Charges",
    operation_id = "readCharge",
    params(("id" = values::ChargeId, Path, description = "The charge's id.")),
    responses((status = 200, description = "The charge.", body = objects::Charge), Reading),
)]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    id: Id<ChargeId>,
    _none: NoParams,
) -> Result<Json<ChargeView>, Problem> {
    Ok(Json(app.engine.charge(&caller.0, id.0).await?))
}

/// Close a charge
///
/// Its orders are closed at the provider first. If the payer was faster the charge is paid, and
/// the answer is 409 `charge_not_pending`.
#[utoipa::path(
    post,
    path = "/v1/charges/{id}/close",
    tag = "Charges",
    operation_id = "closeCharge",
    params(("id" = values::ChargeId, Path, description = "The charge's id."),
        ("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
            description = "The same key gets the first reply again.")),
    request_body(content = Nothing, description = "Nothing, or an empty object."),
    responses((status = 200, description = "The charge.", body = objects::Charge), Making),
)]
pub(crate) async fn close(
    State(app): State<App>,
    caller: Caller,
    id: Id<ChargeId>,
    _none: NoParams,
    post: Post<Nothing>,
) -> Response {
    let work = app.engine.close_charge(&caller.0, id.0);
    let (engine, request) = (&app.engine, post.idempotent);
    let reply = engine.idempotently(&caller.0, request, render_changed, work).await;
    idempotency::response(reply)
}

/// Ask the provider now
///
/// What the provider says about the charge's orders is recorded as if it had told by itself.
#[utoipa::path(
    post,
    path = "/v1/charges/{id}/sync",
    tag = "Charges",
    operation_id = "syncCharge",
    params(("id" = values::ChargeId, Path, description = "The charge's id."),
        ("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
            description = "The same key gets the first reply again.")),
    request_body(content = Nothing, description = "Nothing, or an empty object."),
    responses((status = 200, description = "The charge.", body = objects::Charge), Making),
)]
pub(crate) async fn sync(
    State(app): State<App>,
    caller: Caller,
    id: Id<ChargeId>,
    _none: NoParams,
    post: Post<Nothing>,
) -> Response {
    let work = app.engine.sync_charge(&caller.0, id.0);
    let (engine, request) = (&app.engine, post.idempotent);
    let reply = engine.idempotently(&caller.0, request, render_changed, work).await;
    idempotency::response(reply)
}

//! Refunds: create, read, list.

use super::charge_request::{Metadata, WholeFen, checked};
use super::page::page;
use super::texts::{Length, line, wrong};
use crate::extract::{Caller, Id, NoParams, Params, Post};
use crate::openapi::{Reading, Refunding, objects, values};
use crate::problem::{render_created, sentence};
use crate::{App, Problem, idempotency};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tongbao_core::RefundDraft;
use tongbao_engine::{Error, ListView, NewRefund, RefundFilter, RefundView};
use tongbao_types::{AttemptId, ChargeId, RefundId, RefundNo};
use utoipa::ToSchema;

const STATUSES: [&str; 4] = ["pending", "succeeded", "failed", "closed"];

/// What is to go back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRefund {
    /// The id of the charge that was paid.
    #[schema(value_type = values::ChargeId)]
    charge: String,
    /// How much, in fen; without it all that is left.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000_000_000_i64, example = 500)]
    amount: Option<WholeFen>,
    /// What the payer reads; one line.
    #[schema(value_type = Option<values::Reason>)]
    reason: Option<String>,
    /// Your own number, unique per app and mode; without it one is made.
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$", example = "R20261121-0001")]
    refund_no: Option<String>,
    /// Which payment, where the charge was paid more than once; without it the one that counts.
    #[schema(value_type = Option<values::AttemptId>)]
    attempt: Option<String>,
    /// Your own notes: at most 50 names (40 characters) and values (500 characters).
    #[schema(value_type = Option<values::Notes>)]
    metadata: Option<Metadata>,
}

impl CreateRefund {
    fn check(self) -> Result<NewRefund, Error> {
        let charge: Result<ChargeId, _> = self.charge.parse();
        let charge = charge.map_err(|cause| wrong("charge", sentence(&cause)))?;
        let attempt = |text: String| {
            let attempt: Result<AttemptId, _> = text.parse();
            attempt.map_err(|cause| wrong("attempt", sentence(&cause)))
        };
        let draft = RefundDraft {
            refund_no: self
                .refund_no
                .map(|no| checked("refund_no", no, RefundNo::new))
                .transpose()?,
            amount: self.amount.map(WholeFen::check).transpose()?,
            attempt: self.attempt.map(attempt).transpose()?,
            reason: self
                .reason
                .map(|reason| line("reason", reason, Length::Characters(80)))
                .transpose()?,
            metadata: self.metadata.map_or(Ok(Vec::new()), Metadata::check)?,
        };
        Ok(NewRefund { charge, draft })
    }
}

/// Create a refund
///
/// Its amount is reserved before the provider is called, so refunds never sum up to more than was
/// paid. A reply of status `pending` is on its way, or its outcome is not known yet; it is looked
/// after, and events tell its end. A final no is an error, and the refund is `failed`.
#[utoipa::path(
    post,
    path = "/v1/refunds",
    tag = "Refunds",
    operation_id = "createRefund",
    params(("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
        description = "The same key with the same body gets the first reply again.")),
    request_body(content = CreateRefund, example = json!({
        "charge": "ch_06bae2r3pdt3jc5s0vbh9p2a1k", "amount": 500,
        "refund_no": "R20261121-0001", "reason": "One bag was damaged"
    })),
    responses((status = 201, description = "The refund.", body = objects::Refund), Refunding),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    _none: NoParams,
    post: Post<CreateRefund>,
) -> Result<Response, Problem> {
    let new = post.fields.check()?;
    let reply = app.engine.create_refund(&caller.0, new, post.idempotent, render_created).await;
    Ok(idempotency::response(reply))
}

/// List refunds
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/refunds",
    tag = "Refunds",
    operation_id = "listRefunds",
    params(
        ("charge" = Option<values::ChargeId>, Query, description = "Of this charge."),
        ("refund_no" = Option<String>, Query, description = "With this number of yours.",
            min_length = 1, max_length = 64, pattern = "^[!-~]+$"),
        ("status" = Option<objects::RefundStatus>, Query, description = "With this status."),
        ("created_after" = Option<String>, Query, format = DateTime,
            description = "Made at this moment or later."),
        ("created_before" = Option<String>, Query, format = DateTime,
            description = "Made before this moment."),
        values::RefundPage,
    ),
    responses((status = 200, description = "The refunds.", body = objects::RefundList), Reading),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<ListView<RefundView>>, Problem> {
    let page = page(&mut params)?;
    let refund_no = params
        .parse_by("refund_no", |text| RefundNo::new(text).map_err(|cause| sentence(&cause)))?;
    let filter = RefundFilter {
        charge: params.parse("charge")?,
        refund_no,
        status: params.word("status", &STATUSES)?,
        created_after: params.parse("created_after")?,
        created_before: params.parse("created_before")?,
    };
    params.finish()?;
    Ok(Json(app.engine.refunds(&caller.0, &filter, page).await?))
}

/// Read a refund
#[utoipa::path(
    get,
    path = "/v1/refunds/{id}",
    tag = "Refunds",
    operation_id = "readRefund",
    params(("id" = values::RefundId, Path, description = "The refund's id.")),
    responses((status = 200, description = "The refund.", body = objects::Refund), Reading),
)]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    id: Id<RefundId>,
    _none: NoParams,
) -> Result<Json<RefundView>, Problem> {
    Ok(Json(app.engine.refund(&caller.0, id.0).await?))
}

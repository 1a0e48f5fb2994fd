//! Attempts: one more channel for a charge.

use super::charge_request::{PayerFields, account, address, channel};
use super::unwrap;
use crate::extract::{Caller, Id, NoParams, Object, Post};
use crate::openapi::objects::ChannelName;
use crate::openapi::{Making, objects, values};
use crate::problem::render_created;
use crate::{App, Problem, idempotency};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tongbao_engine::{Error, NewAttempt};
use tongbao_types::ChargeId;
use utoipa::ToSchema;

/// Through which channel more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAttempt {
    /// How the payer will pay.
    #[schema(value_type = ChannelName)]
    channel: String,
    /// With which of the app's channel accounts; without it the first that serves the channel.
    #[schema(value_type = Option<values::AccountName>)]
    account: Option<String>,
    /// Who will pay; some channels need it.
    #[schema(value_type = Option<PayerFields>)]
    payer: Option<Object<PayerFields>>,
    /// The payer's address, if it is another than the charge's.
    #[schema(value_type = Option<values::IpAddress>)]
    client_ip: Option<String>,
}

impl CreateAttempt {
    fn check(self, charge: ChargeId) -> Result<NewAttempt, Error> {
        Ok(NewAttempt {
            charge,
            channel: channel(&self.channel)?,
            account: self.account.map(account).transpose()?,
            payer: unwrap(self.payer).map(PayerFields::check).transpose()?,
            client_ip: self.client_ip.map(|text| address(&text)).transpose()?,
        })
    }
}

/// Pay a charge through another channel
///
/// The orders that it has stay open; the first that is paid closes the others at their providers,
/// and money of a second payment goes back by itself. Asking again for a channel whose order waits
/// gives that order. The reply is the charge, with `channel` and `action` of this attempt.
#[utoipa::path(
    post,
    path = "/v1/charges/{id}/attempts",
    tag = "Charges",
    operation_id = "createAttempt",
    params(("id" = values::ChargeId, Path, description = "The charge's id."),
        ("Idempotency-Key" = Option<values::IdempotencyKey>, Header,
            description = "The same key with the same body gets the first reply again.")),
    request_body(content = CreateAttempt, example = json!({"channel": "alipay.qr"})),
    responses((status = 201, description = "The charge.", body = objects::Charge), Making),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    id: Id<ChargeId>,
    _none: NoParams,
    post: Post<CreateAttempt>,
) -> Result<Response, Problem> {
    let new = post.fields.check(id.0)?;
    let (engine, request) = (&app.engine, post.idempotent);
    let reply = engine.add_attempt(&caller.0, new, request, render_created).await;
    Ok(idempotency::response(reply))
}

//! `GET /v1/charges/{id}/watch`: the charge now and after each change, as server-sent events.
//!
//! With a key the events are whole charges. With the charge's client secret, which a merchant may
//! hand to a payer's browser on any site, they are what a payer may see.

use crate::extract::{Audience, Id, Params};
use crate::openapi::objects::{Action, ChannelName, ChargeStatus};
use crate::openapi::{Reading, values};
use crate::{App, Problem};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use tongbao_engine::{ActionView, ChargeView, Error, Watching};
use tongbao_types::{ChargeId, Timestamp};
use tongbao_web::{ClientAddress, sse};
use utoipa::ToSchema;

/// What a payer may see of a charge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PayerCharge)]
pub(crate) struct PayerView {
    #[schema(value_type = values::ChargeId)]
    id: String,
    #[schema(example = "charge")]
    object: &'static str,
    livemode: bool,
    order_no: String,
    amount: i64,
    amount_paid: i64,
    amount_refunded: i64,
    currency: &'static str,
    subject: String,
    #[schema(value_type = Option<ChannelName>)]
    channel: Option<&'static str>,
    #[schema(value_type = ChargeStatus)]
    status: &'static str,
    paid: bool,
    #[schema(format = DateTime)]
    paid_at: Option<String>,
    #[schema(value_type = Option<Action>)]
    action: Option<ActionView>,
    cashier_url: String,
    return_url: Option<String>,
    #[schema(format = DateTime)]
    expires_at: String,
    /// By our clock, since a payer's may be wrong.
    seconds_left: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    closed_at: Option<String>,
}

impl PayerView {
    fn new(charge: ChargeView, now: Timestamp) -> PayerView {
        let expires_at: Option<Timestamp> = charge.expires_at.parse().ok();
        PayerView {
            seconds_left: expires_at.map_or(0, |end| end.since(now).as_seconds()),
            id: charge.id,
            object: charge.object,
            livemode: charge.livemode,
            order_no: charge.order_no,
            amount: charge.amount,
            amount_paid: charge.amount_paid,
            amount_refunded: charge.amount_refunded,
            currency: charge.currency,
            subject: charge.subject,
            channel: charge.channel,
            status: charge.status,
            paid: charge.paid,
            paid_at: charge.paid_at,
            action: charge.action,
            cashier_url: charge.cashier_url,
            return_url: charge.return_url,
            expires_at: charge.expires_at,
            created_at: charge.created_at,
            closed_at: charge.closed_at,
        }
    }
}

/// Watch a charge
///
/// Server-sent events: the charge now and after each change, until it has ended. Send the key, or
/// the charge's `client_secret` as a parameter; with the latter the events show what a payer may
/// see.
#[utoipa::path(
    get,
    path = "/v1/charges/{id}/watch",
    tag = "Charges",
    operation_id = "watchCharge",
    params(("id" = values::ChargeId, Path, description = "The charge's id."),
        ("client_secret" = Option<String>, Query, description = "Instead of a key.")),
    security(("key" = []), ()),
    responses((status = 200, description = "`data: {…}`, a charge for each event.",
        content_type = "text/event-stream", body = values::ChargeMessage), Reading),
)]
pub(crate) async fn watch(
    State(app): State<App>,
    id: Id<ChargeId>,
    client: ClientAddress,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let caller = (&headers, client);
    let secret = params.take("client_secret");
    if let Some(secret) = secret.filter(|_| !headers.contains_key(AUTHORIZATION)) {
        return Ok(for_payer(&app, id.0, caller, (&secret, params)).await);
    }
    Audience::of(&app, caller, None, id.0).await?;
    params.finish()?;
    let watch = app.gate.watch_with(client.0, &headers)?;
    let changes = changes(app.engine.watch(id.0).await?);
    Ok(sse::events(changes, watch, (*app.stop).clone()))
}

/// Any site's page may read this, also why it was refused.
async fn for_payer(
    app: &App,
    id: ChargeId,
    caller: (&HeaderMap, ClientAddress),
    (secret, params): (&str, Params),
) -> Response {
    let watched = async move {
        Audience::of(app, caller, Some(secret), id).await?;
        params.finish()?;
        let watch = app.gate.watch(caller.1.0, None)?;
        let engine = app.engine.clone();
        let changes = changes(app.engine.watch(id).await?);
        let shown = changes.map(move |charge| PayerView::new(charge, engine.now()));
        Ok::<_, Error>(sse::events(shown, watch, (*app.stop).clone()))
    };
    let mut response = watched.await.unwrap_or_else(|error| Problem::from(error).into_response());
    let anywhere = HeaderValue::from_static("*");
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, anywhere);
    response
}

/// The charge now and after each change.
pub(crate) fn changes(watching: Watching) -> impl Stream<Item = ChargeView> + Send + 'static {
    stream::unfold(watching, async |mut watching| {
        let charge = watching.next().await?;
        Some((charge, watching))
    })
}

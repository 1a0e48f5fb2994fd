//! The control paths under `/_sandbox`, for tests and tools: credentials, the payer, faults, the
//! clock, rules, and what happened. Errors are `{code, message}`.

use crate::faults::{Fault, FaultSpec};
use crate::notice::Notice;
use crate::payer::{self, PayRequest};
use crate::pretend::Pretend;
use crate::refund::Refund;
use crate::trade::Trade;
use crate::world::AUTH_CODE_LIFE;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_types::{Provider, Span};

type Shared = State<Arc<Pretend>>;

/// The routes.
pub(crate) fn router() -> Router<Arc<Pretend>> {
    Router::new()
        .route("/_sandbox/credentials", get(credentials))
        .route("/_sandbox/tls-root.pem", get(tls_root))
        .route("/_sandbox/pay", post(pay))
        .route("/_sandbox/auth_codes", get(auth_codes))
        .route("/_sandbox/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_sandbox/clock", get(clock).post(advance_clock))
        .route("/_sandbox/rules", get(rules).post(change_rules))
        .route("/_sandbox/trades", get(trades))
        .route("/_sandbox/notifications", get(notifications))
        .route("/_sandbox/requests", get(requests))
}

/// An answer that is an error.
struct Problem {
    status: u16,
    code: &'static str,
    message: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json!({"code": self.code, "message": self.message}))).into_response()
    }
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem { status: 400, code: "invalid_request", message: message.into() }
}

/// Any content type will do: curl sends forms unless told otherwise.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| invalid(format!("the body is not right: {error}")))
}

async fn credentials(State(pretend): Shared) -> Json<crate::Credentials> {
    Json(pretend.credentials.clone())
}

/// What clients have to trust, if the listener speaks TLS.
async fn tls_root(State(pretend): Shared) -> Result<String, Problem> {
    let root = pretend.tls.as_ref().map(|tls| tls.root_pem().to_owned());
    let message = "the sandbox was not started with --tls".to_owned();
    root.ok_or(Problem { status: 404, code: "not_found", message })
}

async fn pay(State(pretend): Shared, body: Bytes) -> Result<Response, Problem> {
    let request: PayRequest = read(&body)?;
    let played = payer::play(&pretend, &request).map_err(|problem| {
        let (status, code) = problem.status_and_code();
        Problem { status, code, message: problem.to_string() }
    })?;
    Ok(Json(played).into_response())
}

async fn faults(State(pretend): Shared) -> Json<Value> {
    Json(json!({"data": pretend.faults().list()}))
}

async fn add_fault(State(pretend): Shared, body: Bytes) -> Result<Json<Fault>, Problem> {
    let spec: FaultSpec = read(&body)?;
    spec.check().map_err(invalid)?;
    Ok(Json(pretend.faults().add(spec)))
}

async fn clear_faults(State(pretend): Shared) -> StatusCode {
    pretend.faults().clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: String,
}

async fn clock(State(pretend): Shared) -> Json<Value> {
    Json(clock_view(&pretend))
}

async fn advance_clock(State(pretend): Shared, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: Advance = read(&body)?;
    let by: Span = request.advance.parse().map_err(|error| invalid(format!("advance: {error}")))?;
    pretend.advance(by);
    Ok(Json(clock_view(&pretend)))
}

fn clock_view(pretend: &Pretend) -> Value {
    json!({
        "now": pretend.now().to_string(),
        "real_now": pretend.clock.real_now().to_string(),
        "offset_ms": pretend.clock.offset().as_micros() / 1000,
    })
}

async fn rules(State(pretend): Shared) -> Json<crate::Rules> {
    Json(pretend.world().rules())
}

async fn change_rules(State(pretend): Shared, body: Bytes) -> Result<Json<crate::Rules>, Problem> {
    let change: Value = read(&body)?;
    if !change.is_object() {
        return Err(invalid("the body is an object with the rules to change"));
    }
    let mut world = pretend.world();
    let rules = world.rules().changed(&change).map_err(|error| invalid(error.to_string()))?;
    world.set_rules(rules);
    Ok(Json(rules))
}

async fn trades(State(pretend): Shared) -> Json<Value> {
    let now = pretend.now();
    let data: Vec<Value> = pretend.world().trades(now).map(trade_view).collect();
    Json(json!({"data": data}))
}

fn trade_view(trade: &Trade) -> Value {
    json!({
        "provider": trade.order.key.provider.as_str(),
        "out_trade_no": trade.order.key.out_trade_no,
        "trade_no": trade.trade_no,
        "amount": trade.order.amount,
        "state": trade.state_word(),
        "paid_at": trade.paid_at.map(|at| at.to_string()),
        "refunded": trade.refunded(),
        "refunds": trade.refunds.iter().map(refund_view).collect::<Vec<_>>(),
        "notify_url": trade.order.notify_url,
        "created_at": trade.placed_at.to_string(),
    })
}

fn refund_view(refund: &Refund) -> Value {
    json!({
        "out_refund_no": refund.out_refund_no,
        "refund_id": refund.refund_id,
        "amount": refund.amount,
        "state": refund.state.word(),
        "accepted_at": refund.accepted_at.to_string(),
        "ended_at": refund.ended_at.map(|at| at.to_string()),
    })
}

/// The codes that the pretend payer's phones show now, for the channels where a merchant scans.
async fn auth_codes(State(pretend): Shared) -> Json<Value> {
    let shown = pretend.change(|world, now| {
        [Provider::Wechat, Provider::Alipay].map(|provider| world.auth_code(provider, now))
    });
    let mut all = serde_json::Map::new();
    for code in shown {
        let expires_at = (code.issued_at + AUTH_CODE_LIFE).to_string();
        let view = json!({"auth_code": code.text, "expires_at": expires_at});
        all.insert(code.provider.as_str().to_owned(), view);
    }
    Json(Value::Object(all))
}

async fn notifications(State(pretend): Shared) -> Json<Value> {
    let data: Vec<Value> = pretend.world().notices().map(notice_view).collect();
    Json(json!({"data": data}))
}

fn notice_view(notice: &Notice) -> Value {
    let tries: Vec<Value> = notice
        .tries
        .iter()
        .map(|one| json!({"at": one.at.to_string(), "status": one.status, "body": one.body}))
        .collect();
    let headers: serde_json::Map<String, Value> =
        notice.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "id": notice.id,
        "provider": notice.key.provider.as_str(),
        "kind": notice.kind_word(),
        "out_trade_no": notice.key.out_trade_no,
        "url": notice.url,
        "headers": headers,
        "body": notice.body,
        "tries": tries,
        "delivered": notice.delivered,
        "next_try_at": notice.next_at.map(|at| at.to_string()),
    })
}

async fn requests(State(pretend): Shared) -> Json<Value> {
    let traffic = pretend.traffic();
    let data: Vec<_> = traffic.entries().collect();
    Json(json!({"data": data}))
}

//! A stand-in for Alipay's login: it gives a page or a mini program the pretend buyer's ids
//! (Alipay, 用户授权, `alipay.system.oauth.token`). There is nothing to agree to; the browser comes
//! back at once.

use super::{mark, signer};
use crate::numbers;
use crate::pretend::Pretend;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tongbao_alipay::Refusal;
use tongbao_alipay::open::gateway::{GatewayRequest, Sealing};
use tongbao_alipay::open::sign;
use tongbao_crypt::digest;
use tongbao_types::{HttpResponse, Provider, Span, Timestamp};
use url::Url;

/// The method that changes a code for the buyer's ids. Its members are public parameters, and its
/// reply has no code.
pub(super) const METHOD: &str = "alipay.system.oauth.token";

/// How long a code is good; it is good once.
const CODE_LIFE: Span = Span::from_seconds(86_400);
/// A code's time and chance; its mark follows.
const CODE_HEAD: usize = 18;

/// The route of the page.
pub(super) fn router() -> Router<Arc<Pretend>> {
    Router::new().route("/oauth2/publicAppAuthorize.htm", get(authorize))
}

#[derive(Deserialize)]
struct Authorize {
    app_id: String,
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
}

async fn authorize(
    State(pretend): State<Arc<Pretend>>,
    Query(asked): Query<Authorize>,
) -> Response {
    let no = |why: &'static str| (StatusCode::BAD_REQUEST, why).into_response();
    if asked.app_id != pretend.credentials.alipay.app_id {
        return no("invalid-app-id: there is no such app in this sandbox");
    }
    let known = ["auth_base", "auth_user"];
    if asked.scope.is_empty() || !asked.scope.split(',').all(|scope| known.contains(&scope)) {
        return no("invalid-scope: it is auth_base or auth_user");
    }
    let back = Url::parse(&asked.redirect_uri).ok();
    let Some(mut back) = back.filter(|url| ["http", "https"].contains(&url.scheme())) else {
        return no("invalid-redirect-uri: it is an absolute address by http or https");
    };
    let code = code(&pretend, pretend.now());
    back.query_pairs_mut()
        .append_pair("app_id", &asked.app_id)
        .append_pair("source", "alipay_wallet")
        .append_pair("scope", &asked.scope)
        .append_pair("state", &asked.state)
        .append_pair("auth_code", &code);
    Redirect::to(back.as_str()).into_response()
}

/// The reply to [`METHOD`].
pub(super) fn token(pretend: &Pretend, request: &GatewayRequest) -> HttpResponse {
    let (key, cert_sn) = signer(pretend, request.has_cert_sn());
    if let Err(refusal) = check(pretend, request) {
        let sealing = Sealing::Signed { key, cert_sn, content_key: None };
        return request.refuse(&refusal, &[], sealing);
    }
    let user_id = pretend.world().payers().of(Provider::Alipay).to_owned();
    let object = json!({
        "access_token": format!("publicpB{}", numbers::hex(32)),
        "auth_start": numbers::china(pretend.now(), "%Y-%m-%d %H:%M:%S"),
        "expires_in": 1_296_000,
        "open_id": open_id(pretend, &user_id),
        "re_expires_in": 2_592_000,
        "refresh_token": format!("publicpB{}", numbers::hex(32)),
        "user_id": user_id,
    })
    .to_string();
    let cert_sn = cert_sn.map(|sn| format!(",\"alipay_cert_sn\":\"{sn}\"")).unwrap_or_default();
    let signature = sign::sign(key, object.as_bytes());
    let body = format!(
        "{{\"alipay_system_oauth_token_response\":{object}{cert_sn},\"sign\":\"{signature}\"}}"
    );
    let content_type = format!("text/html;charset={}", request.params.charset().name());
    HttpResponse::new(200, &content_type, body)
}

fn check(pretend: &Pretend, request: &GatewayRequest) -> Result<(), Refusal> {
    let refusal = |sub_code, words: &'static str| Refusal {
        code: Refusal::INVALID_PARAMETER.code,
        sub_code,
        sub_msg: words.into(),
    };
    if request.params.filled("grant_type").as_deref() != Some("authorization_code") {
        return Err(refusal("isv.grant-type-invalid", "grant_type参数不正确"));
    }
    let code = request.params.filled("code").unwrap_or_default();
    let given = given_at(pretend, &code);
    let fresh = given.is_some_and(|at| pretend.now().since(at) < CODE_LIFE);
    if !fresh || !pretend.is_first(format!("login {code}")) {
        return Err(refusal("isv.code-invalid", "授权码code无效"));
    }
    Ok(())
}

/// A code carries its own time.
fn code(pretend: &Pretend, now: Timestamp) -> String {
    let head = format!("{:010}{}", now.as_seconds(), numbers::digits(8));
    let mark = mark(pretend, &format!("login {head}"));
    head + &mark
}

fn given_at(pretend: &Pretend, code: &str) -> Option<Timestamp> {
    let (head, tail) = code.split_at_checked(CODE_HEAD)?;
    let seconds = head.get(..10)?.parse().ok()?;
    (tail == mark(pretend, &format!("login {head}"))).then(|| Timestamp::from_seconds(seconds))
}

/// A buyer's id for the merchant's app, always the same.
fn open_id(pretend: &Pretend, user_id: &str) -> String {
    let app_id = &pretend.credentials.alipay.app_id;
    let hash = digest::sha256_hex(format!("{user_id} in {app_id}").as_bytes());
    format!("0{}", &hash[..46])
}

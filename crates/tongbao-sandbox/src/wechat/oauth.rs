//! A stand-in for WeChat's login pages: it gives a page or mini program the pretend payer's openid
//! (微信网页授权, 小程序登录). There is nothing to agree to; the browser comes back at once.

use crate::numbers;
use crate::pretend::Pretend;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tongbao_types::{Provider, Span, Timestamp};
use url::Url;

/// How long a code is good; it is good once.
const CODE_LIFE: Span = Span::from_seconds(300);

/// The routes.
pub(crate) fn router() -> Router<Arc<Pretend>> {
    Router::new()
        .route("/connect/oauth2/authorize", get(authorize))
        .route("/sns/oauth2/access_token", get(access_token))
        .route("/sns/jscode2session", get(session))
}

/// The codes that were given and not used yet.
#[derive(Debug, Default)]
pub(crate) struct LoginCodes(HashMap<String, Timestamp>);

impl LoginCodes {
    fn give(&mut self, now: Timestamp) -> String {
        self.0.retain(|_, since| now.since(*since) < CODE_LIFE);
        let code = numbers::letters(32);
        self.0.insert(code.clone(), now);
        code
    }

    fn take(&mut self, code: &str, now: Timestamp) -> bool {
        self.0.remove(code).is_some_and(|since| now.since(since) < CODE_LIFE)
    }
}

#[derive(Deserialize)]
struct Authorize {
    appid: String,
    redirect_uri: String,
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    state: String,
}

async fn authorize(
    State(pretend): State<Arc<Pretend>>,
    Query(asked): Query<Authorize>,
) -> Response {
    let no = |why: &'static str| (StatusCode::BAD_REQUEST, why).into_response();
    if !is_ours(&pretend, &asked.appid) {
        return no("AppID 参数错误: there is no such app in this sandbox");
    }
    if asked.response_type != "code" {
        return no("response_type 参数错误: it is code");
    }
    let Ok(mut back) = Url::parse(&asked.redirect_uri) else {
        return no("redirect_uri 参数错误: it is an absolute address");
    };
    if !["http", "https"].contains(&back.scheme()) {
        return no("redirect_uri 参数错误: it begins with http:// or https://");
    }
    let code = pretend.login_codes().give(pretend.now());
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked.state);
    Redirect::to(back.as_str()).into_response()
}

#[derive(Deserialize)]
struct AccessToken {
    appid: String,
    secret: String,
    code: String,
    #[serde(default)]
    grant_type: String,
}

async fn access_token(
    State(pretend): State<Arc<Pretend>>,
    Query(asked): Query<AccessToken>,
) -> Json<Value> {
    if let Some(error) = refusal(&pretend, &asked.appid, &asked.secret, &asked.grant_type) {
        return Json(error);
    }
    if !pretend.login_codes().take(&asked.code, pretend.now()) {
        return Json(failure(40029, "invalid code"));
    }
    Json(json!({
        "access_token": numbers::letters(64),
        "expires_in": 7200,
        "refresh_token": numbers::letters(64),
        "openid": openid(&pretend),
        "scope": "snsapi_base",
    }))
}

#[derive(Deserialize)]
struct Session {
    appid: String,
    secret: String,
    js_code: String,
    #[serde(default)]
    grant_type: String,
}

/// `wx.login` of a pretend mini program has no code of ours, so any will do.
async fn session(State(pretend): State<Arc<Pretend>>, Query(asked): Query<Session>) -> Json<Value> {
    if let Some(error) = refusal(&pretend, &asked.appid, &asked.secret, &asked.grant_type) {
        return Json(error);
    }
    if asked.js_code.is_empty() {
        return Json(failure(41008, "missing code"));
    }
    let session_key = tongbao_crypt::base64::encode(&crate::dice::bytes::<16>());
    Json(json!({"openid": openid(&pretend), "session_key": session_key}))
}

fn refusal(pretend: &Pretend, app_id: &str, secret: &str, grant_type: &str) -> Option<Value> {
    if !is_ours(pretend, app_id) {
        return Some(failure(40013, "invalid appid"));
    }
    if secret != pretend.credentials.wechat.app_secret {
        return Some(failure(40125, "invalid appsecret"));
    }
    (grant_type != "authorization_code").then(|| failure(40002, "invalid grant_type"))
}

fn failure(code: i64, message: &str) -> Value {
    json!({"errcode": code, "errmsg": message})
}

fn is_ours(pretend: &Pretend, app_id: &str) -> bool {
    let wechat = &pretend.credentials.wechat;
    [&wechat.app_id, &wechat.sub_app_id].iter().any(|ours| *ours == app_id)
}

fn openid(pretend: &Pretend) -> String {
    pretend.world().payers().of(Provider::Wechat).to_owned()
}

//! `GET /v1/bills/{channel}/{date}` as callers meet it, over a pretended provider.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tongbao_api::{ApiSettings, router};
use tongbao_channels::{AccountSetup, Keys, WechatV2Keys, adapter};
use tongbao_core::{Backoff, Policy, Polling};
use tongbao_engine::{
    Account, App, Clock, Dice, Egress, Engine, Outgoing, Ports, Setup, Wire, WireError,
};
use tongbao_store::MemoryStore;
use tongbao_types::{AccountName, AppName, HttpResponse, Mode, Secret, Span, Timestamp};
use tower::ServiceExt;

const TEXT: &str = "\u{feff}交易时间,微信订单号,商户订单号,交易状态,订单金额\r\n\
    `2026-11-20 09:51:59,`4200,`ORDER1,`SUCCESS,`12.00\r\n总交易单数,订单总金额\r\n`1.0,`12.0\r\n";

/// Answers everything with one text.
struct Provider {
    answer: Mutex<&'static str>,
    asked: AtomicUsize,
}

#[async_trait]
impl Wire for Provider {
    async fn send(&self, _: Outgoing) -> Result<HttpResponse, WireError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(HttpResponse::new(200, "text/plain", *self.answer.lock().unwrap()))
    }
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        "2026-11-21T07:00:00Z".parse().unwrap()
    }

    fn wall(&self) -> Timestamp {
        self.now()
    }
}

#[derive(Default)]
struct Counting(AtomicU8);

impl Dice for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::SeqCst));
    }
}

struct Gateway {
    router: Router,
    provider: Arc<Provider>,
    key: String,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, code and param of a problem.
    fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let text = |name: &str| json[name].as_str().unwrap_or("").to_owned();
        (self.status, text("code"), text("param"))
    }
}

impl Gateway {
    async fn start() -> Gateway {
        let app = AppName::new("shop").unwrap();
        let keys = Keys::WechatV2(WechatV2Keys {
            app_id: "wx0123456789abcdef".to_owned(),
            mch_id: "1900000109".to_owned(),
            api_key: Secret::new("TestTestTestTestTestTestTestTest".to_owned()),
            sign_type: "MD5".to_owned(),
            sub_app_id: None,
            sub_mch_id: None,
            p12: None,
        });
        let setup = AccountSetup {
            name: AccountName::new("shop-wechat").unwrap(),
            keys,
            endpoint: None,
            endpoint_ca: None,
            public_url: "https://pay.example".to_owned(),
            notify_url: None,
        };
        let provider = Arc::new(Provider { answer: Mutex::new(TEXT), asked: AtomicUsize::new(0) });
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            wire: provider.clone(),
            clock: Arc::new(Standing),
            dice: Arc::new(Counting::default()),
        };
        let account =
            Account { app: app.clone(), mode: Mode::Test, adapter: adapter(setup).unwrap() };
        let setup = Setup {
            apps: vec![App { name: app.clone(), policy: Policy::default(), keeps_replies: false }],
            accounts: vec![account],
            polling: Polling {
                delay: Span::from_seconds(5),
                attempts: 6,
                backoff: Backoff::Exponential,
                ttl: Span::from_seconds(60),
            },
            public_url: "https://pay.example".to_owned(),
            egress: Egress::default(),
            call_timeout: Span::from_seconds(5),
            lease: None,
            callbacks: std::sync::Arc::new(tongbao_engine::NoCallbacks),
            master_keys: tongbao_engine::MasterKeys::default(),
        };
        let engine = Engine::new(ports, setup).unwrap();
        let key = engine.create_key(&app, Mode::Test, None).await.unwrap().text.expose().clone();
        Gateway { router: router(engine, ApiSettings::default()), provider, key }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::builder().uri(path);
        let request = request.header("Authorization", format!("Bearer {}", self.key));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        let (parts, body) = response.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

#[tokio::test]
async fn a_bill_comes_with_its_type_and_a_name() {
    let gateway = Gateway::start().await;
    for path in ["wechat", "wechat.native", "wechat.h5"] {
        let answer = gateway.get(&format!("/v1/bills/{path}/2026-11-20")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, TEXT));
        assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
        let name = "attachment; filename=\"wechat-shop-wechat-trade-2026-11-20.csv\"";
        assert_eq!(answer.header("content-disposition"), name);
    }
    let lines = "/v1/bills/wechat/2026-11-20?format=jsonl&type=trade&account=shop-wechat";
    let answer = gateway.get(lines).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let name = "attachment; filename=\"wechat-shop-wechat-trade-2026-11-20.jsonl\"";
    assert_eq!(answer.header("content-disposition"), name);
    let line: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((line["amount"].as_i64(), line["kind"].as_str()), (Some(1200), Some("payment")));
    assert_eq!(gateway.provider.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_name() {
    let gateway = Gateway::start().await;
    let wrong = |code: &str, param: &str| (400, code.to_owned(), param.to_owned());
    for (path, code, param) in [
        ("paypal/2026-11-20", "invalid_parameter", "channel"),
        ("wechat/yesterday", "invalid_parameter", "date"),
        ("wechat/2026-11-31", "invalid_parameter", "date"),
        ("wechat/2026-11-22", "invalid_parameter", "date"),
        ("wechat/2026-11-20?type=all", "invalid_parameter", "type"),
        ("wechat/2026-11-20?format=csv", "invalid_parameter", "format"),
        ("wechat/2026-11-20?account=a/b", "invalid_parameter", "account"),
        ("wechat/2026-11-20?tar_type=GZIP", "unknown_parameter", "tar_type"),
        ("wechat/2026-11-20?account=nobody", "account_missing", "account"),
        ("alipay/2026-11-20", "account_missing", "channel"),
        ("wechat/2026-11-20?type=fund_flow", "channel_unavailable", "channel"),
    ] {
        let answer = gateway.get(&format!("/v1/bills/{path}")).await;
        assert_eq!(answer.problem(), wrong(code, param), "{path}");
    }
    assert_eq!(gateway.provider.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn days_without_a_bill_have_codes_and_say_when_to_come_again() {
    let gateway = Gateway::start().await;
    let today = gateway.get("/v1/bills/wechat/2026-11-21").await;
    assert_eq!((today.problem().0, today.problem().1.as_str()), (409, "bill_not_ready"));
    assert_eq!(today.header("retry-after"), "68400");
    for (words, status, code, again) in [
        ("No Bill Exist", 404, "bill_missing", ""),
        ("Bill Creating", 409, "bill_not_ready", "1800"),
        ("<html>down</html>", 502, "provider_unknown", "10"),
        (TEXT.split("总交").next().unwrap(), 502, "bill_unreadable", "10"),
    ] {
        *gateway.provider.answer.lock().unwrap() = words;
        let answer = gateway.get("/v1/bills/wechat/2026-11-20").await;
        assert_eq!((answer.problem().0, answer.problem().1.as_str()), (status, code), "{words}");
        assert_eq!(answer.header("retry-after"), again, "{words}");
    }
}

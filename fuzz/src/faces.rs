//! Requests of callers, through the routers: `/v1` with its JSON, queries, paths and headers, and
//! the older services' fields. No answer may be a 500.

use crate::accounts::{ALIPAY_OPEN, WECHAT_V2, choice, now};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::runtime::{Builder, Runtime};
use tongbao_api::ApiSettings;
use tongbao_channels::Adapter;
use tongbao_compat::{CompatSettings, ModeAccounts, ProfileSetup};
use tongbao_core::{Backoff, Policy, Polling};
use tongbao_engine::{
    Account, App, Clock, Dice, Egress, Engine, MasterKeys, NoCallbacks, Outgoing, Ports, Setup,
    Wire, WireError,
};
use tongbao_store::MemoryStore;
use tongbao_types::{AppName, HttpResponse, Mode, Profile, Secret, Span, Timestamp};
use tower::ServiceExt;

struct Faces {
    runtime: Runtime,
    api: Router,
    compat: Router,
    key: String,
}

static FACES: LazyLock<Faces> = LazyLock::new(Faces::open);

const V1: [(&str, &str); 10] = [
    ("POST", "/v1/charges"),
    ("POST", "/v1/refunds"),
    ("POST", "/v1/webhook_endpoints"),
    ("POST", "/v1/reconciliations"),
    ("GET", "/v1/charges?"),
    ("GET", "/v1/events?"),
    ("GET", "/v1/refunds?"),
    ("GET", "/v1/charges/"),
    ("GET", "/pay/"),
    ("GET", "/v1/bills/"),
];

/// The native API.
pub fn v1_requests(data: &[u8]) {
    let (first, rest) = choice(data);
    let (method, path) = V1[usize::from(first) % V1.len()];
    ask(&FACES.api, method, path, rest);
}

const COMPAT: [&str; 9] = [
    "/auth/pay/wx",
    "/auth/alipay/pay",
    "/auth/wxpay/orderquery",
    "/order",
    "/wx/order",
    "/queryOrder",
    "/pay/notify",
    "/capi/api/v1/charge",
    "/auth/alipay/refund",
];

/// The older services, with JSON, forms and queries.
pub fn compat_requests(data: &[u8]) {
    let (first, rest) = choice(data);
    let path = COMPAT[usize::from(first) % COMPAT.len()];
    ask(&FACES.compat, "POST", path, rest);
    ask(&FACES.compat, "GET", &format!("{path}?"), rest);
}

fn ask(router: &Router, method: &str, path: &str, data: &[u8]) {
    let (uri, body) = match method {
        "GET" => (format!("{path}{}", String::from_utf8_lossy(data)), Vec::new()),
        _ => (path.to_owned(), data.to_vec()),
    };
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("Authorization", format!("Bearer {}", FACES.key))
        .header("Content-Type", "application/json")
        .body(Body::from(body));
    // What the HTTP library itself refuses never comes to a handler.
    let Ok(request) = request else { return };
    let answered = async {
        let Ok(response) = router.clone().oneshot(request).await;
        let status = response.status();
        let body = response.into_body().collect().await;
        (status, body.map(|body| body.to_bytes()).unwrap_or_default())
    };
    let (status, body) = FACES.runtime.block_on(answered);
    let text = String::from_utf8_lossy(&body);
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}: {text}");
}

impl Faces {
    fn open() -> Faces {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let shop = AppName::new("shop").expect("a name");
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            wire: Arc::new(Silent),
            clock: Arc::new(Standing),
            dice: Arc::new(Counting(AtomicU64::new(0))),
        };
        let _inside = runtime.enter();
        let engine = Engine::new(ports, setup(&shop)).expect("the setup fits together");
        let key = runtime.block_on(engine.create_key(&shop, Mode::Test, None));
        let key = key.expect("memory takes a key").text.expose().clone();
        let compat = CompatSettings { profiles: profiles(&shop), ..CompatSettings::default() };
        let api = tongbao_api::router(engine.clone(), ApiSettings::default());
        let compat = tongbao_compat::router(&engine, &compat);
        drop(_inside);
        Faces { runtime, api, compat, key }
    }
}

fn setup(shop: &AppName) -> Setup {
    let account = |adapter: &Arc<dyn Adapter>| Account {
        app: shop.clone(),
        mode: Mode::Test,
        adapter: Arc::clone(adapter),
    };
    let polling = Polling {
        delay: Span::from_seconds(5),
        attempts: 6,
        backoff: Backoff::Exponential,
        ttl: Span::from_seconds(60),
    };
    Setup {
        apps: vec![App { name: shop.clone(), policy: Policy::default(), keeps_replies: false }],
        accounts: vec![account(&WECHAT_V2), account(&ALIPAY_OPEN)],
        polling,
        public_url: "https://pay.example".to_owned(),
        egress: Egress::default(),
        call_timeout: Span::from_seconds(5),
        lease: None,
        callbacks: Arc::new(NoCallbacks),
        master_keys: MasterKeys::new([&Secret::new([7; 32])]),
    }
}

fn profiles(shop: &AppName) -> Vec<Arc<ProfileSetup>> {
    let accounts = || ModeAccounts {
        wechat: Some(WECHAT_V2.name().clone()),
        alipay: Some(ALIPAY_OPEN.name().clone()),
        alipay_legacy: None,
    };
    let of = |profile| {
        Arc::new(ProfileSetup {
            profile,
            app: shop.clone(),
            livemode: false,
            allow_from: vec!["0.0.0.0/0".parse().expect("every network")],
            test: accounts(),
            live: ModeAccounts::default(),
            alipay_account: None,
            merchants: Vec::new(),
            cb_notify_url: None,
            payment_function_url: None,
        })
    };
    vec![of(Profile::AuthPay), of(Profile::Payorder), of(Profile::Capi)]
}

/// A network on which nobody answers.
struct Silent;

#[async_trait]
impl Wire for Silent {
    async fn send(&self, _: Outgoing) -> Result<HttpResponse, WireError> {
        Err(WireError::Broken("nobody there".to_owned()))
    }
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        now()
    }

    fn wall(&self) -> Timestamp {
        now()
    }
}

struct Counting(AtomicU64);

impl Dice for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            chunk.copy_from_slice(&mixed[..chunk.len()]);
        }
    }
}

//! A gateway with two apps and pretended accounts, and shorthands for talking to it.

use crate::pretended::{Account, Answering, Counting, Standing};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::Arc;
use tongbao_api::{ApiSettings, router};
use tongbao_core::{Backoff, Policy, Polling, Scope};
use tongbao_engine::{Clock, Egress, Engine, Page, Ports, Setup, Store};
use tongbao_store::MemoryStore;
use tongbao_types::{AppName, Mode, Provider, Secret, Span};
use tongbao_web::Stop;
use tower::ServiceExt;

pub(crate) struct Gateway {
    router: Router,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<Standing>,
    pub(crate) stop: Stop,
    pub(crate) key: String,
    pub(crate) live_key: String,
    pub(crate) other_key: String,
}

/// A whole reply.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, code and param of a problem, after checking its form.
    pub(crate) fn problem(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(json["status"], self.status.as_u16());
        assert_eq!(json["request_id"], self.header("request-id"));
        assert!(json["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        let text = |name: &str| json[name].as_str().unwrap_or("").to_owned();
        (self.status.as_u16(), text("code"), text("param"))
    }
}

impl Gateway {
    pub(crate) async fn start() -> Gateway {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(Standing::new());
        let ports = Ports {
            store: Arc::clone(&store) as Arc<dyn Store>,
            wire: Arc::new(Answering),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            dice: Arc::new(Counting::default()),
        };
        let engine = Engine::new(ports, setup()).unwrap();
        let stop = Stop::default();
        let settings = ApiSettings { stop: stop.clone(), ..ApiSettings::default() };
        let (shop, other) = (app("shop"), app("other"));
        let key = async |app: &AppName, mode| {
            engine.create_key(app, mode, None).await.unwrap().text.expose().clone()
        };
        Gateway {
            key: key(&shop, Mode::Test).await,
            live_key: key(&shop, Mode::Live).await,
            other_key: key(&other, Mode::Test).await,
            router: router(engine, settings),
            store,
            clock,
            stop,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        for name in ["request-id", "content-security-policy", "x-content-type-options"] {
            assert!(parts.headers.contains_key(name), "{name} is missing");
        }
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A reply whose body is still coming.
    pub(crate) async fn open(&self, request: Request<Body>) -> (http::response::Parts, Body) {
        self.router.clone().oneshot(request).await.unwrap().into_parts()
    }

    /// A request with the app's test key.
    pub(crate) fn request(&self, method: Method, path: &str, body: &str) -> Request<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("Authorization", format!("Bearer {}", self.key));
        let request = request.header("Content-Type", "application/json");
        request.body(Body::from(body.to_owned())).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, "")).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(self.request(Method::POST, path, body)).await
    }

    /// Without a key, as a payer's browser or a provider.
    pub(crate) async fn public(&self, method: Method, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("Accept", "text/html").header("Accept-Language", "en");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// A charge, 1200 fen, through a channel.
    pub(crate) async fn charge(&self, channel: &str, order_no: &str) -> Value {
        let body = format!(
            r#"{{"amount": 1200, "subject": "tea", "channel": "{channel}", "order_no": "{order_no}",
                "return_url": "https://shop.example/done", "metadata": {{"cart": "7"}}}}"#
        );
        let answer = self.post("/v1/charges", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// A charge through WeChat that was paid.
    pub(crate) async fn paid(&self, order_no: &str) -> Value {
        let charge = self.charge("wechat.native", order_no).await;
        let notice = format!("{order_no} 1200");
        let answer = self.public(Method::POST, "/notify/wechat/shop-wechat", &notice).await;
        assert_eq!(answer.text(), "success");
        charge
    }

    /// How many charges, events and jobs there are; nothing that was refused may add to it.
    pub(crate) async fn stored(&self) -> usize {
        let scope = Scope { app: app("shop"), mode: Mode::Test };
        let all = Page { limit: 1000, starting_after: None, ending_before: None };
        let charges = self.store.charges(&scope, &Default::default(), all).await.unwrap();
        let all = Page { limit: 1000, starting_after: None, ending_before: None };
        let events = self.store.events(&scope, &Default::default(), all).await.unwrap();
        let endpoints = self.store.endpoints(&scope).await.unwrap();
        let due = self.store.next_due().await.unwrap();
        charges.len() + events.len() + endpoints.len() + usize::from(due.is_some())
    }
}

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn setup() -> Setup {
    let account = |app_name: &str, name: &str, provider| tongbao_engine::Account {
        app: app(app_name),
        mode: Mode::Test,
        adapter: Arc::new(Account::new(name, provider)),
    };
    let polling = Polling {
        delay: Span::from_seconds(5),
        attempts: 6,
        backoff: Backoff::Exponential,
        ttl: Span::from_seconds(60),
    };
    Setup {
        apps: ["shop", "other"]
            .map(|name| tongbao_engine::App {
                name: app(name),
                policy: Policy::default(),
                keeps_replies: false,
            })
            .to_vec(),
        accounts: vec![
            account("shop", "shop-wechat", Provider::Wechat),
            account("shop", "shop-alipay", Provider::Alipay),
            account("other", "other-wechat", Provider::Wechat),
        ],
        polling,
        public_url: "https://pay.example".to_owned(),
        egress: Egress::default(),
        call_timeout: Span::from_seconds(5),
        lease: None,
        callbacks: std::sync::Arc::new(tongbao_engine::NoCallbacks),
        master_keys: tongbao_engine::MasterKeys::new([&Secret::new([7; 32])]),
    }
}

//! The providers: a sandbox for each merchant, spoken to without sockets, and for each a twin with
//! the same keys in which a forger rehearses what has not happened.

use crate::clock::SimClock;
use axum::Router;
use axum::body::{Body, to_bytes};
use http::Request;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tongbao_core::Action;
use tongbao_sandbox::{Credentials, DueNotice, Options, Rules, Sandbox, SandboxClock};
use tongbao_types::{HttpRequest, HttpResponse, Method, Provider, Timestamp};
use tower::ServiceExt;

/// Whose money it is. Each merchant has an app, and accounts of its own at both providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Merchant {
    /// The first.
    One,
    /// The second; its orders bear the same numbers.
    Two,
}

impl Merchant {
    /// Both.
    pub const ALL: [Merchant; 2] = [Merchant::One, Merchant::Two];

    /// Its name, which is also its app's.
    pub fn as_str(self) -> &'static str {
        match self {
            Merchant::One => "one",
            Merchant::Two => "two",
        }
    }
}

/// Where a merchant reaches its providers.
pub(crate) fn base(merchant: Merchant) -> &'static str {
    match merchant {
        Merchant::One => "http://one.provider.test",
        Merchant::Two => "http://two.provider.test",
    }
}

/// The keys are made once and kept in the target folder: making them takes seconds, and nothing in
/// a trace depends on them.
static MODELS: LazyLock<[Sandbox; 2]> = LazyLock::new(|| {
    Merchant::ALL.map(|merchant| {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tongbao-sim");
        let options = Options {
            credentials_dir: Some(target.join(merchant.as_str())),
            clock: SandboxClock::of(|| crate::clock::BEGINNING),
            ..Options::default()
        };
        Sandbox::open(options).expect("keys can be made and kept in the target folder")
    })
});

fn model(merchant: Merchant) -> &'static Sandbox {
    &MODELS[usize::from(merchant == Merchant::Two)]
}

/// What a merchant was given by its providers.
pub(crate) fn credentials(merchant: Merchant) -> &'static Credentials {
    model(merchant).credentials()
}

/// One merchant's sandbox in one life.
pub(crate) struct Desk {
    pub(crate) sandbox: Sandbox,
    host: &'static str,
    router: Router,
    forger: Router,
    twin: Sandbox,
}

/// A trade as the provider has it, read from what the sandbox shows to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenTrade {
    pub(crate) provider: Provider,
    pub(crate) out_trade_no: String,
    pub(crate) trade_no: String,
    pub(crate) amount: i64,
    pub(crate) state: String,
    pub(crate) is_paid: bool,
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) placed_at: Option<Timestamp>,
    pub(crate) refunds: Vec<SeenRefund>,
}

/// A refund of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenRefund {
    pub(crate) out_refund_no: String,
    pub(crate) amount: i64,
    pub(crate) state: String,
    pub(crate) accepted_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
}

impl Desk {
    pub(crate) fn open(merchant: Merchant, clock: &Arc<SimClock>, rules: Rules) -> Desk {
        let time = || {
            let clock = Arc::clone(clock);
            SandboxClock::of(move || clock.now())
        };
        let sandbox = model(merchant).anew(time(), rules);
        let twin = model(merchant).anew(time(), rules);
        let host = base(merchant).trim_start_matches("http://");
        Desk { host, router: sandbox.router(), forger: twin.router(), sandbox, twin }
    }

    /// Carries a merchant's request to the provider.
    pub(crate) async fn call(&self, request: &HttpRequest) -> HttpResponse {
        call(&self.router, self.host, request).await
    }

    /// Lets the twin hear an order too.
    pub(crate) async fn rehearse(&self, request: &HttpRequest) {
        call(&self.forger, self.host, request).await;
    }

    /// A notification that an order is paid which is not: right in every word, with a signature
    /// that the provider never made.
    pub(crate) async fn forge(
        &self,
        provider: Provider,
        number: &str,
        action: Option<&Action>,
    ) -> Option<DueNotice> {
        let wrong = json!({"notify": {"corrupt_signature": true}});
        control(&self.forger, Method::Post, "/_sandbox/faults", &wrong).await;
        let by_number = json!({"provider": provider.as_str(), "out_trade_no": number});
        let (mut status, _) =
            control(&self.forger, Method::Post, "/_sandbox/pay", &by_number).await;
        if let Some(action) = action.filter(|_| status != 200) {
            let by_code = json!({"code": code(action)});
            status = control(&self.forger, Method::Post, "/_sandbox/pay", &by_code).await.0;
        }
        (status == 200).then(|| self.twin.take_due()).flatten()
    }

    /// The next answer bears a wrong signature.
    pub(crate) async fn spoil_next(&self) {
        let fault = json!({"when": "after", "corrupt_signature": true, "times": 1});
        control(&self.router, Method::Post, "/_sandbox/faults", &fault).await;
    }

    /// The payer does something with an order; whether the provider let it.
    pub(crate) async fn pay(&self, what: &Value) -> (u16, Value) {
        control(&self.router, Method::Post, "/_sandbox/pay", what).await
    }

    /// When something happens next by itself.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.sandbox.next_at()
    }

    /// All trades.
    pub(crate) async fn trades(&self) -> Vec<SeenTrade> {
        let (_, all) = control(&self.router, Method::Get, "/_sandbox/trades", &Value::Null).await;
        all["data"].as_array().into_iter().flatten().map(read_trade).collect()
    }
}

/// What the payer's phone makes of what it is shown.
pub(crate) fn code(action: &Action) -> String {
    let find = |params: &[(String, String)], names: &[&str]| {
        let found = params.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    match action {
        Action::QrCode { code_url } => code_url.clone(),
        Action::Redirect { url } => url.clone(),
        Action::Form { html } => html.clone(),
        Action::Jsapi { params } => find(params, &["package", "tradeNO"]),
        Action::App { params } => find(params, &["prepayid", "orderString"]),
    }
}

async fn call(router: &Router, host: &str, request: &HttpRequest) -> HttpResponse {
    let mut built = Request::builder().method(request.method.as_str()).uri(&request.target);
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let built = built.header("host", host).body(Body::from(request.body.clone()));
    let Ok(built) = built else { return HttpResponse::new(400, "text/plain", "not HTTP") };
    let Ok(response) = router.clone().oneshot(built).await;
    let (parts, body) = response.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    HttpResponse { status: parts.status.as_u16(), headers: headers.collect(), body }
}

async fn control(router: &Router, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let (target, body) = (path.to_owned(), body.to_string().into());
    let request = HttpRequest { method, target, headers: Vec::new(), body };
    let answer = call(router, "sandbox.test", &request).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn read_trade(trade: &Value) -> SeenTrade {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    let refund = |refund: &Value| SeenRefund {
        out_refund_no: text(&refund["out_refund_no"]),
        amount: refund["amount"].as_i64().unwrap_or_default(),
        state: text(&refund["state"]),
        accepted_at: time(&refund["accepted_at"]),
        ended_at: time(&refund["ended_at"]),
    };
    SeenTrade {
        provider: if trade["provider"] == "wechat" { Provider::Wechat } else { Provider::Alipay },
        out_trade_no: text(&trade["out_trade_no"]),
        trade_no: text(&trade["trade_no"]),
        amount: trade["amount"].as_i64().unwrap_or_default(),
        state: text(&trade["state"]),
        is_paid: trade["paid_at"].is_string(),
        paid_at: time(&trade["paid_at"]),
        placed_at: time(&trade["created_at"]),
        refunds: trade["refunds"].as_array().into_iter().flatten().map(refund).collect(),
    }
}

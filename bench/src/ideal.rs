//! The ideal that tongbao is measured against: bare axum handlers that verify, decrypt, sign and
//! commit as any correct gateway must, and nothing else (no accounts, no state machine, no jobs, no
//! limits, no logs). It stands for the ceiling, not for a product: it would be wrong to run it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::{Deserialize, Serialize};

use crate::keys::{Keys, Signer, Verifier};
use crate::ledger::{Entry, Ledger};
use crate::messages::unix_seconds;

/// What the server is told when it starts.
#[derive(Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Its database file.
    pub(crate) database: std::path::PathBuf,
    /// The stub provider's address.
    pub(crate) provider: SocketAddr,
    /// The run's keys.
    pub(crate) keys: Keys,
}

struct Ideal {
    ledger: Ledger,
    merchant: Signer,
    wechat: Verifier,
    alipay: Verifier,
    sealer: LessSafeKey,
    client: Client<HttpConnector, Full<Bytes>>,
    settings: Settings,
}

/// Runs until the process is stopped.
pub(crate) fn serve(settings: &Path) -> Result<()> {
    let text = std::fs::read(settings).context("reading the settings")?;
    let settings: Settings = serde_json::from_slice(&text)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listen = settings.listen;
        let ideal = Arc::new(Ideal::new(settings)?);
        let router = Router::new()
            .route("/readyz", get(|| async { "ok" }))
            .route("/wechat", post(wechat))
            .route("/alipay", post(alipay))
            .route("/charge", post(charge))
            .with_state(ideal);
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |tcp| {
            // A socket that refuses the option is merely slower.
            let _ = tcp.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

impl Ideal {
    fn new(settings: Settings) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let executor = hyper_util::rt::TokioExecutor::new();
        let key = UnboundKey::new(&AES_256_GCM, settings.keys.api_v3_key.as_bytes());
        Ok(Self {
            ledger: Ledger::open(&settings.database)?,
            merchant: Signer::new(&settings.keys.merchant)?,
            wechat: Verifier::new(&settings.keys.wechat)?,
            alipay: Verifier::new(&settings.keys.alipay)?,
            sealer: LessSafeKey::new(key.map_err(|_| anyhow!("the APIv3 key needs 32 bytes"))?),
            client: Client::builder(executor).pool_max_idle_per_host(256).build(connector),
            settings,
        })
    }
}

#[derive(Deserialize)]
struct Notice<'a> {
    #[serde(borrow)]
    resource: Resource<'a>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    ciphertext: &'a str,
    associated_data: &'a str,
    nonce: &'a str,
}

#[derive(Deserialize)]
struct Trade {
    out_trade_no: String,
    transaction_id: String,
}

async fn wechat(State(ideal): State<Arc<Ideal>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok((trade, event)) = open_wechat(&ideal, &headers, &body) else {
        return StatusCode::UNAUTHORIZED;
    };
    let entry = Entry::Paid { order_no: trade.out_trade_no, trade_no: trade.transaction_id, event };
    if ideal.ledger.write(entry).await { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

fn open_wechat(ideal: &Ideal, headers: &HeaderMap, body: &[u8]) -> Result<(Trade, String)> {
    verify_wechat(ideal, headers, body)?;
    let notice: Notice<'_> = serde_json::from_slice(body)?;
    let mut plain = STANDARD.decode(notice.resource.ciphertext)?;
    let nonce = Nonce::try_assume_unique_for_key(notice.resource.nonce.as_bytes())?;
    let aad = Aad::from(notice.resource.associated_data.as_bytes());
    let plain = ideal.sealer.open_in_place(nonce, aad, &mut plain)?;
    Ok((serde_json::from_slice(plain)?, std::str::from_utf8(plain)?.to_owned()))
}

fn verify_wechat(ideal: &Ideal, headers: &HeaderMap, body: &[u8]) -> Result<()> {
    let header = |name: &str| -> Result<&str> {
        Ok(headers.get(name).with_context(|| format!("{name} is missing"))?.to_str()?)
    };
    let timestamp = header("wechatpay-timestamp")?;
    if timestamp.parse::<i64>()?.abs_diff(unix_seconds()) >= 300 {
        return Err(anyhow!("too old"));
    }
    let mut signed = format!("{timestamp}\n{}\n", header("wechatpay-nonce")?).into_bytes();
    signed.extend_from_slice(body);
    signed.push(b'\n');
    ideal.wechat.check(&signed, header("wechatpay-signature")?)
}

async fn alipay(State(ideal): State<Arc<Ideal>>, body: Bytes) -> &'static str {
    let Ok(entry) = open_alipay(&ideal, &body) else { return "fail" };
    if ideal.ledger.write(entry).await { "success" } else { "fail" }
}

fn open_alipay(ideal: &Ideal, body: &[u8]) -> Result<Entry> {
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    fields.sort();
    let field = |name: &str| {
        let found = fields.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok();
        found.map(|i| fields[i].1.clone()).with_context(|| format!("{name} is missing"))
    };
    let text = alipay_text(&fields);
    ideal.alipay.check(text.as_bytes(), &field("sign")?)?;
    let (order_no, trade_no) = (field("out_trade_no")?, field("trade_no")?);
    Ok(Entry::Paid { order_no, trade_no, event: text })
}

/// What Alipay signs of a notice: all members but `sign` and `sign_type`, sorted by name.
pub(crate) fn alipay_text(fields: &[(String, String)]) -> String {
    let mut kept: Vec<_> =
        fields.iter().filter(|(name, _)| name != "sign" && name != "sign_type").collect();
    kept.sort();
    let mut text = String::with_capacity(1_024);
    for (name, value) in kept {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

#[derive(Deserialize)]
struct ChargeRequest {
    amount: i64,
    subject: String,
    order_no: String,
}

#[derive(Deserialize)]
struct Placed {
    code_url: String,
}

async fn charge(
    State(ideal): State<Arc<Ideal>>,
    Json(request): Json<ChargeRequest>,
) -> (StatusCode, Json<serde_json::Value>) {
    match place(&ideal, &request).await {
        Ok(reply) => (StatusCode::CREATED, Json(reply)),
        Err(error) => {
            let problem = serde_json::json!({"detail": error.to_string()});
            (StatusCode::BAD_GATEWAY, Json(problem))
        }
    }
}

async fn place(ideal: &Ideal, request: &ChargeRequest) -> Result<serde_json::Value> {
    let (order_no, amount) = (request.order_no.clone(), request.amount);
    let event = serde_json::json!({"order_no": order_no, "amount": amount, "status": "pending"});
    let opened = Entry::Opened { order_no: order_no.clone(), amount, event: event.to_string() };
    if !ideal.ledger.write(opened).await {
        return Err(anyhow!("the order number is taken"));
    }
    let code_url = order_at_provider(ideal, request).await?;
    let reply = serde_json::json!({
        "object": "charge", "order_no": order_no, "amount": amount, "status": "pending",
        "action": {"type": "qr_code", "code_url": code_url},
    });
    let placed = Entry::Placed { order_no, code_url, event: reply.to_string() };
    ideal.ledger.write(placed).await.then_some(reply).context("the charge is gone")
}

async fn order_at_provider(ideal: &Ideal, request: &ChargeRequest) -> Result<String> {
    let (keys, path) = (&ideal.settings.keys, "/v3/pay/transactions/native");
    let body = serde_json::json!({
        "appid": keys.wechat_app_id, "mchid": keys.mch_id, "description": request.subject,
        "out_trade_no": request.order_no, "notify_url": "https://shop.example/notify",
        "amount": {"total": request.amount, "currency": "CNY"},
    })
    .to_string();
    let (timestamp, nonce) = (unix_seconds(), &request.order_no);
    let signed = format!("POST\n{path}\n{timestamp}\n{nonce}\n{body}\n");
    let authorization = format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{}\",\
         timestamp=\"{timestamp}\",serial_no=\"{}\"",
        keys.mch_id,
        ideal.merchant.sign(signed.as_bytes()),
        keys.merchant_serial,
    );
    let call = http::Request::post(format!("http://{}{path}", ideal.settings.provider))
        .header("authorization", authorization)
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("wechatpay-serial", &keys.wechat_key_id)
        .body(Full::from(body))?;
    let reply = ideal.client.request(call).await?;
    let (head, body) = reply.into_parts();
    let body = body.collect().await?.to_bytes();
    verify_wechat(ideal, &head.headers, &body)?;
    Ok(serde_json::from_slice::<Placed>(&body)?.code_url)
}

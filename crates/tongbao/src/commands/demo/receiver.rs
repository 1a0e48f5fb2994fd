//! The merchant's side: an address that takes webhooks and believes them only if their signature
//! (Standard Webhooks) is right and fresh; and addresses where older services told of payments.

use crate::commands::webhook;
use anyhow::{Context, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tongbao_crypt::webhook::WebhookSecret;
use tongbao_engine::Clock;
use tongbao_types::Timestamp;

const PATIENCE: Duration = Duration::from_secs(10);

/// A webhook that came and was verified.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// When, by the clock that orders go by.
    pub(super) at: Timestamp,
    /// `charge.succeeded` and so on.
    pub(super) kind: String,
    /// About which charge.
    pub(super) charge: String,
}

/// A payment that was told in an older service's own way.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// When, by the clock that orders go by.
    pub(super) at: Timestamp,
    /// Where.
    pub(super) place: String,
    /// The order's number in it.
    pub(super) number: String,
}

/// Where the receiver will listen.
pub(super) struct Door {
    listener: TcpListener,
    base: String,
}

impl Door {
    /// A free port.
    pub(super) async fn open() -> anyhow::Result<Door> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        Ok(Door { listener, base })
    }

    /// Where payments are told in an older service's own way.
    pub(super) fn told(&self, place: &str) -> String {
        format!("{}/told/{place}", self.base)
    }
}

/// Listens until it is dropped.
pub(super) struct Receiver {
    base: String,
    url: String,
    desk: Arc<Desk>,
    server: tokio::task::JoinHandle<()>,
}

struct Desk {
    clock: Arc<dyn Clock>,
    secret: OnceLock<WebhookSecret>,
    received: Mutex<Vec<Received>>,
    told: Mutex<Vec<Told>>,
    /// The first webhook that was not believed, and why.
    refused: Mutex<Option<String>>,
    changed: watch::Sender<()>,
}

impl Receiver {
    /// Listens behind its door.
    pub(super) fn start(door: Door, clock: Arc<dyn Clock>) -> Receiver {
        let Door { listener, base } = door;
        let url = format!("{base}/webhooks");
        let desk = Arc::new(Desk {
            clock,
            secret: OnceLock::new(),
            received: Mutex::default(),
            told: Mutex::default(),
            refused: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let router = Router::new()
            .route("/webhooks", post(take))
            .route("/told/{place}", post(hear))
            .with_state(Arc::clone(&desk));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the demo's webhook receiver ended");
            }
        });
        Receiver { base, url, desk, server }
    }

    /// Where webhooks go.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where payments are told in an older service's own way.
    pub(super) fn told_at(&self, place: &str) -> String {
        format!("{}/told/{place}", self.base)
    }

    /// What was told about an order.
    pub(super) fn told_about(&self, number: &str) -> Vec<Told> {
        let told = self.desk.told.lock().expect("nobody panics under this lock");
        told.iter().filter(|one| one.number == number).cloned().collect()
    }

    /// Waits until an order is told of at a place.
    pub(super) async fn wait_until_told(&self, place: &str, number: &str) -> anyhow::Result<()> {
        let mut changes = self.desk.changed.subscribe();
        let wait = async {
            while !self.told_about(number).iter().any(|told| told.place == place) {
                changes.changed().await?;
            }
            anyhow::Ok(())
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.with_context(|| format!("nobody told {place} of {number} within {PATIENCE:?}"))?
    }

    /// The secret that the gateway gave out for this address.
    pub(super) fn trust(&self, secret: &str) -> anyhow::Result<()> {
        let secret = WebhookSecret::read(secret).context("the webhook endpoint's secret")?;
        self.desk.secret.set(secret).map_err(|_| anyhow::anyhow!("the secret was set twice"))
    }

    /// Everything that came about a charge.
    pub(super) fn about(&self, charge: &str) -> Vec<Received> {
        let received = self.desk.received.lock().expect("nobody panics under this lock");
        received.iter().filter(|one| one.charge == charge).cloned().collect()
    }

    /// Waits for a webhook, or for one that cannot be believed.
    pub(super) async fn wait_for(&self, charge: &str, kind: &str) -> anyhow::Result<Received> {
        let mut changes = self.desk.changed.subscribe();
        let wait = async {
            loop {
                let refused = self.desk.refused.lock().expect("nobody panics here").clone();
                if let Some(why) = refused {
                    bail!("a webhook cannot be believed: {why}");
                }
                if let Some(found) = self.about(charge).into_iter().find(|one| one.kind == kind) {
                    return Ok(found);
                }
                changes.changed().await?;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.with_context(|| format!("no webhook {kind} came within {PATIENCE:?}"))?
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = match verify(&desk, &headers, &body) {
        Ok(received) => {
            desk.received.lock().expect("nobody panics under this lock").push(received);
            StatusCode::NO_CONTENT
        }
        Err(error) => {
            let mut refused = desk.refused.lock().expect("nobody panics under this lock");
            refused.get_or_insert(error.to_string());
            StatusCode::UNAUTHORIZED
        }
    };
    desk.changed.send_replace(());
    status
}

/// The order's number stands in it under one of the names that the older services had for it.
async fn hear(
    State(desk): State<Arc<Desk>>,
    Path(place): Path<String>,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "FAIL");
    };
    let names = [&body["out_trade_no"], &body["id"], &body["charge"]["id"]];
    let number = names.into_iter().find(|number| !number.is_null()).unwrap_or(&Value::Null);
    let number = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
    let told = Told { at: desk.clock.now(), place, number };
    desk.told.lock().expect("nobody panics under this lock").push(told);
    desk.changed.send_replace(());
    (StatusCode::OK, "SUCCESS")
}

fn verify(desk: &Desk, headers: &HeaderMap, body: &[u8]) -> anyhow::Result<Received> {
    let secret = desk.secret.get().context("no secret is known yet")?;
    let event = webhook::verified(secret, headers, body, desk.clock.wall())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Received {
        at: desk.clock.now(),
        kind: text(&event["type"]),
        charge: text(&event["data"]["object"]["id"]),
    })
}

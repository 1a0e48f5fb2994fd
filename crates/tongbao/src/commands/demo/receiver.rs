//! The merchant's side: an address that takes webhooks and believes them only if their signature
//! (Standard Webhooks) is right and fresh.

use crate::commands::webhook;
use anyhow::{Context, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
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

/// Listens until it is dropped.
pub(super) struct Receiver {
    url: String,
    desk: Arc<Desk>,
    server: tokio::task::JoinHandle<()>,
}

struct Desk {
    clock: Arc<dyn Clock>,
    secret: OnceLock<WebhookSecret>,
    received: Mutex<Vec<Received>>,
    /// The first webhook that was not believed, and why.
    refused: Mutex<Option<String>>,
    changed: watch::Sender<()>,
}

impl Receiver {
    /// Listens on a free port.
    pub(super) async fn start(clock: Arc<dyn Clock>) -> anyhow::Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/webhooks", listener.local_addr()?);
        let desk = Arc::new(Desk {
            clock,
            secret: OnceLock::new(),
            received: Mutex::default(),
            refused: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let router = Router::new().route("/webhooks", post(take)).with_state(Arc::clone(&desk));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the demo's webhook receiver ended");
            }
        });
        Ok(Receiver { url, desk, server })
    }

    /// Where webhooks go.
    pub(super) fn url(&self) -> &str {
        &self.url
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

//! A merchant's webhook address that verifies what comes and answers as it is told to.

use crate::world::{Answer, World, eventually, id};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tongbao_crypt::webhook::{self, WebhookSecret};

/// Listens until the test ends.
pub(crate) struct Merchant {
    pub(crate) endpoint: Value,
    desk: Arc<Desk>,
}

/// A webhook as it came.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signatures: String,
    pub(crate) raw: Vec<u8>,
    pub(crate) event: Value,
}

#[derive(Default)]
struct Desk {
    received: Mutex<Vec<Webhook>>,
    /// Answers before the usual 204.
    answers: Mutex<VecDeque<u16>>,
}

impl Merchant {
    /// Listens on a free port and makes itself known for these events.
    pub(crate) async fn open(world: &World, events: &[&str]) -> Merchant {
        let make_known = async |body| world.post("/v1/webhook_endpoints", body).await;
        Merchant::open_by(make_known, events).await
    }

    /// As [`Merchant::open`]; `make_known` posts the body of a new endpoint.
    pub(crate) async fn open_by(
        make_known: impl AsyncFnOnce(Value) -> Answer,
        events: &[&str],
    ) -> Merchant {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let desk = Arc::new(Desk::default());
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&desk));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let body = json!({"url": url, "events": events});
        let endpoint = make_known(body).await.expect(201);
        Merchant { endpoint, desk }
    }

    /// The next webhooks are answered with these statuses.
    pub(crate) fn will_answer(&self, statuses: &[u16]) {
        self.desk.answers.lock().unwrap().extend(statuses);
    }

    /// Everything that came, in order.
    pub(crate) fn received(&self) -> Vec<Webhook> {
        self.desk.received.lock().unwrap().clone()
    }

    /// Waits until so many webhooks of a type came about a charge.
    pub(crate) async fn until(&self, charge: &Value, kind: &str, count: usize) -> Vec<Webhook> {
        eventually(&format!("{count} times {kind}"), async || {
            let mut all = self.received();
            all.retain(|one| {
                one.event["type"] == kind && one.event["data"]["object"]["id"] == id(charge)
            });
            (all.len() >= count).then_some(all)
        })
        .await
    }

    /// Whether the endpoint's secret signed this.
    pub(crate) fn believes(&self, webhook: &Webhook) -> bool {
        let secret = WebhookSecret::read(self.endpoint["secret"].as_str().unwrap()).unwrap();
        let Webhook { id, timestamp, signatures, raw, .. } = webhook;
        webhook::verify(&secret, id, *timestamp, raw, signatures)
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    desk.received.lock().unwrap().push(Webhook {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap(),
        signatures: header("webhook-signature"),
        event: serde_json::from_slice(&body).unwrap(),
        raw: body.to_vec(),
    });
    let status = desk.answers.lock().unwrap().pop_front().unwrap_or(204);
    StatusCode::from_u16(status).unwrap()
}

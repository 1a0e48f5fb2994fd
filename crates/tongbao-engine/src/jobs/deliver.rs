//! Sends one event to one endpoint, signed by the Standard Webhooks scheme.
//!
//! Safe to run twice because a receiver tells repeats by `webhook-id`, which is the event's id.

use super::finish;
use crate::{Commit, Engine, Error, LoadedDelivery, Outgoing, Reach, Tls, WireError};
use bytes::Bytes;
use tongbao_core::rules::after_try;
use tongbao_core::{DeliveryState, Endpoint, Job, JobChange, Retry, Try};
use tongbao_crypt::webhook::{self, WebhookSecret};
use tongbao_types::{DeliveryId, HttpRequest, HttpResponse, Method, Span, Timestamp};
use url::Url;

const TIMEOUT: Span = Span::from_seconds(15);
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const ERROR_CHARS_MAX: usize = 200;

impl Engine {
    pub(super) async fn deliver(&self, job: &Job, id: DeliveryId) -> Result<(), Error> {
        let Some(mut loaded) = self.store().delivery(id).await? else {
            return self.settle(finish(job)).await;
        };
        if !matches!(loaded.delivery.state, DeliveryState::Pending { .. }) {
            return self.settle(finish(job)).await;
        }
        let Some(endpoint) = loaded.endpoint.clone().filter(|endpoint| endpoint.enabled) else {
            let at = self.clock().now();
            let error = Some("not sent: the endpoint is disabled or was deleted".to_owned());
            loaded.delivery.tries.push(Try { at, status: None, error, took: Span::ZERO });
            loaded.delivery.state = DeliveryState::Failed { at };
            return self.record(loaded, finish(job)).await;
        };
        let began = self.clock().wall();
        let answered = self.send_event(&endpoint, &loaded).await;
        let took = self.clock().wall().since(began);
        let now = self.clock().now();
        let outcome = describe(answered, now, took);
        let jitter = u32::from(u16::from_be_bytes(self.random())) % 1000;
        let change = match after_try(&mut loaded.delivery, outcome, jitter, now) {
            Retry::No => finish(job),
            Retry::At(run_at) => {
                let error = loaded.delivery.tries.last().and_then(|last| last.error.clone());
                JobChange::Again { id: job.id, epoch: job.epoch, run_at, error }
            }
        };
        self.record(loaded, change).await
    }

    async fn record(&self, loaded: LoadedDelivery, change: JobChange) -> Result<(), Error> {
        let delivery_tried = Some(loaded.delivery);
        let jobs = vec![change];
        self.store().commit(Commit { delivery_tried, jobs, ..Commit::default() }).await?;
        Ok(())
    }

    async fn send_event(
        &self,
        endpoint: &Endpoint,
        loaded: &LoadedDelivery,
    ) -> Result<HttpResponse, WireError> {
        let url = Url::parse(&endpoint.url).map_err(|e| WireError::Forbidden(e.to_string()))?;
        self.egress().check_url(&url).map_err(WireError::Forbidden)?;
        let id = loaded.event.event.id.to_string();
        let body = loaded.event.body.as_bytes();
        let wall = self.clock().wall();
        let headers = signed_headers(endpoint, &id, wall, body)?;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let body = Bytes::copy_from_slice(body);
        let request = HttpRequest { method: Method::Post, target, headers, body };
        let outgoing = Outgoing {
            base: url.origin().ascii_serialization(),
            request,
            timeout: TIMEOUT,
            answer_max: ANSWER_BYTES_MAX,
            reach: Reach::Merchant,
            tls: Tls::default(),
        };
        self.wire().send(outgoing).await
    }
}

fn signed_headers(
    endpoint: &Endpoint,
    id: &str,
    wall: Timestamp,
    body: &[u8],
) -> Result<Vec<(String, String)>, WireError> {
    let old = endpoint.secret_old.as_ref().filter(|(_, until)| wall < *until);
    let secrets = std::iter::once(&endpoint.secret).chain(old.map(|(secret, _)| secret));
    let mut signatures = Vec::new();
    for secret in secrets {
        let secret = WebhookSecret::read(secret.expose());
        let secret = secret.map_err(|error| WireError::Forbidden(error.to_string()))?;
        signatures.push(webhook::sign(&secret, id, wall.as_seconds(), body));
    }
    let header = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        header("content-type", "application/json".to_owned()),
        header("user-agent", concat!("tongbao/", env!("CARGO_PKG_VERSION")).to_owned()),
        header("webhook-id", id.to_owned()),
        header("webhook-timestamp", wall.as_seconds().to_string()),
        header("webhook-signature", signatures.join(" ")),
    ])
}

fn describe(answered: Result<HttpResponse, WireError>, at: Timestamp, took: Span) -> Try {
    match answered {
        Ok(response) => {
            let accepted = (200..300).contains(&response.status);
            let text = String::from_utf8_lossy(&response.body);
            let beginning = text.chars().take(ERROR_CHARS_MAX).collect();
            let error = (!accepted).then_some(beginning);
            Try { at, status: Some(response.status), error, took }
        }
        Err(error) => Try { at, status: None, error: Some(error.to_string()), took },
    }
}

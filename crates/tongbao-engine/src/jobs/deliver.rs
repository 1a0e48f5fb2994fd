//! Sends one event to one endpoint, signed by the Standard Webhooks scheme; or makes an older
//! service's callback.
//!
//! Safe to run twice because a receiver tells repeats by `webhook-id`, which is the event's id; a
//! callback's by the order's number, as they always had to.

use super::finish;
use crate::{
    CallbackRequest, Commit, Engine, Error, LoadedDelivery, Outgoing, Reach, Tls, WireError,
};
use bytes::Bytes;
use tongbao_core::rules::{after_try, is_accepted};
use tongbao_core::{Callback, DeliveryState, Endpoint, Job, JobChange, Retry, Target, Try};
use tongbao_crypt::webhook::{self, WebhookSecret};
use tongbao_types::{ChargeId, DeliveryId, HttpRequest, HttpResponse, Method, Span, Timestamp};
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
        let began = self.clock().wall();
        let answered = match loaded.delivery.target {
            Target::Endpoint(_) => self.send_to_endpoint(&loaded).await,
            Target::Callback(callback) => self.call_back(callback, &loaded).await,
        };
        let took = self.clock().wall().since(began);
        let now = self.clock().now();
        let answered = match answered {
            Sent::Nobody(why) => {
                let error = Some(why);
                loaded.delivery.tries.push(Try { at: now, status: None, error, took: Span::ZERO });
                loaded.delivery.state = DeliveryState::Failed { at: now };
                return self.record(loaded, finish(job)).await;
            }
            Sent::Answered(answer) => answer,
        };
        let accepted = answered.as_ref().is_ok_and(|answer| self.is_accepted(&loaded, answer));
        let outcome = (describe(answered, accepted, now, took), accepted);
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

    fn is_accepted(&self, loaded: &LoadedDelivery, answer: &HttpResponse) -> bool {
        match loaded.delivery.target {
            Target::Endpoint(_) => is_accepted(answer.status),
            Target::Callback(callback) => self.callbacks().accepts(callback, answer),
        }
    }

    async fn send_to_endpoint(&self, loaded: &LoadedDelivery) -> Sent {
        let endpoint = loaded.endpoint.as_ref().filter(|endpoint| endpoint.enabled);
        let Some(endpoint) = endpoint else {
            return Sent::Nobody("not sent: the endpoint is disabled or was deleted".to_owned());
        };
        let id = loaded.event.event.id.to_string();
        let body = loaded.event.body.as_bytes();
        let signed = self.signed_headers(endpoint, &id, body);
        Sent::Answered(match signed {
            Ok(headers) => self.post(&endpoint.url, headers, Bytes::copy_from_slice(body)).await,
            Err(error) => Err(error),
        })
    }

    /// A secret that does not open signs nothing: the try fails and says which key is wanted.
    fn signed_headers(
        &self,
        endpoint: &Endpoint,
        id: &str,
        body: &[u8],
    ) -> Result<Vec<(String, String)>, WireError> {
        let wall = self.clock().wall();
        let secrets = self.signing_secrets(endpoint, wall);
        let mut signatures = Vec::new();
        for secret in secrets.map_err(|error| WireError::Forbidden(error.to_string()))? {
            let secret = WebhookSecret::read(secret.expose());
            let secret = secret.map_err(|error| WireError::Forbidden(error.to_string()))?;
            signatures.push(webhook::sign(&secret, id, wall.as_seconds(), body));
        }
        let header = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = headers();
        headers.extend([
            header("webhook-id", id.to_owned()),
            header("webhook-timestamp", wall.as_seconds().to_string()),
            header("webhook-signature", signatures.join(" ")),
        ]);
        Ok(headers)
    }

    /// The profile makes the message anew each time, from how the charge stands.
    async fn call_back(&self, callback: Callback, loaded: &LoadedDelivery) -> Sent {
        let charge = loaded.event.event.charge;
        Sent::Answered(match self.callback_request(callback, charge).await {
            Ok(CallbackRequest { url, body }) => self.post(&url, headers(), body.into()).await,
            Err(why) => Err(WireError::Forbidden(why)),
        })
    }

    async fn callback_request(
        &self,
        callback: Callback,
        charge: ChargeId,
    ) -> Result<CallbackRequest, String> {
        let loaded = self.load(charge).await.map_err(|error| error.to_string())?;
        let replies = self.store().provider_replies(charge).await;
        let replies = replies.map_err(|error| error.to_string())?;
        self.callbacks().request(callback, &loaded, &replies)
    }

    async fn post(
        &self,
        url: &str,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Result<HttpResponse, WireError> {
        let url = Url::parse(url).map_err(|e| WireError::Forbidden(e.to_string()))?;
        self.egress().check_url(&url).map_err(WireError::Forbidden)?;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
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

/// What became of one try.
enum Sent {
    /// Nobody is there to send to, and nobody will be.
    Nobody(String),
    /// An answer, or none this time.
    Answered(Result<HttpResponse, WireError>),
}

fn headers() -> Vec<(String, String)> {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        header("content-type", "application/json"),
        header("user-agent", concat!("tongbao/", env!("CARGO_PKG_VERSION"))),
    ]
}

fn describe(
    answered: Result<HttpResponse, WireError>,
    accepted: bool,
    at: Timestamp,
    took: Span,
) -> Try {
    match answered {
        Ok(response) => {
            let text = String::from_utf8_lossy(&response.body);
            let beginning = text.chars().take(ERROR_CHARS_MAX).collect();
            let error = (!accepted).then_some(beginning);
            Try { at, status: Some(response.status), error, took }
        }
        Err(error) => Try { at, status: None, error: Some(error.to_string()), took },
    }
}

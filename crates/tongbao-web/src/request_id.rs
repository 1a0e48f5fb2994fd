//! Each reply bears a `Request-Id`, and so does each line of the log that was written meanwhile.
//!
//! The id is made here, never taken from the caller, so that it finds one request and no other.

use crate::client_address::{ClientAddress, PeerAddress, client_address};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use ipnet::IpNet;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tracing::Instrument;

/// The name of one request: `req_` and 28 hexadecimal digits, the first twelve of them its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

/// Names requests and finds their clients' addresses; the state of [`layer`].
#[derive(Clone)]
pub struct Requests(Arc<Naming>);

struct Naming {
    trusted_proxies: Vec<IpNet>,
    // A keyed hash of a counter: no two requests of a process have the same, and another
    // process has other keys. Nothing secret hangs on it.
    keys: RandomState,
    count: AtomicU64,
}

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// The id of the request that this task is answering.
    pub fn current() -> Option<RequestId> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Requests {
    /// `trusted_proxies`: from which networks `X-Forwarded-For` is believed.
    pub fn new(trusted_proxies: Vec<IpNet>) -> Requests {
        let (keys, count) = (RandomState::new(), AtomicU64::new(0));
        Requests(Arc::new(Naming { trusted_proxies, keys, count }))
    }

    fn next_id(&self) -> RequestId {
        let count = self.0.count.fetch_add(1, Ordering::Relaxed);
        let mut hasher = self.0.keys.build_hasher();
        hasher.write_u64(count);
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis());
        RequestId(format!("req_{millis:012x}{:016x}", hasher.finish()))
    }
}

/// For `axum::middleware::from_fn_with_state`: names the request, writes the log's line about it.
/// The query is left out of the log, since it may hold a client secret.
pub async fn layer(State(requests): State<Requests>, mut request: Request, next: Next) -> Response {
    let id = requests.next_id();
    let began = Instant::now();
    if let Some(PeerAddress(peer)) = request.extensions().get::<PeerAddress>().copied() {
        let client = client_address(peer, request.headers(), &requests.0.trusted_proxies);
        request.extensions_mut().insert(ClientAddress(client));
    }
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0);
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        method = %request.method(),
        path = request.uri().path(),
        client.address = client.map(tracing::field::display),
    );
    let value = HeaderValue::from_str(id.as_str()).expect("hexadecimal digits fit a header");
    let answering = CURRENT.scope(id, next.run(request));
    let mut response = answering.instrument(span.clone()).await;
    response.headers_mut().insert("request-id", value);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        tracing::debug!(status = response.status().as_u16(), duration_ms, "answered a request");
    });
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn seen() -> String {
        RequestId::current().expect("the layer has named it").to_string()
    }

    #[tokio::test]
    async fn a_reply_bears_the_id_that_the_handler_saw_and_the_next_bears_another() {
        let naming = axum::middleware::from_fn_with_state(Requests::new(Vec::new()), layer);
        let app = Router::new().route("/", get(seen)).layer(naming);
        let mut ids = Vec::new();
        for _ in 0..2 {
            let request = http::Request::get("/").header("Request-Id", "req_forged");
            let reply = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let id = reply.headers()["request-id"].to_str().unwrap().to_owned();
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, id.as_bytes());
            assert_eq!(id.len(), 32);
            ids.push(id);
        }
        assert_ne!(ids[0], ids[1]);
    }
}

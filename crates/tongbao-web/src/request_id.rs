//! The first thing that happens to a request in every face: it gets a name and passes the gate.
//!
//! Each reply bears a `Request-Id`, and so does each line of the log that was written meanwhile.
//! The id is made here, never taken from the caller, so that it finds one request and no other.

use crate::client_address::{ClientAddress, PeerAddress, client_address};
use crate::gate::{Class, Gate, UnderWay};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use ipnet::IpNet;
use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tongbao_engine::Error;
use tongbao_types::Span;
use tracing::Instrument;

/// The name of one request: `req_` and 28 hexadecimal digits, the first twelve of them its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

/// What the gate must know of a face's routes.
#[derive(Debug, Clone, Copy)]
pub struct Face {
    /// What a request to this path is.
    pub class: fn(&Method, &str) -> Class,
    /// Whether strangers may ask for this, so that they are counted by their addresses.
    pub is_public: fn(&Method, &str, &HeaderMap) -> bool,
    /// Turns a request away. A face without it asks [`admitted`] in its handlers.
    pub refuse: Option<fn(Error, &Uri, &HeaderMap) -> Response>,
}

/// Names requests, finds their clients' addresses and lets them through the gate; the state of
/// [`layer`].
#[derive(Clone)]
pub struct Requests(Arc<Naming>);

struct Naming {
    trusted_proxies: Vec<IpNet>,
    gate: Gate,
    face: Face,
    // A keyed hash of a counter: no two requests of a process have the same, and another
    // process has other keys. Nothing secret hangs on it.
    keys: RandomState,
    count: AtomicU64,
}

/// What is known of the request that a task is answering.
struct Current {
    id: RequestId,
    refusal: Option<Error>,
    retry_after: Cell<Option<Span>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

/// Whether the gate let the request in that this task is answering. A handler asks before it does
/// anything.
///
/// Fails as the gate did.
pub fn admitted() -> Result<(), Error> {
    CURRENT.try_with(|current| current.refusal.clone()).ok().flatten().map_or(Ok(()), Err)
}

/// Says in the reply's `Retry-After` when to come again, for faces whose bodies have no room for
/// it.
pub fn come_again_after(span: Span) {
    // Without a request, as in tests of a handler, there is no reply to say it in.
    let _said = CURRENT.try_with(|current| current.retry_after.set(Some(span)));
}

/// A `Retry-After` in whole seconds, rounded up, at least one.
pub fn retry_after(span: Span) -> HeaderValue {
    let seconds = (span + Span::from_micros(999_999)).as_seconds().max(1);
    HeaderValue::from(seconds)
}

impl RequestId {
    /// The id of the request that this task is answering.
    pub fn current() -> Option<RequestId> {
        CURRENT.try_with(|current| current.id.clone()).ok()
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
    pub fn new(trusted_proxies: Vec<IpNet>, gate: Gate, face: Face) -> Requests {
        let (keys, count) = (RandomState::new(), AtomicU64::new(0));
        Requests(Arc::new(Naming { trusted_proxies, gate, face, keys, count }))
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
    let entered = requests.enter(&request);
    let (_under_way, refusal) = match entered {
        Ok(under_way) => (Some(under_way), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let current = Current { id, refusal, retry_after: Cell::new(None) };
    let answering = CURRENT.scope(current, answer(requests.0.face, request, next));
    let mut response = answering.instrument(span.clone()).await;
    response.headers_mut().insert("request-id", value);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        tracing::debug!(status = response.status().as_u16(), duration_ms, "answered a request");
    });
    response
}

impl Requests {
    fn enter(&self, request: &Request) -> Result<UnderWay, Error> {
        let Naming { gate, face, .. } = &*self.0;
        let (method, path) = (request.method(), request.uri().path());
        let class = (face.class)(method, path);
        let client = request.extensions().get::<ClientAddress>();
        if let Some(ClientAddress(client)) = client.filter(|_| class != Class::Health)
            && (face.is_public)(method, path, request.headers())
        {
            gate.admit_stranger(*client)?;
        }
        gate.begin(class)
    }
}

async fn answer(face: Face, request: Request, next: Next) -> Response {
    let refused = face.refuse.and_then(|refuse| {
        let error = admitted().err()?;
        Some(refuse(error, request.uri(), request.headers()))
    });
    let mut response = match refused {
        Some(response) => response,
        None => next.run(request).await,
    };
    say_when(&mut response);
    response
}

/// Whoever is told to come later is told when.
fn say_when(response: &mut Response) {
    let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    if !later.contains(&response.status()) || response.headers().contains_key(RETRY_AFTER) {
        return;
    }
    let said = CURRENT.try_with(|current| current.retry_after.get()).ok().flatten();
    let value = retry_after(said.unwrap_or(Span::from_seconds(1)));
    response.headers_mut().insert(RETRY_AFTER, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Limits;
    use axum::Router;
    use axum::body::Body;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn seen() -> String {
        RequestId::current().expect("the layer has named it").to_string()
    }

    const FACE: Face =
        Face { class: |_, _| Class::Order, is_public: |_, _, _| false, refuse: None };

    fn naming(limits: Limits, face: Face) -> impl Fn(Router) -> Router {
        let requests = Requests::new(Vec::new(), Gate::new(limits), face);
        move |router| router.layer(axum::middleware::from_fn_with_state(requests.clone(), layer))
    }

    #[tokio::test]
    async fn a_reply_bears_the_id_that_the_handler_saw_and_the_next_bears_another() {
        let naming = naming(Limits::default(), FACE);
        let app = naming(Router::new().route("/", get(seen)));
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

    async fn ask(app: &Router, path: &str) -> Response {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_turned_away_is_told_when_to_come_again() {
        let full = Limits { orders_under_way: 0, ..Limits::default() };
        fn refuse(_: Error, _: &Uri, _: &HeaderMap) -> Response {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        let face = Face { refuse: Some(refuse), ..FACE };
        let app = naming(full, face)(Router::new().route("/", get(seen)));
        let reply = ask(&app, "/").await;
        assert_eq!(reply.status(), 503);
        assert_eq!(reply.headers()[RETRY_AFTER], "1");
        // A face that answers itself.
        let own = async || match admitted() {
            Ok(()) => StatusCode::OK,
            Err(_) => {
                come_again_after(Span::from_millis(2500));
                StatusCode::TOO_MANY_REQUESTS
            }
        };
        let app = naming(full, FACE)(Router::new().route("/", get(own)));
        let reply = ask(&app, "/").await;
        assert_eq!(reply.status(), 429);
        assert_eq!(reply.headers()[RETRY_AFTER], "3");
    }

    #[tokio::test]
    async fn room_is_given_back_with_the_reply() {
        let one = Limits { orders_under_way: 1, ..Limits::default() };
        let own = async || admitted().map_or(StatusCode::IM_A_TEAPOT, |()| StatusCode::OK);
        let app = naming(one, FACE)(Router::new().route("/", get(own)));
        for _ in 0..3 {
            assert_eq!(ask(&app, "/").await.status(), 200);
        }
    }
}

//! Serves a router on a listening socket, HTTP/1.1, until it is told to stop.
//!
//! axum's own `serve` waits for ever for the end of a request's headers and for a caller that does
//! not read; this one does not, bounds the number of connections, and hands the peer's address on.
//! Who must go when there is no room is decided in `room.rs`. The request's target stays as it was
//! sent, since a provider's signature may cover it.

use crate::client_address::PeerAddress;
use crate::connection::{Arriving, Leaving, Line, asks_for_too_much};
use crate::limits::BODY_MAX;
use crate::room::{Place, Room, Seat};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tongbao_types::Code;
use tower::Service;

/// The longest target of a request, in bytes; longer ones get 414.
const TARGET_MAX: usize = 8 * 1024;

/// All headers of a request together, in bytes; more get 431. hyper takes 100 of them at most.
const HEADERS_MAX: usize = 32 * 1024;

/// So long does a connection that has said nothing get when the server stops.
const LAST_LOOK: Duration = Duration::from_millis(100);

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// A request's headers must be there within this time after its first byte, and the first
    /// byte within this time after the connection or the last reply.
    pub header_timeout: Duration,
    /// A caller that takes nothing of its reply for so long is cut off.
    pub write_timeout: Duration,
    /// So many connections at once. One more takes the place of one that keeps us waiting.
    pub connections_max: usize,
    /// So long are requests under way waited for after being told to stop.
    pub patience: Duration,
}

/// How a server is told to stop. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// It will stop soon: it still serves, but no connection for longer than one more reply.
    pub soon: CancellationToken,
    /// It stops: nothing new is taken in.
    pub now: CancellationToken,
}

impl Default for Serving {
    fn default() -> Serving {
        Serving {
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            connections_max: 4096,
            // Two calls to a provider may stand behind a reply.
            patience: Duration::from_secs(20),
        }
    }
}

/// Serves until `stop.now` is cancelled, then closes idle connections, waits for requests under
/// way, and returns. From `stop.soon` on each reply says `Connection: close`, so that callers that
/// keep connections open come back by new ones, which a balancer gives to others.
pub async fn serve(listener: TcpListener, app: Router, serving: Serving, stop: Stop) {
    let graceful = GracefulShutdown::new();
    let room = Room::new(serving.connections_max);
    loop {
        let accepted = tokio::select! {
            () = stop.now.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                // Out of file descriptors, most likely: they come back when others hang up.
                tracing::warn!(error = %cause, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let connection = Connection { stream, peer, place };
        let (app, watcher) = (app.clone(), graceful.watcher());
        tokio::spawn(connection.run(app, serving, watcher, stop.clone()));
    }
    // What the kernel has taken in already is served too; nobody could send it again elsewhere.
    while let Ok(Ok((stream, peer, place))) =
        tokio::time::timeout(Duration::ZERO, accept(&listener, &room)).await
    {
        let connection = Connection { stream, peer, place };
        let (app, watcher) = (app.clone(), graceful.watcher());
        tokio::spawn(connection.run(app, serving, watcher, stop.clone()));
    }
    drop(listener);
    if tokio::time::timeout(serving.patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still under way when the server stopped");
    }
}

type Accepted = (TcpStream, SocketAddr, Place);

/// Room is made only for somebody who is there.
async fn accept(listener: &TcpListener, room: &Arc<Room>) -> std::io::Result<Accepted> {
    let (stream, peer) = listener.accept().await?;
    let place = room.enter(peer.ip()).await;
    Ok((stream, peer, place))
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
}

impl Connection {
    async fn run(self, app: Router, serving: Serving, watcher: Watcher, stop: Stop) {
        let Connection { stream, peer, place } = self;
        let seat = &place.seat;
        // Replies are small and complete; waiting to fill a packet would only delay them.
        let _unsupported = stream.set_nodelay(true);
        let speaks = tokio::select! {
            read = stream.readable() => read.is_ok(),
            () = tokio::time::sleep(serving.header_timeout) => false,
            () = seat.asked_to_leave() => false,
            () = stop.now.cancelled() => {
                // Its first bytes may be here, and nobody has looked yet.
                let look = tokio::time::timeout(LAST_LOOK, stream.readable()).await;
                look.is_ok_and(|read| read.is_ok())
            }
        };
        // Until the first byte is there a connection costs a socket and no buffers.
        if !speaks {
            return;
        }
        // Boxed, so that those who say nothing stay small.
        Box::pin(talk(stream, peer, seat, (app, serving, watcher, stop))).await;
    }
}

async fn talk(
    stream: TcpStream,
    peer: SocketAddr,
    seat: &Arc<Seat>,
    (app, serving, watcher, stop): (Router, Serving, Watcher, Stop),
) {
    let line = Line::new(stream, Arc::clone(seat), serving.write_timeout);
    let soon = &stop.soon;
    let service = hyper::service::service_fn(|request| {
        answer(request, app.clone(), peer, (Arc::clone(seat), soon.clone()))
    });
    // One that began to speak when the server stopped gets its one answer: told to stop before its
    // first request is read, hyper would drop it.
    let is_last = stop.now.is_cancelled();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(!is_last)
        .header_read_timeout(serving.header_timeout)
        .max_header_size(HEADERS_MAX)
        // Also what is read ahead of a request that is being answered.
        .max_buf_size(HEADERS_MAX)
        // A caller that hangs up early must not cut a request in two: what was begun, an
        // order at a provider above all, runs to its end.
        .half_close(true)
        .serve_connection(TokioIo::new(line), service);
    let connection =
        async { if is_last { connection.await } else { watcher.watch(connection).await } };
    tokio::select! {
        biased;
        () = seat.asked_to_leave() => {
            tracing::debug!(peer = %peer, "a connection that kept us waiting made room");
        }
        ended = connection => if let Err(cause) = ended {
            tracing::debug!(error = %cause, peer = %peer, "a connection broke");
        },
    }
}

async fn answer(
    request: http::Request<Incoming>,
    app: Router,
    peer: SocketAddr,
    (seat, soon): (Arc<Seat>, CancellationToken),
) -> Result<http::Response<Leaving>, Infallible> {
    seat.works();
    // A proxy and this server could disagree about where such a request ends, and one of them
    // would take its rest for another request. So nothing comes after it.
    let is_last = request.headers().contains_key(TRANSFER_ENCODING);
    let mut response = if request.uri().path_and_query().is_some_and(is_too_long) {
        refused(StatusCode::URI_TOO_LONG)
    } else {
        let is_unwanted = asks_for_too_much(request.headers(), BODY_MAX);
        let arriving = |body| Body::new(Arriving::new(body, Arc::clone(&seat), is_unwanted));
        let mut request = request.map(arriving);
        request.extensions_mut().insert(PeerAddress(peer.ip()));
        called(app, request).await
    };
    if is_last || soon.is_cancelled() {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    Ok(response.map(|body| Leaving::new(body, seat)))
}

async fn called(mut app: Router, request: http::Request<Body>) -> Response {
    match AssertUnwindSafe(app.call(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(_) => broke_off(),
    }
}

fn is_too_long(target: &http::uri::PathAndQuery) -> bool {
    target.as_str().len() > TARGET_MAX
}

fn refused(status: StatusCode) -> Response {
    (status, [(CONNECTION, CLOSE)]).into_response()
}

/// The answer of a handler that panicked, so that its caller is not left with a cut connection.
/// What it panicked with is for the log alone.
fn broke_off() -> Response {
    let body = serde_json::json!({
        "type": "urn:tongbao:error:internal",
        "title": Code::Internal.meaning(),
        "status": 500,
        "detail": "This request could not be finished; the log says why. Under an Idempotency-Key \
                   nothing is done twice.",
        "code": Code::Internal.as_str(),
        "money_moved": "unknown",
        "retry": "same_request",
    });
    let content_type = HeaderValue::from_static("application/problem+json");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    (status, [(CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Extension;
    use axum::routing::{get, post};
    use http::Uri;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    struct Server {
        address: SocketAddr,
        stop: Stop,
        running: JoinHandle<()>,
        /// Told when the endless reply ends.
        ended: tokio::sync::watch::Receiver<()>,
    }

    struct Told(tokio::sync::watch::Sender<()>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send_replace(());
        }
    }

    async fn start(serving: Serving) -> Server {
        let show = async |Extension(PeerAddress(peer)): Extension<PeerAddress>, target: Uri| {
            format!("{peer} {target}")
        };
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "at last"
        };
        let read = async |body: Body| match crate::limits::read_body(body, BODY_MAX).await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
        };
        let broken = async || -> &'static str { panic!("with s3cret words") };
        let (ending, ended) = tokio::sync::watch::channel(());
        let endless = async move || {
            let told = Told(ending.clone());
            let piece = move || {
                let _told_when_dropped = &told;
                Some(Ok::<_, std::io::Error>("x".repeat(65_536)))
            };
            Body::from_stream(futures_util::stream::iter(std::iter::from_fn(piece)))
        };
        let app = Router::new().route("/slow", get(slow)).route("/read", post(read));
        let app = app.route("/endless", get(endless)).route("/broken", get(broken)).fallback(show);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Stop::default();
        let running = tokio::spawn(serve(listener, app, serving, stop.clone()));
        Server { address, stop, running, ended }
    }

    async fn send(address: SocketAddr, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn the_target_arrives_as_sent_together_with_the_peer() {
        let server = start(Serving::default()).await;
        let request = "GET /a%2Fb//c?x=%e4%BD&y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let reply = rest(send(server.address, request).await).await;
        assert!(reply.ends_with("127.0.0.1 /a%2Fb//c?x=%e4%BD&y"), "{reply}");
    }

    #[tokio::test]
    async fn half_a_header_is_not_waited_for() {
        let header_timeout = Duration::from_millis(100);
        let server = start(Serving { header_timeout, ..Serving::default() }).await;
        let stream = send(server.address, "GET / HTTP/1.1\r\nHo").await;
        let closed = tokio::time::timeout(Duration::from_secs(5), rest(stream)).await;
        assert!(closed.is_ok(), "the connection is still open");
    }

    /// On the same connection, too.
    #[tokio::test]
    async fn a_handler_that_panics_answers_without_its_words_and_the_next_one_works() {
        let server = start(Serving::default()).await;
        let requests = "GET /broken HTTP/1.1\r\nHost: h\r\n\r\n\
                        GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let replies = rest(send(server.address, requests).await).await;
        assert!(replies.starts_with("HTTP/1.1 500 "), "{replies}");
        assert!(replies.contains("\"code\":\"internal\"") && !replies.contains("s3cret"));
        assert!(replies.ends_with("127.0.0.1 /next"), "{replies}");
    }

    #[tokio::test]
    async fn a_caller_that_stops_sending_still_gets_its_answer() {
        let server = start(Serving::default()).await;
        let request = "GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let mut stream = send(server.address, request).await;
        stream.shutdown().await.unwrap();
        assert!(rest(stream).await.ends_with("at last"));
    }

    #[tokio::test]
    async fn stopping_waits_for_requests_under_way_and_closes_idle_connections() {
        let server = start(Serving::default()).await;
        let idle = send(server.address, "").await;
        let busy = send(server.address, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.stop.now.cancel();
        assert!(rest(busy).await.ends_with("at last"));
        assert_eq!(rest(idle).await, "");
        server.running.await.unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[tokio::test]
    async fn before_it_stops_it_serves_on_and_ends_each_connection_with_its_reply() {
        let server = start(Serving::default()).await;
        let request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
        let busy = send(server.address, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let idle = send(server.address, "").await;
        server.stop.soon.cancel();
        let mut later = send(server.address, request).await;
        later.write_all(request.as_bytes()).await.unwrap();
        // Each reads to the end, so the server has closed the connection.
        for reply in [rest(busy).await, rest(later).await] {
            assert_eq!(reply.matches("HTTP/1.1 200").count(), 1, "{reply}");
            assert!(reply.contains("connection: close"), "{reply}");
        }
        let mut idle = idle;
        idle.write_all(request.as_bytes()).await.unwrap();
        assert!(rest(idle).await.contains("127.0.0.1 /x"));
    }

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_who_waits_and_never_of_who_is_at_work() {
        let serving = Serving { connections_max: 2, ..Serving::default() };
        let server = start(serving).await;
        let busy = send(server.address, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let idle = send(server.address, "").await;
        let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        for _ in 0..3 {
            assert!(rest(send(server.address, request).await).await.contains("127.0.0.1 /"));
        }
        assert_eq!(rest(idle).await, "");
        let mut busy = busy;
        let mut reply = [0; 12];
        busy.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn a_half_sent_request_makes_room_too() {
        let server = start(Serving { connections_max: 1, ..Serving::default() }).await;
        let head = "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf";
        let mut slow = send(server.address, head).await;
        let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        assert!(rest(send(server.address, request).await).await.contains("127.0.0.1 /"));
        // Its last bytes may not have been read, and then the connection is reset.
        let mut reply = Vec::new();
        let _reset = slow.read_to_end(&mut reply).await;
        assert_eq!(reply, b"");
    }

    #[tokio::test]
    async fn a_reply_that_nobody_reads_is_cut_off() {
        let write_timeout = Duration::from_millis(100);
        let server = start(Serving { write_timeout, ..Serving::default() }).await;
        let mut stream = send(server.address, "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let mut ended = server.ended.clone();
        let gone = tokio::time::timeout(Duration::from_secs(10), ended.changed()).await;
        assert!(gone.is_ok(), "the reply is still being sent");
        // What was on its way may still be read, and then there is no end to it but an error.
        let mut read = Vec::new();
        let _cut = stream.read_to_end(&mut read).await;
        assert!(!read.ends_with(b"0\r\n\r\n"));
    }

    async fn check(head: &str, wanted: &str) {
        let server = start(Serving::default()).await;
        let found = rest(send(server.address, head).await).await;
        assert!(found.starts_with(wanted), "{found:?}");
        assert_eq!(found.matches("HTTP/1.1 ").count(), 1, "{found:?}");
    }

    #[tokio::test]
    async fn targets_and_headers_have_their_limits() {
        let target = "a".repeat(TARGET_MAX);
        check(&format!("GET /{target} HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 414").await;
        let header = "a".repeat(HEADERS_MAX);
        check(&format!("GET / HTTP/1.1\r\nX: {header}\r\n\r\n"), "HTTP/1.1 431").await;
        let headers = "X: y\r\n".repeat(101);
        check(&format!("GET / HTTP/1.1\r\n{headers}\r\n"), "HTTP/1.1 431").await;
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_not_asked_for() {
        let head = "POST /read HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n";
        let with = |length: usize| format!("{head}Content-Length: {length}\r\n\r\n");
        check(&with(BODY_MAX + 1), "HTTP/1.1 413").await;
        let server = start(Serving::default()).await;
        let mut stream = send(server.address, &with(2)).await;
        let mut reply = [0; 25];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    #[tokio::test]
    async fn nothing_comes_after_a_request_in_chunks() {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
        let chunked = "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n";
        check(&format!("{chunked}\r\n0\r\n\r\n{smuggled}"), "HTTP/1.1 200").await;
        let both = format!("{chunked}Content-Length: 5\r\n\r\n0\r\n\r\n{smuggled}");
        check(&both, "HTTP/1.1 200").await;
    }
}

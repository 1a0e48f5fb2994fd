//! Serves a router on a listening socket, HTTP/1.1, until it is told to stop.
//!
//! axum's own `serve` waits for ever for the end of a request's headers; this one does not, bounds
//! the number of connections, and hands the peer's address on. The request's target stays as it
//! was sent, since a provider's signature may cover it.

use crate::client_address::PeerAddress;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// A request's headers must be there within this time after its first byte, and the first
    /// byte within this time after the connection or the last reply.
    pub header_timeout: Duration,
    /// So many connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// So long are requests under way waited for after being told to stop.
    pub patience: Duration,
}

impl Default for Serving {
    fn default() -> Serving {
        Serving {
            header_timeout: Duration::from_secs(10),
            connections_max: 8192,
            patience: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop` is cancelled, then closes idle connections, waits for requests under way,
/// and returns.
pub async fn serve(listener: TcpListener, app: Router, serving: Serving, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(serving.connections_max));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                // Out of file descriptors, most likely: they come back when others hang up.
                tracing::warn!(error = %cause, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let connection = Connection { stream, peer, _permit: permit };
        tokio::spawn(connection.run(app.clone(), serving, graceful.watcher()));
    }
    drop(listener);
    if tokio::time::timeout(serving.patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still under way when the server stopped");
    }
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let permit = Arc::clone(room).acquire_owned().await;
    let permit = permit.expect("nobody closes this semaphore");
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, app: Router, serving: Serving, watcher: Watcher) {
        // Replies are small and complete; waiting to fill a packet would only delay them.
        let _unsupported = self.stream.set_nodelay(true);
        let peer = PeerAddress(self.peer.ip());
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            app.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(serving.header_timeout)
            // A caller that hangs up early must not cut a request in two: what was begun, an
            // order at a provider above all, runs to its end.
            .half_close(true)
            .serve_connection(TokioIo::new(self.stream), service);
        if let Err(cause) = watcher.watch(connection).await {
            tracing::debug!(error = %cause, peer = %self.peer, "a connection broke");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Extension;
    use axum::routing::get;
    use http::Uri;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        running: JoinHandle<()>,
    }

    async fn start(serving: Serving) -> Server {
        let show = async |Extension(PeerAddress(peer)): Extension<PeerAddress>, target: Uri| {
            format!("{peer} {target}")
        };
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "at last"
        };
        let app = Router::new().route("/slow", get(slow)).fallback(show);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(listener, app, serving, stop.clone()));
        Server { address, stop, running }
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
        server.stop.cancel();
        assert!(rest(busy).await.ends_with("at last"));
        assert_eq!(rest(idle).await, "");
        server.running.await.unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[tokio::test]
    async fn connections_above_the_limit_wait_for_room() {
        let server = start(Serving { connections_max: 1, ..Serving::default() }).await;
        let first = send(server.address, "").await;
        let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let mut second = send(server.address, request).await;
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
        assert!(early.is_err(), "answered although there was no room");
        drop(first);
        assert!(rest(second).await.contains("127.0.0.1 /"));
    }
}

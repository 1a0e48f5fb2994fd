//! The listener: HTTP/1.1 alone, header names in title case as WeChat's own servers send them (its
//! Java SDK looks them up in that case), a time-out for slow headers, absolute-form targets taken.

use crate::connection::Connection;
use crate::header_case::HeaderCase;
use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown, Watcher};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Marks a response that must never be sent: the connection is cut instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutConnection;

/// How long a client may take over its header, and how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests under way may take once the server is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until `stop`, then lets requests under way end.
pub(crate) async fn run(
    router: Router,
    listener: TcpListener,
    tls: Option<Tls>,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
                tokio::spawn(async move { talk(stream, router, tls, watcher).await });
            }
            Err(error) => {
                // Out of file descriptors, most likely; give others time to close theirs.
                tracing::warn!(%error, "the sandbox cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await;
}

/// Serves one connection until its end.
async fn talk(stream: TcpStream, router: Router, tls: Option<Tls>, watcher: Watcher) {
    let Some(tls) = tls else {
        let plain = Connection::default();
        let _ = watcher.watch(connection(stream, plain, router)).await;
        return;
    };
    match tls.accept(stream).await {
        Ok((stream, certificate)) => {
            let over_tls = Connection { tls: true, certificate };
            let _ = watcher.watch(connection(stream, over_tls, router)).await;
        }
        Err(error) => tracing::warn!(%error, "a connection did not come to speak TLS"),
    }
}

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    known: Connection,
    router: Router,
) -> impl GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, known) = (router.clone(), known.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(known);
            let Ok(response) = router.oneshot(request).await;
            uncut(response)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .title_case_headers(true)
        .half_close(true)
        .serve_connection(TokioIo::new(HeaderCase::new(stream)), service)
}

/// An error instead of a response makes the connection end without an answer.
fn uncut(response: Response<Body>) -> Result<Response<Body>, io::Error> {
    if response.extensions().get::<CutConnection>().is_some() {
        return Err(io::Error::other("the connection is cut on purpose"));
    }
    Ok(response)
}

//! The listener: HTTP/1.1 alone, header names in title case as WeChat's own servers send them (its
//! Java SDK looks them up in that case), a time-out for slow headers, absolute-form targets taken.

use crate::header_case::HeaderCase;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::time::Duration;
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
pub(crate) async fn run(router: Router, listener: TcpListener, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, router.clone());
                tokio::spawn(graceful.watch(connection));
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

fn connection(
    stream: TcpStream,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let request = request.map(Body::new);
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

//! The network: carries the engine's calls over HTTP/1.1 with kept connections.
//!
//! It sits on hyper itself and not on a client with comforts, since path and query are signed and
//! must go out as they are, byte for byte. It follows no redirects and asks no proxies. What an
//! answer means is not decided here.
//!
//! Calls to merchants' endpoints go through a client of their own: its resolver hands out only
//! addresses that [`Egress`] permits, and literal addresses, which no resolver is asked about, are
//! checked before each call. So the address that was checked is the address that is reached. A
//! connection that was kept goes where it went when it was made, whatever its name says by now, so
//! it needs no second look (decision 0021).
//!
//! A call may name a client certificate and a root to trust; `tls` has a client for each.

#[cfg(test)]
mod egress_tests;
mod resolver;
mod tls;
#[cfg(test)]
mod tls_tests;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use resolver::{Guard, Machine, Resolver, Surroundings, literal, not_permitted};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tls::{HttpsClients, MachineRoots};
use tongbao_engine::{BodyStream, Egress, Outgoing, Reach, StreamedResponse, Wire, WireError};
use tongbao_types::HttpResponse;

/// How long making a connection may take; the call's own time limit holds as well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than what servers keep connections for, so that few calls meet a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const IDLE_PER_HOST_MAX: usize = 64;
const OUR_NAME: &str = concat!("tongbao/", env!("CARGO_PKG_VERSION"));

type HttpClient = Client<HttpConnector<Resolver>, Full<Bytes>>;

/// Carries calls.
pub(crate) struct HttpWire {
    guard: Arc<Guard>,
    providers: Pair,
    merchants: Pair,
}

/// Plain and TLS.
struct Pair {
    http: HttpClient,
    https: HttpsClients,
}

impl HttpWire {
    /// `egress` rules over calls to merchants' endpoints.
    pub(crate) fn new(egress: Egress) -> HttpWire {
        HttpWire::within(egress, Arc::new(Machine))
    }

    fn within(egress: Egress, around: Arc<dyn Surroundings>) -> HttpWire {
        let machine = Arc::new(MachineRoots::default());
        let providers = Pair::new(Resolver::Open(Arc::clone(&around)), Arc::clone(&machine));
        let guard = Arc::new(Guard::new(egress, around));
        let merchants = Pair::new(Resolver::Guarded(Arc::clone(&guard)), machine);
        HttpWire { guard, providers, merchants }
    }

    async fn exchange(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError> {
        let answer_max = outgoing.answer_max;
        read(self.open(outgoing).await?, answer_max).await
    }

    /// Sends, and waits for the head of the answer.
    async fn open(&self, outgoing: Outgoing) -> Result<http::Response<Incoming>, WireError> {
        let url = format!("{}{}", outgoing.base, outgoing.request.target);
        let uri: http::Uri = url.parse().map_err(|error| unsendable("address", &error))?;
        let pair = match outgoing.reach {
            Reach::Provider => &self.providers,
            Reach::Merchant => {
                self.check_literal(uri.host().unwrap_or_default())?;
                &self.merchants
            }
        };
        let response = if uri.scheme_str() == Some("https") {
            let client = pair.https.client(&outgoing.tls)?;
            client.request(request(uri, outgoing)?).await
        } else {
            pair.http.request(request(uri, outgoing)?).await
        };
        response.map_err(|error| broken(&error))
    }

    /// No resolver is asked about a host that is an address already.
    fn check_literal(&self, host: &str) -> Result<(), WireError> {
        let refusal = literal(host).and_then(|address| self.guard.refusal(address));
        refusal.map_or(Ok(()), |why| Err(WireError::Forbidden(why)))
    }
}

#[async_trait]
impl Wire for HttpWire {
    async fn send(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError> {
        let limit = outgoing.timeout.std();
        match tokio::time::timeout(limit, self.exchange(outgoing)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(WireError::TimedOut(limit)),
        }
    }

    async fn look_up(&self, host: &str) -> Result<(), String> {
        self.guard.look_up(host).await
    }

    async fn stream(&self, outgoing: Outgoing) -> Result<StreamedResponse, WireError> {
        let (limit, answer_max) = (outgoing.timeout.std(), outgoing.answer_max);
        let opened = tokio::time::timeout(limit, self.open(outgoing)).await;
        let (head, body) = opened.map_err(|_| WireError::TimedOut(limit))??.into_parts();
        let body = pieces(body, limit, answer_max);
        Ok(StreamedResponse { status: head.status.as_u16(), headers: texts(&head.headers), body })
    }
}

/// The body as it comes; an error ends it.
fn pieces(body: Incoming, limit: Duration, answer_max: usize) -> BodyStream {
    Box::pin(futures_util::stream::try_unfold((body, 0), move |(mut body, mut n)| async move {
        loop {
            let frame = tokio::time::timeout(limit, body.frame()).await;
            let Some(frame) = frame.map_err(|_| WireError::TimedOut(limit))? else {
                return Ok(None);
            };
            let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
            n += data.len();
            if n > answer_max {
                return Err(WireError::TooLong(answer_max));
            }
            return Ok(Some((data, (body, n))));
        }
    }))
}

impl Pair {
    fn new(resolver: Resolver, machine: Arc<MachineRoots>) -> Pair {
        let http = builder().build(connector(resolver.clone()));
        Pair { http, https: HttpsClients::new(resolver, machine) }
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .http1_title_case_headers(true);
    builder
}

fn connector(resolver: Resolver) -> HttpConnector<Resolver> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    connector
}

fn request(uri: http::Uri, outgoing: Outgoing) -> Result<http::Request<Full<Bytes>>, WireError> {
    let message = outgoing.request;
    let mut request = http::Request::new(Full::new(message.body));
    *request.uri_mut() = uri;
    *request.method_mut() = match message.method {
        tongbao_types::Method::Get => http::Method::GET,
        tongbao_types::Method::Post => http::Method::POST,
    };
    let headers = request.headers_mut();
    for (name, value) in &message.headers {
        let name: HeaderName = name.parse().map_err(|error| unsendable("header", &error))?;
        let value: HeaderValue = value.parse().map_err(|error| unsendable("header", &error))?;
        headers.append(name, value);
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(OUR_NAME));
    Ok(request)
}

async fn read(
    response: http::Response<Incoming>,
    answer_max: usize,
) -> Result<HttpResponse, WireError> {
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > answer_max {
            return Err(WireError::TooLong(answer_max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(HttpResponse {
        status: head.status.as_u16(),
        headers: texts(&head.headers),
        body: bytes.freeze(),
    })
}

fn texts(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn unsendable(part: &str, error: &dyn std::fmt::Display) -> WireError {
    WireError::Broken(format!("a {part} of the request cannot be sent: {error}"))
}

/// The innermost causes say most; the outer ones only that a request failed.
fn broken(error: &(dyn std::error::Error + 'static)) -> WireError {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<io::Error>().and_then(not_permitted) {
            return WireError::Forbidden(refusal.to_string());
        }
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    WireError::Broken(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tongbao_engine::Tls;
    use tongbao_types::{HttpRequest, Method, Span};

    /// A server that answers everything with `answer`, and tells what it read, per request.
    async fn server(answer: &'static str) -> (String, tokio::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (tell, told) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65_536];
                    loop {
                        let n = stream.read(&mut buffer).await.unwrap_or(0);
                        if n == 0 || stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                        let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                        let _gone = tell.send(text).await;
                    }
                });
            }
        });
        (base, told)
    }

    fn to(base: &str, target: &str, reach: Reach) -> Outgoing {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![header("Wechatpay-Serial", "PUB_KEY_ID_1"), header("X-Raw", "ü b")];
        let target = target.to_owned();
        Outgoing {
            base: base.to_owned(),
            request: HttpRequest { method: Method::Post, target, headers, body: "{}".into() },
            timeout: Span::from_seconds(5),
            answer_max: 64,
            reach,
            tls: Tls::default(),
        }
    }

    fn loopback() -> HttpWire {
        HttpWire::new(Egress { allow_loopback: true, allow: Vec::new() })
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nRequest-ID: 08\r\nContent-Length: 2\r\n\r\nok";

    #[tokio::test]
    async fn target_and_headers_go_out_as_they_are_over_one_connection() {
        let (base, mut told) = server(OK).await;
        let wire = loopback();
        let targets = ["/v3/a|b*c'd/%7e%2F?x=%e4%BD&y='1'&z={}", "/?", "/a//b/../c?sign=a+b/c=="];
        for target in targets {
            let answer = wire.send(to(&base, target, Reach::Provider)).await.unwrap();
            assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
            assert_eq!(answer.header("request-id"), Some("08"));
            let text = told.recv().await.unwrap();
            assert!(text.starts_with(&format!("POST {target} HTTP/1.1\r\n")), "{text}");
            assert!(text.contains("Wechatpay-Serial: PUB_KEY_ID_1\r\n"), "{text}");
            assert!(text.contains("X-Raw: ü b\r\n"), "{text}");
            assert!(text.ends_with("\r\n\r\n{}"), "{text}");
        }
    }

    #[tokio::test]
    async fn redirects_are_not_followed_and_long_answers_are_not_read() {
        let moved = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
        let (base, mut told) = server(moved).await;
        let answer = loopback().send(to(&base, "/a", Reach::Merchant)).await.unwrap();
        assert_eq!(answer.status, 302);
        assert!(told.recv().await.unwrap().starts_with("POST /a "));
        assert!(told.try_recv().is_err());

        let long = concat!(
            "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
            "01234567890123456789012345678901234567890123456789012345678901234"
        );
        let (base, _told) = server(long).await;
        let error = loopback().send(to(&base, "/", Reach::Provider)).await.unwrap_err();
        assert!(matches!(error, WireError::TooLong(64)), "{error}");
    }

    #[tokio::test]
    async fn a_long_answer_comes_in_pieces_and_may_break_off() {
        use futures_util::{StreamExt, TryStreamExt};
        let (base, _told) = server("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n").await;
        let mut outgoing = to(&base, "/", Reach::Provider);
        outgoing.timeout = Span::from_millis(500);
        let mut answer = loopback().stream(outgoing).await.unwrap();
        assert_eq!((answer.status, answer.headers.len()), (200, 1));
        let error = answer.body.next().await.unwrap().unwrap_err();
        assert!(matches!(error, WireError::TimedOut(_)), "{error}");

        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                      2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
        let (base, _told) = server(chunks).await;
        let read = async |answer_max| {
            let outgoing = Outgoing { answer_max, ..to(&base, "/", Reach::Provider) };
            let answer = loopback().stream(outgoing).await.unwrap();
            answer
                .body
                .try_fold(Vec::new(), async |all, more| Ok([all, more.to_vec()].concat()))
                .await
        };
        assert_eq!(read(5).await.unwrap(), b"abcde");
        assert!(matches!(read(4).await, Err(WireError::TooLong(4))));

        let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n";
        let (base, _told) = server(cut).await;
        let answer = loopback().stream(to(&base, "/", Reach::Provider)).await.unwrap();
        let pieces: Vec<_> = answer.body.collect().await;
        assert!(matches!(pieces.last(), Some(Err(WireError::Broken(_)))), "{pieces:?}");
    }

    #[tokio::test]
    async fn silence_is_a_time_out_and_nobody_there_is_broken() {
        let (base, _told) = server("").await;
        let mut outgoing = to(&base, "/", Reach::Provider);
        outgoing.timeout = Span::from_millis(500);
        let error = loopback().send(outgoing).await.unwrap_err();
        assert!(matches!(error, WireError::TimedOut(_)), "{error}");

        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let outgoing = to(&format!("http://{free}"), "/", Reach::Provider);
        let error = loopback().send(outgoing).await.unwrap_err();
        assert!(matches!(error, WireError::Broken(_)), "{error}");
    }
}

//! The network: carries the engine's calls over HTTP/1.1 with kept connections.
//!
//! It sits on hyper itself and not on a client with comforts, since path and query are signed and
//! must go out as they are, byte for byte. It follows no redirects and asks no proxies. What an
//! answer means is not decided here.
//!
//! Calls to merchants' endpoints go through a client of their own: its resolver hands out only
//! addresses that [`Egress`] permits, and literal addresses, which no resolver is asked about, are
//! checked before each call. So the address that was checked is the address that is reached.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_platform_verifier::BuilderVerifierExt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tongbao_engine::{Egress, Outgoing, Reach, Wire, WireError};
use tongbao_types::HttpResponse;
use tower::Service;

/// How long making a connection may take; the call's own time limit holds as well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than what servers keep connections for, so that few calls meet a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const IDLE_PER_HOST_MAX: usize = 64;
const OUR_NAME: &str = concat!("tongbao/", env!("CARGO_PKG_VERSION"));

type HttpClient = Client<HttpConnector<Resolver>, Full<Bytes>>;
type HttpsClient = Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

/// Carries calls.
pub(crate) struct HttpWire {
    egress: Egress,
    providers: Pair,
    merchants: Pair,
}

/// Plain and TLS; TLS is made when it is first needed, since reading the machine's root
/// certificates takes time and memory that a gateway in a test never needs.
struct Pair {
    resolver: Resolver,
    http: HttpClient,
    https: OnceLock<Result<HttpsClient, String>>,
}

/// Asks the operating system, and keeps to itself what may not be reached.
#[derive(Clone)]
struct Resolver {
    system: GaiResolver,
    /// None lets every address through.
    egress: Option<Arc<Egress>>,
}

impl HttpWire {
    /// `egress` rules over calls to merchants' endpoints.
    pub(crate) fn new(egress: Egress) -> HttpWire {
        let rule = Arc::new(egress.clone());
        HttpWire { egress, providers: Pair::new(None), merchants: Pair::new(Some(rule)) }
    }

    async fn exchange(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError> {
        let answer_max = outgoing.answer_max;
        let url = format!("{}{}", outgoing.base, outgoing.request.target);
        let uri: http::Uri = url.parse().map_err(|error| unsendable("address", &error))?;
        let pair = match outgoing.reach {
            Reach::Provider => &self.providers,
            Reach::Merchant => {
                self.check_literal(&uri)?;
                &self.merchants
            }
        };
        let is_tls = uri.scheme_str() == Some("https");
        let request = request(uri, outgoing)?;
        let response = if is_tls {
            pair.https()?.request(request).await
        } else {
            pair.http.request(request).await
        };
        read(response.map_err(|error| broken(&error))?, answer_max).await
    }

    /// No resolver is asked about a host that is an address already.
    fn check_literal(&self, uri: &http::Uri) -> Result<(), WireError> {
        let host = uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) if !self.egress.permits(address) => Err(forbidden(address)),
            _ => Ok(()),
        }
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
}

impl Pair {
    fn new(egress: Option<Arc<Egress>>) -> Pair {
        let resolver = Resolver { system: GaiResolver::new(), egress };
        let http = builder().build(connector(resolver.clone()));
        Pair { resolver, http, https: OnceLock::new() }
    }

    fn https(&self) -> Result<&HttpsClient, WireError> {
        let client = self.https.get_or_init(|| {
            let mut connector = connector(self.resolver.clone());
            connector.enforce_http(false);
            let tls = tls()?;
            Ok(builder().build(HttpsConnector::from((connector, tls))))
        });
        client.as_ref().map_err(|why| WireError::Broken(why.clone()))
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

fn tls() -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let fails = |error: rustls::Error| format!("TLS cannot be set up: {error}");
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(fails)?;
    Ok(config.with_no_client_auth())
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let asked = name.as_str().to_owned();
        let found = self.system.call(name);
        let egress = self.egress.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            permitted(found, egress.as_deref(), &asked).map(Vec::into_iter)
        })
    }
}

/// An error of this kind inside a connector's error means: not allowed, rather than not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotPermitted(String);

fn permitted(
    found: Vec<SocketAddr>,
    egress: Option<&Egress>,
    name: &str,
) -> io::Result<Vec<SocketAddr>> {
    let Some(egress) = egress else { return Ok(found) };
    let (allowed, refused): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| egress.permits(address.ip()));
    match (allowed.is_empty(), refused.first()) {
        (true, Some(address)) => {
            let why = format!("{name} leads to {}, which webhooks may not reach", address.ip());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, NotPermitted(why)))
        }
        _ => Ok(allowed),
    }
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
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    Ok(HttpResponse {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: bytes.freeze(),
    })
}

fn unsendable(part: &str, error: &dyn std::fmt::Display) -> WireError {
    WireError::Broken(format!("a {part} of the request cannot be sent: {error}"))
}

fn forbidden(address: IpAddr) -> WireError {
    WireError::Forbidden(format!("webhooks may not reach {address}"))
}

/// The innermost causes say most; the outer ones only that a request failed.
fn broken(error: &(dyn std::error::Error + 'static)) -> WireError {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let refusal = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(refusal) = refusal.and_then(|inner| inner.downcast_ref::<NotPermitted>()) {
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
    async fn silence_is_a_time_out_and_nobody_there_is_broken() {
        let (base, _told) = server("").await;
        let mut outgoing = to(&base, "/", Reach::Provider);
        outgoing.timeout = Span::from_millis(50);
        let error = loopback().send(outgoing).await.unwrap_err();
        assert!(matches!(error, WireError::TimedOut(_)), "{error}");

        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let outgoing = to(&format!("http://{free}"), "/", Reach::Provider);
        let error = loopback().send(outgoing).await.unwrap_err();
        assert!(matches!(error, WireError::Broken(_)), "{error}");
    }

    /// The gateway's own networks are out of reach for merchants' endpoints, whether the host is an
    /// address or a name, and however it is written; providers are the operator's own choice.
    #[tokio::test]
    async fn merchants_cannot_point_webhooks_inside() {
        let (base, mut told) = server(OK).await;
        let port = base.rsplit_once(':').unwrap().1;
        let wire = HttpWire::new(Egress::default());
        let hosts =
            ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0"];
        for host in hosts {
            let base = format!("http://{host}:{port}");
            let error = wire.send(to(&base, "/", Reach::Merchant)).await.unwrap_err();
            assert!(matches!(error, WireError::Forbidden(_)), "{host}: {error}");
        }
        assert!(told.try_recv().is_err());
        assert!(wire.send(to(&base, "/", Reach::Provider)).await.is_ok());
        let name = format!("http://localhost:{port}");
        assert!(loopback().send(to(&name, "/", Reach::Merchant)).await.is_ok());
    }
}

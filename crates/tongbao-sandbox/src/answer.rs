//! How a request gets its answer: read once, let faults have their way, let the provider's module
//! answer, write both down with the verdict on the signature.

use crate::connection::Connection;
use crate::corrupt;
use crate::faults::{Breakage, Mishap};
use crate::order::Key;
use crate::pretend::Pretend;
use crate::server::CutConnection;
use crate::task::{Dialect, Task};
use crate::traffic::{Answered, Exchange, Verdict};
use crate::{alipay, control, wallet, wechat};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, Request};
use std::sync::Arc;
use std::time::Duration;
use tongbao_types::{HttpRequest, HttpResponse, Method, Provider};

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Control paths, pages, and for all else the providers.
pub(crate) fn router(pretend: Arc<Pretend>) -> Router {
    Router::new()
        .merge(control::router())
        .merge(wallet::router())
        .merge(wechat::h5::router())
        .merge(wechat::oauth::router())
        .merge(alipay::router())
        .fallback(provider)
        .with_state(pretend)
}

/// A request as one of the protocols understood it.
enum Asked {
    V2(wechat::v2::Asked),
    SignKey(wechat::v2::sign_key::Asked),
    V3(Box<wechat::v3::Asked>),
    Alipay(alipay::Asked),
}

impl Asked {
    fn read(pretend: &Pretend, request: &HttpRequest, connection: &Connection) -> Option<Asked> {
        let path = request.path();
        if alipay::Asked::is_at(path) {
            let base = connection.base(request);
            return Some(Asked::Alipay(alipay::Asked::read(pretend, request, base)));
        }
        if path.starts_with("/v3/") {
            return Some(Asked::V3(Box::new(wechat::v3::Asked::read(
                pretend, request, connection,
            ))));
        }
        let sign_key = wechat::v2::sign_key::Asked::read(pretend, request).map(Asked::SignKey);
        let v2 = || wechat::v2::Asked::read(pretend, request, connection).map(Asked::V2);
        sign_key.or_else(v2)
    }

    fn provider(&self) -> Provider {
        match self {
            Asked::V2(_) | Asked::SignKey(_) | Asked::V3(_) => Provider::Wechat,
            Asked::Alipay(_) => Provider::Alipay,
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Asked::V2(asked) => asked.verdict(),
            Asked::SignKey(asked) => asked.verdict(),
            Asked::V3(asked) => asked.verdict(),
            Asked::Alipay(asked) => asked.verdict(),
        }
    }

    /// What it is about, if it is well signed and something whose amount may matter.
    fn task(&self, pretend: &Pretend) -> Option<(Task, Dialect)> {
        if !matches!(self.verdict(), Verdict::Good { .. }) {
            return None;
        }
        let (task, dialect) = match self {
            Asked::V2(asked) => (asked.task(pretend), Dialect::WechatV2),
            Asked::SignKey(_) => return None,
            Asked::V3(asked) => (asked.task(pretend), Dialect::WechatV3),
            Asked::Alipay(asked) => (asked.task(pretend), Dialect::Alipay),
        };
        Some((task?, dialect))
    }

    /// The method's name at Alipay's single address.
    fn method_name(&self) -> Option<String> {
        match self {
            Asked::Alipay(asked) => asked.method_name(),
            Asked::V2(_) | Asked::SignKey(_) | Asked::V3(_) => None,
        }
    }

    /// Answers, with effect.
    fn perform(&self, pretend: &Pretend) -> HttpResponse {
        match self {
            Asked::V2(asked) => asked.perform(pretend),
            Asked::SignKey(asked) => asked.perform(pretend),
            Asked::V3(asked) => asked.perform(pretend),
            Asked::Alipay(asked) => asked.perform(pretend),
        }
    }

    /// Says no with a code, in the provider's own shape.
    fn refuse(&self, pretend: &Pretend, code: &str) -> HttpResponse {
        match self {
            Asked::V2(asked) => asked.refuse(pretend, code),
            Asked::SignKey(_) => wechat::v2::sign_key::Asked::refuse(code),
            Asked::V3(asked) => asked.refuse(pretend, code),
            Asked::Alipay(asked) => asked.refuse(pretend, code),
        }
    }
}

async fn provider(State(pretend): State<Arc<Pretend>>, request: Request<Body>) -> Response {
    let connection = request.extensions().get::<Connection>().cloned().unwrap_or_default();
    let request = match plain(request).await {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    if request.path().starts_with("/bax") {
        // Where a browser arrives with an Alipay code, if its host name is pointed here.
        let code = format!("https://qr.alipay.com{}", request.path());
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("code", &code).finish();
        return Redirect::to(&format!("/?{query}")).into_response();
    }
    let now = pretend.now();
    let Some(asked) = Asked::read(&pretend, &request, &connection) else {
        let response = plain_page(404);
        let mut entry = Exchange::of(&request, None, request.path().to_owned(), now);
        entry.answer = Some(Answered::from(&response));
        pretend.traffic().add(entry);
        return to_axum(response);
    };
    let method_name = asked.method_name();
    let operation = method_name.clone().unwrap_or_else(|| request.path().to_owned());
    let mut entry = Exchange::of(&request, Some(asked.provider()), operation, now);
    entry.signature = asked.verdict();
    let names: Vec<&str> =
        [Some(request.path()), method_name.as_deref()].into_iter().flatten().collect();
    let mut mishap = pretend.faults().for_request(asked.provider(), &names);
    if let Some((task, dialect)) = asked.task(&pretend) {
        task.befall(&pretend, dialect, &mut mishap);
    }
    entry.faults.clone_from(&mishap.ids);
    let response = answer(&pretend, &asked, mishap).await;
    entry.answer = response.as_ref().map(Answered::from);
    pretend.traffic().add(entry);
    response.map_or_else(cut, to_axum)
}

/// The answer with all that faults make of it; none if the connection is to be cut.
async fn answer(pretend: &Pretend, asked: &Asked, mishap: Mishap) -> Option<HttpResponse> {
    pause(mishap.delay_before_ms).await;
    let mut response = match &mishap.before {
        Some(breakage) => broken(pretend, asked, breakage, None)?,
        None => asked.perform(pretend),
    };
    pause(mishap.delay_after_ms).await;
    if let Some(key) = &mishap.after_notice {
        notified(pretend, key).await;
    }
    if let Some(breakage) = &mishap.after {
        response = broken(pretend, asked, breakage, Some(response))?;
    }
    if mishap.corrupt_signature {
        corrupt::response(&mut response);
    }
    Some(response)
}

/// What is sent in place of a right answer: nothing, an error code in the provider's shape, or what
/// a failing proxy says.
fn broken(
    pretend: &Pretend,
    asked: &Asked,
    breakage: &Breakage,
    right: Option<HttpResponse>,
) -> Option<HttpResponse> {
    if breakage.drop {
        return None;
    }
    let mut response = match (&breakage.error_code, breakage.status, right) {
        (Some(code), _, _) => asked.refuse(pretend, code),
        (None, Some(200), Some(right)) => right,
        (None, Some(status), _) => plain_page(status),
        (None, None, right) => right.unwrap_or_else(|| plain_page(502)),
    };
    response.status = breakage.status.unwrap_or(response.status);
    Some(response)
}

/// Waits until a notification about an order was tried, if any is owed; not for ever, since a
/// router without its notifier sends none.
async fn notified(pretend: &Pretend, key: &Key) {
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut sent = pretend.sent.subscribe();
    let waits = || pretend.world().notices().any(|one| one.key == *key && one.tries.is_empty());
    let tried = async { while waits() && sent.changed().await.is_ok() {} };
    let _ = tokio::time::timeout(PATIENCE, tried).await;
}

async fn pause(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// Takes the request in, bytes as they came.
async fn plain(request: Request<Body>) -> Result<HttpRequest, Box<Response>> {
    let (parts, body) = request.into_parts();
    let method = match parts.method {
        http::Method::GET => Method::Get,
        http::Method::POST => Method::Post,
        _ => return Err(Box::new(to_axum(plain_page(405)))),
    };
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| Box::new(to_axum(plain_page(413))))?;
    // Clients that think they speak to a proxy send an absolute target; its path and query count.
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    Ok(HttpRequest { method, target, headers: listed(&parts.headers), body })
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// A page like those of the providers' front servers.
fn plain_page(status: u16) -> HttpResponse {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    let title = format!("{status} {}", reason.unwrap_or("Error"));
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>\
         </center>\r\n</body>\r\n</html>\r\n"
    );
    HttpResponse::new(status, "text/html", page)
}

fn to_axum(response: HttpResponse) -> Response {
    let mut built = Response::builder().status(response.status);
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    let page = || plain_page(500).body;
    built.body(Body::from(response.body)).unwrap_or_else(|error| {
        tracing::error!(%error, "the sandbox made an answer that is no HTTP");
        let mut failed = Response::new(Body::from(page()));
        *failed.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(CutConnection);
    response
}

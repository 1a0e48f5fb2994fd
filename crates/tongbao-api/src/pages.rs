//! Replies for addresses that are not there: a problem for programs, a small page for people.

use crate::Problem;
use crate::cashier::{Language, Texts};
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY};
use http::{HeaderMap, Method, StatusCode, Uri};
use tongbao_engine::Error;
use tongbao_types::{ChargeId, Code};
use tongbao_web::security_headers::POLICY_PAGE;

/// One heading and one sentence.
#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    t: &'static Texts,
    heading: &'static str,
    text: &'static str,
    link: Option<Link>,
}

/// Where to go on from there.
struct Link {
    href: String,
    text: &'static str,
}

impl Message {
    fn new(t: &'static Texts, heading: &'static str, text: &'static str) -> Message {
        Message { t, heading, text, link: None }
    }
}

/// The fallback of the whole router.
pub(crate) async fn not_found(uri: Uri, headers: HeaderMap) -> Response {
    let message = "There is nothing at this address. GET /openapi.json lists what there is.";
    let problem = || Problem::from(Error::new(Code::NotFound, message)).into_response();
    if !is_for_people(&uri, &headers) {
        return problem();
    }
    let t = Language::of(&headers, None).texts();
    page(StatusCode::NOT_FOUND, &Message::new(t, t.nothing_here, t.check_address))
}

/// For a method that an address does not take.
pub(crate) async fn method_not_allowed(method: Method) -> Problem {
    let message =
        format!("This address does not take {method}; the Allow header says what it does.");
    Error::new(Code::MethodNotAllowed, message).into()
}

/// For a charge that a payer asked for and that is not there.
pub(crate) fn no_such_charge(t: &'static Texts) -> Response {
    page(StatusCode::NOT_FOUND, &Message::new(t, t.no_such_order, t.ask_the_shop))
}

/// For a charge that cannot be shown now.
pub(crate) fn unavailable(t: &'static Texts) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    page(status, &Message::new(t, t.not_now, t.try_again))
}

/// For a channel that a payer chose and that did not take the order.
pub(crate) fn not_this_way(charge: ChargeId, t: &'static Texts) -> Response {
    let link = Some(Link { href: format!("/pay/{charge}"), text: t.choose_again });
    let message = Message { link, ..Message::new(t, t.not_this_way, t.not_this_way_hint) };
    page(StatusCode::CONFLICT, &message)
}

/// Whether a person reads the answer.
pub(crate) fn is_for_people(uri: &Uri, headers: &HeaderMap) -> bool {
    !uri.path().starts_with("/v1/") && wants_page(headers)
}

/// For a browser that comes when too many do.
pub(crate) fn too_many(code: Code, headers: &HeaderMap) -> Response {
    let t = Language::of(headers, None).texts();
    page(crate::problem::status(code), &Message::new(t, t.not_now, t.try_again))
}

/// For a browser that came back from the provider with nothing that names a charge here.
pub(crate) fn returned(headers: &HeaderMap) -> Response {
    let t = Language::of(headers, None).texts();
    page(StatusCode::NOT_FOUND, &Message::new(t, t.no_such_order, t.ask_the_shop))
}

/// A page that loads nothing from elsewhere and is not kept.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    let html = template.render().expect("templates only format texts and numbers");
    let policy = [(CONTENT_SECURITY_POLICY, POLICY_PAGE)];
    let no_store = [(http::header::CACHE_CONTROL, "no-store")];
    (status, policy, no_store, Html(html)).into_response()
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.contains("text/html")
}

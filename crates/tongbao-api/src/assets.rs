//! Files that pages load: styles, scripts and the reference page's own copy of its viewer. They
//! are part of the binary, and a browser asks again only for what has changed.

use crate::{App, Problem};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};
use tongbao_engine::Error;
use tongbao_types::Code;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Own;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Foreign;

/// The viewer styles its page itself, which an inline style is; scripts are still files alone.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What the document does not list.
pub(crate) const PATHS: [&str; 2] = ["/assets/{file}", "/docs"];

pub(crate) fn routes() -> Router<App> {
    let [file, reference] = PATHS;
    Router::new().route(file, get(asset)).route(reference, get(docs))
}

async fn docs(headers: HeaderMap) -> Result<Response, Problem> {
    let mut response = own("docs.html", &headers)?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, DOCS_POLICY);
    Ok(response)
}

async fn asset(path: Option<Path<String>>, headers: HeaderMap) -> Result<Response, Problem> {
    let Path(name) = path.ok_or_else(not_found)?;
    if name == "scalar.js" {
        let file = Foreign::get("scalar.js.gz").ok_or_else(not_found)?;
        let mut response = embedded(&name, file, &headers);
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Ok(response);
    }
    if name == "scalar.LICENSE" {
        let file = Foreign::get(&name).ok_or_else(not_found)?;
        return Ok(embedded(&name, file, &headers));
    }
    own(&name, &headers)
}

fn own(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let file = Own::get(name).ok_or_else(not_found)?;
    Ok(embedded(name, file, headers))
}

fn embedded(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash: String = file.metadata.sha256_hash().iter().map(|b| format!("{b:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|one| one.trim() == tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.data))
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(ETAG, HeaderValue::from_str(&tag).expect("hexadecimal digits fit a header"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("LICENSE") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn not_found() -> Problem {
    Error::new(Code::NotFound, "There is no such file.").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_own_file_has_a_type_and_pages_have_nothing_inline() {
        for name in Own::iter() {
            assert_ne!(content_type(&name), "application/octet-stream", "{name}");
        }
        let docs = Own::get("docs.html").unwrap();
        let docs = String::from_utf8(docs.data.into_owned()).unwrap();
        assert_eq!(docs.matches("<script").count(), docs.matches("<script src=").count());
    }

    #[test]
    fn a_browser_that_has_the_file_is_not_sent_it_again() {
        let first = own("cashier.css", &HeaderMap::new()).unwrap();
        assert_eq!(first.status(), 200);
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(own("cashier.css", &headers).unwrap().status(), 304);
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"another\""));
        assert_eq!(own("cashier.css", &headers).unwrap().status(), 200);
    }
}

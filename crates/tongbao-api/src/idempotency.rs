//! The `Idempotency-Key` of a POST, and the reply that the engine kept or made.

use crate::problem::PROBLEM_JSON;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use tongbao_engine::{Error, IdempotentRequest, Reply};
use tongbao_types::Code;
use tongbao_web::request_id::retry_after;

const HEADER: &str = "Idempotency-Key";
const KEY_LENGTH_MAX: usize = 255;

/// The key that a request bears, if it bears one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let is_printable = bytes.iter().all(|b| (0x20..0x7f).contains(b));
    let fits = (1..=KEY_LENGTH_MAX).contains(&bytes.len());
    match value.to_str() {
        Ok(text) if fits && is_printable && values.next().is_none() => Ok(Some(text.to_owned())),
        _ => {
            let message = "An Idempotency-Key is given once, as 1 to 255 printable characters.";
            Err(Error::new(Code::InvalidParameter, message).param(HEADER))
        }
    }
}

/// The key with what tells this request from another one.
pub(crate) fn request(key: String, parts: &Parts, body: &[u8]) -> IdempotentRequest {
    IdempotentRequest::new(key, parts.method.as_str(), parts.uri.path(), body)
}

/// The reply as HTTP; a kept one says so.
pub(crate) fn response(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, reply.body).into_response();
    let is_good = status.is_success();
    let content_type = if is_good { "application/json" } else { PROBLEM_JSON };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if reply.replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    if let Some(span) = reply.retry_after {
        headers.insert(RETRY_AFTER, retry_after(span));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&[u8]], wanted: Result<Option<&str>, Code>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        let found = key(&headers).map_err(|error| error.code);
        assert_eq!(found, wanted.map(|key| key.map(str::to_owned)), "{values:?}");
    }

    #[test]
    fn a_key_is_one_printable_text() {
        check(&[], Ok(None));
        check(&[b"order 1"], Ok(Some("order 1")));
        check(&[&[b'k'; 255]], Ok(Some(&"k".repeat(255))));
        check(&[&[b'k'; 256]], Err(Code::InvalidParameter));
        check(&[b""], Err(Code::InvalidParameter));
        check(&["订单".as_bytes()], Err(Code::InvalidParameter));
        check(&[b"a\tb"], Err(Code::InvalidParameter));
        check(&[b"a", b"a"], Err(Code::InvalidParameter));
    }

    #[test]
    fn a_fingerprint_tells_methods_paths_and_bodies_apart() {
        let of = |path: &str, body: &[u8]| {
            let (parts, ()) = http::Request::post(path).body(()).unwrap().into_parts();
            request("k".to_owned(), &parts, body).fingerprint
        };
        let first = of("/v1/charges", b"{}");
        assert_eq!(first.len(), 64);
        assert_eq!(first, of("/v1/charges", b"{}"));
        assert_ne!(first, of("/v1/charges", b"{} "));
        assert_ne!(first, of("/v1/charge", b"s{}"));
    }

    #[test]
    fn a_kept_reply_says_so_and_a_problem_keeps_its_content_type() {
        let reply = |status, replayed| {
            response(Reply { status, body: "{}".to_owned(), replayed, retry_after: None })
        };
        let first = reply(201, false);
        assert_eq!(first.headers()[CONTENT_TYPE], "application/json");
        assert!(!first.headers().contains_key("idempotent-replayed"));
        let again = reply(409, true);
        assert_eq!(again.status(), 409);
        assert_eq!(again.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(again.headers()["idempotent-replayed"], "true");
    }
}

//! JSON bodies, read strictly: one object, no unknown, repeated or missing field, no value of
//! another type, nothing after its end.
//!
//! Types say what they take (`#[serde(deny_unknown_fields)]`); limits on values are checked by the
//! route that knows them. The empty body of a POST counts as an object without fields.

use super::params::shortened;
use crate::{App, Problem, idempotency};
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use std::fmt;
use std::marker::PhantomData;
use tongbao_engine::{Error, IdempotentRequest};
use tongbao_types::Code;
use tongbao_web::limits::{BODY_MAX, read_body};

/// The body of a POST, and its `Idempotency-Key` if it bears one.
pub(crate) struct Post<T> {
    /// What was sent.
    pub(crate) fields: T,
    /// The key, with what tells this request from another.
    pub(crate) idempotent: Option<IdempotentRequest>,
}

/// The body of a PATCH.
pub(crate) struct Change<T>(pub(crate) T);

/// A JSON object and nothing else: without this, a struct is also read from an array.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Post<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Post<T>, Problem> {
        let (parts, body) = request.into_parts();
        let key = idempotency::key(&parts.headers)?;
        let bytes = read_body(body, BODY_MAX).await?;
        let fields = fields(&parts.headers, &bytes)?;
        let idempotent = key.map(|key| idempotency::request(key, &parts, &bytes));
        Ok(Post { fields, idempotent })
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Change<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Change<T>, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(body, BODY_MAX).await?;
        if bytes.is_empty() {
            let message = "Say what to change, as a JSON object.";
            return Err(Error::new(Code::InvalidJson, message).into());
        }
        Ok(Change(fields(&parts.headers, &bytes)?))
    }
}

fn fields<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Error> {
    if bytes.is_empty() {
        return from_json(b"{}");
    }
    if !is_json(headers) {
        let message = "Send the body as JSON, with «Content-Type: application/json».";
        return Err(Error::new(Code::UnsupportedMediaType, message).param("Content-Type"));
    }
    from_json(bytes)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    let is_utf8 = matches!(parameters.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    kind.trim().eq_ignore_ascii_case("application/json") && is_utf8
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let read = Object::<T>::deserialize(tracked).and_then(|object| json.end().map(|()| object.0));
    read.map_err(|cause| refusal(&cause, &track.path().to_string()))
}

fn refusal(cause: &serde_json::Error, path: &str) -> Error {
    let told = shortened(&cause.to_string());
    if cause.classify() != Category::Data {
        return Error::new(Code::InvalidJson, format!("The body is not JSON: {told}."));
    }
    let told = told.split(" at line ").next().unwrap_or(&told);
    // serde tells these from each other by its words alone. The path leads to an unknown field
    // itself, but only to the object of one that is missing or repeated.
    if let Some(name) = quoted(told, "unknown field `") {
        let message = format!("The parameter «{name}» does not exist here.");
        return Error::new(Code::UnknownParameter, message).param(shortened(path));
    }
    if let Some(name) = quoted(told, "missing field `") {
        let message = format!("The parameter «{name}» is required.");
        return Error::new(Code::MissingParameter, message).param(within(path, name));
    }
    if let Some(name) = quoted(told, "duplicate field `") {
        let message = format!("The parameter «{name}» was given more than once.");
        return Error::new(Code::InvalidParameter, message).param(within(path, name));
    }
    if path == "." {
        return Error::new(Code::InvalidJson, "The body must be one JSON object.");
    }
    let message = format!("The parameter «{path}» is wrong: {told}.");
    Error::new(Code::InvalidParameter, message).param(shortened(path))
}

/// The name in backticks after these words.
fn quoted<'a>(told: &'a str, words: &str) -> Option<&'a str> {
    told.strip_prefix(words)?.split('`').next()
}

/// The path of a field of the object at `path`.
fn within(path: &str, name: &str) -> String {
    if path == "." { shortened(name) } else { shortened(&format!("{path}.{name}")) }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether and how it is read is looked at")]
    struct Outer {
        amount: i64,
        inner: Option<Object<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether and how it is read is looked at")]
    struct Inner {
        name: String,
    }

    fn check(json: &str, wanted: Result<i64, (Code, Option<&str>)>) {
        let read = from_json::<Outer>(json.as_bytes());
        let found = read.map(|outer| outer.amount).map_err(|error| (error.code, error.param));
        let wanted = wanted.map_err(|(code, param)| (code, param.map(str::to_owned)));
        assert_eq!(found, wanted, "{json}");
    }

    #[test]
    fn a_body_is_read_strictly_and_errors_name_the_field() {
        check(r#"{"amount": 1}"#, Ok(1));
        check(r#"{"amount": 1, "inner": null}"#, Ok(1));
        check(r#"{"amount": 1, "inner": {"name": "x"}}"#, Ok(1));
        for json in ["", " ", "[", "nul", "{\"amount\": 1", "{\"amount\": 1}}", "{amount: 1}"] {
            check(json, Err((Code::InvalidJson, None)));
        }
        for json in ["[1]", "1", "null", "\"amount\"", "true"] {
            check(json, Err((Code::InvalidJson, None)));
        }
        check("{}", Err((Code::MissingParameter, Some("amount"))));
        check(r#"{"amount": 1, "a": 2}"#, Err((Code::UnknownParameter, Some("a"))));
        check(r#"{"amount": 1, "amount": 2}"#, Err((Code::InvalidParameter, Some("amount"))));
        for json in [r#"{"amount": "1"}"#, r#"{"amount": 1.0}"#, r#"{"amount": null}"#] {
            check(json, Err((Code::InvalidParameter, Some("amount"))));
        }
        let inner = |fields: &str| format!(r#"{{"amount": 1, "inner": {fields}}}"#);
        check(&inner("{}"), Err((Code::MissingParameter, Some("inner.name"))));
        check(&inner(r#"{"inner": 1}"#), Err((Code::UnknownParameter, Some("inner.inner"))));
        check(&inner(r#"{"name": 1}"#), Err((Code::InvalidParameter, Some("inner.name"))));
        check(&inner(r#"["x"]"#), Err((Code::InvalidParameter, Some("inner"))));
        let twice = inner(r#"{"name": "x", "name": "y"}"#);
        check(&twice, Err((Code::InvalidParameter, Some("inner.name"))));
    }

    #[test]
    fn depth_and_strange_text_are_refused() {
        let deep = format!("{}1{}", "{\"inner\":".repeat(200), "}".repeat(200));
        assert!(from_json::<Outer>(deep.as_bytes()).is_err());
        assert!(from_json::<serde_json::Value>("[".repeat(100_000).as_bytes()).is_err());
        check("{\"amount\": 1, \"\u{feff}\": 1}", {
            Err((Code::UnknownParameter, Some("\u{feff}")))
        });
        assert!(from_json::<Outer>(b"{\"amount\": 1, \"inner\": {\"name\": \"\xff\"}}").is_err());
        check(r#"{"amount": 1, "inner": {"name": "\ud800"}}"#, Err((Code::InvalidJson, None)));
    }

    #[test]
    fn only_json_in_utf_8_is_taken() {
        let check = |value: Option<&str>, wanted: bool| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(is_json(&headers), wanted, "{value:?}");
        };
        check(Some("application/json"), true);
        check(Some("Application/JSON; charset=UTF-8"), true);
        check(Some("application/json;charset=gbk"), false);
        check(Some("text/plain"), false);
        check(Some("application/jsonp"), false);
        check(Some("application/x-www-form-urlencoded"), false);
        check(None, false);
    }
}

//! The fields of a request: a JSON object, a form, or a query string; the older services' callers
//! send any of them. A value is its text: a number keeps its digits as they were written, so that
//! money never becomes a float.

use axum::body::Body;
use axum::extract::Request;
use http::HeaderMap;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tongbao_engine::Error;
use tongbao_types::Code;
use tongbao_web::limits::{BODY_MAX, read_body};

/// More fields than any of the older services knew.
const FIELDS_MAX: usize = 64;

/// A request's fields by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads a body as JSON if it says so or begins like an object, else as a form. An empty body
    /// has no fields.
    pub(crate) async fn of_body(headers: &HeaderMap, body: Body) -> Result<Fields, Error> {
        let bytes = read_body(body, BODY_MAX).await?;
        let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_json = kind.is_some_and(|kind| kind.contains("json"));
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("the body is not UTF-8"))?.trim();
        match text {
            "" => Ok(Fields::default()),
            _ if is_json || text.starts_with('{') => Fields::of_json(text),
            _ => Fields::of_form(text),
        }
    }

    /// Reads a whole request: its query, and over it its body.
    pub(crate) async fn of_request(request: Request) -> Result<Fields, Error> {
        let (parts, body) = request.into_parts();
        let mut fields = Fields::of_form(parts.uri.query().unwrap_or(""))?;
        fields.0.extend(Fields::of_body(&parts.headers, body).await?.0);
        Ok(fields)
    }

    /// Reads a form or a query string.
    pub(crate) fn of_form(text: &str) -> Result<Fields, Error> {
        let mut fields = Fields::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            fields.add(name.into_owned(), value.into_owned())?;
        }
        Ok(fields)
    }

    /// Reads a JSON object.
    pub(crate) fn of_json(text: &str) -> Result<Fields, Error> {
        let object: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|_| wrong("the body is not a JSON object"))?;
        let mut fields = Fields::default();
        for (name, value) in object {
            match value.get() {
                "null" => {}
                raw if raw.starts_with('"') => {
                    let text = serde_json::from_str(raw);
                    fields.add(name, text.map_err(|_| wrong("a text in the body is broken"))?)?;
                }
                raw => fields.add(name, raw.to_owned())?,
            }
        }
        Ok(fields)
    }

    fn add(&mut self, name: String, value: String) -> Result<(), Error> {
        if self.0.len() >= FIELDS_MAX {
            return Err(wrong("there are too many fields"));
        }
        if self.0.contains_key(&name) {
            return Err(wrong("a field comes twice"));
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// A field, unless it is missing or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A field that must be there.
    pub(crate) fn need(&self, name: &'static str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| {
            Error::new(Code::MissingParameter, format!("{name} is missing.")).param(name)
        })
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Code::InvalidJson, format!("The request cannot be read: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_digits() {
        let fields =
            Fields::of_json(r#"{"price": 19.90, "n": 1e2, "b": true, "t": "茶", "x": null}"#);
        let fields = fields.unwrap();
        assert_eq!(fields.get("price"), Some("19.90"));
        assert_eq!(fields.get("n"), Some("1e2"));
        assert_eq!(fields.get("b"), Some("true"));
        assert_eq!(fields.get("t"), Some("茶"));
        assert_eq!(fields.get("x"), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(Fields::of_json("[1]").is_err());
        assert!(Fields::of_form("a=1&a=2").is_err());
        let many: Vec<String> = (0..65).map(|n| format!("f{n}=1")).collect();
        assert!(Fields::of_form(&many.join("&")).is_err());
    }
}

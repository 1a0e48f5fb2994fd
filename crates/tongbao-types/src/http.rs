//! HTTP messages as plain values: what a protocol crate builds and what the wire carries.
//!
//! Bytes stay exactly as they came or will go, since signatures are over them.

use bytes::Bytes;

/// The two methods that the providers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

impl Method {
    /// In upper case, as it is signed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// A request. `target` is path and query exactly as sent and signed, without scheme and host; the
/// account's endpoint supplies those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// `/path?query`, raw.
    pub target: String,
    /// Names as they should appear, in order.
    pub headers: Vec<(String, String)>,
    /// The body, raw.
    pub body: Bytes,
}

/// A response, or what answers a request of a provider's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names as they came, in order.
    pub headers: Vec<(String, String)>,
    /// The body, raw.
    pub body: Bytes,
}

/// Looks a header up by its name in any case; the first one counts.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

impl HttpRequest {
    /// Looks a header up by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// The raw query, empty if there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

impl HttpResponse {
    /// A response with a content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> HttpResponse {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        HttpResponse { status, headers, body: body.into() }
    }

    /// Looks a header up by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

//! Requests with any credential or none, and replies as bytes.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
}

/// A reply; of an endless one the first event.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Sends to one gateway.
pub(super) struct Caller {
    base: String,
    http: reqwest::Client,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.as_ref().map(|body| String::from_utf8_lossy(body));
        write!(f, "{} {} {:?} {body:?}", self.method, self.target, self.headers)
    }
}

impl Ask {
    pub(super) fn new(method: &str, target: impl Into<String>) -> Ask {
        Ask { method: method.to_owned(), target: target.into(), headers: Vec::new(), body: None }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Ask {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn key(self, key: &str) -> Ask {
        self.header("authorization", format!("Bearer {key}"))
    }

    pub(super) fn body(self, media: &str, body: impl Into<Vec<u8>>) -> Ask {
        let mut ask = self.header("content-type", media);
        ask.body = Some(body.into());
        ask
    }

    pub(super) fn json(self, body: &Value) -> Ask {
        self.body("application/json", body.to_string())
    }

    /// One more parameter in the query.
    pub(super) fn query(mut self, name: &str, value: &str) -> Ask {
        let sign = if self.target.contains('?') { '&' } else { '?' };
        self.target = format!("{}{sign}{name}={value}", self.target);
        self
    }
}

impl Caller {
    pub(super) fn new(base: &str) -> Caller {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(20));
        Caller { base: base.to_owned(), http: http.build().unwrap() }
    }

    pub(super) async fn send(&self, ask: &Ask) -> Reply {
        let url = format!("{}{}", self.base, ask.target);
        let mut request = self.http.request(ask.method.parse().unwrap(), url);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let mut response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let media = headers.get("content-type").map(|value| value.to_str().unwrap());
        let is_stream = media == Some("text/event-stream");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            body.extend_from_slice(&chunk);
            if is_stream && body.windows(2).any(|two| two == b"\n\n") {
                break;
            }
        }
        Reply { status, headers, body }
    }
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// What a caller can tell this reply from another one by, but for the request's id and the
    /// texts that the caller sent.
    pub(super) fn seen(&self, sent: &[&str]) -> (u16, String, Vec<String>) {
        let id = self.header("request-id").unwrap_or("");
        let mut text = self.text().replace(id, "REQUEST");
        for one in sent {
            text = text.replace(one, "SENT");
        }
        let own = ["request-id", "date", "content-length"];
        let headers = self.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let mut headers: Vec<String> =
            headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.sort();
        (self.status, text, headers)
    }
}

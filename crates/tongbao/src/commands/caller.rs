//! Calls over HTTP with JSON in and out, as any client of the gateway or the sandbox makes them.

use crate::wire::HttpWire;
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tongbao_engine::{Egress, Outgoing, Reach, Tls, Wire};
use tongbao_types::{HttpRequest, HttpResponse, Method, Span};

/// An answer that is no 2xx.
#[derive(Debug, thiserror::Error)]
#[error("{asked} was answered with {status}: {text}")]
pub(crate) struct Refused {
    asked: String,
    status: u16,
    text: String,
}

impl Refused {
    /// What a problem of `/v1` says to people.
    pub(crate) fn detail(&self) -> Option<String> {
        let problem: Value = serde_json::from_str(&self.text).ok()?;
        problem["detail"].as_str().map(str::to_owned)
    }
}

/// Speaks to one server.
pub(crate) struct Caller {
    wire: HttpWire,
    base: String,
    authorization: Option<String>,
}

impl Caller {
    /// `key` is an API key, if the server asks for one.
    pub(crate) fn new(base: &str, key: Option<&String>) -> Caller {
        let authorization = key.map(|key| format!("Bearer {key}"));
        Caller { wire: HttpWire::new(Egress::default()), base: base.to_owned(), authorization }
    }

    /// Reads. Anything but a 2xx is an error that quotes the answer.
    pub(crate) async fn get(&self, target: &str) -> anyhow::Result<Value> {
        self.call(Method::Get, target, Vec::new()).await
    }

    /// Sends JSON. Anything but a 2xx is an error that quotes the answer.
    pub(crate) async fn post(&self, target: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::Post, target, body.to_string().into_bytes()).await
    }

    /// Goes where a browser is sent, which may send it on.
    pub(crate) async fn visit(&self, url: &str) -> anyhow::Result<()> {
        let target = url.strip_prefix(&self.base).with_context(|| format!("{url} is elsewhere"))?;
        let answer = self.send(Method::Get, target, Vec::new()).await?;
        ensure!(answer.status < 400, "GET {url} was answered with {}", answer.status);
        Ok(())
    }

    async fn call(&self, method: Method, target: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        let asked = format!("{} {}{target}", method.as_str(), self.base);
        let answer = self.send(method, target, body).await?;
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            bail!(Refused { asked, status: answer.status, text });
        }
        serde_json::from_slice(&answer.body).with_context(|| format!("{asked}: not JSON"))
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<HttpResponse> {
        let asked = format!("{} {}{target}", method.as_str(), self.base);
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        headers.extend(self.authorization.iter().map(|a| ("Authorization".to_owned(), a.clone())));
        let outgoing = Outgoing {
            base: self.base.clone(),
            request: HttpRequest { method, target: target.to_owned(), headers, body: body.into() },
            timeout: Span::from_seconds(15),
            answer_max: 16 * 1024 * 1024,
            reach: Reach::Provider,
            tls: Tls::default(),
        };
        self.wire.send(outgoing).await.context(asked)
    }
}

//! What callers of a field use: the gateway's public address with a key, and the sandbox.

use crate::world::{Answer, answer, http_client};
use serde_json::{Value, json};

/// Cheap to clone; connections are shared.
#[derive(Clone)]
pub(crate) struct Client {
    /// `http://…`, the public address of the gateway.
    pub(crate) gateway: String,
    /// `http://…`.
    pub(crate) sandbox: String,
    /// A test key of the app.
    pub(crate) key: String,
    pub(crate) http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(gateway: String, sandbox: String) -> Client {
        Client { gateway, sandbox, key: String::new(), http: http_client() }
    }

    /// A request to `/v1`, for when the gateway may be gone.
    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> reqwest::Result<Answer> {
        let url = format!("{}{path}", self.gateway);
        let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(&self.key);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        answer(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.try_call("GET", path, None, None).await.unwrap().expect(200)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_call("POST", path, Some(&body), None).await.unwrap()
    }

    /// Every item of a list, oldest first. `path` has a query.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map(|last| last["id"].as_str().unwrap());
            let after = after.map(|id| format!("&starting_after={id}")).unwrap_or_default();
            let page = self.get(&format!("{path}&limit=100{after}")).await;
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                all.reverse();
                return all;
            }
        }
    }

    /// A control path of the sandbox, which is always there.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Answer {
        let url = format!("{}/_sandbox/{path}", self.sandbox);
        answer(self.http.post(url).body(body.to_string())).await.unwrap()
    }

    /// What the sandbox shows: `trades`, `notifications`, `requests`.
    pub(crate) async fn shown(&self, path: &str) -> Vec<Value> {
        let url = format!("{}/_sandbox/{path}", self.sandbox);
        let body = answer(self.http.get(url)).await.unwrap().expect(200);
        body["data"].as_array().unwrap().clone()
    }

    /// Moves the sandbox's time on; the gateway keeps the machine's.
    pub(crate) async fn advance(&self, span: &str) {
        self.control("clock", json!({"advance": span})).await.expect(200);
    }
}

//! A sandbox on a port of its own, a merchant that speaks to it, and a listener for notifications.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tongbao_sandbox::{Credentials, Options, Sandbox, SandboxClock};
use tongbao_types::{HttpRequest, HttpResponse, Method, Timestamp};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(8);

/// A running sandbox.
pub(crate) struct Stand {
    pub(crate) base: String,
    pub(crate) keys: Credentials,
    pub(crate) clock: SandboxClock,
    pub(crate) client: reqwest::Client,
    /// What clients have to trust, over TLS.
    pub(crate) tls_root: Option<String>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Keys are made once for all tests; making them is slow.
fn keys_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sandbox-keys-2")
}

/// A fresh folder for one test's data.
pub(crate) fn data_dir(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("data-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

impl Stand {
    /// A sandbox that forgets.
    pub(crate) async fn start() -> Stand {
        Stand::open(Options::default()).await
    }

    /// A sandbox with other options; its keys are the tests'.
    pub(crate) async fn open(options: Options) -> Stand {
        let options = Options { credentials_dir: Some(keys_dir()), ..options };
        let clock = options.clock.clone();
        let sandbox = Sandbox::open(options).unwrap();
        let keys = sandbox.credentials().clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls_root = sandbox.tls_root().map(str::to_owned);
        let scheme = if tls_root.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = sandbox.serve(listener, stop.clone());
        let task = tokio::spawn(async move { served.await.unwrap() });
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Stand { base, keys, clock, client, tls_root, stop, task }
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// The machine's time, for what is signed.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.real_now()
    }

    /// Sends a merchant's request; an error if no answer comes.
    pub(crate) async fn try_send(
        &self,
        request: &HttpRequest,
    ) -> Result<HttpResponse, reqwest::Error> {
        let url = format!("{}{}", self.base, request.target);
        let mut built = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
        };
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let response = built.body(request.body.clone()).send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(HttpResponse { status, headers, body: response.bytes().await? })
    }

    /// Sends a merchant's request.
    pub(crate) async fn send(&self, request: &HttpRequest) -> HttpResponse {
        self.try_send(request).await.unwrap()
    }

    /// POSTs to a control path.
    pub(crate) async fn control(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/_sandbox/{path}", self.base);
        let response = self.client.post(url).body(body.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// GETs the list of a control path.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let url = format!("{}/_sandbox/{path}", self.base);
        let body = self.client.get(url).send().await.unwrap().bytes().await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["data"].as_array().unwrap().clone()
    }

    /// Pays a code; the answer must be good.
    pub(crate) async fn pay(&self, code: &str) -> Value {
        let (status, body) = self.control("pay", json!({"code": code})).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Moves the sandbox's clock.
    pub(crate) async fn advance(&self, by: &str) {
        let (status, body) = self.control("clock", json!({"advance": by})).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Turns a fault on.
    pub(crate) async fn fault(&self, fault: Value) {
        let (status, body) = self.control("faults", fault).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Waits until the tries of the only notification are so many, and gives it.
    pub(crate) async fn tried(&self, tries: usize) -> Value {
        let waiting = async {
            loop {
                let notices = self.list("notifications").await;
                if let [notice] = notices.as_slice()
                    && notice["tries"].as_array().is_some_and(|made| made.len() >= tries)
                {
                    return notice.clone();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the tries were not made in time")
    }
}

/// What a listener answers.
type Reply = (u16, &'static str);

/// A merchant's notify_url.
pub(crate) struct Listener {
    pub(crate) url: String,
    came: mpsc::UnboundedReceiver<HttpRequest>,
    reply: Arc<Mutex<Reply>>,
}

impl Listener {
    /// Listens and answers so until told otherwise.
    pub(crate) async fn start(status: u16, body: &'static str) -> Listener {
        let (sender, came) = mpsc::unbounded_channel();
        let reply = Arc::new(Mutex::new((status, body)));
        let router = axum::Router::new().fallback(take).with_state((sender, Arc::clone(&reply)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Listener { url, came, reply }
    }

    /// Answers so from now on.
    pub(crate) fn answer(&self, status: u16, body: &'static str) {
        *self.reply.lock().unwrap() = (status, body);
    }

    /// The next notification.
    pub(crate) async fn next(&mut self) -> HttpRequest {
        let came = tokio::time::timeout(PATIENCE, self.came.recv()).await;
        came.expect("no notification came in time").unwrap()
    }

    /// Whether one has come that was not taken yet.
    pub(crate) fn has_more(&self) -> bool {
        !self.came.is_empty()
    }
}

async fn take(
    State((sender, reply)): State<(mpsc::UnboundedSender<HttpRequest>, Arc<Mutex<Reply>>)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (axum::http::StatusCode, &'static str) {
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let target = uri.path_and_query().unwrap().to_string();
    let request = HttpRequest { method: Method::Post, target, headers, body };
    let _ = sender.send(request);
    let (status, body) = *reply.lock().unwrap();
    (axum::http::StatusCode::from_u16(status).unwrap(), body)
}

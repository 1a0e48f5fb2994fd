//! A gateway and a sandbox to test against: `tongbao dev` as a process of its own.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tongbao_engine::Store;
use tongbao_types::{Span, Timestamp};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tongbao");

/// The program to test: another build of it if the environment names one.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("TONGBAO_BINARY").map_or_else(|| BINARY.into(), PathBuf::from)
}

/// How long anything may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(15);

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// JSON, or the text as a JSON string.
    pub(crate) body: Value,
}

impl Answer {
    /// The body, if the status is the one wanted.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The `code` of a problem with this status.
    #[track_caller]
    pub(crate) fn problem(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let media = self.headers.get("content-type").map(|value| value.to_str().unwrap());
        assert_eq!(media, Some("application/problem+json"));
        self.body["code"].as_str().expect("a problem has a code").to_owned()
    }
}

/// A fresh folder below the build's own folder for temporary files.
pub(crate) fn fresh_folder(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{name}-{}-{count}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _none_before = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A running `tongbao dev`.
pub(crate) struct World {
    pub(crate) data: PathBuf,
    pub(crate) dev: Value,
    set: Vec<String>,
    child: Option<Child>,
    http: reqwest::Client,
}

impl World {
    /// Polls so seldom that only what a test does has effects.
    pub(crate) async fn start() -> World {
        World::with(&["polling.delay=10m", "polling.backoff=fixed"]).await
    }

    /// With these values of `--set`.
    pub(crate) async fn with(set: &[&str]) -> World {
        let data = fresh_folder("world");
        borrow_credentials(&data.join("sandbox"));
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        let mut world = World { data, dev: Value::Null, set, child: None, http: http_client() };
        world.run().await;
        world
    }

    /// Starts the process over the data folder; again at the same addresses.
    pub(crate) async fn run(&mut self) {
        let mut command = Command::new(binary());
        let address = |name: &str| match self.dev[name].as_str() {
            Some(base) => base.trim_start_matches("http://").to_owned(),
            None => free_address(),
        };
        command.args(["dev", "--listen", &address("gateway")]);
        command.args(["--sandbox-listen", &address("sandbox")]);
        command.args(["--shop-listen", &address("shop"), "--data"]);
        command.arg(&self.data).stdout(Stdio::null()).stderr(Stdio::null());
        self.set.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        let dev_file = self.data.join("dev.json");
        // A killed process leaves its own behind, which may say the same as the new one.
        let _none_left = std::fs::remove_file(&dev_file);
        self.child = Some(command.spawn().unwrap());
        let read = async || {
            let text = std::fs::read(&dev_file).ok()?;
            serde_json::from_slice(&text).ok()
        };
        self.dev = eventually("dev.json is written", read).await;
        keep_credentials(&self.data.join("sandbox"));
    }

    pub(crate) fn gateway(&self) -> &str {
        self.dev["gateway"].as_str().unwrap()
    }

    pub(crate) fn sandbox(&self) -> &str {
        self.dev["sandbox"].as_str().unwrap()
    }

    /// The name of a key in `dev.json`, as its text.
    pub(crate) fn key(&self, name: &str) -> String {
        self.dev[name].as_str().unwrap().to_owned()
    }

    /// A request to `/v1` with the test key and an optional body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_call(method, path, body, &[]).await.unwrap()
    }

    /// As [`World::call`] with more headers, for when the gateway may be gone. An `Authorization`
    /// among them replaces the test key.
    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let url = format!("{}{path}", self.gateway());
        let mut request = self.http.request(method.parse().unwrap(), url);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth(self.key("secret_key"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        answer(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.expect(200)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    /// Any request to any address, raw.
    pub(crate) async fn raw(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut request = self.http.post(url).body(body.into());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        answer(request).await.unwrap()
    }

    /// Any address as a browser gets it.
    pub(crate) async fn fetch(&self, url: &str) -> Answer {
        answer(self.http.get(url)).await.unwrap()
    }

    /// A control path of the sandbox.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Answer {
        self.try_control(path, body).await.unwrap()
    }

    pub(crate) async fn try_control(&self, path: &str, body: Value) -> reqwest::Result<Answer> {
        let url = format!("{}/_sandbox/{path}", self.sandbox());
        answer(self.http.post(url).body(body.to_string())).await
    }

    /// What the sandbox shows: `trades`, `notifications`, `requests`.
    pub(crate) async fn shown(&self, path: &str) -> Vec<Value> {
        let url = format!("{}/_sandbox/{path}", self.sandbox());
        let body = answer(self.http.get(url)).await.unwrap().expect(200);
        body["data"].as_array().unwrap().clone()
    }

    pub(crate) async fn clear_faults(&self) {
        let url = format!("{}/_sandbox/faults", self.sandbox());
        answer(self.http.delete(url)).await.unwrap().expect(204);
    }

    pub(crate) async fn advance(&self, span: &str) {
        self.control("clock", json!({"advance": span})).await.expect(200);
    }

    /// A new charge of 12 yuan through a channel.
    pub(crate) async fn order(&self, channel: &str) -> Value {
        self.order_with(json!({"channel": channel})).await
    }

    /// A new charge of 12 yuan with more fields.
    pub(crate) async fn order_with(&self, fields: Value) -> Value {
        let mut body = json!({"amount": 1200, "subject": "Tea"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.post("/v1/charges", body).await.expect(201)
    }

    pub(crate) async fn charge(&self, charge: &Value) -> Value {
        self.get(&format!("/v1/charges/{}", id(charge))).await
    }

    /// The payer pays what a charge shows.
    pub(crate) async fn pay(&self, charge: &Value) -> Answer {
        self.control("pay", json!({"code": code(charge)})).await
    }

    /// Waits until a charge has a status, and returns it.
    pub(crate) async fn until(&self, charge: &Value, status: &str) -> Value {
        let what = format!("{} becomes {status}", id(charge));
        eventually(&what, async || {
            let now = self.charge(charge).await;
            (now["status"] == status).then_some(now)
        })
        .await
    }

    /// The types of a charge's events, in order.
    pub(crate) async fn events(&self, charge: &Value) -> Vec<String> {
        let path = format!("/v1/events?charge={}&limit=100", id(charge));
        let list = self.get(&path).await;
        let kinds = list["data"].as_array().unwrap().iter();
        kinds.rev().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// What the sandbox sent, or tried to send, about a charge's order.
    pub(crate) async fn notices(&self, charge: &Value) -> Vec<Value> {
        let mut all = self.shown("notifications").await;
        all.retain(|notice| notice["out_trade_no"] == out_trade_no(charge));
        all
    }

    /// What the sandbox was asked about a charge's order, oldest first.
    pub(crate) async fn requests(&self, charge: &Value) -> Vec<Value> {
        let mut all = self.shown("requests").await;
        all.retain(|request| {
            let part = |name: &str| request[name].as_str().unwrap().contains(out_trade_no(charge));
            part("target") || part("body")
        });
        all
    }

    /// Sends the process a signal, while requests may be under way.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.as_ref().unwrap(), name);
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends the process at once and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_already = child.kill();
            child.wait().unwrap();
        }
    }

    /// Ends the world and checks what it leaves: a clean end, no job that is due and was not done,
    /// no error in the log.
    pub(crate) async fn finish(mut self) {
        let clock = format!("{}/_sandbox/clock", self.sandbox());
        let clock = answer(self.http.get(clock)).await.unwrap().expect(200);
        let now: Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
        self.signal("-TERM");
        let mut child = self.child.take().unwrap();
        assert!(child.wait().unwrap().success(), "dev did not end cleanly");
        assert!(!self.data.join("dev.json").exists(), "dev.json is still there");
        let options = tongbao_store::Options { create: false, ..Default::default() };
        let store = tongbao_store::open(self.dev["database"].as_str().unwrap(), options).await;
        let due = store.unwrap().next_due().await.unwrap();
        // What fell due in the last moment may not have had its turn.
        let late = now - Span::from_seconds(2);
        assert!(due.is_none_or(|at| at > late), "a job was due at {due:?}, and it is {now}");
        let log = std::fs::read_to_string(self.dev["log"].as_str().unwrap()).unwrap();
        let errors: Vec<&str> =
            log.lines().filter(|line| line.contains(r#""level":"ERROR""#)).collect();
        assert!(errors.is_empty(), "{errors:?}");
        std::fs::remove_dir_all(&self.data).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address that nobody listens on, below the ports that the system gives to callers: so it is
/// still free after a restart.
pub(crate) fn free_address() -> String {
    loop {
        let address = format!("127.0.0.1:{}", rand::random_range(12_000..32_000));
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Sends a process a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let told = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(told.unwrap().success());
}

/// Looks again and again until there is something to see.
#[track_caller]
pub(crate) fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    look: impl Fn() -> F,
) -> impl Future<Output = T> {
    let began = Instant::now();
    let what = what.to_owned();
    async move {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

pub(crate) fn out_trade_no(charge: &Value) -> &str {
    charge["attempts"][0]["out_trade_no"].as_str().unwrap()
}

/// What the payer's phone or browser is given.
pub(crate) fn code(charge: &Value) -> &str {
    let action = &charge["action"];
    let texts = ["code_url", "url"].map(|name| &action[name]);
    // An app's `package` is no code, so it comes after its prepayid.
    let names = ["prepayid", "package", "orderString", "tradeNO"];
    let params = names.map(|name| &action["params"][name]);
    let code = texts.into_iter().chain(params).find_map(Value::as_str);
    code.unwrap_or_else(|| panic!("nothing to pay with: {action}"))
}

/// A client that shows what it gets and goes nowhere by itself.
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}

const CREDENTIALS: &str = "sandbox-credentials.json";

/// Making six key pairs takes longer than most tests, so the first world's are used by the others.
pub(crate) fn borrow_credentials(folder: &Path) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(CREDENTIALS);
    std::fs::create_dir_all(folder).unwrap();
    if kept.exists() {
        std::fs::copy(kept, folder.join(CREDENTIALS)).unwrap();
    }
}

pub(crate) fn keep_credentials(folder: &Path) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(CREDENTIALS);
    if !kept.exists() {
        let draft = kept.with_extension(std::process::id().to_string());
        std::fs::copy(folder.join(CREDENTIALS), &draft).unwrap();
        std::fs::rename(draft, kept).unwrap();
    }
}

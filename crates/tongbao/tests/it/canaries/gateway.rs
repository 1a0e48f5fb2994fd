//! A `tongbao serve` whose every secret is known: accounts of all kinds, the older services, a
//! master key; and everything that it says or keeps.

use super::scanner::Canary;
use crate::provider::ProviderSandbox;
use crate::world::{BINARY, eventually, free_address, fresh_folder, signal};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tongbao_crypt::RsaPrivateKey;

/// Something that was said or is kept.
pub(crate) struct Said {
    pub(crate) place: String,
    pub(crate) bytes: Vec<u8>,
}

/// The running program.
pub(crate) struct Gateway {
    pub(crate) folder: PathBuf,
    pub(crate) base: String,
    pub(crate) provider: ProviderSandbox,
    /// An API key of the app.
    pub(crate) key: String,
    /// What nobody may see anywhere.
    pub(crate) secrets: Vec<Canary>,
    /// What callers and payers see, and logs and errors must not show.
    pub(crate) private: Vec<Canary>,
    /// What was answered.
    pub(crate) answers: Vec<Said>,
    child: Child,
    http: reqwest::Client,
}

/// An answer that was kept.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Gateway {
    pub(crate) async fn start() -> Gateway {
        let folder = fresh_folder("canaries");
        let provider = ProviderSandbox::plain(&folder.join("provider")).await;
        let credentials = provider.get("/_sandbox/credentials").await;
        let mut secrets = secrets_of(&credentials);
        let address = free_address();
        let config = configuration(&folder, (&address, &provider.base), &credentials, &mut secrets);
        write(&folder.join("tongbao.toml"), toml::to_string(&config).unwrap());
        let stderr = std::fs::File::create(folder.join("stderr")).unwrap();
        let stdout = std::fs::File::create(folder.join("stdout")).unwrap();
        let child = command(&folder, &["serve"]).stdout(stdout).stderr(stderr).spawn().unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(20))
            .build();
        let mut gateway = Gateway {
            base: format!("http://{address}"),
            key: String::new(),
            private: Vec::new(),
            answers: Vec::new(),
            http: http.unwrap(),
            folder,
            provider,
            secrets,
            child,
        };
        let url = format!("{}/readyz", gateway.base);
        eventually("it is ready", async || {
            gateway.http.get(&url).send().await.ok().filter(|answer| answer.status() == 200)
        })
        .await;
        gateway.key = gateway.make_key();
        gateway
    }

    /// A new API key, which is one more secret.
    fn make_key(&mut self) -> String {
        let make = ["keys", "create", "--app", "shop", "--mode", "test", "--json"];
        let made = command(&self.folder, &make).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let stderr = Said { place: "keys create, stderr".to_owned(), bytes: made.stderr };
        self.answers.push(stderr);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let key = made["key"].as_str().unwrap().to_owned();
        self.secrets.push(Canary::new("an API key", &key["sk_test_".len()..]));
        key
    }

    /// A request with the API key, whose answer is kept.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let key = format!("Bearer {}", self.key);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.raw(method, path, &[("authorization", &key)], body).await
    }

    /// Any request, whose answer is kept.
    pub(crate) async fn raw(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let (answer, bytes) = self.send(method, path, headers, body.into()).await;
        self.answers.push(Said { place: format!("{method} {path}: {}", answer.status), bytes });
        answer
    }

    /// A request whose answer may show a secret, once.
    pub(crate) async fn shown(&mut self, path: &str, key: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
        self.send("POST", path, &headers, body.to_string().into_bytes()).await.0
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (Answer, Vec<u8>) {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.parse().unwrap(), url);
        if !headers.iter().any(|(name, _)| *name == "content-type") && !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let head = format!("{:?}\n", answer.headers());
        let text = answer.bytes().await.unwrap();
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        (Answer { status, body }, [head.as_bytes(), &text].concat())
    }

    /// A command beside the gateway, whose words are kept.
    pub(crate) fn command(&mut self, arguments: &[&str]) -> Output {
        let output = command(&self.folder, arguments).output().unwrap();
        for (which, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let place = format!("tongbao {}: {which}", arguments.join(" "));
            self.answers.push(Said { place, bytes: bytes.clone() });
        }
        output
    }

    /// The log of the gateway so far.
    pub(crate) fn logs(&self) -> Vec<Said> {
        self.files(&["stdout", "stderr", "log.jsonl"])
    }

    /// What is kept: the database with its log, and its copy.
    pub(crate) fn kept(&self) -> Vec<Said> {
        self.files(&["tongbao.db", "tongbao.db-wal", "copy.db"])
    }

    /// The database once its log is folded in.
    pub(crate) fn kept_after_the_end(&self) -> Vec<Said> {
        self.files(&["tongbao.db", "stderr", "log.jsonl"])
    }

    fn files(&self, names: &[&str]) -> Vec<Said> {
        let read = |name: &&str| {
            let bytes = std::fs::read(self.folder.join(name)).unwrap();
            assert!(!bytes.is_empty() || **name == *"stdout", "{name} is empty");
            Said { place: (*name).to_owned(), bytes }
        };
        names.iter().map(read).collect()
    }

    /// Stops it as an operator does.
    pub(crate) fn stop(&mut self) {
        signal(&self.child, "-TERM");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The program in a folder, with nothing of this machine's settings.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Writes a file that its owner alone may read.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The secrets that the sandbox shares with a merchant.
fn secrets_of(credentials: &Value) -> Vec<Canary> {
    let (wechat, alipay) = (&credentials["wechat"], &credentials["alipay"]);
    let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
    let mut all = vec![
        Canary::new("api_key", text(wechat, "api_key")),
        Canary::new("api_v3_key", text(wechat, "api_v3_key")),
        Canary::new("md5_key", text(alipay, "legacy_md5_key")),
        Canary::new("aes_key", text(alipay, "aes_key")),
        Canary::new("p12", BASE64.decode(text(wechat, "p12_base64").as_bytes()).unwrap()),
    ];
    all.extend(Canary::of_key("merchant_private_key", &text(wechat, "merchant_private_key")));
    all.extend(Canary::of_key("app_private_key", &text(alipay, "app_private_key")));
    all
}

fn configuration(
    folder: &Path,
    (address, provider): (&str, &str),
    credentials: &Value,
    secrets: &mut Vec<Canary>,
) -> Value {
    let master = BASE64.encode(&rand::random::<[u8; 32]>());
    let old = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 32]>());
    for (name, key) in [("master_key", &master), ("old_master_keys", &old)] {
        secrets.push(Canary::new(name, key));
    }
    write(&folder.join("master.key"), &master);
    let accounts = accounts(folder, provider, credentials, secrets);
    write(&folder.join("config.json"), wepay(provider, credentials).to_string());
    let compat: Vec<Value> = ["auth-pay", "wepay", "wxpay", "payorder", "capi"]
        .map(|profile| {
            let mut table = json!({"profile": profile, "app": "shop", "livemode": false,
                "allow_from": ["127.0.0.0/8"]});
            if profile == "wepay" {
                table["config"] = json!("config.json");
                table["endpoint"] = json!(provider);
            }
            table
        })
        .to_vec();
    json!({
        "server": {"listen": address},
        "database": {"url": format!("sqlite://{}", folder.join("tongbao.db").display())},
        "security": {"master_key_file": "master.key", "old_master_keys": old},
        "webhooks": {"allow_loopback": true},
        "polling": {"delay": "1s", "attempts": 600, "backoff": "fixed"},
        "log": {"filter": "trace", "file": "log.jsonl"},
        "apps": [{"name": "shop", "accounts": accounts}],
        "compat": compat,
    })
}

/// One account of each kind, and two whose keys are none that the provider knows.
fn accounts(
    folder: &Path,
    provider: &str,
    credentials: &Value,
    secrets: &mut Vec<Canary>,
) -> Vec<Value> {
    let (wx, ali) = (&credentials["wechat"], &credentials["alipay"]);
    let p12 = BASE64.decode(wx["p12_base64"].as_str().unwrap().as_bytes()).unwrap();
    write(&folder.join("apiclient_cert.p12"), p12);
    let wrong_key: String = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
    secrets.push(Canary::new("api_key that is wrong", &wrong_key));
    let wrong_private = RsaPrivateKey::generate().to_pkcs8_pem().to_string();
    secrets.extend(Canary::of_key("app_private_key that is wrong", &wrong_private));
    let v2 = |name: &str, key: &Value| {
        json!({"name": name, "provider": "wechat", "api": "v2", "app_id": wx["app_id"],
            "mch_id": wx["mch_id"], "api_key": key, "p12_file": "apiclient_cert.p12",
            "p12_passphrase": wx["p12_passphrase"], "sign_type": "HMAC-SHA256"})
    };
    let alipay = |name: &str, api: &str, key: &Value| {
        json!({"name": name, "provider": "alipay", "api": api, "app_id": ali["app_id"],
            "seller_id": ali["seller_id"], "app_private_key": key,
            "alipay_public_key": ali["alipay_public_key"]})
    };
    let mut open = alipay("open", "open", &ali["app_private_key"]);
    open["aes_key"] = ali["aes_key"].clone();
    let mut all = vec![
        json!({"name": "v3", "provider": "wechat", "api": "v3", "app_id": wx["app_id"],
            "mch_id": wx["mch_id"], "api_v3_key": wx["api_v3_key"],
            "merchant_serial": wx["merchant_serial"],
            "merchant_private_key": wx["merchant_private_key"],
            "public_key_id": wx["platform_public_key_id"],
            "public_key": wx["platform_public_key"]}),
        v2("v2", &wx["api_key"]),
        v2("wrong-v2", &json!(wrong_key)),
        open,
        alipay("v3ali", "v3", &ali["app_private_key"]),
        alipay("wrong-open", "open", &json!(wrong_private)),
        json!({"name": "legacy", "provider": "alipay", "api": "legacy",
            "partner": ali["legacy_partner"], "md5_key": ali["legacy_md5_key"],
            "seller_email": ali["seller_email"]}),
    ];
    for account in &mut all {
        account["livemode"] = json!(false);
        account["endpoint"] = json!(provider);
    }
    all
}

/// The configuration of an older service, with a certificate.
fn wepay(provider: &str, credentials: &Value) -> Value {
    let wx = &credentials["wechat"];
    json!([{"env": "WXAPP", "type": "普通商户", "appId": wx["app_id"], "mchId": wx["mch_id"],
        "notifyUrl": format!("{provider}/nowhere"), "partnerKey": wx["api_key"],
        "pfx": "apiclient_cert.p12", "passphrase": wx["p12_passphrase"],
        "cbNotifyUrl": "http://127.0.0.1:1/pay_notify"}])
}

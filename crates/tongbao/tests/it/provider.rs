//! A provider sandbox as a process of its own, beside the one of `tongbao dev`, so that accounts
//! with other credentials and protocols can be configured for it.

use crate::world::{BINARY, eventually, free_address};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `tongbao sandbox`, until it goes out of scope.
pub(crate) struct ProviderSandbox {
    pub(crate) base: String,
    /// The file with its authority, if it speaks TLS.
    pub(crate) root: Option<String>,
    http: reqwest::Client,
    child: Child,
}

impl ProviderSandbox {
    pub(crate) async fn plain(folder: &Path) -> ProviderSandbox {
        ProviderSandbox::start(folder, false).await
    }

    /// Over HTTPS, asking for the merchant's certificate.
    pub(crate) async fn over_tls(folder: &Path) -> ProviderSandbox {
        ProviderSandbox::start(folder, true).await
    }

    async fn start(folder: &Path, tls: bool) -> ProviderSandbox {
        let address = free_address();
        let mut command = Command::new(BINARY);
        command.args(["sandbox", "--listen", &address, "--credentials"]).arg(folder);
        command.args(tls.then_some("--tls")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let mut http = reqwest::Client::builder().no_proxy();
        let mut root = None;
        if tls {
            let file = folder.join("sandbox-tls-root.pem").display().to_string();
            let pem = eventually("the sandbox has an authority", async || {
                std::fs::read(&file).ok().filter(|pem| pem.ends_with(b"CERTIFICATE-----\n"))
            });
            let certificate = reqwest::Certificate::from_pem(&pem.await).unwrap();
            http = http.tls_certs_only([certificate]);
            root = Some(file);
        }
        let base = format!("{}://{address}", if tls { "https" } else { "http" });
        ProviderSandbox { base, root, http: http.build().unwrap(), child }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.base);
        let answer =
            eventually("the sandbox answers", async || self.http.get(&url).send().await.ok());
        serde_json::from_slice(&answer.await.bytes().await.unwrap()).unwrap()
    }

    pub(crate) async fn control(&self, path: &str, body: Value) {
        let url = format!("{}/_sandbox/{path}", self.base);
        let answer = self.http.post(url).body(body.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    pub(crate) async fn pay(&self, charge: &Value) {
        self.control("pay", json!({"code": charge["action"]["code_url"]})).await;
    }
}

impl Drop for ProviderSandbox {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The keys of an account and their values.
pub(crate) type Keys = Vec<(&'static str, String)>;

/// `--set` texts for the accounts of the first app, counted from 0.
pub(crate) fn accounts(all: &[(&str, Keys)]) -> Vec<String> {
    let one = |(at, (name, keys)): (usize, &(&str, Keys))| {
        let key = move |key: &str, value: &str| format!("apps.0.accounts.{at}.{key}={value}");
        let own: Vec<String> = keys.iter().map(|(name, value)| key(name, value)).collect();
        [key("name", name), key("livemode", "false")].into_iter().chain(own)
    };
    all.iter().enumerate().flat_map(one).collect()
}

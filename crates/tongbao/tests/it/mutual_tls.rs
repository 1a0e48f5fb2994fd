//! Refunds of WeChat's API v2 over mutual TLS: a sandbox that asks for the merchant's certificate,
//! and an account that has it as a PKCS#12 file, or has none.

use crate::world::{BINARY, World, eventually, free_address, fresh_folder};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `tongbao sandbox --tls`, until it goes out of scope.
struct TlsSandbox {
    base: String,
    root: String,
    http: reqwest::Client,
    child: Child,
}

impl TlsSandbox {
    async fn start(folder: &Path) -> TlsSandbox {
        let address = free_address();
        let mut command = Command::new(BINARY);
        command.args(["sandbox", "--tls", "--listen", &address, "--credentials"]).arg(folder);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let root = folder.join("sandbox-tls-root.pem").display().to_string();
        let pem = eventually("the sandbox has an authority", async || {
            std::fs::read(&root).ok().filter(|pem| pem.ends_with(b"-----END CERTIFICATE-----\n"))
        });
        let certificate = reqwest::Certificate::from_pem(&pem.await).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]);
        let http = http.build().unwrap();
        let base = format!("https://{address}");
        TlsSandbox { base, root, http, child }
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.base);
        let answer =
            eventually("the sandbox answers", async || self.http.get(&url).send().await.ok());
        serde_json::from_slice(&answer.await.bytes().await.unwrap()).unwrap()
    }

    async fn pay(&self, charge: &Value) {
        let code = json!({"code": charge["action"]["code_url"]});
        let url = format!("{}/_sandbox/pay", self.base);
        let answer = self.http.post(url).body(code.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

impl Drop for TlsSandbox {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn a_refund_of_api_v2_shows_the_merchants_certificate_and_none_goes_without() {
    let folder = fresh_folder("tls-sandbox");
    let sandbox = TlsSandbox::start(&folder).await;
    let merchant = sandbox.get("/_sandbox/credentials").await["wechat"].clone();
    let p12 = folder.join("apiclient_cert.p12");
    let bytes = BASE64.decode(merchant["p12_base64"].as_str().unwrap().as_bytes()).unwrap();
    std::fs::write(&p12, bytes).unwrap();
    let text = |name: &str| merchant[name].as_str().unwrap().to_owned();
    let mut set = vec!["polling.delay=1s".to_owned(), "polling.backoff=fixed".to_owned()];
    for (at, name) in ["with", "without"].into_iter().enumerate() {
        let key = |key: &str, value: &str| format!("apps.0.accounts.{at}.{key}={value}");
        set.extend([
            key("name", name),
            key("provider", "wechat"),
            key("api", "v2"),
            key("livemode", "false"),
            key("endpoint", &sandbox.base),
            key("endpoint_ca_file", &sandbox.root),
            key("app_id", &text("app_id")),
            key("mch_id", &text("mch_id")),
            key("api_key", &text("api_key")),
        ]);
        if name == "with" {
            set.push(key("p12_file", &p12.display().to_string()));
            set.push(key("p12_passphrase", &text("p12_passphrase")));
        }
    }
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let world = World::with(&set).await;
    for (account, status) in [("with", 201), ("without", 400)] {
        let order = json!({"channel": "wechat.native", "account": account});
        let charge = world.order_with(order).await;
        sandbox.pay(&charge).await;
        world.until(&charge, "succeeded").await;
        let refund = json!({"charge": charge["id"], "amount": 400});
        let refund = world.call("POST", "/v1/refunds", Some(refund)).await;
        let refund = refund.expect(status);
        if status == 400 {
            assert_eq!(refund["code"], "account_missing", "{refund}");
            assert!(refund["detail"].as_str().unwrap().contains("p12_file"), "{refund}");
            continue;
        }
        let path = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
        eventually("the money is back", async || {
            let now = world.call("GET", &path, None).await.expect(200);
            (now["status"] == "succeeded").then_some(())
        })
        .await;
    }
    let trades = sandbox.get("/_sandbox/trades").await;
    let refunded = trades["data"].as_array().unwrap().iter().map(|one| one["refunded"].clone());
    assert_eq!(refunded.filter(|sum| *sum == 400).count(), 1, "{trades}");
    world.finish().await;
}

//! Refunds of WeChat's API v2 over mutual TLS: a sandbox that asks for the merchant's certificate,
//! and an account that has it as a PKCS#12 file, or has none.

use crate::provider::{ProviderSandbox, accounts};
use crate::world::{World, eventually, fresh_folder};
use data_encoding::BASE64;
use serde_json::json;

#[tokio::test]
async fn a_refund_of_api_v2_shows_the_merchants_certificate_and_none_goes_without() {
    let folder = fresh_folder("tls-sandbox");
    let sandbox = ProviderSandbox::over_tls(&folder).await;
    let merchant = sandbox.get("/_sandbox/credentials").await["wechat"].clone();
    let p12 = folder.join("apiclient_cert.p12");
    let bytes = BASE64.decode(merchant["p12_base64"].as_str().unwrap().as_bytes()).unwrap();
    std::fs::write(&p12, bytes).unwrap();
    let text = |name: &str| merchant[name].as_str().unwrap().to_owned();
    let v2 = || {
        vec![
            ("provider", "wechat".to_owned()),
            ("api", "v2".to_owned()),
            ("endpoint", sandbox.base.clone()),
            ("endpoint_ca_file", sandbox.root.clone().unwrap()),
            ("app_id", text("app_id")),
            ("mch_id", text("mch_id")),
            ("api_key", text("api_key")),
        ]
    };
    let mut with = v2();
    with.push(("p12_file", p12.display().to_string()));
    with.push(("p12_passphrase", text("p12_passphrase")));
    let mut set = accounts(&[("with", with), ("without", v2())]);
    set.push("polling.delay=1s".to_owned());
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let world = World::with(&set).await;
    for (account, status) in [("with", 201), ("without", 400)] {
        let order = json!({"channel": "wechat.native", "account": account});
        let charge = world.order_with(order).await;
        sandbox.pay(&charge).await;
        world.until(&charge, "succeeded").await;
        let refund = world.refund(&charge, json!({"amount": 400})).await.expect(status);
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

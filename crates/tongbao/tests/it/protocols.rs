//! Accounts of every kind beside one another: other protocols, certificates, encrypted content,
//! service providers; and an account that moves from platform certificates to WeChat's public key.

use crate::provider::{Keys, ProviderSandbox, accounts};
use crate::world::{World, eventually, fresh_folder, id};
use serde_json::{Value, json};
use std::path::Path;

/// Puts what has several lines into a file, as a person would.
fn file(folder: &Path, name: &str, text: &Value) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text.as_str().unwrap()).unwrap();
    path.display().to_string()
}

fn alipay(sandbox: &ProviderSandbox, folder: &Path, keys: &Value, api: &str) -> Keys {
    vec![
        ("provider", "alipay".to_owned()),
        ("api", api.to_owned()),
        ("endpoint", sandbox.base.clone()),
        ("app_id", keys["app_id"].as_str().unwrap().to_owned()),
        ("seller_id", keys["seller_id"].as_str().unwrap().to_owned()),
        ("app_private_key_file", file(folder, "app.pem", &keys["app_private_key"])),
    ]
}

fn public_key(folder: &Path, keys: &Value) -> Keys {
    vec![("alipay_public_key_file", file(folder, "alipay.txt", &keys["alipay_public_key"]))]
}

fn certificates(folder: &Path, keys: &Value) -> Keys {
    vec![
        ("app_cert_file", file(folder, "app.crt", &keys["app_cert"])),
        ("alipay_cert_file", file(folder, "alipay.crt", &keys["alipay_cert"])),
        ("alipay_root_cert_file", file(folder, "root.crt", &keys["alipay_root_cert"])),
    ]
}

fn wechat_v3(sandbox: &ProviderSandbox, folder: &Path, keys: &Value) -> Keys {
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    vec![
        ("provider", "wechat".to_owned()),
        ("api", "v3".to_owned()),
        ("endpoint", sandbox.base.clone()),
        ("app_id", text("app_id")),
        ("mch_id", text("mch_id")),
        ("api_v3_key", text("api_v3_key")),
        ("merchant_serial", text("merchant_serial")),
        ("merchant_private_key_file", file(folder, "merchant.pem", &keys["merchant_private_key"])),
    ]
}

fn wechat_public_key(folder: &Path, keys: &Value) -> Keys {
    vec![
        ("public_key_id", keys["platform_public_key_id"].as_str().unwrap().to_owned()),
        ("public_key_file", file(folder, "wechat.pem", &keys["platform_public_key"])),
    ]
}

async fn paid(world: &World, sandbox: &ProviderSandbox, account: &str, channel: &str) -> Value {
    let order = json!({"channel": channel, "account": account, "amount": 1200});
    let charge = world.order_with(order).await;
    assert_eq!(charge["status"], "pending", "{account}");
    sandbox.pay(&charge).await;
    world.until(&charge, "succeeded").await
}

async fn refunded(world: &World, charge: &Value, amount: i64) {
    let refund = world.refund(charge, json!({"amount": amount})).await.expect(201);
    let path = format!("/v1/refunds/{}", id(&refund));
    eventually("the money is back", async || {
        let now = world.call("GET", &path, None).await.expect(200);
        (now["status"] == "succeeded").then_some(())
    })
    .await;
}

#[tokio::test]
async fn accounts_of_every_kind_are_paid_refunded_and_closed_beside_one_another() {
    let folder = fresh_folder("provider");
    let sandbox = ProviderSandbox::plain(&folder).await;
    let keys = sandbox.get("/_sandbox/credentials").await;
    let (ali, wx) = (&keys["alipay"], &keys["wechat"]);
    let aes = ("aes_key", ali["aes_key"].as_str().unwrap().to_owned());
    let of_sub = ("sub_mch_id", wx["sub_mch_id"].as_str().unwrap().to_owned());
    let v2 = vec![
        ("provider", "wechat".to_owned()),
        ("api", "v2".to_owned()),
        ("endpoint", sandbox.base.clone()),
        ("app_id", wx["app_id"].as_str().unwrap().to_owned()),
        ("mch_id", wx["mch_id"].as_str().unwrap().to_owned()),
        ("api_key", wx["api_key"].as_str().unwrap().to_owned()),
        ("sign_type", "HMAC-SHA256".to_owned()),
        of_sub.clone(),
    ];
    let open = |api: &str| alipay(&sandbox, &folder, ali, api);
    let v3 = || wechat_v3(&sandbox, &folder, wx);
    let all = [
        ("open_certificates", [open("open"), certificates(&folder, ali)].concat()),
        ("open_encrypted", [open("open"), public_key(&folder, ali), vec![aes.clone()]].concat()),
        ("ali_v3", [open("v3"), public_key(&folder, ali)].concat()),
        ("ali_v3_certificates", [open("v3"), certificates(&folder, ali)].concat()),
        ("ali_v3_encrypted", [open("v3"), public_key(&folder, ali), vec![aes]].concat()),
        ("wx_fetched", v3()),
        ("wx_public_key", [v3(), wechat_public_key(&folder, wx)].concat()),
        ("wx_partner", [v3(), vec![of_sub.clone()]].concat()),
        ("wx_partner_v2", v2),
    ];
    let mut set = accounts(&all);
    set.push("polling.delay=1s".to_owned());
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let world = World::with(&set).await;
    for (account, keys) in &all {
        eprintln!("at {account}");
        let is_alipay = keys.iter().any(|(_, value)| value == "alipay");
        let channel = if is_alipay { "alipay.qr" } else { "wechat.native" };
        let charge = paid(&world, &sandbox, account, channel).await;
        assert_eq!(charge["account"], *account);
        refunded(&world, &charge, 500).await;
        let order = json!({"channel": channel, "account": account, "amount": 100});
        let nobody = world.order_with(order).await;
        let path = format!("/v1/charges/{}/close", id(&nobody));
        assert_eq!(world.post(&path, json!({})).await.expect(200)["status"], "closed");
    }
    let requests = sandbox.get("/_sandbox/requests").await;
    for request in requests["data"].as_array().unwrap() {
        let verdict = &request["signature"]["result"];
        assert!(verdict.is_null() || *verdict == "good", "{request}");
    }
    world.finish().await;
}

#[tokio::test]
async fn an_account_moves_to_the_public_key_in_mid_traffic_without_losing_a_payment() {
    let folder = fresh_folder("provider");
    let sandbox = ProviderSandbox::plain(&folder).await;
    let wx = sandbox.get("/_sandbox/credentials").await["wechat"].clone();
    let both = [wechat_v3(&sandbox, &folder, &wx), wechat_public_key(&folder, &wx)].concat();
    let set = accounts(&[("moving", both)]);
    // Only notifications can tell in time.
    let set = [set, vec!["polling.delay=10m".to_owned()]].concat();
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    sandbox.control("rules", json!({"wechat_keys": "certificate"})).await;
    let world = World::with(&set).await;
    let order = json!({"channel": "wechat.native", "account": "moving"});
    let early = world.order_with(order).await;
    for (stage, notice_key) in [("both", "certificate"), ("both", "public_key"), ("both", "follow")]
    {
        let rules = json!({"wechat_keys": stage, "wechat_notice_key": notice_key});
        sandbox.control("rules", rules).await;
        let charge = paid(&world, &sandbox, "moving", "wechat.native").await;
        refunded(&world, &charge, 300).await;
    }
    // An order of before the move is paid while both keys are in use.
    sandbox.pay(&early).await;
    world.until(&early, "succeeded").await;
    let waiting = json!({"channel": "wechat.native", "account": "moving"});
    let waiting = world.order_with(waiting).await;
    sandbox.control("rules", json!({"wechat_keys": "public_key"})).await;
    sandbox.pay(&waiting).await;
    world.until(&waiting, "succeeded").await;
    let last = paid(&world, &sandbox, "moving", "wechat.native").await;
    refunded(&world, &last, 1200).await;
    world.finish().await;
}

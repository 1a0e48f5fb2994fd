//! A charge's life on each channel, and what `/v1/charges` refuses.

use crate::world::{World, code, id, out_trade_no};
use serde_json::json;

/// Orders, pays, and sees the charge paid by the provider's notification alone.
async fn lives(channel: &str, account: &str) {
    let world = World::start().await;
    let charge = world.order_with(json!({"channel": channel, "account": account})).await;
    assert_eq!(charge["status"], "pending");
    assert_eq!(charge["livemode"], false);
    assert_eq!(charge["attempts"][0]["account"], account);
    assert_eq!(out_trade_no(&charge), charge["order_no"].as_str().unwrap());
    world.pay(&charge).await.expect(200);
    let paid = world.until(&charge, "succeeded").await;
    assert_eq!(paid["paid"], true);
    assert_eq!(paid["action"], json!(null));
    let trades = world.shown("trades").await;
    assert_eq!(trades.len(), 1);
    assert_eq!(paid["provider_trade_no"], trades[0]["trade_no"]);
    assert_eq!(trades[0]["amount"], 1200);
    let kinds = world.events(&charge).await;
    for kind in ["charge.created", "charge.attempted", "charge.succeeded"] {
        assert_eq!(kinds.iter().filter(|one| *one == kind).count(), 1, "{kind}: {kinds:?}");
    }
    assert!(world.notices(&charge).await.iter().any(|notice| notice["delivered"] == true));
    let bad = world.shown("requests").await.into_iter();
    let bad: Vec<_> = bad.filter(|one| one["signature"]["result"] == "bad").collect();
    assert!(bad.is_empty(), "{bad:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_wechat_v3_code_is_paid() {
    lives("wechat.native", "dev_wechat_v3").await;
}

#[tokio::test]
async fn a_wechat_v2_code_is_paid() {
    lives("wechat.native", "dev_wechat_v2").await;
}

#[tokio::test]
async fn an_alipay_code_is_paid() {
    lives("alipay.qr", "dev_alipay_open").await;
}

#[tokio::test]
async fn an_alipay_page_is_paid() {
    lives("alipay.page", "dev_alipay_open").await;
}

#[tokio::test]
async fn the_first_account_of_a_channel_is_its_default() {
    let world = World::start().await;
    let charge = world.order("wechat.native").await;
    assert_eq!(charge["account"], "dev_wechat_v3");
    assert!(code(&charge).starts_with("weixin://"));
    world.finish().await;
}

/// Closed by hand: at the provider first, and a late payer is turned away there.
#[tokio::test]
async fn a_charge_closed_by_hand_cannot_be_paid() {
    let world = World::start().await;
    let charge = world.order("wechat.native").await;
    let closed = world.post(&format!("/v1/charges/{}/close", id(&charge)), json!({})).await;
    assert_eq!(closed.expect(200)["status"], "closed");
    assert_eq!(world.shown("trades").await[0]["state"], "CLOSED");
    assert_eq!(world.pay(&charge).await.expect(409)["code"], "closed");
    world.finish().await;
}

/// The notification is lost and nobody has polled yet: asking now finds the payment.
#[tokio::test]
async fn sync_asks_the_provider_now() {
    let world = World::start().await;
    let fault = json!({"notify": {"drop": true}, "times": 1});
    world.control("faults", fault).await.expect(200);
    let charge = world.order("alipay.qr").await;
    world.pay(&charge).await.expect(200);
    let synced = world.post(&format!("/v1/charges/{}/sync", id(&charge)), json!({})).await;
    assert_eq!(synced.expect(200)["status"], "succeeded");
    world.finish().await;
}

/// Each request that makes no sense is refused with a code and the parameter, and stores nothing.
#[tokio::test]
async fn senseless_requests_are_refused_and_leave_nothing() {
    let world = World::start().await;
    let with = |field: &str, value: serde_json::Value| {
        let mut body = json!({"amount": 1200, "subject": "Tea", "channel": "wechat.native"});
        body[field] = value;
        body
    };
    let cases = [
        (with("amount", json!(0)), "amount_too_small", "amount"),
        (with("amount", json!(-5)), "amount_too_small", "amount"),
        (with("amount", json!(10_000_000_001_i64)), "amount_too_large", "amount"),
        (with("amount", json!(12.5)), "invalid_parameter", "amount"),
        (with("amount", json!("12")), "invalid_parameter", "amount"),
        (with("amount", json!(null)), "invalid_parameter", "amount"),
        (json!({"subject": "Tea"}), "missing_parameter", "amount"),
        (with("subject", json!("")), "invalid_parameter", "subject"),
        (with("channel", json!("wechat.telepathy")), "invalid_parameter", "channel"),
        (with("chanel", json!("x")), "unknown_parameter", "chanel"),
        (with("account", json!("dev_alipay_open")), "account_missing", "account"),
        (with("order_no", json!("has blank")), "invalid_parameter", "order_no"),
    ];
    for (body, code, param) in cases {
        let answer = world.post("/v1/charges", body.clone()).await;
        assert_eq!(answer.body["param"], param, "{body}: {}", answer.body);
        assert_eq!(answer.problem(400), code, "{body}");
    }
    let huge = json!({"amount": 1, "subject": "x".repeat(1_100_000)});
    let answer = world.post("/v1/charges", huge).await;
    assert_eq!(answer.problem(413), "body_too_large");
    let list = world.get("/v1/charges").await;
    assert_eq!(list["data"], json!([]));
    assert!(world.shown("trades").await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn an_order_no_is_used_once() {
    let world = World::start().await;
    let first = world.order_with(json!({"channel": "wechat.native", "order_no": "ORDER1"})).await;
    assert_eq!(out_trade_no(&first), "ORDER1");
    let body = json!({"amount": 5, "subject": "x", "order_no": "ORDER1"});
    assert_eq!(world.post("/v1/charges", body).await.problem(409), "order_no_in_use");
    world.finish().await;
}

/// The same key and body give the same reply; another body is refused; the order is placed once.
#[tokio::test]
async fn an_idempotency_key_makes_a_request_safe_to_repeat() {
    let world = World::start().await;
    let create = async |amount: i64| {
        let body = json!({"amount": amount, "subject": "Tea", "channel": "wechat.native"});
        let headers = [("idempotency-key", "order-77")];
        world.try_call("POST", "/v1/charges", Some(body), &headers).await.unwrap()
    };
    let first = create(1200).await.expect(201);
    let again = create(1200).await.expect(201);
    assert_eq!(first, again);
    assert_eq!(create(1300).await.problem(409), "idempotency_key_reused");
    assert_eq!(world.get("/v1/charges").await["data"].as_array().unwrap().len(), 1);
    assert_eq!(world.shown("trades").await.len(), 1);
    world.finish().await;
}

//! Refunds from end to end, at each provider account that can refund.

use crate::merchant::Merchant;
use crate::payments::each_account;
use crate::world::{World, eventually, id};
use serde_json::{Value, json};

const TOLD: [&str; 2] = ["refund.created", "refund.succeeded"];

/// Each event of a finished refund came once, and its signature verifies.
async fn check_webhooks(merchant: &Merchant, refund: &Value) {
    for kind in TOLD {
        let told = merchant.until(refund, kind, 1).await;
        assert_eq!(told.len(), 1, "{kind}");
        assert!(merchant.believes(&told[0]), "{kind}");
        let object = &told[0].event["data"]["object"];
        assert_eq!((&object["object"], &object["charge"]), (&json!("refund"), &refund["charge"]));
    }
    let last = merchant.until(refund, "refund.succeeded", 1).await;
    assert_eq!(&last[0].event["data"]["object"], refund);
}

#[tokio::test]
async fn all_of_a_payment_goes_back() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &TOLD).await;
    for at in each_account() {
        let charge = world.paid(at, 1200).await;
        let refund = world.refund(&charge, json!({"reason": "damaged"})).await.expect(201);
        assert_eq!((&refund["amount"], &refund["cause"]), (&json!(1200), &json!("requested")));
        world.advance("3s").await;
        let refund = world.until_refund(&refund, "succeeded").await;
        let sent = world.sent_back(&charge).await;
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0]["out_refund_no"], refund["out_refund_no"]);
        assert_eq!((&sent[0]["amount"], &sent[0]["state"]), (&json!(1200), &json!("success")));
        assert_eq!(refund["provider_refund_no"], sent[0]["refund_id"]);
        assert!(refund["succeeded_at"].is_string() && refund["failure"].is_null());
        check_webhooks(&merchant, &refund).await;
        eventually("the provider's notice of it is accepted", async || {
            let notices = world.notices(&charge).await;
            let ended = |one: &Value| one["kind"] == "refund" || one["kind"] == "TRADE_CLOSED";
            notices.iter().any(|one| ended(one) && one["delivered"] == true).then_some(())
        })
        .await;
        let charge = world.charge(&charge).await;
        assert_eq!((&charge["status"], &charge["paid"]), (&json!("succeeded"), &json!(true)));
        assert_eq!(charge["amount_refunded"], 1200);
        assert_eq!(charge["refused_notices"], json!([]));
        let more = world.refund(&charge, json!({})).await;
        assert_eq!(more.problem(400), "refund_too_large");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_payment_goes_back_in_parts_and_no_further() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &TOLD).await;
    for at in each_account() {
        let charge = world.paid(at, 1200).await;
        let number = format!("R-{}", at.account);
        let mut refunds = Vec::new();
        let first = world.refund(&charge, json!({"amount": 500, "refund_no": number})).await;
        refunds.push(first.expect(201));
        assert_eq!(refunds[0]["refund_no"], number.as_str());
        let twice = world.refund(&charge, json!({"amount": 1, "refund_no": number})).await;
        assert_eq!(twice.problem(409), "refund_no_in_use");
        let above = world.refund(&charge, json!({"amount": 701})).await;
        assert_eq!(
            (&above.body["param"], &above.body["money_moved"]),
            (&"amount".into(), &"no".into())
        );
        assert_eq!(above.problem(400), "refund_too_large");
        for amount in [300, 1] {
            refunds.push(world.refund(&charge, json!({"amount": amount})).await.expect(201));
        }
        refunds.push(world.refund(&charge, json!({})).await.expect(201));
        assert_eq!(refunds[3]["amount"], 399);
        assert_eq!(
            world.refund(&charge, json!({"amount": 1})).await.problem(400),
            "refund_too_large"
        );
        world.advance("3s").await;
        for refund in &mut refunds {
            *refund = world.until_refund(refund, "succeeded").await;
            check_webhooks(&merchant, refund).await;
        }
        assert_eq!(world.charge(&charge).await["amount_refunded"], 1200);
        let sent = world.sent_back(&charge).await;
        let amounts: Vec<&Value> = sent.iter().map(|one| &one["amount"]).collect();
        assert_eq!(amounts, [500, 300, 1, 399]);
        let mut listed = world.refunds(&charge).await;
        listed.reverse();
        assert_eq!(listed, refunds);
        let found = world.get(&format!("/v1/refunds?refund_no={number}")).await;
        assert_eq!(found["data"], json!([refunds[0]]));
        let sums = [("refund.created", 4), ("refund.succeeded", 4), ("refund.failed", 0)];
        for (kind, count) in sums {
            assert_eq!(world.count(&charge, kind).await, count, "{kind}");
        }
    }
    world.finish().await;
}

/// The same key and body are the same refund, whatever its outcome; another body is refused.
#[tokio::test]
async fn a_refund_request_can_be_repeated_safely() {
    let world = World::start().await;
    for at in each_account() {
        let charge = world.paid(at, 1200).await;
        let headers = [("idempotency-key", at.account)];
        let post = async |amount: i64| {
            world.try_refund(&charge, json!({"amount": amount}), &headers).await.unwrap()
        };
        let first = post(700).await.expect(201);
        assert_eq!(post(700).await.expect(201), first);
        assert_eq!(post(500).await.problem(409), "idempotency_key_reused");
        assert_eq!(world.refunds(&charge).await.len(), 1);
        assert_eq!(world.sent_back(&charge).await.len(), 1);
        world.advance("3s").await;
        world.until_refund(&first, "succeeded").await;
        assert_eq!(world.charge(&charge).await["amount_refunded"], 700);
    }
    world.finish().await;
}

#[tokio::test]
async fn what_was_not_paid_is_not_refunded() {
    let world = World::start().await;
    for at in each_account() {
        let charge = world.order_at(at, 1200).await;
        assert_eq!(world.refund(&charge, json!({})).await.problem(400), "nothing_to_refund");
        world.pay(&charge).await.expect(200);
        world.until(&charge, "succeeded").await;
        let refund = world.refund(&charge, json!({"amount": 1})).await.expect(201);
        let other = world.key("other_secret_key");
        let bearer = format!("Bearer {other}");
        let headers = [("authorization", bearer.as_str())];
        let stranger = world.try_refund(&charge, json!({}), &headers).await.unwrap();
        assert_eq!(stranger.problem(404), "not_found");
        let path = format!("/v1/refunds/{}", id(&refund));
        let stranger = world.try_call("GET", &path, None, &headers).await.unwrap();
        assert_eq!(stranger.problem(404), "not_found");
        world.advance("3s").await;
        world.until_refund(&refund, "succeeded").await;
    }
    world.finish().await;
}

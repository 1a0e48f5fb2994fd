//! Refunds under the order's number: none twice, none unwritten.

use super::{Old, sent_back, until_refunded};
use crate::world::{World, eventually};
use serde_json::{Value, json};

const PROVIDERS: [(&str, &str); 2] =
    [("wechat", "/secapi/pay/refund"), ("alipay", "alipay.trade.refund")];

/// One refund there, and the same one here.
async fn check_one(world: &World, number: &str) {
    let back = sent_back(world, number).await;
    assert_eq!(back.len(), 1, "{back:?}");
    assert_eq!((&back[0]["out_refund_no"], &back[0]["amount"]), (&json!(number), &json!(1)));
    let charge = Old(world).charge(number).await;
    let here = until_refunded(world, &charge).await;
    assert_eq!(here.len(), 1, "{here:?}");
    assert_eq!((&here[0]["refund_no"], &here[0]["status"]), (&json!(number), &json!("succeeded")));
    let charge = Old(world).charge(number).await;
    assert_eq!((&charge["status"], &charge["amount_refunded"]), (&json!("succeeded"), &json!(1)));
}

fn is_done(answer: &Value) -> bool {
    answer["result_code"] == "SUCCESS" || answer["code"] == "10000"
}

#[tokio::test]
async fn the_same_refund_again_is_answered_again_and_moves_nothing() {
    let world = World::start().await;
    let old = Old(&world);
    for (provider, _) in PROVIDERS {
        let number = old.paid(provider).await;
        let refund = async || old.call(&format!("{provider} refund"), &number).await.expect(200);
        let first = refund().await;
        assert!(is_done(&first), "{first}");
        // While it is on its way, and when it has arrived.
        assert!(is_done(&refund().await));
        world.advance("1m").await;
        check_one(&world, &number).await;
        let again = refund().await;
        if provider == "alipay" {
            assert_eq!((&first["fund_change"], &again["fund_change"]), (&json!("Y"), &json!("N")));
        } else {
            assert_eq!(first["refund_id"], again["refund_id"]);
        }
        check_one(&world, &number).await;
    }
    world.finish().await;
}

/// Another amount under a number that is used up, more than was paid, or not what was paid.
#[tokio::test]
async fn what_does_not_fit_the_payment_is_refused_and_nobody_asked() {
    let world = World::start().await;
    let old = Old(&world);
    let (code, page) = (old.paid("wechat").await, old.paid("alipay").await);
    let wechat = async |fee: &str| {
        let body = json!({"outTradeNo": code, "totalFee": fee});
        old.post("/auth/wxpay/refund2.0/", body).await
    };
    let alipay = async |amount: &str| {
        let body = json!({"outTradeNo": page, "refundAmount": amount});
        old.post("/auth/alipay/refund2.0/", body).await.expect(200)
    };
    let other = wechat("2").await.expect(400);
    assert_eq!(other["return_code"], "FAIL", "{other}");
    let above = alipay("0.02").await;
    assert_eq!(
        (&above["code"], &above["sub_code"]),
        (&json!("40004"), &json!("TONGBAO.REFUND_TOO_LARGE"))
    );
    assert_eq!(old.asked(&page, "alipay.trade.refund").await, 0);
    assert!(is_done(&alipay("0.01").await));
    let other = alipay("0.02").await;
    assert_eq!(other["sub_code"], "TONGBAO.REFUND_NO_IN_USE", "{other}");
    check_one(&world, &page).await;
    assert!(sent_back(&world, &code).await.is_empty());

    // All of it went back through /v1 already, under another number.
    let charge = old.charge(&code).await;
    world.refund(&charge, json!({})).await.expect(201);
    let late = wechat("1").await.expect(200);
    assert_eq!(late["return_code"], "FAIL", "{late}");
    assert_eq!(sent_back(&world, &code).await.len(), 1);
    world.advance("1m").await;
    until_refunded(&world, &charge).await;
    world.finish().await;
}

/// The answer gets lost: the caller asks again, as old callers do, and the money moves once.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    for when in ["before", "after"] {
        let world = World::start().await;
        let old = Old(&world);
        for (provider, path) in PROVIDERS {
            let number = old.paid(provider).await;
            world.fault(json!({"path": path, "when": when, "drop": true, "times": 1})).await;
            let operation = format!("{provider} refund");
            let first = old.call(&operation, &number).await.expect(200);
            assert!(!is_done(&first), "{first}");
            let again = old.call(&operation, &number).await.expect(200);
            assert!(is_done(&again), "{again}");
            world.advance("1m").await;
            check_one(&world, &number).await;
        }
        world.finish().await;
    }
}

/// A refund that failed for good leaves its number used up; asked for again, it is a new one.
#[tokio::test]
async fn after_a_refund_that_failed_another_one_is_made() {
    let world = World::start().await;
    let old = Old(&world);
    for (provider, path, code) in [
        ("wechat", "/secapi/pay/refund", "NOTENOUGH"),
        ("alipay", "alipay.trade.refund", "ACQ.SELLER_BALANCE_NOT_ENOUGH"),
    ] {
        let number = old.paid(provider).await;
        let operation = format!("{provider} refund");
        world.fault(json!({"path": path, "error_code": code, "times": 1})).await;
        let no = old.call(&operation, &number).await.expect(200);
        let said = no["err_code"].as_str().or(no["sub_code"].as_str());
        assert_eq!(said, Some(code), "{no}");
        let yes = old.call(&operation, &number).await.expect(200);
        assert!(is_done(&yes), "{yes}");
        world.advance("1m").await;
        let back = sent_back(&world, &number).await;
        assert_eq!(back.len(), 1);
        assert_eq!(back[0]["out_refund_no"], format!("{number}R2"));
        let charge = old.charge(&number).await;
        let here = until_refunded(&world, &charge).await;
        let states: Vec<&Value> = here.iter().map(|refund| &refund["status"]).collect();
        assert_eq!(states, ["succeeded", "failed"]);
    }
    world.finish().await;
}

/// Paid, and not known here yet: the refund finds the payment first, and goes the ordinary way.
#[tokio::test]
async fn a_payment_that_nobody_told_of_is_found_before_it_is_refunded() {
    let world = World::start().await;
    let old = Old(&world);
    world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
    for (provider, path) in PROVIDERS {
        let number = old.unpaid(provider).await;
        let pay = json!({"provider": provider, "out_trade_no": number});
        world.control("pay", pay).await.expect(200);
        assert_eq!(old.charge(&number).await["status"], "pending");
        let answer = old.call(&format!("{provider} refund"), &number).await.expect(200);
        assert!(is_done(&answer), "{answer}");
        world.advance("1m").await;
        check_one(&world, &number).await;
        // It was reserved before it was sent, and not sent first and taken in afterwards.
        assert_eq!(old.asked(&number, path).await, 1);
    }
    world.finish().await;
}

/// The payer pays between the question and the refund that was sent only to be refused.
#[tokio::test]
async fn a_payment_in_the_instant_of_a_refund_is_taken_in_with_it() {
    let world = World::start().await;
    let old = Old(&world);
    world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
    for (provider, path) in PROVIDERS {
        for cut in [false, true] {
            let number = old.unpaid(provider).await;
            world.fault(json!({"path": path, "delay_ms": 3000, "times": 1})).await;
            if cut {
                world.fault(json!({"path": path, "when": "after", "drop": true, "times": 1})).await;
            }
            let query = if provider == "wechat" { "/pay/orderquery" } else { "alipay.trade.query" };
            let pay = async {
                let asked = async || (old.asked(&number, query).await > 0).then_some(());
                eventually("the provider was asked", asked).await;
                let pay = json!({"provider": provider, "out_trade_no": number});
                world.control("pay", pay).await.expect(200);
            };
            let operation = format!("{provider} refund");
            let (answer, ()) = tokio::join!(old.call(&operation, &number), pay);
            let answer = answer.expect(200);
            assert!(is_done(&answer), "{answer}");
            world.advance("1m").await;
            check_one(&world, &number).await;
        }
    }
    world.finish().await;
}

/// Before a refund is sent only to be refused, a look at the order is promised: a payment in that
/// instant is found even if nothing is heard of either.
#[tokio::test]
async fn a_refund_of_unknown_outcome_leaves_a_look_behind() {
    let world = World::start().await;
    let old = Old(&world);
    world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
    for (provider, path) in PROVIDERS {
        let number = old.unpaid(provider).await;
        world.fault(json!({"path": path, "drop": true, "times": 1})).await;
        let silent = old.call(&format!("{provider} refund"), &number).await.expect(200);
        assert!(silent["return_code"] == "FAIL" || silent["code"] == "20000", "{silent}");
        let pay = json!({"provider": provider, "out_trade_no": number});
        world.control("pay", pay).await.expect(200);
        // Long before the queue's own first look, which comes ten minutes after the order.
        world.advance("2m").await;
        old.until(&number, "succeeded").await;
        assert!(sent_back(&world, &number).await.is_empty());
    }
    world.finish().await;
}

/// Orders that another system made at the same merchant accounts. No money goes back unwritten;
/// what is not paid is the provider's to answer.
#[tokio::test]
async fn a_paid_order_that_is_not_tongbaos_is_left_alone() {
    let mut world = World::start().await;
    let mut orders = Vec::new();
    for (provider, _) in PROVIDERS {
        let old = Old(&world);
        orders.push((provider, old.paid(provider).await, old.unpaid(provider).await));
    }
    world.kill();
    for file in std::fs::read_dir(&world.data).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().starts_with("tongbao.db") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    world.run().await;
    let old = Old(&world);
    for (provider, paid, unpaid) in &orders {
        let operation = format!("{provider} refund");
        let no = old.call(&operation, paid).await.expect(200);
        let why = no["return_msg"].as_str().or(no["sub_msg"].as_str()).unwrap();
        assert!(why.contains("not made by tongbao") && why.contains("import orders"), "{no}");
        assert!(no["return_code"] == "FAIL" || no["sub_code"] == "TONGBAO.NOT_FOUND", "{no}");
        assert!(sent_back(&world, paid).await.is_empty());
        let no = old.call(&operation, unpaid).await.expect(200);
        let said = no["err_code"].as_str().or(no["sub_code"].as_str()).unwrap();
        assert!(["ORDERNOTEXIST", "ACQ.TRADE_STATUS_ERROR"].contains(&said), "{no}");
        // Questions do no harm.
        let query = old.call(&format!("{provider} query"), paid).await.expect(200);
        let state = query["trade_state"].as_str().or(query["trade_status"].as_str());
        assert!(matches!(state, Some("SUCCESS" | "TRADE_SUCCESS")), "{query}");
    }
    world.finish().await;
}

//! One charge through several channels: it is paid once, and what comes besides goes back.

use crate::merchant::Merchant;
use crate::payments::{ALIPAY, At, V2, V3};
use crate::world::{World, eventually, id, out_trade_no};
use serde_json::{Value, json};

/// A charge whose channel is open, and what it shows through each of two accounts.
async fn offered(world: &World, accounts: [At; 2]) -> (Value, [Value; 2]) {
    let charge = world.order_with(json!({})).await;
    assert_eq!((&charge["status"], &charge["attempts"]), (&json!("pending"), &json!([])));
    assert!(charge["action"].is_null() && charge["channel"].is_null());
    let first = attempt(world, &charge, accounts[0]).await;
    let second = attempt(world, &charge, accounts[1]).await;
    assert_eq!(second["attempts"].as_array().unwrap().len(), 2);
    (charge, [first, second])
}

async fn attempt(world: &World, charge: &Value, at: At) -> Value {
    let path = format!("/v1/charges/{}/attempts", id(charge));
    let body = json!({"channel": at.channel, "account": at.account});
    let charge = world.post(&path, body).await.expect(201);
    assert_eq!((&charge["channel"], &charge["account"]), (&at.channel.into(), &at.account.into()));
    charge
}

/// Our number of the newest attempt that is shown.
fn newest(shown: &Value) -> &str {
    let attempts = shown["attempts"].as_array().unwrap();
    attempts.last().unwrap()["out_trade_no"].as_str().unwrap()
}

async fn until_state(world: &World, number: &str, state: &str) {
    eventually(&format!("{number} is {state} at its provider"), async || {
        (world.trade(number).await["state"] == state).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_payment_closes_the_other_orders_at_their_providers() {
    let world = World::start().await;
    for accounts in [[V3, ALIPAY], [V2, ALIPAY], [V3, V2]] {
        for (paying, other) in [(0, 1), (1, 0)] {
            eprintln!("{accounts:?} {paying}");
            let (charge, shown) = offered(&world, accounts).await;
            world.scan(accounts[other], &shown[other]).await;
            world.pay(&shown[paying]).await.expect(200);
            let paid = world.until(&charge, "succeeded").await;
            assert_eq!(paid["account"], accounts[paying].account);
            let state =
                if accounts[other].provider == "alipay" { "TRADE_CLOSED" } else { "CLOSED" };
            until_state(&world, newest(&shown[other]), state).await;
            let closed = eventually("the attempt is closed", async || {
                let now = world.charge(&charge).await;
                (now["attempts"][other]["status"] == "closed").then_some(now)
            })
            .await;
            assert_eq!(closed["attempts"][paying]["status"], "succeeded");
            assert_eq!(world.pay(&shown[other]).await.expect(409)["code"], "closed");
            assert_eq!(world.count(&charge, "charge.attempted").await, 2);
            assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
            assert!(world.refunds(&charge).await.is_empty());
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn asking_again_for_what_waits_gives_the_same_order() {
    let world = World::start().await;
    let (charge, shown) = offered(&world, [V3, ALIPAY]).await;
    let again = attempt(&world, &charge, V3).await;
    assert_eq!(
        (&again["action"], &again["attempts"]),
        (&shown[0]["action"], &shown[1]["attempts"])
    );
    world.pay(&shown[0]).await.expect(200);
    world.until(&charge, "succeeded").await;
    let path = format!("/v1/charges/{}/attempts", id(&charge));
    let late = world.post(&path, json!({"channel": "alipay.page"})).await;
    assert_eq!(late.problem(409), "charge_not_pending");
    world.finish().await;
}

/// The second of two payments is given back at its provider, and nothing of the first.
async fn check_paid_twice(world: &World, merchant: &Merchant, charge: &Value) {
    let paid = world.until(charge, "succeeded").await;
    let told = merchant.until(charge, "charge.paid_twice", 1).await;
    assert_eq!(told.len(), 1);
    assert!(merchant.believes(&told[0]));
    let refund = eventually("a refund by itself", async || world.refunds(charge).await.pop()).await;
    let refund = world.until_back(&refund).await;
    assert_eq!((&refund["cause"], &refund["amount"]), (&json!("paid_twice"), &json!(1200)));
    let attempts = paid["attempts"].as_array().unwrap();
    for attempt in attempts {
        let trade = world.trade(attempt["out_trade_no"].as_str().unwrap()).await;
        let sent: Vec<&Value> =
            trade["refunds"].as_array().unwrap().iter().map(|one| &one["amount"]).collect();
        if attempt["id"] == refund["attempt"] {
            assert_eq!(sent, [1200]);
        } else {
            assert!(sent.is_empty());
            assert_eq!(paid["provider_trade_no"], trade["trade_no"]);
        }
    }
    let now = world.charge(charge).await;
    let amounts = (&now["status"], &now["amount_paid"], &now["amount_refunded"]);
    assert_eq!(amounts, (&json!("succeeded"), &json!(1200), &json!(0)));
    assert_eq!(now["failure"]["code"], "paid_twice");
    assert_eq!(world.count(charge, "charge.succeeded").await, 1);
    assert_eq!(world.count(charge, "charge.paid_twice").await, 1);
    assert_eq!(world.refunds(charge).await.len(), 1);
}

#[tokio::test]
async fn the_second_of_two_payments_goes_back_by_itself() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.paid_twice"]).await;
    for accounts in [[V3, ALIPAY], [ALIPAY, V3], [V2, ALIPAY], [V2, V3]] {
        eprintln!("{accounts:?}");
        let (charge, shown) = offered(&world, accounts).await;
        // Both have paid before anything is known here.
        world.fault(json!({"notify": {"delay_ms": 300}})).await;
        world.pay(&shown[0]).await.expect(200);
        world.pay(&shown[1]).await.expect(200);
        check_paid_twice(&world, &merchant, &charge).await;
        world.clear_faults().await;
    }
    world.finish().await;
}

/// No notification ever comes: looking finds both payments.
#[tokio::test]
async fn two_payments_without_notices_are_both_found() {
    let world = World::with(&["polling.delay=60s", "polling.backoff=fixed"]).await;
    let merchant = Merchant::open(&world, &["charge.paid_twice"]).await;
    world.fault(json!({"notify": {"drop": true}})).await;
    for accounts in [[V3, ALIPAY], [ALIPAY, V2]] {
        eprintln!("{accounts:?}");
        let (charge, shown) = offered(&world, accounts).await;
        world.pay(&shown[0]).await.expect(200);
        world.pay(&shown[1]).await.expect(200);
        world.advance("61s").await;
        check_paid_twice(&world, &merchant, &charge).await;
    }
    world.finish().await;
}

/// The merchant can refund the payment that counts after the other one went back.
#[tokio::test]
async fn the_payment_that_counts_can_be_refunded_after_a_second_one() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.paid_twice"]).await;
    let (charge, shown) = offered(&world, [V3, ALIPAY]).await;
    world.fault(json!({"notify": {"delay_ms": 300}})).await;
    world.pay(&shown[0]).await.expect(200);
    world.pay(&shown[1]).await.expect(200);
    check_paid_twice(&world, &merchant, &charge).await;
    let back = world.refunds(&charge).await.remove(0);
    let spent = world.refund(&charge, json!({"attempt": back["attempt"]})).await;
    assert_eq!(spent.problem(400), "refund_too_large");
    let refund = world.refund(&charge, json!({})).await.expect(201);
    assert_eq!(refund["amount"], 1200);
    assert_ne!(refund["attempt"], back["attempt"]);
    world.advance("6s").await;
    world.until_refund(&refund, "succeeded").await;
    assert_eq!(world.charge(&charge).await["amount_refunded"], 1200);
    world.finish().await;
}

/// Alipay cannot close a code that nobody has scanned: whoever pays it later is paid back.
#[tokio::test]
async fn a_code_that_outlives_the_close_is_paid_back() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.paid_twice"]).await;
    let (charge, shown) = offered(&world, [V3, ALIPAY]).await;
    world.pay(&shown[0]).await.expect(200);
    world.until(&charge, "succeeded").await;
    eventually("the attempt is closed", async || {
        let now = world.charge(&charge).await;
        (now["attempts"][1]["status"] == "closed").then_some(())
    })
    .await;
    world.pay(&shown[1]).await.expect(200);
    check_paid_twice(&world, &merchant, &charge).await;
    world.finish().await;
}

/// What the payer's browser does at the cashier: looks, chooses, pays.
#[tokio::test]
async fn the_payer_chooses_at_the_cashier() {
    let world = World::start().await;
    let charge = world.order_with(json!({})).await;
    let page = format!("{}/pay/{}", world.gateway(), id(&charge));
    let status = world.fetch(&format!("{page}/status")).await.expect(200);
    assert_eq!(status["stage"], "choosing");
    let choose = async |channel: &str| {
        let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        let url = format!("{page}/choose");
        world.raw(&url, &[form], format!("channel={channel}")).await
    };
    for (channel, count) in [("wechat.native", 1), ("alipay.page", 2), ("wechat.native", 2)] {
        let chosen = choose(channel).await;
        assert_eq!(chosen.status, 303, "{}", chosen.body);
        let there = chosen.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(there, format!("/pay/{}?channel={channel}", id(&charge)));
        let shown = world.fetch(&format!("{}{there}", world.gateway())).await;
        assert!(shown.expect(200).as_str().unwrap().contains("<html"));
        let now = world.charge(&charge).await;
        assert_eq!(now["attempts"].as_array().unwrap().len(), count, "{channel}");
    }
    let refused = choose("wechat.jsapi").await;
    assert_eq!(refused.status, 409);
    let now = world.charge(&charge).await;
    let go = world.fetch(&format!("{page}/go?channel=alipay.page")).await;
    assert_eq!(go.status, 303);
    let to = go.headers["location"].to_str().unwrap();
    assert_eq!(to, now["attempts"][1]["action"]["url"]);
    world.control("pay", json!({"code": to})).await.expect(200);
    let paid = world.until(&charge, "succeeded").await;
    assert_eq!(paid["channel"], "alipay.page");
    until_state(&world, out_trade_no(&paid), "CLOSED").await;
    let status = world.fetch(&format!("{page}/status")).await.expect(200);
    assert_eq!(status["stage"], "paid");
    world.finish().await;
}

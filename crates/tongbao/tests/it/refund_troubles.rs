//! Refunds when something goes wrong on the way: each comes to its end, and moves money once.

use crate::payments::{At, each_account};
use crate::world::{World, eventually, id};
use serde_json::{Value, json};
use std::time::Duration;

/// Orders above all the amounts of refunds that do something at the sandbox.
const PAID: i64 = 200_000;

/// One refund at the sandbox, done, under the number that it had from the beginning.
async fn check_once(world: &World, charge: &Value, refund: &Value) {
    let sent = world.sent_back(charge).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["out_refund_no"], refund["out_refund_no"]);
    assert_eq!((&sent[0]["amount"], &sent[0]["state"]), (&refund["amount"], &"success".into()));
    assert_eq!(world.charge(charge).await["amount_refunded"], refund["amount"]);
    assert_eq!(world.refunds(charge).await.len(), 1);
    assert_eq!(world.count(charge, "refund.created").await, 1);
    assert_eq!(world.count(charge, "refund.succeeded").await, 1);
    assert_eq!(world.count(charge, "refund.failed").await, 0);
}

/// Whatever the first answer was, looking brings the refund to its end.
async fn comes_to_its_end(world: &World, charge: &Value, amount: i64) {
    let refund = world.refund(charge, json!({"amount": amount})).await.expect(201);
    let status = refund["status"].as_str().unwrap();
    assert!(["pending", "succeeded"].contains(&status), "{refund}");
    let done = world.until_back(&refund).await;
    assert_eq!(done["out_refund_no"], refund["out_refund_no"]);
    check_once(world, charge, &done).await;
}

#[tokio::test]
async fn a_refund_whose_notice_is_lost_is_found_by_looking() {
    let world = World::start().await;
    for at in each_account() {
        let charge = world.paid(at, PAID).await;
        comes_to_its_end(&world, &charge, 77_733).await;
        let notices = world.notices(&charge).await;
        assert_eq!(notices.len(), 2, "of the payment and of the refund");
        let delivered = notices.iter().filter(|one| one["delivered"] == true);
        assert_eq!(delivered.count(), 1, "only that of the payment");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_system_error_with_and_without_effect_moves_money_once() {
    let world = World::start().await;
    for at in each_account() {
        for amount in [77_730, 77_731] {
            eprintln!("{amount}");
            let charge = world.paid(at, PAID).await;
            comes_to_its_end(&world, &charge, amount).await;
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_moves_money_once() {
    let world = World::start().await;
    for at in each_account() {
        for when in ["before", "after"] {
            eprintln!("{when}");
            let charge = world.paid(at, 1200).await;
            let cut = json!({"path": at.refunding, "when": when, "drop": true, "times": 1});
            world.fault(cut).await;
            comes_to_its_end(&world, &charge, 900).await;
        }
    }
    world.finish().await;
}

/// While the outcome is unknown the money is spoken for, and repeating the request asks for
/// nothing new.
#[tokio::test]
async fn an_unknown_outcome_keeps_the_amount_reserved() {
    let world = World::start().await;
    for at in each_account() {
        let charge = world.paid(at, 1200).await;
        world.fault(json!({"provider": at.provider, "drop": true})).await;
        let headers = [("idempotency-key", at.account)];
        let post =
            async || world.try_refund(&charge, json!({"amount": 700}), &headers).await.unwrap();
        let refund = post().await.expect(201);
        assert_eq!(refund["status"], "pending");
        assert_eq!(id(&post().await.expect(201)), id(&refund));
        let more = world.refund(&charge, json!({"amount": 501})).await;
        assert_eq!(more.problem(400), "refund_too_large");
        assert!(world.sent_back(&charge).await.is_empty());
        world.clear_faults().await;
        let done = world.until_back(&refund).await;
        check_once(&world, &charge, &done).await;
    }
    world.finish().await;
}

/// The payer's account cannot take it: a person has to act, the amount stays reserved, and a look
/// finds out when it is settled.
#[tokio::test]
async fn an_abnormal_refund_waits_and_says_so() {
    let world = World::start().await;
    for at in each_account().filter(|at| at.provider == "wechat") {
        let charge = world.paid(at, PAID).await;
        let refund = world.refund(&charge, json!({"amount": 77_727})).await.expect(201);
        world.advance("6s").await;
        world.until_event(&charge, "refund.abnormal").await;
        let now = world.refund_now(&refund).await;
        assert_eq!(
            (&now["status"], &now["failure"]["code"]),
            (&"pending".into(), &"refund_abnormal".into())
        );
        let rest = world.refund(&charge, json!({"amount": PAID - 77_726})).await;
        assert_eq!(rest.problem(400), "refund_too_large");
        world.advance("7h").await;
        assert_eq!(world.refund_now(&refund).await["status"], "pending");
        assert_eq!(world.count(&charge, "refund.abnormal").await, 1, "told once");
        assert_eq!(world.sent_back(&charge).await.len(), 1);
        assert_eq!(world.charge(&charge).await["amount_refunded"], 0);
    }
    world.finish().await;
}

/// The provider closes it: no money moved, and the amount can be refunded again.
#[tokio::test]
async fn a_closed_refund_gives_its_amount_free() {
    let world = World::start().await;
    for at in each_account().filter(|at| at.provider == "wechat") {
        let charge = world.paid(at, PAID).await;
        let refund = world.refund(&charge, json!({"amount": 77_729})).await.expect(201);
        world.advance("6s").await;
        world.until_refund(&refund, "closed").await;
        world.until_event(&charge, "refund.closed").await;
        let all = world.refund(&charge, json!({})).await.expect(201);
        assert_eq!(all["amount"], PAID);
        world.advance("6s").await;
        world.until_refund(&all, "succeeded").await;
        assert_eq!(world.charge(&charge).await["amount_refunded"], PAID);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_merchant_without_money_is_told_and_nothing_moves() {
    let world = World::start().await;
    for at in each_account() {
        let charge = world.paid(at, PAID).await;
        let refused = world.refund(&charge, json!({"amount": 77_732})).await;
        assert_eq!(refused.body["money_moved"], "no");
        assert_eq!(refused.body["provider"]["name"], at.provider);
        let refund = refused.body["refund"].as_str().unwrap().to_owned();
        assert_eq!(refused.problem(402), "provider_refused");
        let refund = world.get(&format!("/v1/refunds/{refund}")).await;
        assert_eq!(
            (&refund["status"], &refund["failure"]["code"]),
            (&"failed".into(), &"provider_refused".into())
        );
        assert_eq!(world.count(&charge, "refund.failed").await, 1);
        assert!(world.sent_back(&charge).await.is_empty());
        let all = world.refund(&charge, json!({})).await.expect(201);
        assert_eq!(all["amount"], PAID, "the amount is free again");
        world.advance("6s").await;
        world.until_refund(&all, "succeeded").await;
    }
    world.finish().await;
}

/// Killed while the provider works on the call: before or after its effect.
#[tokio::test]
async fn a_kill_during_the_call_moves_money_once() {
    let mut world = World::start().await;
    for at in each_account() {
        for when in ["before", "after"] {
            eprintln!("{when}");
            killed(&mut world, at, when).await;
        }
    }
    world.finish().await;
}

async fn killed(world: &mut World, at: At, when: &str) {
    let charge = world.paid(at, 1200).await;
    let slow = json!({"path": at.refunding, "when": when, "delay_ms": 20_000});
    world.fault(slow).await;
    let key = format!("{}-{when}", at.account);
    let headers = [("idempotency-key", key.as_str())];
    let fields = json!({"amount": 700, "refund_no": key});
    let began = {
        let post = world.try_refund(&charge, fields.clone(), &headers);
        let killed = async {
            let began = eventually("the refund is under way", async || {
                let refund = world.refunds(&charge).await.pop()?;
                let n_sent = world.sent_back(&charge).await.len();
                (when == "before" || n_sent == 1).then_some(refund)
            })
            .await;
            world.signal("-KILL");
            began
        };
        let (answer, began) = tokio::join!(post, killed);
        assert!(answer.is_err(), "it was answered: {answer:?}");
        began
    };
    world.kill();
    world.run().await;
    let sent = world.sent_back(&charge).await.len();
    assert_eq!(sent, usize::from(when == "after"));
    let soon = world.try_refund(&charge, fields.clone(), &headers).await.unwrap();
    assert!([201, 409].contains(&soon.status), "{}", soon.body);
    let done = world.until_back(&began).await;
    assert_eq!(done["out_refund_no"], began["out_refund_no"]);
    check_once(world, &charge, &done).await;
    world.advance("1m").await;
    let again = world.try_refund(&charge, fields, &headers).await.unwrap();
    assert_eq!(id(&again.expect(201)), id(&done));
    assert_eq!(world.sent_back(&charge).await.len(), 1);
}

/// Killed at any moment around the request: whoever repeats it has one refund in the end.
#[tokio::test]
async fn a_kill_at_any_moment_moves_money_once() {
    let mut world = World::start().await;
    for at in each_account() {
        for round in 0..4 {
            let charge = world.paid(at, 1200).await;
            let key = format!("{}-{round}", at.account);
            let headers = [("idempotency-key", key.as_str())];
            let fields = json!({"amount": 700, "refund_no": key});
            let life = Duration::from_micros(rand::random_range(0..20_000));
            eprintln!("killed after {life:?}");
            let killed = async {
                tokio::time::sleep(life).await;
                world.signal("-KILL");
            };
            let post = world.try_refund(&charge, fields.clone(), &headers);
            let (answered, ()) = tokio::join!(post, killed);
            world.kill();
            world.run().await;
            let recorded = world.refunds(&charge).await.pop();
            // A request that was never answered is at rest after a minute.
            world.advance("61s").await;
            let again = world.try_refund(&charge, fields, &headers).await.unwrap().expect(201);
            let before = answered.ok().map(|answer| answer.expect(201)).or(recorded);
            assert!(before.is_none_or(|before| id(&before) == id(&again)));
            let done = world.until_back(&again).await;
            assert_eq!(done["out_refund_no"], again["out_refund_no"]);
            check_once(&world, &charge, &done).await;
        }
    }
    world.finish().await;
}

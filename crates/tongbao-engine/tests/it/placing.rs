//! Orders whose outcome is unknown, and orders that are refused.

use crate::provider::{Kind, Mischief, Op};
use crate::world::{AMOUNT, ORDER_NO, World, id, number, shop};
use tongbao_engine::{Clock, Expires, NewCharge};
use tongbao_types::{AccountName, Channel, Span};

const UNKNOWN: [Mischief; 6] = [
    Mischief::LostBefore,
    Mischief::LostAfter,
    Mischief::BadSignature,
    Mischief::BusyBefore,
    Mischief::BusyAfter,
    Mischief::Hang,
];

async fn check_an_unknown_outcome(kind: Kind, mischief: Mischief) {
    let case = format!("{kind:?} {mischief:?}");
    let world = World::of(kind);
    world.provider().next(Op::Place, mischief);
    let charge = world.order().await;
    assert_eq!(charge["status"], "pending", "{case}");
    assert_eq!(charge["attempts"][0]["status"], "placing", "{case}");
    assert!(charge["action"].is_null() && charge["failure"].is_null(), "{case}");

    world.advance(Span::from_seconds(5)).await;
    let found = world.now(&charge).await;
    assert_eq!(found["status"], "pending", "{case}");
    assert_eq!(found["attempts"][0]["status"], "pending", "{case}");
    assert_eq!(found["action"]["code_url"], world.provider().trade(ORDER_NO).code, "{case}");
    assert_eq!(world.provider().numbers(), [ORDER_NO], "{case}");

    world.pay(&charge);
    assert!(world.notify(&charge).await, "{case}");
    assert_eq!(world.count(&charge, "charge.succeeded").await, 1, "{case}");
    assert_eq!(world.count(&charge, "charge.attempted").await, 1, "{case}");
    world.until_nothing_is_left().await;
}

/// The provider would refuse the same number with other parameters, so they were the same.
#[tokio::test(start_paused = true)]
async fn an_order_of_unknown_outcome_is_placed_again_and_never_failed() {
    for kind in Kind::PROTOCOLS {
        for mischief in UNKNOWN {
            check_an_unknown_outcome(kind, mischief).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_never_got_an_answer_closes_when_its_time_is_over() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        for _ in 0..3 {
            world.provider().next(Op::Place, Mischief::BusyBefore);
        }
        let charge = world.order().await;
        world.advance(Span::from_seconds(3600)).await;
        let now = world.now(&charge).await;
        assert_eq!(now["status"], "closed", "{kind:?}: {}", now["failure"]);
        assert_eq!(now["close_reason"], "expired");
        assert_eq!(world.count(&charge, "charge.failed").await, 0);
        world.until_nothing_is_left().await;
        assert!(world.provider().numbers().is_empty(), "{kind:?}: placed after its time");
    }
}

/// The number is another system's, which took the same amount under it: that money is not ours.
#[tokio::test(start_paused = true)]
async fn an_order_that_somebody_else_was_paid_for_is_refused() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        world.provider().pay_page(ORDER_NO, AMOUNT, world.clock.now());
        let refused = world.create(world.new_charge()).await.expect(402);
        assert_eq!(refused["code"], "provider_refused", "{kind:?}");
        let charge = serde_json::json!({"id": refused["charge"]});
        assert_eq!(world.now(&charge).await["status"], "failed", "{kind:?}");
        world.until_nothing_is_left().await;
    }
}

/// The payer cannot have had the code; but whoever paid has paid.
#[tokio::test(start_paused = true)]
async fn an_order_that_turns_out_to_be_paid_when_placed_again_is_paid() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        world.provider().next(Op::Place, Mischief::LostAfter);
        let charge = world.order().await;
        world.pay(&charge);
        world.advance(Span::from_seconds(5)).await;
        assert_eq!(world.now(&charge).await["status"], "succeeded", "{kind:?}");
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_order_is_a_failed_charge_and_says_so_again() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        world.provider().next(Op::Place, Mischief::Refuse);
        let refused = world.create_with_key(world.new_charge(), "key", "print").await;
        let body = refused.clone().expect(402);
        assert_eq!(body["code"], "provider_refused");
        assert!(!body["provider_code"].as_str().unwrap().is_empty());
        let charge = serde_json::json!({"id": body["charge"]});
        let now = world.now(&charge).await;
        assert_eq!(now["status"], "failed", "{kind:?}");
        assert_eq!(now["failure"]["provider_code"], body["provider_code"]);
        assert_eq!(world.events(&charge).await, ["charge.created", "charge.failed"]);

        let again = world.create_with_key(world.new_charge(), "key", "print").await;
        assert_eq!((again.status, &again.body), (402, &refused.body));
        assert!(again.replayed);
        assert_eq!(world.n_calls(Op::Place), 1);
        assert_eq!(world.next_job().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_no_is_used_once() {
    let world = World::v2();
    world.order().await;
    let body = world.create(world.new_charge()).await.expect(409);
    assert_eq!((&body["code"], &body["param"]), (&"order_no_in_use".into(), &"order_no".into()));
    assert_eq!(world.n_calls(Op::Place), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_ordered_is_said_before_anything_is_written() {
    let world = World::v2();
    let account = |name| Some(AccountName::new(name).unwrap());
    let now = tongbao_engine::Clock::now(&*world.clock);
    let day = Span::from_seconds(86_400);
    let base = || world.new_charge();
    let cases = [
        (NewCharge { channel: Some(Channel::AlipayQr), ..base() }, "account_missing", "channel"),
        (NewCharge { account: account("other"), ..base() }, "account_missing", "account"),
        (NewCharge { account: account("live"), ..base() }, "account_missing", "account"),
        (
            NewCharge { expires: Some(Expires::At(now)), ..base() },
            "invalid_parameter",
            "expires_at",
        ),
        (
            NewCharge { expires: Some(Expires::In(day.times(8))), ..base() },
            "invalid_parameter",
            "expires_in",
        ),
    ];
    for (new, code, param) in cases {
        let body = world.create(new).await.expect(400);
        assert_eq!((&body["code"], &body["param"]), (&code.into(), &param.into()));
    }
    assert_eq!(world.store.n_commits.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(world.n_calls(Op::Place), 0);
}

/// It is not the order, of which nothing is known, but the signature of the answer that is wrong.
#[tokio::test(start_paused = true)]
async fn a_forged_answer_to_a_look_decides_nothing() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.pay(&charge);
        world.provider().next(Op::Query, Mischief::BadSignature);
        let error = world.engine.sync_charge(&shop(), id(&charge)).await.unwrap_err();
        assert_eq!(error.code.as_str(), "provider_unknown", "{kind:?}");
        assert_eq!(world.now(&charge).await["status"], "pending");
        let view = world.engine.sync_charge(&shop(), id(&charge)).await.unwrap();
        assert_eq!(view.status, "succeeded");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_fetched_leave_the_outcome_unknown_until_they_can() {
    let world = World::of(Kind::V3Fetched);
    world.provider().next(Op::Keys, Mischief::BusyBefore);
    let charge = world.order().await;
    assert_eq!((&charge["status"], &charge["action"]), (&"pending".into(), &().into()));
    assert_eq!(world.n_calls(Op::Keys), 1, "asked once, not once for each doubt");
    world.advance(Span::from_seconds(30)).await;
    assert_eq!(world.n_calls(Op::Keys), 1, "and not again within a minute");
    world.clock.advance(Span::from_seconds(31));
    let view = world.engine.sync_charge(&shop(), id(&charge)).await;
    assert!(view.is_ok() || world.now(&charge).await["status"] == "closed");
    assert_eq!(world.provider().numbers(), [number(&charge)]);
    assert_eq!(world.provider().trade(&number(&charge)).amount, AMOUNT);
}

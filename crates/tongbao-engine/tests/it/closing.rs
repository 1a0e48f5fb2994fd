//! Closing: at the provider first, then here, and never over a payment.

use crate::provider::{Gate, Kind, Mischief, Op, TradeStatus};
use crate::world::{ORDER_NO, World, id, shop};
use serde_json::Value;
use std::sync::Arc;
use tongbao_engine::Clock;
use tongbao_types::{Code, Span};

async fn close(world: &World, charge: &Value) -> Result<&'static str, Code> {
    let closed = world.engine.close_charge(&shop(), id(charge)).await;
    closed.map(|view| view.status).map_err(|error| error.code)
}

#[tokio::test(start_paused = true)]
async fn a_close_reaches_the_provider_and_then_the_charge() {
    for kind in Kind::ALL {
        let world = World::of(kind);
        world.endpoint(&["charge.closed"]).await;
        let charge = world.order().await;
        assert_eq!(close(&world, &charge).await, Ok("closed"), "{kind:?}");
        let now = world.now(&charge).await;
        assert_eq!(now["close_reason"], "requested");
        assert_eq!(now["closed_at"], world.clock.now().to_string());
        assert_eq!(now["attempts"][0]["status"], "closed");
        assert_eq!(world.n_calls(Op::Close), 1);
        // Alipay knows the order only when the payer comes.
        if kind.provider() == tongbao_types::Provider::Wechat {
            assert_eq!(world.provider().trade(ORDER_NO).status, TradeStatus::Closed);
        }
        let version = world.version(&charge).await;
        assert_eq!(close(&world, &charge).await, Ok("closed"), "closing twice is fine");
        assert_eq!(world.version(&charge).await, version);
        world.until_nothing_is_left().await;
        assert_eq!(world.n_calls(Op::Close), 1, "{kind:?}: the job found it done");
        assert_eq!(world.net.told().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_of_unknown_outcome_goes_on_by_itself() {
    let unknown = [
        Mischief::LostBefore,
        Mischief::LostAfter,
        Mischief::BadSignature,
        Mischief::BusyBefore,
        Mischief::BusyAfter,
        Mischief::Hang,
        Mischief::Refuse,
    ];
    for kind in Kind::PROTOCOLS {
        for mischief in &unknown {
            let world = World::of(kind);
            let charge = world.order().await;
            world.provider().next(Op::Close, mischief.clone());
            let case = format!("{kind:?} {mischief:?}");
            assert_eq!(close(&world, &charge).await, Ok("pending"), "{case}");
            assert_eq!(world.now(&charge).await["attempts"][0]["status"], "closing", "{case}");
            world.advance(Span::from_seconds(60)).await;
            let now = world.now(&charge).await;
            assert_eq!(now["status"], "closed", "{case}");
            assert_eq!(now["close_reason"], "requested", "{case}");
            world.until_nothing_is_left().await;
        }
    }
}

/// WeChat's rule of five minutes: the promise is kept at the first moment that it can be, and the
/// payer may pay until then.
#[tokio::test(start_paused = true)]
async fn a_close_that_comes_too_early_is_made_when_the_order_is_old_enough() {
    for kind in [Kind::V2Md5, Kind::V3PublicKey] {
        let world = World::of(kind);
        let charge = world.order().await;
        let ordered_at = world.clock.now();
        for _at_once_and_by_the_job in 0..2 {
            world.provider().next(Op::Close, Mischief::TooYoung);
        }
        assert_eq!(close(&world, &charge).await, Ok("pending"), "{kind:?}");
        world.advance(Span::from_seconds(300)).await;
        assert_eq!(world.now(&charge).await["status"], "pending", "{kind:?}");
        assert_eq!(world.n_calls(Op::Close), 2, "{kind:?}: WeChat is not asked in vain");
        world.advance(Span::from_seconds(1)).await;
        assert_eq!(world.now(&charge).await["status"], "closed", "{kind:?}");
        assert_eq!(world.now(&charge).await["close_reason"], "requested");
        let last = world.provider().calls(Op::Close).pop().unwrap();
        assert_eq!(last.at, ordered_at + Span::from_seconds(301), "{kind:?}");
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_waits_to_be_old_enough_for_closing_can_be_paid() {
    let world = World::v2();
    let charge = world.order().await;
    world.provider().next(Op::Close, Mischief::TooYoung);
    assert_eq!(close(&world, &charge).await, Ok("pending"));
    world.pay(&charge);
    assert!(world.notify(&charge).await);
    assert_eq!(world.now(&charge).await["status"], "succeeded");
    world.until_nothing_is_left().await;
    assert_eq!(world.n_calls(Op::Close), 1);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_finds_the_order_paid_pays_the_charge() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.pay(&charge);
        assert_eq!(close(&world, &charge).await, Err(Code::ChargeNotPending), "{kind:?}");
        let now = world.now(&charge).await;
        assert_eq!(now["status"], "succeeded", "{kind:?}");
        assert!(now["failure"].is_null() && now["close_reason"].is_null());
        let again = world.engine.close_charge(&shop(), id(&charge)).await.unwrap_err();
        assert_eq!((again.code, again.charge), (Code::ChargeNotPending, Some(id(&charge))));
        assert_eq!(world.n_calls(Op::Close), 1);
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_look_finds_what_was_paid_after_alipay_did_not_know_the_order() {
    let world = World::of(Kind::AlipayKey);
    world.endpoint(&["charge.*"]).await;
    let charge = world.order().await;
    assert_eq!(close(&world, &charge).await, Ok("closed"));
    world.pay(&charge);
    world.advance(Span::from_seconds(94)).await;
    assert_eq!(world.now(&charge).await["status"], "closed");
    world.advance(Span::from_seconds(1)).await;
    let now = world.now(&charge).await;
    assert_eq!((&now["status"], &now["paid"]), (&"succeeded".into(), &true.into()));
    assert_eq!(now["failure"]["code"], "paid_late");
    let events = world.events(&charge).await;
    assert_eq!(
        events[events.len() - 3..],
        ["poll.complete", "charge.paid_late", "charge.succeeded"]
    );
    world.until_nothing_is_left().await;
    assert_eq!(world.net.told().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_late_look_that_gets_no_answer_is_repeated() {
    let world = World::of(Kind::AlipayKey);
    let charge = world.order().await;
    close(&world, &charge).await.unwrap();
    world.pay(&charge);
    for mischief in [Mischief::LostBefore, Mischief::BusyBefore, Mischief::BadSignature] {
        world.provider().next(Op::Query, mischief);
    }
    world.until_nothing_is_left().await;
    assert_eq!(world.now(&charge).await["failure"]["code"], "paid_late");
}

#[tokio::test(start_paused = true)]
async fn a_late_look_that_finds_nothing_paid_leaves_the_reason_and_does_not_spin() {
    let world = World::of(Kind::AlipayKey);
    let charge = world.order().await;
    close(&world, &charge).await.unwrap();
    world.pay(&charge);
    world.provider().change_amount(ORDER_NO, 0);
    world.advance(Span::from_seconds(2 * 3600)).await;
    let now = world.now(&charge).await;
    assert_eq!(now["status"], "closed");
    assert_eq!(now["refused_notices"][0]["code"], "amount_mismatch");
    let looks = world.n_calls(Op::Query);
    assert!((1..30).contains(&looks), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn a_notice_before_the_close_is_certain_is_in_time_and_one_after_it_is_late() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.provider().next(Op::Close, Mischief::LostBefore);
        close(&world, &charge).await.unwrap();
        world.pay(&charge);
        assert!(world.notify(&charge).await, "{kind:?}");
        let now = world.now(&charge).await;
        assert_eq!(now["status"], "succeeded", "{kind:?}");
        assert!(now["failure"].is_null(), "{kind:?}: it was not closed yet");
        world.until_nothing_is_left().await;
    }
    let world = World::of(Kind::AlipayKey);
    let charge = world.order().await;
    close(&world, &charge).await.unwrap();
    world.pay(&charge);
    assert!(world.notify(&charge).await);
    let now = world.now(&charge).await;
    assert_eq!(now["failure"]["code"], "paid_late");
    assert_eq!(now["status"], "succeeded");
    world.until_nothing_is_left().await;
    assert_eq!(world.count(&charge, "charge.paid_late").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_notice_while_the_close_is_under_way_wins_once() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.pay(&charge);
        let gate = world.provider().hold(Op::Close);
        let noticed = async {
            gate.reached().await;
            assert!(world.notify(&charge).await);
            gate.open();
        };
        let (closed, ()) = tokio::join!(close(&world, &charge), noticed);
        assert_eq!(closed, Err(Code::ChargeNotPending), "{kind:?}");
        assert_eq!(world.now(&charge).await["status"], "succeeded");
        assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
        world.until_nothing_is_left().await;
        assert!(world.now(&charge).await["failure"].is_null());
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_while_a_look_is_under_way_closes_once() {
    let world = World::v2();
    let charge = world.order().await;
    world.clock.advance(Span::from_seconds(5));
    let gate = world.provider().hold(Op::Query);
    let closing = async {
        gate.reached().await;
        let closed = close(&world, &charge).await;
        gate.open();
        closed
    };
    let ((), closed) = tokio::join!(world.run_due(), closing);
    assert_eq!(closed, Ok("closed"));
    assert_eq!(world.next_job().await, None);
    world.until_nothing_is_left().await;
    assert_eq!(world.count(&charge, "charge.closed").await, 1);
    assert_eq!(world.n_calls(Op::Close), 1);
}

#[tokio::test(start_paused = true)]
async fn a_close_of_an_order_whose_placing_is_under_way_ends_closed() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let gate = world.provider().hold(Op::Place);
        let closing = async {
            gate.reached().await;
            let charge = world.all_charges().await.remove(0);
            let closed = close(&world, &charge).await;
            gate.open();
            closed
        };
        let (created, closed) = tokio::join!(world.order(), closing);
        assert_eq!(closed, Ok("closed"), "{kind:?}");
        assert_eq!(created["status"], "closed", "{kind:?}");
        assert!(created["action"].is_null());
        world.until_nothing_is_left().await;
        assert_eq!(world.now(&created).await["status"], "closed");
    }
}

/// A process stood still between writing an order and placing it. It tells what it has done, or
/// dies before it can.
#[tokio::test(start_paused = true)]
async fn an_order_that_was_placed_after_its_close_is_closed_once_more() {
    for kind in [Kind::V2Md5, Kind::V3PublicKey] {
        for tells in [true, false] {
            let world = World::of(kind);
            let gate = world.provider().hold(Op::Place);
            let closing = async {
                gate.reached().await;
                let charge = world.all_charges().await.remove(0);
                assert_eq!(close(&world, &charge).await, Ok("closed"), "{kind:?}");
                world.provider().reopen(ORDER_NO);
                gate.open();
                charge
            };
            let charge = if tells {
                tokio::join!(closing, world.order()).0
            } else {
                tokio::select! { biased; charge = closing => charge, _ = world.order() => panic!() }
            };
            let stands = || world.provider().trade(ORDER_NO).status;
            assert_eq!(stands(), TradeStatus::Open);
            let wait = if tells { 1 } else { 35 + 61 };
            world.advance(Span::from_seconds(wait)).await;
            assert_eq!(stands(), TradeStatus::Closed, "{kind:?} {tells}");
            assert_eq!(world.now(&charge).await["status"], "closed");
            world.until_nothing_is_left().await;
        }
    }
}

/// The last look is over too, and nobody knows what came of the order.
#[tokio::test(start_paused = true)]
async fn an_order_of_unknown_outcome_after_its_close_is_looked_at() {
    let world = World::v2();
    let gate = Arc::new(Gate::default());
    world.provider().next(Op::Place, Mischief::HoldAndLose(Arc::clone(&gate)));
    let closing = async {
        gate.reached().await;
        let charge = world.all_charges().await.remove(0);
        assert_eq!(close(&world, &charge).await, Ok("closed"));
        world.until_nothing_is_left().await;
        world.provider().reopen(ORDER_NO);
        gate.open();
    };
    let (created, ()) = tokio::join!(world.order(), closing);
    assert_eq!(created["status"], "closed");
    world.until_nothing_is_left().await;
    assert_eq!(world.provider().trade(ORDER_NO).status, TradeStatus::Closed);
}

/// Nothing is closed and nothing is paid until a person has looked; the reason stands there.
#[tokio::test(start_paused = true)]
async fn a_close_that_finds_a_payment_of_nothing_leaves_the_reason() {
    let world = World::v2();
    let charge = world.order().await;
    world.pay(&charge);
    world.provider().change_amount(ORDER_NO, 0);
    assert_eq!(close(&world, &charge).await, Ok("pending"));
    let now = world.now(&charge).await;
    assert_eq!(now["refused_notices"][0]["code"], "amount_mismatch");
    world.advance(Span::from_seconds(3600)).await;
    let calls = world.n_calls(Op::Close);
    assert!((3..20).contains(&calls), "{calls}");
    assert!(world.next_job().await.is_some());
}

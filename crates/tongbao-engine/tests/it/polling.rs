//! Looking after orders that nobody tells us about.

use crate::provider::{Kind, Mischief, Op, TradeStatus};
use crate::world::{AMOUNT, ORDER_NO, POLLING, World};
use tongbao_core::Polling;
use tongbao_engine::{Clock, Expires, NewCharge};
use tongbao_types::Span;

/// When the provider was called, in seconds since the order.
fn seconds(world: &World, op: Op, start: i64) -> Vec<i64> {
    world.provider().calls(op).iter().map(|call| call.at.as_seconds() - start).collect()
}

#[tokio::test(start_paused = true)]
async fn looks_come_at_their_times_and_end_with_a_close_there_and_then_here() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let start = world.clock.now().as_seconds();
        let charge = world.order().await;
        world.until_nothing_is_left().await;
        let looks = seconds(&world, Op::Query, start);
        assert_eq!(looks[..3], [5, 15, 35], "{kind:?}");
        assert_eq!(seconds(&world, Op::Close, start), [35], "{kind:?}");
        let look = ["poll.active", "poll.failed"];
        let wanted: Vec<&str> = ["charge.created", "charge.attempted", "poll.delayed"]
            .into_iter()
            .chain(look)
            .chain(look)
            .chain(look)
            .chain(["poll.finished", "charge.closed"])
            .collect();
        assert_eq!(world.events(&charge).await, wanted, "{kind:?}");
        let now = world.now(&charge).await;
        assert_eq!((&now["status"], &now["close_reason"]), (&"closed".into(), &"expired".into()));
        match kind {
            // Alipay knows no order yet, so one late look makes sure.
            Kind::AlipayKey => assert_eq!(looks[3..], [95]),
            _ => {
                assert_eq!(looks.len(), 3);
                assert_eq!(world.provider().trade(ORDER_NO).status, TradeStatus::Closed);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_finds_the_payment_that_no_notice_told() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        world.endpoint(&["charge.succeeded", "poll.complete"]).await;
        let charge = world.order().await;
        world.advance(Span::from_seconds(7)).await;
        world.pay(&charge);
        world.advance(Span::from_seconds(8)).await;
        assert_eq!(world.now(&charge).await["status"], "succeeded", "{kind:?}");
        let events = world.events(&charge).await;
        assert_eq!(
            events[events.len() - 3..],
            ["poll.active", "poll.complete", "charge.succeeded"]
        );
        world.until_nothing_is_left().await;
        assert_eq!(world.net.told().len(), 2);
        assert_eq!(world.n_calls(Op::Close), 0);
        assert!(world.notify(&charge).await, "a late notice is welcome");
        assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_payer_wins_between_the_last_look_and_the_close() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.advance(Span::from_seconds(34)).await;
        world.clock.advance(Span::from_seconds(1));
        let gate = world.provider().hold(Op::Query);
        let pays = async {
            gate.reached().await;
            world.pay(&charge);
            gate.open();
        };
        tokio::join!(world.run_due(), pays);
        let now = world.now(&charge).await;
        assert_eq!(now["status"], "succeeded", "{kind:?}");
        assert!(now["failure"].is_null(), "{kind:?}: it was in time");
        assert_eq!(world.n_calls(Op::Close), 1);
        assert_eq!(world.count(&charge, "charge.closed").await, 0);
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_is_cut_off_after_its_ttl_and_the_next_one_comes() {
    let world = World::v2();
    let charge = world.order().await;
    world.provider().next(Op::Query, Mischief::Hang);
    let before = tokio::time::Instant::now();
    world.advance(Span::from_seconds(5)).await;
    assert_eq!(before.elapsed().as_secs(), POLLING.ttl.std().as_secs());
    world.pay(&charge);
    world.advance(Span::from_seconds(10)).await;
    assert_eq!(world.now(&charge).await["status"], "succeeded");
    assert_eq!(world.n_calls(Op::Query), 2);
}

#[tokio::test(start_paused = true)]
async fn looks_without_an_answer_are_followed_by_others_at_the_same_times() {
    let world = World::v2();
    let start = world.clock.now().as_seconds();
    let charge = world.order().await;
    for mischief in [Mischief::BusyBefore, Mischief::BadSignature] {
        world.provider().next(Op::Query, mischief);
    }
    world.until_nothing_is_left().await;
    assert_eq!(seconds(&world, Op::Query, start), [5, 15, 35]);
    assert_eq!(world.now(&charge).await["status"], "closed");
}

#[tokio::test(start_paused = true)]
async fn a_charge_with_its_own_end_is_looked_after_until_then() {
    let hour = Span::from_seconds(3600);
    for (expires, looks) in [
        (Span::from_seconds(12), &[5, 12][..]),
        (Span::from_seconds(2), &[2]),
        (hour, &[5, 15, 35, 75, 155, 315, 635, 1275, 2555, 3600]),
    ] {
        let world = World::v2();
        let start = world.clock.now().as_seconds();
        let new = NewCharge { expires: Some(Expires::In(expires)), ..world.new_charge() };
        let charge = world.create(new).await.expect(201);
        world.until_nothing_is_left().await;
        assert_eq!(seconds(&world, Op::Query, start), looks);
        let now = world.now(&charge).await;
        assert_eq!(now["closed_at"], now["expires_at"]);
        assert_eq!(now["close_reason"], "expired");
    }
}

#[tokio::test(start_paused = true)]
async fn a_charge_for_which_no_channel_was_chosen_ends_by_itself() {
    let world = World::v2();
    world.endpoint(&[]).await;
    let new = NewCharge { channel: None, ..world.new_charge() };
    let charge = world.create(new).await.expect(201);
    assert!(charge["attempts"].as_array().unwrap().is_empty() && charge["action"].is_null());
    world.advance(Span::from_seconds(7199)).await;
    assert_eq!(world.now(&charge).await["status"], "pending");
    world.advance(Span::from_seconds(1)).await;
    let now = world.now(&charge).await;
    assert_eq!((&now["status"], &now["close_reason"]), (&"closed".into(), &"expired".into()));
    assert_eq!(world.events(&charge).await, ["charge.created", "charge.closed"]);
    world.until_nothing_is_left().await;
    assert_eq!(world.net.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_provider_closed_by_itself_closes_the_charge() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.provider().close_by_itself(ORDER_NO);
        world.advance(Span::from_seconds(5)).await;
        let now = world.now(&charge).await;
        let wanted = (&"closed".into(), &"provider".into());
        assert_eq!((&now["status"], &now["close_reason"]), wanted, "{kind:?}");
        assert_eq!(world.next_job().await, None);
    }
}

/// A person has to look into this; until then the job asks now and then and not in a circle.
#[tokio::test(start_paused = true)]
async fn a_payment_of_nothing_is_not_believed_and_does_not_spin() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.pay(&charge);
        world.provider().change_amount(ORDER_NO, 0);
        world.advance(Span::from_seconds(2 * 3600)).await;
        let now = world.now(&charge).await;
        assert_eq!(now["status"], "pending", "{kind:?}");
        assert_eq!(now["refused_notices"][0]["code"], "amount_mismatch", "{kind:?}");
        let calls = world.n_calls(Op::Query);
        assert!((4..30).contains(&calls), "{kind:?}: {calls} looks");
        let due = world.next_job().await;
        assert!(due.is_some_and(|due| due > world.clock.now()), "{kind:?}: nobody asks again");
        world.provider().change_amount(ORDER_NO, AMOUNT);
        world.advance(Span::from_seconds(3600)).await;
        assert_eq!(world.now(&charge).await["status"], "succeeded", "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_planned_looks_follow_the_configuration() {
    let polling = Polling { attempts: 4, backoff: tongbao_core::Backoff::Fixed, ..POLLING };
    let world = World::with(Kind::V2Md5, polling);
    let start = world.clock.now().as_seconds();
    world.order().await;
    world.until_nothing_is_left().await;
    assert_eq!(seconds(&world, Op::Query, start), [5, 10, 15, 20]);
}

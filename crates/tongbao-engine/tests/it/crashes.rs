//! The process dies, or the store or the network fails, at each single point where the engine
//! waits for the world; afterwards a new process finds the truth and nothing is lost or doubled.

use crate::fakes::Fate;
use crate::provider::{Kind, Op, RefundStatus, refund_notice};
use crate::world::{AMOUNT, Answer, Crashed, ORDER_NO, World, draft, id, number, shop};
use serde_json::{Value, json};
use tongbao_core::{Policy, RefundDraft, Unexpected};
use tongbao_types::{Channel, RefundNo, Span};

const FATES: [Fate; 2] = [Fate::Stop, Fate::Fail];

/// Runs `scenario` with a crash at each point, until it says that there are no more.
pub(crate) async fn at_each_point(least: usize, scenario: impl AsyncFn(usize, Fate) -> bool) {
    for fate in FATES {
        let mut nth = 0;
        while scenario(nth, fate).await {
            nth += 1;
        }
        assert!(nth >= least, "only {nth} points: the test misses its aim");
    }
}

async fn create(world: &World) -> Answer {
    world.create_with_key(world.new_charge(), "key", "print").await
}

/// Asks again under the same key until there is a reply that counts.
async fn repeat(world: &World) -> Value {
    let mut answer = create(world).await;
    if answer.status == 409 {
        assert_eq!(answer.body["code"], "idempotency_key_busy");
        assert_eq!(answer.retry_after, Some(Span::from_seconds(1)));
        world.advance(Span::from_seconds(61)).await;
        answer = create(world).await;
    }
    let first = answer.expect(201);
    assert_eq!(create(world).await.expect(201), first);
    first
}

/// The charge that a repeated request gave, after all jobs: one charge, one order, one end.
async fn check_settled(world: &World, charge: &Value, case: &str) -> String {
    world.until_nothing_is_left().await;
    assert_eq!(world.all_charges().await.len(), 1, "{case}");
    let numbers = world.provider().numbers();
    assert!(numbers.iter().all(|number| number == ORDER_NO), "{case}: {numbers:?}");
    let now = world.now(charge).await;
    let status = now["status"].as_str().unwrap().to_owned();
    let events = world.events(charge).await;
    let ends = |kind: &&String| ["charge.succeeded", "charge.closed"].contains(&kind.as_str());
    assert_eq!(events.iter().filter(ends).count(), 1, "{case}: {events:?}");
    assert!(!events.contains(&"charge.failed".to_owned()), "{case}: {}", now["failure"]);
    status
}

#[tokio::test(start_paused = true)]
async fn a_creation_cut_off_anywhere_leaves_one_order_that_closes() {
    for kind in [Kind::V2Md5, Kind::V3Fetched, Kind::AlipayKey] {
        at_each_point(8, async |nth, fate| {
            let case = format!("{kind:?} {nth} {fate:?}");
            let mut world = World::of(kind);
            let Some(Crashed(first)) = world.crash((nth, fate), create).await else { return false };
            let charge = repeat(&world).await;
            if let Some(first) = first.filter(|first| first.status == 201) {
                assert_eq!(first.body["id"], charge["id"], "{case}");
            }
            assert_eq!(check_settled(&world, &charge, &case).await, "closed", "{case}");
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_cut_off_anywhere_can_be_paid_once() {
    for kind in Kind::PROTOCOLS {
        at_each_point(8, async |nth, fate| {
            let case = format!("{kind:?} {nth} {fate:?}");
            let mut world = World::of(kind);
            world.endpoint(&["charge.succeeded"]).await;
            let Some(_) = world.crash((nth, fate), create).await else { return false };
            if world.all_charges().await.is_empty() {
                repeat(&world).await;
            }
            world.advance(Span::from_seconds(5)).await;
            let charge = world.all_charges().await.remove(0);
            assert_eq!(charge["action"]["type"], "qr_code", "{case}: {charge}");
            world.pay(&charge);
            assert!(world.notify(&charge).await, "{case}");
            assert_eq!(check_settled(&world, &charge, &case).await, "succeeded", "{case}");
            assert_eq!(world.net.told().len(), 1, "{case}");
            assert_eq!(world.create_with_key(world.new_charge(), "key", "print").await.status, 201);
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_cut_off_anywhere_comes_again_and_has_one_effect() {
    for kind in Kind::PROTOCOLS {
        at_each_point(3, async |nth, fate| {
            let case = format!("{kind:?} {nth} {fate:?}");
            let mut world = World::of(kind);
            world.endpoint(&["charge.succeeded"]).await;
            let charge = world.order().await;
            world.pay(&charge);
            // A new process remembers nothing of it and has to ask the store.
            world.restart();
            let noticed = async |world: &World| world.notify(&charge).await;
            let Some(Crashed(accepted)) = world.crash((nth, fate), noticed).await else {
                return false;
            };
            if accepted == Some(true) {
                assert_eq!(world.now(&charge).await["status"], "succeeded", "{case}");
            }
            assert!(world.notify(&charge).await, "{case}");
            assert_eq!(check_settled(&world, &charge, &case).await, "succeeded", "{case}");
            assert_eq!(world.net.told().len(), 1, "{case}");
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_cut_off_anywhere_is_finished_or_never_began() {
    for kind in Kind::PROTOCOLS {
        at_each_point(8, async |nth, fate| {
            let case = format!("{kind:?} {nth} {fate:?}");
            let mut world = World::of(kind);
            world.endpoint(&["charge.closed"]).await;
            let charge = world.order().await;
            let close = async |world: &World| {
                world.engine.close_charge(&shop(), id(&charge)).await.map(|view| view.status)
            };
            let Some(Crashed(closed)) = world.crash((nth, fate), close).await else { return false };
            let now = world.now(&charge).await;
            if let Some(Ok(status)) = closed {
                assert_eq!(now["status"], status, "{case}");
            }
            let has_begun = now["attempts"][0]["status"] != "pending";
            assert_eq!(check_settled(&world, &charge, &case).await, "closed", "{case}");
            let reason = if has_begun { "requested" } else { "expired" };
            assert_eq!(world.now(&charge).await["close_reason"], reason, "{case}");
            assert_eq!(world.net.told().len(), 1, "{case}");
            true
        })
        .await;
    }
}

/// From the order to the end, the machine dies once, in the middle of any job.
#[tokio::test(start_paused = true)]
async fn looking_and_closing_cut_off_anywhere_go_on() {
    for kind in [Kind::V2Md5, Kind::AlipayKey] {
        at_each_point(30, async |nth, fate| {
            let case = format!("{kind:?} {nth} {fate:?}");
            let mut world = World::of(kind);
            let charge = world.order().await;
            let live = async |world: &World| world.advance(Span::from_seconds(120)).await;
            let Some(_) = world.crash((nth, fate), live).await else { return false };
            assert_eq!(check_settled(&world, &charge, &case).await, "closed", "{case}");
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_finds_a_payment_cut_off_anywhere_finds_it_again() {
    for kind in Kind::PROTOCOLS {
        at_each_point(8, async |nth, fate| {
            let case = format!("{kind:?} {nth} {fate:?}");
            let mut world = World::of(kind);
            world.endpoint(&["charge.succeeded"]).await;
            let charge = world.order().await;
            world.pay(&charge);
            let live = async |world: &World| world.advance(Span::from_seconds(5)).await;
            let Some(_) = world.crash((nth, fate), live).await else { return false };
            assert_eq!(check_settled(&world, &charge, &case).await, "succeeded", "{case}");
            let told = world.net.told();
            assert!(!told.is_empty() && told.iter().all(|one| one.id == told[0].id), "{case}");
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_cut_off_anywhere_is_made_with_the_same_id() {
    at_each_point(6, async |nth, fate| {
        let case = format!("{nth} {fate:?}");
        let mut world = World::v2();
        world.endpoint(&["charge.closed"]).await;
        let charge = world.order().await;
        world.engine.close_charge(&shop(), id(&charge)).await.unwrap();
        let run = async |world: &World| world.run_due().await;
        let Some(_) = world.crash((nth, fate), run).await else { return false };
        world.until_nothing_is_left().await;
        let told = world.net.told();
        assert!((1..=2).contains(&told.len()), "{case}: {}", told.len());
        assert!(told.iter().all(|one| one.id == told[0].id), "{case}");
        let page = crate::world::page(10);
        let all = world.engine.deliveries(&shop(), &Default::default(), page).await.unwrap();
        assert_eq!((all.data.len(), all.data[0].status), (1, "succeeded"), "{case}");
        assert_eq!(world.n_calls(Op::Close), 1);
        true
    })
    .await;
}

fn numbered() -> RefundDraft {
    RefundDraft { refund_no: Some(RefundNo::new("R1").unwrap()), ..draft(700) }
}

async fn refund(world: &World, charge: &Value) -> Answer {
    world.refund_as(charge, numbered(), Some("key")).await
}

/// However it was cut off: after all jobs there is one refund, here and there.
async fn check_refunded(world: &World, charge: &Value, case: &str) {
    world.until_nothing_is_left().await;
    let refunds = world.all_refunds().await;
    assert_eq!(refunds.len(), 1, "{case}");
    assert_eq!(refunds[0]["status"], "succeeded", "{case}: {}", refunds[0]);
    let known = world.provider().refunds();
    assert_eq!(known.keys().collect::<Vec<_>>(), [&refunds[0]["out_refund_no"]], "{case}");
    assert_eq!(world.count(charge, "refund.created").await, 1, "{case}");
    assert_eq!(world.count(charge, "refund.succeeded").await, 1, "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_refund_cut_off_anywhere_moves_its_money_once() {
    for status in [RefundStatus::Succeeded, RefundStatus::Processing] {
        at_each_point(8, async |nth, fate| {
            let case = format!("{status:?} {nth} {fate:?}");
            let mut world = World::v2();
            let charge = world.paid().await;
            world.provider().refunds_become(status);
            let work = async |world: &World| refund(world, &charge).await;
            let Some(Crashed(first)) = world.crash((nth, fate), work).await else { return false };
            let mut again = refund(&world, &charge).await;
            if again.status == 409 {
                assert_eq!(again.body["code"], "idempotency_key_busy", "{case}");
                world.advance(Span::from_seconds(61)).await;
                again = refund(&world, &charge).await;
            }
            let again = again.expect(201);
            if let Some(first) = first.filter(|first| first.status == 201) {
                assert_eq!(first.body["id"], again["id"], "{case}");
            }
            let too_much = world.refund(&charge, AMOUNT - 699).await.expect(400);
            assert_eq!(too_much["code"], "refund_too_large", "{case}: it is reserved");
            world.advance(Span::from_seconds(60)).await;
            for number in world.provider().refunds().into_keys() {
                world.provider().end_refund(&number, RefundStatus::Succeeded);
            }
            check_refunded(&world, &charge, &case).await;
            true
        })
        .await;
    }
}

/// The job that sends what nobody asked for, cut off in any run.
#[tokio::test(start_paused = true)]
async fn a_refund_that_goes_back_by_itself_cut_off_anywhere_moves_its_money_once() {
    let back = Policy { late: Unexpected::Refund, wrong_amount: Unexpected::Refund };
    at_each_point(8, async |nth, fate| {
        let case = format!("{nth} {fate:?}");
        let mut world = World::with_policy(Kind::V2Md5, back);
        let charge = world.order().await;
        world.engine.close_charge(&shop(), id(&charge)).await.unwrap();
        world.provider().reopen(&number(&charge));
        world.pay(&charge);
        assert!(world.notify(&charge).await);
        world.provider().answer_refunds_with("not_now");
        let live = async |world: &World| world.advance(Span::from_seconds(60)).await;
        let Some(_) = world.crash((nth, fate), live).await else { return false };
        check_refunded(&world, &charge, &case).await;
        assert_eq!(world.now(&charge).await["status"], "closed", "{case}");
        true
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refunds_notice_cut_off_anywhere_comes_again_and_has_one_effect() {
    for tells in [true, false] {
        at_each_point(2, async |nth, fate| {
            let case = format!("{tells} {nth} {fate:?}");
            let mut world = World::v2();
            let charge = world.paid().await;
            world.provider().refunds_become(RefundStatus::Processing);
            refund(&world, &charge).await.expect(201);
            world.provider().end_refund("R1", RefundStatus::Succeeded);
            let told = tells.then(|| json!({"said": "succeeded"}));
            let notice = || refund_notice(&number(&charge), "R1", told.clone());
            let accepts = async |world: &World| {
                let answer = world.receive(notice()).await;
                world.kind.protocol().is_accepted(&answer)
            };
            let Some(Crashed(accepted)) = world.crash((nth, fate), accepts).await else {
                return false;
            };
            if accepted == Some(true) && tells {
                assert_eq!(world.all_refunds().await[0]["status"], "succeeded", "{case}");
            }
            assert!(accepts(&world).await, "{case}");
            check_refunded(&world, &charge, &case).await;
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_channel_cut_off_anywhere_can_be_paid_or_ends() {
    for pays in [true, false] {
        at_each_point(6, async |nth, fate| {
            let case = format!("{pays} {nth} {fate:?}");
            let mut world = World::v2();
            let charge = world.open().await;
            world.choose(&charge, Channel::WechatNative).await.expect(201);
            let work = async |world: &World| world.choose(&charge, Channel::WechatH5).await;
            let Some(_) = world.crash((nth, fate), work).await else { return false };
            // Whoever got no answer asks again, and pays what is shown.
            let shown = world.choose(&charge, Channel::WechatH5).await.expect(201);
            if pays {
                let attempts = shown["attempts"].as_array().unwrap().clone();
                let last = attempts.last().unwrap()["out_trade_no"].as_str().unwrap();
                world.provider().pay(last, tongbao_engine::Clock::now(&*world.clock));
            }
            world.until_nothing_is_left().await;
            let now = world.now(&charge).await;
            let status = if pays { "succeeded" } else { "closed" };
            assert_eq!(now["status"], status, "{case}: {now}");
            let open = ["placing", "pending", "closing"];
            for attempt in now["attempts"].as_array().unwrap() {
                assert!(!open.contains(&attempt["status"].as_str().unwrap()), "{case}: {now}");
            }
            let events = world.events(&charge).await;
            let ends = events
                .iter()
                .filter(|kind| ["charge.succeeded", "charge.closed"].contains(&&***kind));
            assert_eq!(ends.count(), 1, "{case}: {events:?}");
            assert!(world.all_refunds().await.is_empty(), "{case}");
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_payment_cut_off_anywhere_goes_back_once() {
    at_each_point(12, async |nth, fate| {
        let case = format!("{nth} {fate:?}");
        let mut world = World::v2();
        let charge = world.open().await;
        world.choose(&charge, Channel::WechatNative).await.expect(201);
        let both = world.choose(&charge, Channel::WechatH5).await.expect(201);
        let now = tongbao_engine::Clock::now(&*world.clock);
        let number = |at: usize| both["attempts"][at]["out_trade_no"].as_str().unwrap().to_owned();
        world.provider().pay(&number(0), now);
        world.provider().pay(&number(1), now);
        let live = async |world: &World| {
            let _accepted = world.notify(&both).await;
            world.advance(Span::from_seconds(60)).await;
        };
        let Some(_) = world.crash((nth, fate), live).await else { return false };
        check_refunded(&world, &charge, &case).await;
        assert_eq!(world.now(&charge).await["status"], "succeeded", "{case}");
        assert_eq!(world.count(&charge, "charge.paid_twice").await, 1, "{case}");
        true
    })
    .await;
}

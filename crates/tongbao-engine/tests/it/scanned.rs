//! The payer shows a code and the merchant scans it: paid at once, looked at for a while, or taken
//! back; never placed twice.

use crate::provider::{Kind, Mischief, Op, Said, TradeStatus};
use crate::world::{Answer, ORDER_NO, World};
use serde_json::Value;
use tongbao_core::Payer;
use tongbao_engine::{Clock, NewCharge};
use tongbao_types::{Channel, Span};

const KINDS: [(Kind, Channel); 2] =
    [(Kind::V2Md5, Channel::WechatMicropay), (Kind::AlipayKey, Channel::AlipayBarcode)];

async fn scan(world: &World, channel: Channel, code: &str) -> Answer {
    let payer = Some(Payer { auth_code: Some(code.to_owned()), ..Payer::default() });
    world.create(NewCharge { channel: Some(channel), payer, ..world.new_charge() }).await
}

fn seconds(world: &World, op: Op, start: i64) -> Vec<i64> {
    world.provider().calls(op).iter().map(|call| call.at.as_seconds() - start).collect()
}

#[tokio::test(start_paused = true)]
async fn a_code_that_pays_at_once_is_paid_in_the_reply() {
    for (kind, channel) in KINDS {
        let world = World::of(kind);
        let charge = scan(&world, channel, "100").await.expect(201);
        assert_eq!((&charge["status"], &charge["paid"]), (&"succeeded".into(), &true.into()));
        assert!(charge["action"].is_null());
        assert_eq!(world.events(&charge).await, ["charge.created", "charge.succeeded"]);
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_payer_who_types_a_password_is_looked_at_every_five_seconds() {
    for (kind, channel) in KINDS {
        let world = World::of(kind);
        let start = world.clock.now().as_seconds();
        let charge = scan(&world, channel, "200").await.expect(201);
        assert_eq!(charge["status"], "pending");
        world.advance(Span::from_seconds(12)).await;
        world.pay(&charge);
        world.advance(Span::from_seconds(3)).await;
        assert_eq!(world.now(&charge).await["status"], "succeeded");
        assert_eq!(seconds(&world, Op::Query, start), [5, 10, 15]);
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_forty_five_seconds_it_is_taken_back_and_a_late_notice_only_makes_us_ask() {
    for (kind, channel) in KINDS {
        let world = World::of(kind);
        let start = world.clock.now().as_seconds();
        let expires = Some(tongbao_engine::Expires::In(Span::from_seconds(600)));
        let payer = Some(Payer { auth_code: Some("200".to_owned()), ..Payer::default() });
        let new = NewCharge { channel: Some(channel), payer, expires, ..world.new_charge() };
        let charge = world.create(new).await.expect(201);
        world.advance(Span::from_seconds(45)).await;
        let now = world.now(&charge).await;
        assert_eq!((&now["status"], &now["close_reason"]), (&"closed".into(), &"expired".into()));
        let looks: Vec<i64> = (1..=9).map(|look| look * 5).collect();
        assert_eq!(seconds(&world, Op::Query, start), looks);
        assert_eq!(seconds(&world, Op::Close, start), [45]);
        // The payer had just paid, and got it back; the notice of that comes now.
        let mut trade = world.provider().trade(ORDER_NO);
        assert_eq!(trade.status, TradeStatus::Closed);
        trade.status = TradeStatus::Paid;
        trade.paid_at = Some(world.clock.now());
        let at = crate::provider::Moment { now: world.clock.now(), wall: world.clock.wall() };
        let notice = kind.protocol().notice(&trade, &Said::default(), at);
        let answer = world.receive(notice).await;
        assert!(kind.protocol().is_accepted(&answer), "{kind:?}");
        assert_eq!(world.now(&charge).await["status"], "closed", "{kind:?}");
        world.run_due().await;
        assert_eq!(world.n_calls(Op::Query), 10, "asked once more");
        assert_eq!(world.now(&charge).await["status"], "closed", "{kind:?}");
        world.until_nothing_is_left().await;
        assert_eq!(world.count(&charge, "charge.paid_late").await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_of_unknown_outcome_is_asked_about_and_never_placed_again() {
    for (kind, channel) in KINDS {
        for mischief in [Mischief::LostBefore, Mischief::LostAfter, Mischief::BusyAfter] {
            let case = format!("{kind:?} {mischief:?}");
            let world = World::of(kind);
            let is_placed = !matches!(mischief, Mischief::LostBefore);
            world.provider().next(Op::Place, mischief);
            let charge = scan(&world, channel, "100").await.expect(201);
            assert_eq!(charge["status"], "pending", "{case}");
            world.advance(Span::from_seconds(60)).await;
            let status = if is_placed { "succeeded" } else { "closed" };
            assert_eq!(world.now(&charge).await["status"], status, "{case}");
            assert_eq!(world.n_calls(Op::Place), usize::from(is_placed), "{case}");
            world.until_nothing_is_left().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_code_fails_and_the_code_is_not_kept() {
    let world = World::v2();
    world.provider().next(Op::Place, Mischief::Refuse);
    let refused = scan(&world, Channel::WechatMicropay, "987654321").await.expect(402);
    assert_eq!(refused["money_moved"], "no");
    let charge: Value = world.all_charges().await.remove(0);
    assert_eq!(charge["status"], "failed");
    let kept = format!(
        "{:?}",
        tongbao_engine::Store::charge(world.store.memory(), crate::world::id(&charge))
            .await
            .unwrap()
    );
    assert!(!kept.contains("987654321"));
}

/// The network may carry a request twice; the second answer says then that the number is paid. An
/// older system's payment under the same number is none of ours.
#[tokio::test(start_paused = true)]
async fn a_code_that_has_just_paid_is_paid_and_one_of_long_ago_is_refused() {
    for (seconds, status) in [(0, 201), (3600, 402)] {
        let world = World::v2();
        let paid_at = world.clock.now() - Span::from_seconds(seconds);
        world.provider().pay_page(ORDER_NO, crate::world::AMOUNT, paid_at);
        let answer = scan(&world, Channel::WechatMicropay, "100").await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

//! Orders of an older service become charges: all of a portion or none, once, and what is true
//! about them comes from the provider.

use crate::fakes::{Fate, TrappedStore};
use crate::provider::{Kind, Op};
use crate::world::{AMOUNT, Crashed, ORDER_NO, World, shop};
use std::sync::Arc;
use tongbao_engine::{Clock, Expires, NewCharge, OldOrder, Standing};
use tongbao_types::{Amount, Channel, Code, Fen, OrderNo, OutTradeNo, Profile, Span};

fn old(world: &World, number: &str) -> OldOrder {
    OldOrder {
        order_no: OrderNo::new(number).unwrap(),
        out_trade_no: OutTradeNo::new(number).unwrap(),
        amount: Amount::new(Fen(AMOUNT)).unwrap(),
        subject: "Tea".to_owned(),
        channel: world.kind.channel(),
        account: None,
        profile: None,
        metadata: vec![("imported".to_owned(), "open".to_owned())],
        created_at: world.clock.now() - Span::from_seconds(3600),
        expires_at: None,
    }
}

/// A world whose provider has an order that this gateway knows nothing of.
async fn placed_elsewhere(kind: Kind) -> World {
    let mut world = World::of(kind);
    let expires = Some(Expires::In(Span::from_seconds(6 * 3600)));
    world.create(NewCharge { expires, ..world.new_charge() }).await.expect(201);
    world.store = Arc::new(TrappedStore::default());
    world.restart();
    world.provider().forget_calls();
    world
}

async fn adopt(world: &World, orders: &[OldOrder]) -> Result<(), Code> {
    let adopted = world.engine.adopt_orders(&shop(), orders, None).await;
    adopted.map(drop).map_err(|error| error.code)
}

async fn examine(world: &World, order: &OldOrder) -> Result<Standing, (Code, String, String)> {
    let examined = world.engine.examine_order(&shop(), order).await;
    examined.map_err(|error| (error.code, error.param.unwrap_or_default(), error.message))
}

#[tokio::test(start_paused = true)]
async fn an_adopted_order_is_asked_about_at_once_and_never_placed_again() {
    for kind in Kind::PROTOCOLS {
        let world = placed_elsewhere(kind).await;
        let order = old(&world, ORDER_NO);
        assert_eq!(examine(&world, &order).await, Ok(Standing::New));
        adopt(&world, std::slice::from_ref(&order)).await.unwrap();
        world.run_due().await;
        let charge = world.all_charges().await.remove(0);
        assert_eq!(charge["status"], "pending");
        assert_eq!(world.n_calls(Op::Query), 1, "{kind:?}");
        world.pay(&charge);
        world.advance(Span::from_seconds(60)).await;
        assert_eq!(world.now(&charge).await["status"], "succeeded", "{kind:?}");
        assert_eq!(world.n_calls(Op::Place), 0, "{kind:?}: it was placed elsewhere");
        let Ok(Standing::Same(_)) = examine(&world, &order).await else { panic!("{kind:?}") };
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_nobody_pays_is_closed_there_when_its_time_is_over() {
    let world = placed_elsewhere(Kind::V2Md5).await;
    let in_an_hour = world.clock.now() + Span::from_seconds(3600);
    let order = OldOrder { expires_at: Some(in_an_hour), ..old(&world, ORDER_NO) };
    adopt(&world, &[order]).await.unwrap();
    world.advance(Span::from_seconds(3500)).await;
    assert_eq!(world.n_calls(Op::Close), 0);
    world.advance(Span::from_seconds(200)).await;
    assert_eq!(world.n_calls(Op::Close), 1);
    let charge = world.all_charges().await.remove(0);
    assert_eq!(charge["status"], "closed");
    world.until_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_looks_are_spread_over_time() {
    let world = World::v2();
    let orders: Vec<OldOrder> = (0..40).map(|n| old(&world, &format!("OLD{n:05}"))).collect();
    let start = world.clock.now();
    let next = world.engine.adopt_orders(&shop(), &orders, Some(start)).await.unwrap();
    assert_eq!(next, start + Span::from_seconds(2));
    world.run_due().await;
    assert_eq!(world.n_calls(Op::Query), 1);
    world.advance(Span::from_millis(1000)).await;
    assert_eq!(world.n_calls(Op::Query), 21);
}

#[tokio::test(start_paused = true)]
async fn cut_off_anywhere_all_are_here_or_none_and_the_same_again_brings_them() {
    let mut points = 0;
    for fate in [Fate::Stop, Fate::Fail] {
        for nth in 0.. {
            let mut world = World::v2();
            let orders: Vec<OldOrder> =
                (0..3).map(|n| old(&world, &format!("OLD{n:05}"))).collect();
            let crashed = world.crash((nth, fate), async |world| adopt(world, &orders).await).await;
            let Some(Crashed(_)) = crashed else { break };
            points += 1;
            let left = world.all_charges().await.len();
            assert!([0, 3].contains(&left), "{nth} {fate:?}: {left} of 3");
            let mut new = Vec::new();
            for order in &orders {
                match examine(&world, order).await.unwrap() {
                    Standing::New => new.push(order.clone()),
                    Standing::Same(_) => {}
                }
            }
            assert_eq!(new.len(), 3 - left);
            adopt(&world, &new).await.unwrap();
            assert_eq!(world.all_charges().await.len(), 3);
        }
    }
    assert!(points >= 4, "only {points} points: the test misses its aim");
}

#[tokio::test(start_paused = true)]
async fn what_is_another_here_is_named() {
    let world = World::v2();
    let order = old(&world, "OLD00001");
    adopt(&world, std::slice::from_ref(&order)).await.unwrap();
    let other = |change: fn(&mut OldOrder)| {
        let mut order = order.clone();
        change(&mut order);
        order
    };
    let cases: [(&str, OldOrder); 6] = [
        ("amount_fen", other(|o| o.amount = Amount::new(Fen(1)).unwrap())),
        ("subject", other(|o| o.subject = "Coffee".to_owned())),
        ("created_at", other(|o| o.created_at = o.created_at + Span::from_seconds(1))),
        ("profile", other(|o| o.profile = Some(Profile::Payorder))),
        ("out_trade_no", other(|o| o.out_trade_no = OutTradeNo::new("OLD00002").unwrap())),
        ("out_trade_no", other(|o| o.order_no = OrderNo::new("OLD00003").unwrap())),
    ];
    for (column, order) in cases {
        let (code, param, _) = examine(&world, &order).await.expect_err(column);
        assert_eq!((code, param.as_str()), (Code::OrderNoInUse, column));
        if column != "subject" {
            continue;
        }
        assert_eq!(adopt(&world, &[order]).await, Err(Code::OrderNoInUse));
    }
    let later = other(|o| o.metadata.clear());
    assert!(matches!(examine(&world, &later).await, Ok(Standing::Same(_))));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_over_is_refused_with_its_column() {
    let world = World::v2();
    let now = world.clock.now();
    let other = |change: &dyn Fn(&mut OldOrder)| {
        let mut order = old(&world, "OLD00001");
        change(&mut order);
        order
    };
    let cases = [
        ("channel", other(&|o| o.channel = Channel::WechatMicropay)),
        ("channel", other(&|o| o.channel = Channel::AlipayQr)),
        ("out_trade_no", other(&|o| o.out_trade_no = OutTradeNo::new("short").unwrap())),
        ("created_at", other(&|o| o.created_at = now + Span::from_seconds(301))),
        ("expires_at", other(&|o| o.expires_at = Some(now + Span::from_seconds(8 * 86_400)))),
    ];
    for (column, order) in cases {
        let (_, param, message) = examine(&world, &order).await.expect_err(column);
        assert_eq!(param, column, "{message}");
    }
    let past = other(&|o| o.expires_at = Some(now - Span::from_seconds(60)));
    assert_eq!(examine(&world, &past).await, Ok(Standing::New), "its last look is still to come");
}

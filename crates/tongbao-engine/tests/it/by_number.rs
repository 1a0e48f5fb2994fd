//! Refunds that name an order by its number. What is sent beside the ordinary way, only to be
//! refused, leaves nothing unwritten if it is accepted after all, wherever the process dies.

use crate::crashes::at_each_point;
use crate::fakes::Fate;
use crate::provider::{Kind, Op, TradeStatus};
use crate::world::{AMOUNT, ORDER_NO, World, id, shop};
use tongbao_engine::{Clock, Error, Heard, NumberedRefund};
use tongbao_types::{AccountName, Amount, Code, Fen, OutTradeNo};

const KINDS: [Kind; 2] = [Kind::V2Md5, Kind::AlipayKey];

fn asked(world: &World) -> NumberedRefund {
    let amount = Amount::new(Fen(AMOUNT)).unwrap();
    NumberedRefund {
        account: AccountName::new(world.kind.name()).unwrap(),
        number: OutTradeNo::new(ORDER_NO).unwrap(),
        amount,
        paid: Some(amount),
        reason: None,
    }
}

async fn refund(world: &World) -> Result<Heard, Error> {
    world.engine.refund_by_number(&shop(), &asked(world)).await
}

/// The provider says that nobody has paid, and somebody pays while that is on its way.
async fn refund_in_the_instant(world: &World) {
    let gate = world.provider().hold(Op::Query);
    let pay = async {
        gate.reached().await;
        world.provider().pay(ORDER_NO, world.clock.now());
        gate.open();
        std::future::pending().await
    };
    tokio::select! {
        biased;
        _ = refund(world) => {}
        () = pay => {}
    }
}

/// The caller hears nothing and asks again: one refund there, and the same one here.
#[tokio::test(start_paused = true)]
async fn a_refund_in_the_instant_of_the_payment_is_written_once() {
    for kind in KINDS {
        at_each_point(6, async |nth, fate| {
            let case = format!("{kind:?} {nth} {fate:?}");
            let mut world = World::of(kind);
            let charge = world.order().await;
            let crashed = world.crash((nth, fate), refund_in_the_instant).await;
            world.provider().behave();
            if world.provider().trade(ORDER_NO).status == TradeStatus::Open {
                world.pay(&charge);
            }
            refund(&world).await.unwrap();
            world.until_nothing_is_left().await;
            let there = world.provider().refunds();
            assert_eq!(there.keys().collect::<Vec<_>>(), [ORDER_NO], "{case}");
            let here = world.all_refunds().await;
            assert_eq!(here.len(), 1, "{case}: {here:?}");
            assert_eq!(here[0]["refund_no"], ORDER_NO, "{case}");
            assert_eq!(here[0]["status"], "succeeded", "{case}");
            let now = world.now(&charge).await;
            assert_eq!(
                (&now["status"], &now["amount_refunded"]),
                (&"succeeded".into(), &AMOUNT.into())
            );
            crashed.is_some()
        })
        .await;
    }
}

/// The charge had ended here, so that nobody would look any more; and the caller never comes back.
#[tokio::test(start_paused = true)]
async fn the_look_is_promised_before_the_refund_is_sent() {
    for kind in KINDS {
        let mut n_taken = 0;
        for nth in 0.. {
            let mut world = World::of(kind);
            let charge = world.order().await;
            world.engine.close_charge(&shop(), id(&charge)).await.unwrap();
            world.until_nothing_is_left().await;
            world.provider().reopen(ORDER_NO);
            let crashed = world.crash((nth, Fate::Stop), refund_in_the_instant).await;
            world.provider().behave();
            world.until_nothing_is_left().await;
            if !world.provider().refunds().is_empty() {
                n_taken += 1;
                let now = world.now(&charge).await;
                assert_eq!(now["status"], "succeeded", "{kind:?} {nth}: {now}");
            }
            if crashed.is_none() {
                break;
            }
        }
        assert!(n_taken >= 3, "the test misses its aim: {n_taken}");
    }
}

/// A caller of one scope does not reach the accounts of another.
#[tokio::test(start_paused = true)]
async fn an_account_of_another_scope_is_not_there() {
    let world = World::v2();
    world.paid().await;
    for name in ["live", "other", "nobody"] {
        let account = AccountName::new(name).unwrap();
        let number = OutTradeNo::new(ORDER_NO).unwrap();
        let engine = &world.engine;
        let refund = NumberedRefund { account: account.clone(), ..asked(&world) };
        let tries = [
            engine.query_by_number(&shop(), &account, &number).await,
            engine.close_by_number(&shop(), &account, &number).await,
            engine.refunds_verbatim(&shop(), &account, &number).await,
            engine.refund_by_number(&shop(), &refund).await,
        ];
        for tried in tries {
            assert_eq!(tried.unwrap_err().code, Code::AccountMissing, "{name}");
        }
    }
    assert!(world.provider().refunds().is_empty());
}

/// An account that cannot refund is not asked to.
#[tokio::test(start_paused = true)]
async fn an_account_without_a_certificate_refunds_nothing() {
    let world = World::v2();
    world.order().await;
    world.is_hindered.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(refund(&world).await.unwrap_err().code, Code::AccountMissing);
    assert_eq!(world.n_calls(Op::Refund), 0);
}

//! Money that nobody expected goes where the app wants it.

use crate::provider::{Kind, Op, Said};
use crate::world::{AMOUNT, World, id, number, shop};
use serde_json::Value;
use std::sync::atomic::Ordering;
use tongbao_core::{Policy, Unexpected};
use tongbao_types::Span;

const KEEP: Policy = Policy { late: Unexpected::Keep, wrong_amount: Unexpected::Keep };
const BACK: Policy = Policy { late: Unexpected::Refund, wrong_amount: Unexpected::Refund };

/// Closed here; then the provider says that it was paid.
async fn paid_late(world: &World) -> Value {
    let charge = world.order().await;
    world.engine.close_charge(&shop(), id(&charge)).await.unwrap();
    world.provider().reopen(&number(&charge));
    world.pay(&charge);
    assert!(world.notify(&charge).await);
    charge
}

#[tokio::test(start_paused = true)]
async fn a_late_payment_is_kept_or_goes_back() {
    for kind in Kind::PROTOCOLS {
        let world = World::with_policy(kind, KEEP);
        let charge = paid_late(&world).await;
        let now = world.now(&charge).await;
        assert_eq!(
            (&now["status"], &now["failure"]["code"]),
            (&"succeeded".into(), &"paid_late".into())
        );
        assert_eq!(world.count(&charge, "charge.paid_late").await, 1);
        assert!(world.all_refunds().await.is_empty());

        let world = World::with_policy(kind, BACK);
        let charge = paid_late(&world).await;
        world.until_nothing_is_left().await;
        let now = world.now(&charge).await;
        assert_eq!(
            (&now["status"], &now["amount_paid"]),
            (&"closed".into(), &0.into()),
            "{kind:?}"
        );
        let refunds = world.all_refunds().await;
        assert_eq!(
            (&refunds[0]["status"], &refunds[0]["cause"]),
            (&"succeeded".into(), &"paid_late".into())
        );
        assert_eq!(world.provider().refunds().len(), 1);
    }
}

/// A notice of another amount is refused; what the provider says when asked is a fact.
#[tokio::test(start_paused = true)]
async fn another_amount_in_a_notice_makes_us_ask_and_the_answer_counts() {
    for kind in Kind::PROTOCOLS {
        for (policy, status, paid, n_refunds) in
            [(KEEP, "succeeded", AMOUNT - 1, 0), (BACK, "failed", 0, 1)]
        {
            let world = World::with_policy(kind, policy);
            let charge = world.order().await;
            world.pay(&charge);
            world.provider().change_amount(&number(&charge), AMOUNT - 1);
            let answer = world.receive(world.notice(&charge, &Said::default())).await;
            assert!(kind.protocol().is_refused(&answer), "{kind:?}");
            let now = world.now(&charge).await;
            assert_eq!(now["status"], "pending", "{kind:?}");
            assert_eq!(now["refused_notices"][0]["code"], "amount_mismatch");
            world.run_due().await;
            let now = world.now(&charge).await;
            assert_eq!((&now["status"], &now["amount_paid"]), (&status.into(), &paid.into()));
            assert_eq!(world.count(&charge, "charge.paid_wrong_amount").await, 1);
            world.until_nothing_is_left().await;
            let refunds = world.all_refunds().await;
            assert_eq!(refunds.len(), n_refunds, "{kind:?}");
            for refund in refunds {
                assert_eq!(
                    (&refund["status"], &refund["amount"]),
                    (&"succeeded".into(), &(AMOUNT - 1).into())
                );
                assert_eq!(refund["cause"], "paid_wrong_amount");
            }
        }
    }
}

/// The order was refused here and yet somebody could pay it.
#[tokio::test(start_paused = true)]
async fn a_refused_order_is_looked_at_when_something_is_said_about_it() {
    let world = World::v2();
    world.provider().next(Op::Place, crate::provider::Mischief::Refuse);
    world.create(world.new_charge()).await.expect(402);
    let charge = world.all_charges().await.remove(0);
    world.provider().pay_page(&number(&charge), AMOUNT, tongbao_engine::Clock::now(&*world.clock));
    let wrong = world.notice(&charge, &Said { amount: Some(1), ..Said::default() });
    world.receive(wrong).await;
    assert_eq!(world.now(&charge).await["status"], "failed");
    world.run_due().await;
    let now = world.now(&charge).await;
    assert_eq!(
        (&now["status"], &now["failure"]["code"]),
        (&"succeeded".into(), &"paid_late".into())
    );
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_by_itself_waits_for_an_account_that_can_refund() {
    let world = World::with_policy(Kind::V2Md5, BACK);
    world.is_hindered.store(true, Ordering::SeqCst);
    let charge = paid_late(&world).await;
    world.advance(Span::from_seconds(7200)).await;
    let refund = world.all_refunds().await.remove(0);
    assert_eq!(refund["status"], "pending");
    let message = refund["failure"]["message"].as_str().unwrap();
    assert!(message.contains("it has no certificate"), "{message}");
    assert_eq!(world.count(&charge, "refund.abnormal").await, 1, "told once");
    assert_eq!(world.n_calls(Op::Refund), 0);
    world.is_hindered.store(false, Ordering::SeqCst);
    world.until_nothing_is_left().await;
    assert_eq!(world.refund_now(&refund).await["status"], "succeeded");
}

/// Where nothing can be sent, there may be nothing that can be asked either: Alipay's old gateway.
#[tokio::test(start_paused = true)]
async fn what_can_neither_be_sent_back_nor_asked_about_is_told() {
    let world = World::with_policy(Kind::V2Md5, BACK);
    world.is_hindered.store(true, Ordering::SeqCst);
    world.provider().next(Op::AskRefund, crate::provider::Mischief::LostBefore);
    let charge = paid_late(&world).await;
    world.run_due().await;
    assert_eq!(world.n_calls(Op::Refund), 0);
    assert_eq!(world.count(&charge, "refund.abnormal").await, 1);
}

/// Nobody asked for it, so it is tried until there is money for it.
#[tokio::test(start_paused = true)]
async fn what_goes_back_by_itself_waits_for_money() {
    let world = World::with_policy(Kind::V2Md5, BACK);
    for _ in 0..3 {
        world.provider().answer_refunds_with("not_now");
    }
    let charge = paid_late(&world).await;
    world.run_due().await;
    assert_eq!(world.all_refunds().await[0]["status"], "pending");
    assert_eq!(world.count(&charge, "refund.abnormal").await, 1);
    world.until_nothing_is_left().await;
    assert_eq!(world.all_refunds().await[0]["status"], "succeeded");
    assert_eq!(world.n_calls(Op::Refund), 4);
}

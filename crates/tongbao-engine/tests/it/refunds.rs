//! Money on its way back: reserved first, sent once, and asked about until its end is known.

use crate::provider::{Kind, Mischief, Op, RefundStatus, refund_notice};
use crate::world::{AMOUNT, World, draft, id, page, scope, shop};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tongbao_core::RefundDraft;
use tongbao_engine::{IdempotentRequest, NewCharge, NewRefund, RefundFilter};
use tongbao_types::{Mode, OrderNo, RefundNo, Span};

const UNKNOWN: [Mischief; 6] = [
    Mischief::LostBefore,
    Mischief::LostAfter,
    Mischief::BadSignature,
    Mischief::BusyBefore,
    Mischief::BusyAfter,
    Mischief::Hang,
];

fn numbered(refund_no: &str, fen: i64) -> RefundDraft {
    RefundDraft { refund_no: Some(RefundNo::new(refund_no).unwrap()), ..draft(fen) }
}

/// The provider's number of a refund of ours.
fn number(refund: &Value) -> String {
    refund["out_refund_no"].as_str().unwrap().to_owned()
}

async fn refunded(world: &World, charge: &Value) -> i64 {
    world.now(charge).await["amount_refunded"].as_i64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_part_goes_back_and_then_the_rest() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        world.endpoint(&["refund.succeeded"]).await;
        let charge = world.paid().await;
        let part = world.refund_as(&charge, numbered("R1", 500), None).await.expect(201);
        assert_eq!((&part["status"], &part["amount"]), (&"succeeded".into(), &500.into()));
        assert_eq!((&part["refund_no"], &part["out_refund_no"]), (&"R1".into(), &"R1".into()));
        assert_eq!((&part["charge"], &part["cause"]), (&charge["id"], &"requested".into()));
        assert_eq!(refunded(&world, &charge).await, 500);
        let rest = world.refund_as(&charge, RefundDraft::default(), None).await.expect(201);
        assert_eq!(rest["amount"], AMOUNT - 500);
        let now = world.now(&charge).await;
        assert_eq!(
            (&now["amount_paid"], &now["amount_refunded"]),
            (&AMOUNT.into(), &AMOUNT.into())
        );
        assert_eq!(now["status"], "succeeded");
        let too_much = world.refund(&charge, 1).await.expect(400);
        assert_eq!(too_much["code"], "refund_too_large");
        assert_eq!((&too_much["money_moved"], &too_much["retry"]), (&"no".into(), &"never".into()));
        world.until_nothing_is_left().await;
        let told = world.net.told();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].body()["data"]["object"]["object"], "refund");
        assert_eq!(told[0].body()["data"]["object"]["id"], part["id"]);
        assert_eq!(world.n_calls(Op::Refund), 2, "{kind:?}");
    }
}

async fn check_an_unknown_outcome(kind: Kind, mischief: Mischief) {
    let case = format!("{kind:?} {mischief:?}");
    let world = World::of(kind);
    let charge = world.paid().await;
    world.provider().next(Op::Refund, mischief);
    let first = world.refund_as(&charge, numbered("R1", 500), Some("key")).await;
    let refund = first.expect(201);
    assert_eq!(refund["status"], "pending", "{case}");
    let again = world.refund(&charge, AMOUNT - 499).await.expect(400);
    assert_eq!(again["code"], "refund_too_large", "{case}: it is reserved");
    world.advance(Span::from_seconds(5)).await;
    assert_eq!(world.refund_now(&refund).await["status"], "succeeded", "{case}");
    let repeated = world.refund_as(&charge, numbered("R1", 500), Some("key")).await;
    assert!(repeated.replayed, "{case}");
    assert_eq!(repeated.expect(201)["status"], "succeeded", "{case}: as it stands by now");
    let known = world.provider().refunds();
    assert_eq!(known.keys().collect::<Vec<_>>(), ["R1"], "{case}");
    assert_eq!(refunded(&world, &charge).await, 500, "{case}");
    assert_eq!(world.count(&charge, "refund.succeeded").await, 1, "{case}");
    world.until_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_refund_of_unknown_outcome_is_asked_about_and_sent_again_under_its_number() {
    for kind in Kind::PROTOCOLS {
        for mischief in UNKNOWN {
            check_an_unknown_outcome(kind, mischief).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_nothing_can_be_learnt_looks_become_seldom_and_nothing_is_guessed() {
    let world = World::v2();
    let charge = world.paid().await;
    for _ in 0..6 {
        world.provider().next(Op::Refund, Mischief::BusyBefore);
        world.provider().next(Op::AskRefund, Mischief::BusyBefore);
    }
    let start = tongbao_engine::Clock::now(&*world.clock).as_seconds();
    let refund = world.refund(&charge, 500).await.expect(201);
    world.advance(Span::from_seconds(200)).await;
    let calls = world.provider().calls(Op::AskRefund);
    let asked: Vec<i64> = calls.iter().map(|call| call.at.as_seconds() - start).collect();
    assert_eq!(asked, [5, 10, 20, 40, 80, 160]);
    assert_eq!(world.n_calls(Op::Refund), 1, "not sent while nobody said that it is not there");
    assert_eq!(world.refund_now(&refund).await["status"], "pending");
    world.until_nothing_is_left().await;
    assert_eq!(world.refund_now(&refund).await["status"], "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_final_no_is_a_failed_refund_and_releases_its_amount() {
    let world = World::v2();
    let charge = world.paid().await;
    world.provider().next(Op::Refund, Mischief::Refuse);
    let first = world.refund_as(&charge, numbered("R1", AMOUNT), Some("key")).await;
    let body = first.clone().expect(402);
    assert_eq!(
        (&body["code"], &body["provider_code"]),
        (&"provider_refused".into(), &"NO_AUTH".into())
    );
    assert_eq!((&body["money_moved"], &body["retry"]), (&"no".into(), &"never".into()));
    let failed = world.refund_now(&json!({"id": body["refund"]})).await;
    assert_eq!((&failed["status"], &body["charge"]), (&"failed".into(), &charge["id"]));
    assert_eq!(failed["failure"]["provider_code"], "NO_AUTH");
    let again = world.refund_as(&charge, numbered("R1", AMOUNT), Some("key")).await;
    assert_eq!((again.replayed, &again.body), (true, &first.body));
    assert_eq!(world.count(&charge, "refund.failed").await, 1);
    assert_eq!(world.refund(&charge, AMOUNT).await.expect(201)["status"], "succeeded");
    world.until_nothing_is_left().await;
}

/// The provider's own second thoughts: a refund that it refused has been carried out.
#[tokio::test(start_paused = true)]
async fn success_after_a_failure_is_a_fact() {
    let world = World::v2();
    let charge = world.paid().await;
    world.provider().next(Op::Refund, Mischief::Refuse);
    let body = world.refund(&charge, 500).await.expect(402);
    let refund = world.refund_now(&json!({"id": body["refund"]})).await;
    let told = Some(json!({"said": "succeeded", "amount": 500}));
    let notice = refund_notice(&crate::world::number(&charge), &number(&refund), told);
    let answer = world.receive(notice).await;
    assert!(world.kind.protocol().is_accepted(&answer));
    assert_eq!(world.refund_now(&refund).await["status"], "succeeded");
    assert_eq!(refunded(&world, &charge).await, 500);
    world.until_nothing_is_left().await;
}

async fn at_once(world: &World, charge: &Value, fen: i64) -> Vec<crate::world::Answer> {
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (engine, charge) = (world.engine.clone(), id(charge));
            tokio::spawn(async move {
                let new = NewRefund { charge, draft: draft(fen) };
                engine.create_refund(&shop(), new, None, crate::world::render).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().into());
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_each_gets_an_answer_and_no_more_than_was_paid_goes_back() {
    for (fen, accepted, code) in
        [(AMOUNT * 6 / 10, 1, "refund_too_large"), (1, 50, "refund_too_many")]
    {
        let world = World::v2();
        let charge = world.paid().await;
        let answers = at_once(&world, &charge, fen).await;
        let good = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(good, accepted);
        let rest = answers.iter().filter(|answer| answer.status != 201);
        for answer in rest {
            assert_eq!(answer.body["code"], code);
        }
        assert_eq!(refunded(&world, &charge).await, fen * accepted as i64);
        assert_eq!(world.provider().refunds().len(), accepted);
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_refunded_is_said_before_anything_is_written() {
    let world = World::v2();
    let open = world.order().await;
    let refused = world.refund(&open, 1).await.expect(400);
    assert_eq!((&refused["code"], &refused["charge"]), (&"nothing_to_refund".into(), &open["id"]));
    world.pay(&open);
    world.notify(&open).await;
    let n_commits = || world.store.n_commits.load(Ordering::SeqCst);
    let before = n_commits();
    world.is_hindered.store(true, Ordering::SeqCst);
    let refused = world.refund(&open, 1).await.expect(400);
    assert_eq!(refused["code"], "account_missing");
    assert!(refused["message"].as_str().unwrap().contains("it has no certificate"));
    assert_eq!(n_commits(), before);
    world.is_hindered.store(false, Ordering::SeqCst);
    world.clock.advance(Span::from_seconds(366 * 86_400));
    assert_eq!(world.refund(&open, 1).await.expect(400)["code"], "refund_too_late");
    assert_eq!(world.n_calls(Op::Refund), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refund_no_is_used_once_and_a_key_is_for_one_request() {
    let world = World::v2();
    let charge = world.paid().await;
    let first = world.refund_as(&charge, numbered("R1", 100), Some("key")).await.expect(201);
    let twice = world.refund_as(&charge, numbered("R1", 100), None).await.expect(409);
    assert_eq!(
        (&twice["code"], &twice["param"]),
        (&"refund_no_in_use".into(), &"refund_no".into())
    );
    let again = world.refund_as(&charge, numbered("R1", 100), Some("key")).await;
    assert!(again.replayed);
    assert_eq!(again.expect(201), first);
    let request = IdempotentRequest { key: "key".into(), fingerprint: "another".into() };
    let new = NewRefund { charge: id(&charge), draft: draft(100) };
    let other = world.engine.create_refund(&shop(), new, Some(request), crate::world::render).await;
    assert!(other.body.contains("idempotency_key_reused"));
    assert_eq!(world.n_calls(Op::Refund), 1);
}

#[tokio::test(start_paused = true)]
async fn a_number_that_the_provider_would_not_take_becomes_another_there() {
    let world = World::v2();
    let charge = world.paid().await;
    let refund = world.refund_as(&charge, numbered("R/1", 100), None).await.expect(201);
    assert_eq!(refund["refund_no"], "R/1");
    assert_ne!(refund["out_refund_no"], "R/1");
}

#[tokio::test(start_paused = true)]
async fn a_notice_tells_the_end_or_at_least_to_ask() {
    for tells in [true, false] {
        let world = World::v2();
        let charge = world.paid().await;
        world.provider().refunds_become(RefundStatus::Processing);
        let refund = world.refund(&charge, 500).await.expect(201);
        assert_eq!(
            (&refund["status"], &refund["provider_refund_no"]),
            (&"pending".into(), &"50".into())
        );
        world.advance(Span::from_seconds(60)).await;
        let looks = world.n_calls(Op::AskRefund);
        world.provider().end_refund(&number(&refund), RefundStatus::Succeeded);
        let told = tells.then(|| json!({"said": "succeeded", "amount": 500}));
        let order = crate::world::number(&charge);
        let notice = refund_notice(&order, &number(&refund), told);
        assert!(world.kind.protocol().is_accepted(&world.receive(notice.clone()).await));
        let status = if tells { "succeeded" } else { "pending" };
        assert_eq!(world.refund_now(&refund).await["status"], status, "before anybody asked");
        world.run_due().await;
        assert_eq!(world.refund_now(&refund).await["status"], "succeeded");
        assert_eq!(world.n_calls(Op::AskRefund), looks + usize::from(!tells));
        assert!(world.kind.protocol().is_accepted(&world.receive(notice).await), "and again");
        assert_eq!(world.count(&charge, "refund.succeeded").await, 1);
        world.until_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_of_another_amount_is_refused_and_makes_us_ask() {
    let world = World::v2();
    let charge = world.paid().await;
    world.provider().refunds_become(RefundStatus::Processing);
    let refund = world.refund(&charge, 500).await.expect(201);
    world.provider().end_refund(&number(&refund), RefundStatus::Succeeded);
    let told = Some(json!({"said": "succeeded", "amount": 501}));
    let notice = refund_notice(&crate::world::number(&charge), &number(&refund), told);
    assert!(world.kind.protocol().is_refused(&world.receive(notice).await));
    let now = world.now(&charge).await;
    assert_eq!(now["refused_notices"][0]["code"], "amount_mismatch");
    assert_eq!(world.refund_now(&refund).await["status"], "pending");
    world.run_due().await;
    assert_eq!(world.refund_now(&refund).await["status"], "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_refund_made_by_hand_at_the_provider_is_none_of_ours() {
    let world = World::v2();
    let charge = world.paid().await;
    let version = world.version(&charge).await;
    let told = Some(json!({"said": "succeeded", "amount": 500}));
    let notice = refund_notice(&crate::world::number(&charge), "by-hand", told);
    assert!(world.kind.protocol().is_accepted(&world.receive(notice).await));
    assert_eq!(world.version(&charge).await, version);
    let unknown = refund_notice("ORDER9999", "by-hand", None);
    assert!(world.kind.protocol().is_refused(&world.receive(unknown).await));
}

#[tokio::test(start_paused = true)]
async fn what_a_refund_becomes_at_the_provider_it_becomes_here() {
    for (status, said, event) in [
        (RefundStatus::Closed, "closed", "refund.closed"),
        (RefundStatus::Abnormal, "pending", "refund.abnormal"),
    ] {
        let world = World::v2();
        let charge = world.paid().await;
        world.provider().refunds_become(RefundStatus::Processing);
        let refund = world.refund(&charge, 500).await.expect(201);
        world.provider().end_refund(&number(&refund), status);
        world.advance(Span::from_seconds(5)).await;
        assert_eq!(world.refund_now(&refund).await["status"], said);
        assert_eq!(world.count(&charge, event).await, 1);
        if status == RefundStatus::Abnormal {
            // Somebody settles it by hand; looks are seldom, but they go on.
            world.provider().end_refund(&number(&refund), RefundStatus::Succeeded);
            world.advance(Span::from_seconds(6 * 3600)).await;
            assert_eq!(world.refund_now(&refund).await["status"], "succeeded");
        }
        world.until_nothing_is_left().await;
    }
}

/// A no to a repetition may only say that the first one was carried out.
#[tokio::test(start_paused = true)]
async fn a_no_to_a_repetition_is_asked_about_before_it_is_believed() {
    let world = World::v2();
    let charge = world.paid().await;
    world.provider().next(Op::Refund, Mischief::BusyBefore);
    let refund = world.refund(&charge, 500).await.expect(201);
    let gate = world.provider().hold(Op::Refund);
    world.provider().answer_refunds_with("refused");
    let carried_out = async {
        gate.reached().await;
        world.provider().take_refund(&number(&refund), &crate::world::number(&charge), 500);
        gate.open();
    };
    tokio::join!(world.advance(Span::from_seconds(5)), carried_out);
    assert_eq!(world.refund_now(&refund).await["status"], "succeeded");
    world.until_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn refunds_are_read_and_listed_by_their_owner_alone() {
    let world = World::v2();
    let charge = world.paid().await;
    let first = world.refund_as(&charge, numbered("R1", 100), None).await.expect(201);
    world.clock.advance(Span::from_seconds(1));
    let second = world.refund_as(&charge, numbered("R2", 200), None).await.expect(201);
    let order_no = Some(OrderNo::new("ORDER0002").unwrap());
    let other = world.create(NewCharge { order_no, ..world.new_charge() }).await.expect(201);
    let ids = async |filter: RefundFilter| -> Vec<String> {
        let list = world.engine.refunds(&shop(), &filter, page(10)).await.unwrap();
        list.data.into_iter().map(|refund| refund.id).collect()
    };
    let both = [second["id"].as_str().unwrap(), first["id"].as_str().unwrap()];
    assert_eq!(ids(RefundFilter::default()).await, both);
    let of = |charge: &Value| RefundFilter { charge: Some(id(charge)), ..RefundFilter::default() };
    assert_eq!(ids(of(&charge)).await, both);
    assert!(ids(of(&other)).await.is_empty());
    let refund_no = Some(RefundNo::new("R1").unwrap());
    assert_eq!(ids(RefundFilter { refund_no, ..RefundFilter::default() }).await, both[1..]);
    let status = Some("pending".to_owned());
    assert!(ids(RefundFilter { status, ..RefundFilter::default() }).await.is_empty());

    for stranger in [scope("other", Mode::Test), scope("shop", Mode::Live)] {
        let engine = Arc::new(world.engine.clone());
        let id_of = first["id"].as_str().unwrap().parse().unwrap();
        assert!(engine.refund(&stranger, id_of).await.is_err());
        let list = engine.refunds(&stranger, &RefundFilter::default(), page(10)).await.unwrap();
        assert!(list.data.is_empty());
        let new = NewRefund { charge: id(&charge), draft: draft(1) };
        let refused = engine.create_refund(&stranger, new, None, crate::world::render).await;
        assert_eq!(refused.status, 404);
    }
}

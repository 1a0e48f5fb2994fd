//! The same request again gets the first reply again.

use crate::provider::{Mischief, Op};
use crate::world::{World, id, number, render, shop};
use std::sync::atomic::Ordering;
use tongbao_engine::{IdempotentRequest, NewEndpoint, Store};
use tongbao_types::Span;

#[tokio::test(start_paused = true)]
async fn the_same_request_gets_the_first_reply_though_the_charge_went_on() {
    let world = World::v2();
    let first = world.create_with_key(world.new_charge(), "key", "print").await;
    assert!(!first.replayed);
    let charge = first.body.clone();
    world.pay(&charge);
    world.notify(&charge).await;
    let again = world.create_with_key(world.new_charge(), "key", "print").await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert!(again.replayed);
    assert_eq!(again.body["status"], "pending");
    assert_eq!(world.n_calls(Op::Place), 1);
    assert_eq!(world.all_charges().await.len(), 1);
}

/// The first reply had nothing that a payer could be shown; a repeated one has, once it is known.
#[tokio::test(start_paused = true)]
async fn after_an_unknown_outcome_the_same_request_gets_the_charge_as_it_is_then() {
    let world = World::v2();
    world.provider().next(Op::Place, Mischief::LostAfter);
    let first = world.create_with_key(world.new_charge(), "key", "print").await;
    assert!(first.body["action"].is_null());
    let again = world.create_with_key(world.new_charge(), "key", "print").await;
    assert_eq!((again.status, &again.body, again.replayed), (201, &first.body, true));
    assert_eq!(world.n_calls(Op::Place), 1);
    world.advance(Span::from_seconds(5)).await;
    let later = world.create_with_key(world.new_charge(), "key", "print").await;
    assert_eq!((later.status, later.replayed), (201, true));
    assert_eq!(later.body["action"]["type"], "qr_code");
    assert_eq!(world.all_charges().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_for_one_request_of_one_scope() {
    let world = World::v2();
    world.create_with_key(world.new_charge(), "key", "print").await.expect(201);
    let body = world.create_with_key(world.new_charge(), "key", "another").await.expect(409);
    assert_eq!(body["code"], "idempotency_key_reused");
    let other = crate::world::scope("other", tongbao_types::Mode::Test);
    let request = IdempotentRequest { key: "key".into(), fingerprint: "another".into() };
    let mut new = world.new_charge();
    new.order_no = None;
    let reply = world.engine.create_charge(&other, new, Some(request), render).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
}

#[tokio::test(start_paused = true)]
async fn while_the_first_request_runs_the_second_is_told_to_wait() {
    let world = World::v2();
    let gate = world.provider().hold(Op::Place);
    let second = async {
        gate.reached().await;
        let second = world.create_with_key(world.new_charge(), "key", "print").await;
        gate.open();
        second
    };
    let first = world.create_with_key(world.new_charge(), "key", "print");
    let (first, second) = tokio::join!(first, second);
    assert_eq!(second.retry_after, Some(Span::from_seconds(1)));
    assert_eq!(second.expect(409)["code"], "idempotency_key_busy");
    let third = world.create_with_key(world.new_charge(), "key", "print").await;
    assert_eq!(third.expect(201), first.expect(201));
}

#[tokio::test(start_paused = true)]
async fn what_only_says_not_now_is_not_kept() {
    let world = World::v2();
    world.store.is_down.store(true, Ordering::SeqCst);
    let down = world.create_with_key(world.new_charge(), "key", "print").await;
    assert!(down.retry_after.is_some());
    assert_eq!(down.expect(503)["code"], "unavailable");
    world.store.is_down.store(false, Ordering::SeqCst);
    let up = world.create_with_key(world.new_charge(), "key", "print").await;
    assert!(!up.replayed);
    up.expect(201);
}

/// The process died after the intent, and the order was refused when a job placed it again.
#[tokio::test(start_paused = true)]
async fn a_key_without_a_reply_answers_with_what_became_of_its_charge() {
    let world = World::v2();
    let gate = world.provider().hold(Op::Place);
    tokio::select! {
        _ = world.create_with_key(world.new_charge(), "key", "print") => panic!("it is held"),
        () = gate.reached() => {}
    }
    let charge = world.all_charges().await.remove(0);
    assert_eq!(charge["attempts"][0]["status"], "placing");
    world.provider().next(Op::Place, Mischief::Refuse);
    world.advance(Span::from_seconds(61)).await;
    assert_eq!(world.now(&charge).await["status"], "failed");
    let body = world.create_with_key(world.new_charge(), "key", "print").await.expect(402);
    assert_eq!(body["charge"], charge["id"]);
    let again = world.create_with_key(world.new_charge(), "key", "print").await;
    assert_eq!((again.replayed, again.expect(402)), (true, body));
    assert_eq!(world.provider().numbers(), [number(&charge)]);
}

#[tokio::test(start_paused = true)]
async fn other_requests_keep_their_replies_too() {
    let world = World::v2();
    let make = |print: &str| {
        let request = IdempotentRequest { key: "key".into(), fingerprint: print.into() };
        let url = "https://shop.test/hook".to_owned();
        let new = NewEndpoint { url, events: Vec::new(), description: None, enabled: true };
        let engine = &world.engine;
        async move {
            let scope = shop();
            let work = engine.create_endpoint(&scope, new);
            engine.idempotently(&scope, Some(request), render, work).await
        }
    };
    let first = make("print").await;
    let again = make("print").await;
    assert_eq!((first.status, first.replayed, again.replayed), (201, false, true));
    assert_eq!(first.body, again.body);
    assert_eq!(make("another").await.status, 409);
    let list = world.engine.endpoints(&shop(), crate::world::page(10)).await.unwrap();
    assert_eq!(list.data.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_request_is_repeated_under_its_key_only_if_it_said_not_now() {
    let world = World::v2();
    let charge = world.order().await;
    let close = |key: &str| {
        let request = IdempotentRequest { key: key.into(), fingerprint: "close".into() };
        let (engine, id) = (&world.engine, id(&charge));
        async move {
            let scope = shop();
            let work = engine.sync_charge(&scope, id);
            engine.idempotently(&scope, Some(request), render, work).await
        }
    };
    world.provider().next(Op::Query, Mischief::BusyBefore);
    assert!(close("a").await.body.contains("provider_unknown"));
    let again = close("a").await;
    assert_eq!((again.status, again.replayed), (201, false));
    world.provider().next(Op::Query, Mischief::Refuse);
    let refused = close("b").await;
    assert!(refused.body.contains("provider_refused"));
    assert!(close("b").await.replayed);
}

/// Nobody repeats a request after a week. The runner has an eye on that in a quiet moment of each
/// hour, not more often.
#[tokio::test(start_paused = true)]
async fn a_key_is_forgotten_after_a_week_within_the_hour() {
    let world = World::v2();
    world.create_with_key(world.new_charge(), "key", "print").await.expect(201);
    let is_kept =
        async || world.store.memory().idempotency(&shop(), "key").await.unwrap().is_some();
    world.advance(Span::from_seconds(7 * 86_400)).await;
    for (seconds, kept) in [(0, true), (1, true), (3598, true), (1, false)] {
        world.clock.advance(Span::from_seconds(seconds));
        world.run_due().await;
        assert_eq!(is_kept().await, kept, "{seconds}");
    }
}

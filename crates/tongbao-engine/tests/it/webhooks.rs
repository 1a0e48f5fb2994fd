//! Endpoints and deliveries.

use crate::provider::{Gate, Op};
use crate::world::{World, id, page, scope, shop};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_engine::{DeliveryFilter, DeliveryView, EndpointPatch, EventFilter, NewEndpoint};
use tongbao_types::{Code, EndpointId, Mode, Secret, Span};

const DAY: Span = Span::from_seconds(86_400);

async fn deliveries(world: &World) -> Vec<DeliveryView> {
    let filter = DeliveryFilter::default();
    world.engine.deliveries(&shop(), &filter, page(100)).await.unwrap().data
}

fn shown(secret: Option<Secret<String>>) -> String {
    secret.unwrap().expose().clone()
}

async fn patch(world: &World, endpoint: &str, patch: EndpointPatch) {
    let id: EndpointId = endpoint.parse().unwrap();
    world.engine.update_endpoint(&shop(), id, patch).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_gets_what_it_named_and_poll_events_by_name_alone() {
    let cases = [
        (&["*"][..], &["charge.attempted", "charge.closed", "charge.created"][..]),
        (&["charge.closed"], &["charge.closed"]),
        (&["poll.finished"], &["poll.finished"]),
        (&["poll.*"], &["poll.active", "poll.delayed", "poll.failed", "poll.finished"]),
        (&["charge.c*"], &["charge.closed", "charge.created"]),
    ];
    for (events, wanted) in cases {
        let world = World::v2();
        world.endpoint(events).await;
        world.order().await;
        world.until_nothing_is_left().await;
        let mut kinds: Vec<String> = world.net.told().iter().map(|one| one.kind()).collect();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds, wanted, "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_secret_signs_for_a_day_after_a_rotation() {
    let world = World::v2();
    let endpoint = world.endpoint(&["charge.created"]).await;
    let (old, at) = (shown(endpoint.secret), endpoint.id.parse().unwrap());
    let new = shown(world.engine.rotate_secret(&shop(), at).await.unwrap().secret);
    assert_ne!(old, new);
    assert!(world.engine.endpoint(&shop(), at).await.unwrap().secret.is_none());
    for (n, (wait, old_signs)) in
        [(Span::ZERO, true), (Span::from_seconds(86_399), true), (Span::from_seconds(1), false)]
            .into_iter()
            .enumerate()
    {
        world.clock.advance(wait);
        world.order_numbered(&format!("ORDER100{n}")).await;
        world.run_due().await;
        let told = world.net.told().pop().unwrap();
        assert!(told.is_signed_with(&new));
        assert_eq!(told.is_signed_with(&old), old_signs, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_tried_until_it_is_accepted() {
    let world = World::v2();
    world.endpoint(&["charge.created"]).await;
    world.net.answer_with(&[None, Some(500), Some(301), Some(404)]);
    world.order().await;
    world.until_nothing_is_left().await;
    let told = world.net.told();
    assert_eq!(told.len(), 5);
    assert!(told.iter().all(|one| one.id == told[0].id && one.raw == told[0].raw));
    let waits: Vec<i64> =
        told.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_seconds()).collect();
    for (wait, longest) in waits.iter().zip([5, 10, 20, 40]) {
        assert!((longest - longest / 4 - 1..=longest).contains(wait), "{waits:?}");
    }
    let delivery = deliveries(&world).await.remove(0);
    assert_eq!((delivery.status, delivery.n_tries, delivery.tries.len()), ("succeeded", 5, 5));
    assert!(delivery.tries[0].error.as_deref().unwrap().contains("refused"));
    assert_eq!(delivery.tries[1].error.as_deref(), Some("what the shop says"));
    assert_eq!((delivery.tries[4].status, &delivery.tries[4].error), (Some(204), &None));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_given_up_after_three_days_and_can_be_sent_again_for_three_more() {
    let world = World::v2();
    world.endpoint(&["charge.created"]).await;
    world.net.answer_with(&[Some(500); 200]);
    let start = tongbao_engine::Clock::now(&*world.clock);
    world.order().await;
    world.until_nothing_is_left().await;
    let last = world.net.told().pop().unwrap().at;
    assert!(last.since(start) > DAY.times(2) && last.since(start) <= DAY.times(3));
    let given_up = deliveries(&world).await.remove(0);
    assert_eq!((given_up.status, given_up.next_try_at.is_some()), ("failed", false));

    let before = world.net.told().len();
    let again = world.engine.resend(&shop(), given_up.id.parse().unwrap()).await.unwrap();
    assert_eq!(again.status, "pending");
    world.run_due().await;
    assert_eq!(world.net.told().len(), before + 1);
    assert_eq!(deliveries(&world).await[0].status, "pending", "three days begin anew");
    world.net.answers.lock().unwrap().clear();
    world.until_nothing_is_left().await;
    assert_eq!(world.net.told().len(), before + 2);
    assert_eq!(deliveries(&world).await[0].status, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn an_accepted_delivery_can_be_sent_again() {
    let world = World::v2();
    world.endpoint(&["charge.created"]).await;
    world.order().await;
    world.run_due().await;
    let delivery = deliveries(&world).await.remove(0);
    world.engine.resend(&shop(), delivery.id.parse().unwrap()).await.unwrap();
    world.run_due().await;
    let told = world.net.told();
    assert_eq!((told.len(), &told[0].id), (2, &told[1].id));
    assert_eq!(deliveries(&world).await[0].status, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn addresses_inside_are_refused_when_saved_and_again_at_each_try() {
    let world = World::v2();
    for url in ["http://169.254.169.254/latest", "http://localhost/", "https://[::1]/", "ftp://a/"]
    {
        let new = NewEndpoint {
            url: url.to_owned(),
            events: Vec::new(),
            description: None,
            enabled: true,
        };
        let error = world.engine.create_endpoint(&shop(), new).await.unwrap_err();
        assert_eq!(
            (error.code, error.param.as_deref()),
            (Code::UrlForbidden, Some("url")),
            "{url}"
        );
    }
    let endpoint = world.endpoint(&["charge.created"]).await;
    let id: EndpointId = endpoint.id.parse().unwrap();
    let url = Some("http://10.0.0.1/".to_owned());
    let change = EndpointPatch { url, ..EndpointPatch::default() };
    assert!(world.engine.update_endpoint(&shop(), id, change).await.is_err());

    // The operator allowed a network once and does no longer.
    let store = world.store.memory();
    let mut kept = tongbao_engine::Store::endpoints(store, &shop()).await.unwrap().remove(0);
    kept.url = "http://10.0.0.1/".to_owned();
    kept.version += 1;
    let commit = tongbao_engine::Commit { endpoint: Some(kept), ..Default::default() };
    tongbao_engine::Store::commit(store, commit).await.unwrap();
    world.order().await;
    world.run_due().await;
    assert!(world.net.told().is_empty());
    let tried = deliveries(&world).await.remove(0);
    assert!(tried.tries[0].error.as_deref().unwrap().contains("10.0.0.1"));
    assert_eq!(tried.status, "pending");
}

#[tokio::test(start_paused = true)]
async fn a_disabled_or_deleted_endpoint_is_told_nothing_more() {
    let world = World::v2();
    let endpoint = world.endpoint(&["charge.created"]).await;
    world.net.answer_with(&[Some(500)]);
    world.order().await;
    world.run_due().await;
    let off = EndpointPatch { enabled: Some(false), ..EndpointPatch::default() };
    patch(&world, &endpoint.id, off).await;
    world.order_numbered("ORDER0002").await;
    world.until_nothing_is_left().await;
    assert_eq!(world.net.told().len(), 1);
    let all = deliveries(&world).await;
    assert_eq!((all.len(), all[0].status), (1, "failed"));

    let on = EndpointPatch { enabled: Some(true), ..EndpointPatch::default() };
    patch(&world, &endpoint.id, on).await;
    world.net.answer_with(&[Some(500)]);
    world.order_numbered("ORDER0003").await;
    world.run_due().await;
    assert_eq!(world.net.told().len(), 2);
    let id = endpoint.id.parse().unwrap();
    assert!(world.engine.delete_endpoint(&shop(), id).await.unwrap().deleted);
    assert_eq!(world.engine.endpoint(&shop(), id).await.unwrap_err().code, Code::NotFound);
    world.order_numbered("ORDER0004").await;
    world.until_nothing_is_left().await;
    assert_eq!(world.net.told().len(), 2);
    let old = deliveries(&world).await.remove(0);
    let error = world.engine.resend(&shop(), old.id.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
}

/// What was read before the change must not be remembered after it.
#[tokio::test(start_paused = true)]
async fn an_endpoint_made_while_others_were_read_is_told_of_the_next_event() {
    let world = World::v2();
    let gate = Arc::new(Gate::default());
    *world.store.endpoints_gate.lock().unwrap() = Some(Arc::clone(&gate));
    let made = async {
        gate.reached().await;
        world.endpoint(&["charge.closed"]).await;
        gate.open();
    };
    let (charge, ()) = tokio::join!(world.order(), made);
    world.engine.close_charge(&shop(), id(&charge)).await.unwrap();
    world.run_due().await;
    let kinds: Vec<String> = world.net.told().iter().map(|one| one.kind()).collect();
    assert!(kinds.contains(&"charge.closed".to_owned()), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_cannot_be_is_said_by_name() {
    let world = World::v2();
    let long = format!("https://shop.test/{}", "a".repeat(500));
    let cases = [
        ("not an address", &["*"][..], "url"),
        (long.as_str(), &["*"], "url"),
        ("https://shop.test/", &["charge.paid"], "events"),
        ("https://shop.test/", &["nothing.*"], "events"),
    ];
    for (url, events, param) in cases {
        let events = events.iter().map(|name| (*name).to_owned()).collect();
        let new = NewEndpoint { url: url.to_owned(), events, description: None, enabled: true };
        let error = world.engine.create_endpoint(&shop(), new).await.unwrap_err();
        assert_eq!(
            (error.code, error.param.as_deref()),
            (Code::InvalidParameter, Some(param)),
            "{url}"
        );
    }
    for _ in 0..50 {
        world.endpoint(&[]).await;
    }
    let url = "https://shop.test/".to_owned();
    let new = NewEndpoint { url, events: Vec::new(), description: None, enabled: true };
    assert!(world.engine.create_endpoint(&shop(), new.clone()).await.is_err());
    let live = scope("shop", Mode::Live);
    assert!(world.engine.create_endpoint(&live, new).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_event_is_told_as_it_was_when_it_happened() {
    let world = World::v2();
    world.endpoint(&["charge.created"]).await;
    world.net.answer_with(&[Some(500)]);
    let charge = world.order().await;
    world.run_due().await;
    world.pay(&charge);
    world.notify(&charge).await;
    world.until_nothing_is_left().await;
    let told = world.net.told();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].body()["data"]["object"]["status"], "pending");
    let filter = EventFilter { kind: "charge.created".parse().ok(), ..EventFilter::default() };
    let list = world.engine.events(&shop(), &filter, page(10)).await.unwrap();
    assert_eq!(list.data[0].0.get().as_bytes(), told[1].raw);
}

/// More deliveries hang than may run at once, and yet every order is looked at in its time.
#[tokio::test(start_paused = true)]
async fn receivers_that_hang_keep_no_order_waiting() {
    let world = World::v2();
    world.endpoint(&["*"]).await;
    world.net.merchants_hang.store(true, Ordering::SeqCst);
    let n_orders = 150;
    for number in 0..n_orders {
        world.order_numbered(&format!("ORDER{number:04}")).await;
    }
    let stop = CancellationToken::new();
    let looks = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        world.clock.advance(Span::from_seconds(5));
        world.engine.wake();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let n_looks = world.n_calls(Op::Query);
        stop.cancel();
        n_looks
    };
    let ((), n_looks) = tokio::join!(world.engine.run_jobs(stop.clone()), looks);
    assert_eq!(n_looks, n_orders);
}

/// A name is as good as what it leads to, when it is made and when it is changed.
#[tokio::test(start_paused = true)]
async fn a_name_that_leads_inside_is_refused_and_not_kept() {
    let world = World::v2();
    let new = |url: &str| NewEndpoint {
        url: url.to_owned(),
        events: Vec::new(),
        description: None,
        enabled: true,
    };
    let inside = "https://hook.inside.example/x";
    let error = world.engine.create_endpoint(&shop(), new(inside)).await.unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), (Code::UrlForbidden, Some("url")));
    assert_eq!(error.message, "Not allowed: hook.inside.example is inside.");
    let made = world.engine.create_endpoint(&shop(), new("https://shop.example/x")).await.unwrap();
    let patch = EndpointPatch { url: Some(inside.to_owned()), ..EndpointPatch::default() };
    let id: EndpointId = made.id.parse().unwrap();
    let error = world.engine.update_endpoint(&shop(), id, patch.clone()).await.unwrap_err();
    assert_eq!(error.code, Code::UrlForbidden);
    assert_eq!(world.engine.endpoint(&shop(), id).await.unwrap().url, "https://shop.example/x");
    let other = scope("other", Mode::Test);
    let error = world.engine.update_endpoint(&other, id, patch).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound, "whose it is comes first");
}

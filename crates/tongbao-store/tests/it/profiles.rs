//! What the older services' profiles keep, on each engine: a provider's own words, and callbacks
//! among the deliveries.

use crate::data::*;
use crate::engines::{Fresh, on_each_engine};
use tongbao_core::{
    Callback, Delivery, DeliveryState, EventKind, JobKind, ProviderReply, ReplyKind, Target,
};
use tongbao_engine::{Commit, DeliveryFilter, Page, Store};
use tongbao_types::{ChargeId, Span, Timestamp};

on_each_engine! {
    the_last_of_a_providers_words_of_each_kind_stays
    callbacks_are_kept_and_listed_among_deliveries
    callbacks_stay_when_an_endpoint_goes
}

async fn keep(store: &dyn Store, reply: &ProviderReply) {
    let provider_reply = Some(reply.clone());
    store.commit(Commit { provider_reply, ..Commit::default() }).await.unwrap();
}

/// The replies by kind, since the port promises no order.
async fn kept(store: &dyn Store, charge: ChargeId) -> Vec<ProviderReply> {
    let mut replies = store.provider_replies(charge).await.unwrap();
    replies.sort_by_key(|reply| reply.kind);
    replies
}

async fn the_last_of_a_providers_words_of_each_kind_stays(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let [one, other] = ["one", "other"].map(|no| charge(maker, &scope("a"), no));
    let (one_id, other_id) = (one.id, other.id);
    store.commit(commit(insert(one, Vec::new()))).await.unwrap();
    store.commit(commit(insert(other, Vec::new()))).await.unwrap();
    assert_eq!(kept(store, one_id).await, []);
    let mut wanted = Vec::new();
    for (at, kind) in (0_i64..).zip(ReplyKind::ALL) {
        keep(store, &reply(one_id, *kind, r#"{"return_code":"FAIL"}"#, at)).await;
        wanted.push(reply(one_id, *kind, r#"{"body":"茶 'tea' \"两\" \\ 🍵"}"#, 1_000_000 + at));
        keep(store, wanted.last().unwrap()).await;
    }
    let long = format!("{{\"detail\":\"{}\"}}", "长".repeat(40_000));
    keep(store, &reply(other_id, ReplyKind::Query, &long, 7)).await;
    assert_eq!(kept(store, one_id).await, wanted);
    assert_eq!(kept(store, other_id).await, [reply(other_id, ReplyKind::Query, &long, 7)]);
    // The last to come wins, whatever its clock says.
    let earlier = reply(other_id, ReplyKind::Query, "{}", 3);
    keep(store, &earlier).await;
    assert_eq!(kept(store, other_id).await, [earlier]);
}

async fn listed(store: &dyn Store, filter: DeliveryFilter) -> Vec<Delivery> {
    let page = Page { limit: 9, starting_after: None, ending_before: None };
    store.deliveries(&scope("a"), &filter, page).await.unwrap()
}

async fn callbacks_are_kept_and_listed_among_deliveries(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let endpoint = endpoint(maker, &scope("a"));
    let mut changes = insert(charge(maker, &scope("a"), "one"), Vec::new());
    tell(&mut changes, EventKind::ChargeSucceeded, maker);
    let event = changes.events[0].clone();
    let mut all = vec![delivery(maker, &event, &endpoint)];
    all.extend(Callback::ALL.iter().map(|kind| callback(maker, &event, *kind)));
    let to = Some(endpoint.id);
    let new = Commit { deliveries: all.clone(), endpoint: Some(endpoint), ..commit(changes) };
    store.commit(new).await.unwrap();

    for (wanted, kind) in all[1..].iter().zip(Callback::ALL) {
        let found = store.delivery(wanted.id).await.unwrap().unwrap();
        assert_eq!(&found.delivery, wanted);
        assert_eq!(found.delivery.target, Target::Callback(*kind));
        assert!(found.endpoint.is_none());
        assert_eq!(found.event.event, event);
    }
    let newest_first: Vec<Delivery> = all.iter().rev().cloned().collect();
    assert_eq!(listed(store, DeliveryFilter::default()).await, newest_first);
    let of_endpoint = DeliveryFilter { endpoint: to, ..DeliveryFilter::default() };
    assert_eq!(listed(store, of_endpoint).await, all[..1]);
    let of_event = DeliveryFilter { event: Some(event.id), ..DeliveryFilter::default() };
    assert_eq!(listed(store, of_event).await.len(), all.len());

    let after = tried(&all[1], DeliveryState::Succeeded { at: Timestamp::from_micros(100) });
    let step = Commit { delivery_tried: Some(after.clone()), ..Commit::default() };
    store.commit(step).await.unwrap();
    assert_eq!(store.delivery(after.id).await.unwrap().unwrap().delivery, after);
}

/// They have no endpoint, and must not look as if they had the one that goes.
async fn callbacks_stay_when_an_endpoint_goes(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let endpoint = endpoint(maker, &scope("a"));
    let mut changes = insert(charge(maker, &scope("a"), "one"), Vec::new());
    tell(&mut changes, EventKind::ChargeSucceeded, maker);
    let event = changes.events[0].clone();
    let (gone, stays) =
        (delivery(maker, &event, &endpoint), callback(maker, &event, Callback::WepayNotify));
    let due = maker.now();
    let jobs = [gone.id, stays.id].map(|id| put(maker, JobKind::Deliver(id), due).1).to_vec();
    let deliveries = vec![gone.clone(), stays.clone()];
    let id = endpoint.id;
    let new = Commit { deliveries, jobs, endpoint: Some(endpoint), ..commit(changes) };
    store.commit(new).await.unwrap();
    store.commit(Commit { endpoint_gone: Some(id), ..Commit::default() }).await.unwrap();
    assert!(store.delivery(gone.id).await.unwrap().is_none());
    assert_eq!(store.delivery(stays.id).await.unwrap().unwrap().delivery, stays);
    let left = store.claim(due, Span::from_seconds(60), 9).await.unwrap();
    let left: Vec<JobKind> = left.iter().map(|job| job.kind).collect();
    assert_eq!(left, [JobKind::Deliver(stays.id)]);
}

//! What a store means, on each engine.

use crate::data::*;
use crate::engines::{Fresh, on_each_engine};
use futures_util::future::join_all;
use std::sync::Arc;
use tongbao_core::{
    AttemptState, ChargeState, Delivery, DeliveryState, Endpoint, EventKind, Job, JobKind, Loaded,
};
use tongbao_engine::{
    ApiKey, ChargeFilter, Commit, CommitError, DeliveryFilter, EventFilter, IdempotencyStep,
    KeptSecret, Page, SecretPlace, Store,
};
use tongbao_types::{Channel, ChargeId, Code, Mode, OrderNo, Sealed, Span, Timestamp};

on_each_engine! {
    every_field_of_a_charge_reads_back
    every_state_of_charges_and_attempts_reads_back
    an_old_version_is_stale_and_leaves_nothing
    numbers_are_unique_in_their_place
    a_refused_commit_leaves_nothing_of_any_part
    many_commits_are_written_together_or_not_at_all
    charges_are_listed_in_pages_and_by_filters
    events_are_listed_in_pages_and_by_filters
    endpoints_are_replaced_and_go_with_their_open_deliveries
    deliveries_keep_their_tries_and_are_listed
    refused_notices_are_counted_under_their_code
    idempotency_keys_begin_once
    secrets_are_found_and_replaced_where_they_still_stand
    api_keys_are_found_by_hash
    of_many_conditional_updates_one_wins_each_version
    readers_at_once_each_get_their_own_charge
}

fn page<Id>(limit: u32) -> Page<Id> {
    Page { limit, starting_after: None, ending_before: None }
}

#[track_caller]
fn assert_same(found: &Loaded, wanted: &Loaded) {
    assert_eq!(format!("{found:#?}"), format!("{wanted:#?}"));
    let secret = |loaded: &Loaded| loaded.charge.client_secret.expose().clone();
    assert_eq!(secret(found), secret(wanted));
}

async fn load(store: &dyn Store, id: ChargeId) -> Loaded {
    store.charge(id).await.unwrap().unwrap()
}

async fn every_field_of_a_charge_reads_back(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    for charge in [
        charge(maker, &scope("a"), "plain"),
        full_charge(maker, &scope("a"), "full!#$%&*+-./:;<=>?@[]^_`{|}~"),
    ] {
        let id = charge.id;
        let mut attempts = Vec::new();
        for (at, action) in actions().into_iter().enumerate() {
            let mut one = attempt(maker, id, "acc", &format!("{}-{at}", charge.order_no));
            one.action = action;
            one.channel = Channel::ALL[at];
            one.payer = (at % 2 == 1).then(payer);
            attempts.push(one);
        }
        let number = attempts[3].out_trade_no.clone();
        let changes = insert(charge, attempts);
        let wanted = changes.after();
        store.commit(commit(changes)).await.unwrap();
        assert_same(&load(store, id).await, &wanted);
        let found = store.charge_by_out_trade_no(&account("acc"), &number).await.unwrap();
        assert_same(&found.unwrap(), &wanted);
    }
    let other = store.charge_by_out_trade_no(&account("other"), &number("plain-0")).await;
    assert!(other.unwrap().is_none());
    assert!(store.charge(maker.id()).await.unwrap().is_none());
}

async fn every_state_of_charges_and_attempts_reads_back(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let charge = charge(maker, &scope("a"), "one");
    let id = charge.id;
    let attempt = attempt(maker, id, "acc", "one");
    store.commit(commit(insert(charge, vec![attempt.clone()]))).await.unwrap();
    let mut states = charge_states(attempt.id).into_iter().cycle();
    for (at, state) in attempt_states().into_iter().cycle().take(16).enumerate() {
        let mut changes = update(&load(store, id).await);
        changes.charge.state = states.next().unwrap();
        changes.charge.amount_refunded.0 += 1;
        changes.charge.open_choice = at % 2 == 0;
        changes.charge.expires_at = changes.charge.expires_at + Span::from_micros(1);
        changes.attempts[0].state = state;
        changes.attempts[0].action = actions()[at % 6].clone();
        changes.attempts_changed.push(attempt.id);
        let wanted = changes.after();
        store.commit(commit(changes)).await.unwrap();
        assert_same(&load(store, id).await, &wanted);
        let found = store.charge_by_out_trade_no(&attempt.account, &attempt.out_trade_no).await;
        assert_same(&found.unwrap().unwrap(), &wanted);
    }
}

async fn an_old_version_is_stale_and_leaves_nothing(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let charge = charge(maker, &scope("a"), "one");
    let id = charge.id;
    store.commit(commit(insert(charge, Vec::new()))).await.unwrap();
    let old = load(store, id).await;
    let mut first = update(&old);
    tell(&mut first, EventKind::ChargeAttempted, maker);
    store.commit(commit(first.clone())).await.unwrap();
    let mut second = update(&old);
    second.charge.state =
        ChargeState::Closed { at: maker.now(), reason: tongbao_core::CloseReason::Requested };
    let event = tell(&mut second, EventKind::ChargeClosed, maker);
    let result = store.commit(commit(second)).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
    assert_same(&load(store, id).await, &first.after());
    assert!(store.event(&scope("a"), event).await.unwrap().is_none());
    let mut nobody = update(&old);
    nobody.charge.id = maker.id();
    let result = store.commit(commit(nobody)).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
}

async fn numbers_are_unique_in_their_place(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let one = charge(maker, &scope("a"), "N1");
    let first = attempt(maker, one.id, "acc", "T1");
    store.commit(commit(insert(one.clone(), vec![first]))).await.unwrap();

    let again = charge(maker, &scope("a"), "N1");
    let result = store.commit(commit(insert(again, Vec::new()))).await;
    assert!(matches!(result, Err(CommitError::OrderNoTaken)), "{result:?}");

    let other = charge(maker, &scope("a"), "N2");
    let taken = attempt(maker, other.id, "acc", "T1");
    let result = store.commit(commit(insert(other.clone(), vec![taken]))).await;
    assert!(matches!(result, Err(CommitError::OutTradeNoTaken)), "{result:?}");
    assert!(store.charge(other.id).await.unwrap().is_none());

    let mut live = charge(maker, &scope("a"), "N1");
    live.scope.mode = Mode::Live;
    let elsewhere = attempt(maker, live.id, "acc2", "T1");
    for changes in [
        insert(live, vec![elsewhere]),
        insert(charge(maker, &scope("b"), "N1"), Vec::new()),
        insert(charge(maker, &scope("a"), "n1"), Vec::new()),
    ] {
        store.commit(commit(changes)).await.unwrap();
    }
    let mut events = update(&load(store, one.id).await);
    tell(&mut events, EventKind::PollActive, maker);
    store.commit(commit(events.clone())).await.unwrap();
    let mut same_sequence = update(&load(store, one.id).await);
    tell(&mut same_sequence, EventKind::PollActive, maker);
    same_sequence.events[0].sequence = 1;
    let result = store.commit(commit(same_sequence)).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
}

async fn a_refused_commit_leaves_nothing_of_any_part(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let a = scope("a");
    let charge = charge(maker, &a, "one");
    let mut changes = insert(charge.clone(), vec![attempt(maker, charge.id, "acc", "one")]);
    let event = tell(&mut changes, EventKind::ChargeCreated, maker);
    let endpoint = endpoint(maker, &a);
    let delivery = delivery(maker, &changes.events[0], &endpoint);
    let job = JobKind::ExpireCharge(charge.id);
    let lost = tongbao_core::JobChange::Finish { id: maker.id(), epoch: 1 };
    let everything = Commit {
        deliveries: vec![delivery.clone()],
        jobs: vec![put(maker, job, maker.now()).1, lost],
        idempotency: Some(IdempotencyStep::Begin(idempotency(&a, "key", maker.now()))),
        refused: Some(refused(charge.id, Code::AmountMismatch, "no", 1)),
        endpoint: Some(endpoint.clone()),
        ..commit(changes)
    };
    let result = store.commit(everything.clone()).await;
    assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");
    assert!(store.charge(charge.id).await.unwrap().is_none());
    let found = store.charge_by_out_trade_no(&account("acc"), &number("one")).await.unwrap();
    assert!(found.is_none());
    assert!(store.event(&a, event).await.unwrap().is_none());
    assert!(store.delivery(delivery.id).await.unwrap().is_none());
    assert!(store.endpoints(&a).await.unwrap().is_empty());
    assert!(store.idempotency(&a, "key").await.unwrap().is_none());
    assert_eq!(store.next_due().await.unwrap(), None);

    let mut good = everything;
    good.jobs.pop();
    store.commit(good).await.unwrap();
    assert_eq!(load(store, charge.id).await.refused.len(), 1);
    assert!(store.delivery(delivery.id).await.unwrap().unwrap().endpoint.is_some());
    assert!(store.idempotency(&a, "key").await.unwrap().is_some());
    assert!(store.next_due().await.unwrap().is_some());
}

async fn many_commits_are_written_together_or_not_at_all(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let mut one = |order_no: &str, number: &str| {
        let charge = charge(maker, &scope("a"), order_no);
        let attempt = attempt(maker, charge.id, "acc", number);
        let poll = put(maker, JobKind::PollAttempt(attempt.id, charge.id), maker.now()).1;
        let mut changes = insert(charge, vec![attempt]);
        tell(&mut changes, EventKind::ChargeCreated, maker);
        (changes.after(), Commit { jobs: vec![poll], ..commit(changes) })
    };
    let (first, second) = (one("M1", "M1"), one("M2", "M2"));
    store.commit_all(vec![first.1, second.1]).await.unwrap();
    for loaded in [&first.0, &second.0] {
        assert_same(&load(store, loaded.charge.id).await, loaded);
    }
    assert_eq!(store.claim(maker.now(), Span::from_seconds(60), 9).await.unwrap().len(), 2);

    let mut one = |order_no: &str, number: &str| {
        let charge = charge(maker, &scope("a"), order_no);
        let attempt = attempt(maker, charge.id, "acc", number);
        let poll = put(maker, JobKind::PollAttempt(attempt.id, charge.id), maker.now()).1;
        let mut changes = insert(charge, vec![attempt]);
        let event = tell(&mut changes, EventKind::ChargeCreated, maker);
        (changes.charge.id, event, Commit { jobs: vec![poll], ..commit(changes) })
    };
    let good = one("M3", "M3");
    let result = store.commit_all(vec![good.2, one("M1", "M4").2]).await;
    assert!(matches!(result, Err(CommitError::OrderNoTaken)), "{result:?}");
    let result = store.commit_all(vec![one("M5", "M5").2, one("M6", "M2").2]).await;
    assert!(matches!(result, Err(CommitError::OutTradeNoTaken)), "{result:?}");
    let result = store.commit_all(vec![one("M7", "M7").2, one("M7", "M8").2]).await;
    assert!(matches!(result, Err(CommitError::OrderNoTaken)), "{result:?}");
    assert!(store.charge(good.0).await.unwrap().is_none());
    assert!(store.event(&scope("a"), good.1).await.unwrap().is_none());
    let all = store.charges(&scope("a"), &ChargeFilter::default(), page(9)).await.unwrap();
    assert_eq!(all.len(), 2);
    let due = store.claim(maker.now(), Span::from_seconds(60), 9).await.unwrap();
    assert!(due.is_empty(), "a job of a refused commit is left: {due:?}");
    assert_eq!(store.commit_all(Vec::new()).await.unwrap(), ());
}

async fn charges_are_listed_in_pages_and_by_filters(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let a = scope("a");
    let mut ids = Vec::new();
    for at in 0..7 {
        let mut charge = charge(maker, &a, &format!("N{at}"));
        if at % 2 == 1 {
            let reason = tongbao_core::CloseReason::Expired;
            charge.state = ChargeState::Closed { at: maker.now(), reason };
        }
        ids.push(charge.id);
        let mut one = attempt(maker, charge.id, "acc", &format!("T{at}"));
        if at == 2 {
            one.channel = Channel::AlipayQr;
        }
        store.commit(commit(insert(charge, vec![one]))).await.unwrap();
    }
    let foreign = charge(maker, &scope("b"), "N0");
    store.commit(commit(insert(foreign, Vec::new()))).await.unwrap();
    let notice = Some(refused(ids[5], Code::SignatureMismatch, "bad", 1));
    store.commit(Commit { refused: notice, ..Commit::default() }).await.unwrap();

    let check = async |filter: ChargeFilter, page: Page<ChargeId>, wanted: &[usize]| {
        let found = store.charges(&a, &filter, page).await.unwrap();
        let found_ids: Vec<ChargeId> = found.iter().map(|loaded| loaded.charge.id).collect();
        let wanted: Vec<ChargeId> = wanted.iter().map(|at| ids[*at]).collect();
        assert_eq!(found_ids, wanted, "{filter:?} {page:?}");
        for loaded in &found {
            assert_same(loaded, &load(store, loaded.charge.id).await);
        }
    };
    let all = ChargeFilter::default;
    let time = |at: usize| {
        let micros = i64::try_from(ids[at].uuid().as_u128() >> 80).unwrap() * 1000;
        Some(Timestamp::from_micros(micros))
    };
    check(all(), page(10), &[6, 5, 4, 3, 2, 1, 0]).await;
    check(all(), page(2), &[6, 5]).await;
    check(all(), Page { starting_after: Some(ids[5]), ..page(2) }, &[4, 3]).await;
    check(all(), Page { starting_after: Some(ids[0]), ..page(2) }, &[]).await;
    check(all(), Page { ending_before: Some(ids[2]), ..page(2) }, &[4, 3]).await;
    check(all(), Page { ending_before: Some(ids[6]), ..page(2) }, &[]).await;
    check(
        all(),
        Page { starting_after: Some(ids[5]), ending_before: Some(ids[1]), ..page(9) },
        &[4, 3, 2],
    )
    .await;
    let word = |status: &str| Some(status.to_owned());
    check(ChargeFilter { status: word("closed"), ..all() }, page(10), &[5, 3, 1]).await;
    check(
        ChargeFilter { status: word("pending"), ..all() },
        Page { starting_after: Some(ids[6]), ..page(1) },
        &[4],
    )
    .await;
    let order_no = Some(OrderNo::new("N4").unwrap());
    check(ChargeFilter { order_no, ..all() }, page(10), &[4]).await;
    let channel = Some(Channel::AlipayQr);
    check(ChargeFilter { channel, ..all() }, page(10), &[2]).await;
    let (created_after, created_before) = (time(2), time(5));
    check(ChargeFilter { created_after, created_before, ..all() }, page(10), &[4, 3, 2]).await;
}

async fn events_are_listed_in_pages_and_by_filters(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let a = scope("a");
    let (one, two) = (charge(maker, &a, "one"), charge(maker, &a, "two"));
    let mut ids = Vec::new();
    for charge in [&one, &two] {
        let mut changes = insert(charge.clone(), Vec::new());
        ids.push(tell(&mut changes, EventKind::ChargeCreated, maker));
        ids.push(tell(&mut changes, EventKind::ChargeAttempted, maker));
        changes.events[1].refund = Some(maker.id());
        let commit = commit(changes.clone());
        store.commit(commit.clone()).await.unwrap();
        for (event, body) in changes.events.iter().zip(&commit.event_bodies) {
            let found = store.event(&a, event.id).await.unwrap().unwrap();
            assert_eq!((&found.event, &found.body), (event, body));
            assert!(store.event(&scope("b"), event.id).await.unwrap().is_none());
        }
    }
    let check = async |filter: EventFilter, page, wanted: &[usize]| {
        let found = store.events(&a, &filter, page).await.unwrap();
        let found: Vec<_> = found.iter().map(|stored| stored.event.id).collect();
        let wanted: Vec<_> = wanted.iter().map(|at| ids[*at]).collect();
        assert_eq!(found, wanted, "{filter:?} {page:?}");
    };
    let all = EventFilter::default;
    check(all(), page(9), &[3, 2, 1, 0]).await;
    check(all(), Page { starting_after: Some(ids[3]), ..page(1) }, &[2]).await;
    check(all(), Page { ending_before: Some(ids[0]), ..page(2) }, &[2, 1]).await;
    check(EventFilter { charge: Some(one.id), kind: None }, page(9), &[1, 0]).await;
    let kind = Some(EventKind::ChargeCreated);
    check(EventFilter { charge: None, kind }, page(9), &[2, 0]).await;
    assert!(store.events(&scope("b"), &all(), page(9)).await.unwrap().is_empty());
}

#[track_caller]
pub(crate) fn assert_same_endpoint(found: &Endpoint, wanted: &Endpoint) {
    assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
    assert_eq!(found.secret.as_text(), wanted.secret.as_text());
    let old = |e: &Endpoint| e.secret_old.clone().map(|(kept, at)| (kept.as_text().to_owned(), at));
    assert_eq!(old(found), old(wanted));
}

async fn endpoints_are_replaced_and_go_with_their_open_deliveries(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let a = scope("a");
    let save = async |endpoint: &Endpoint| {
        let endpoint = Some(endpoint.clone());
        store.commit(Commit { endpoint, ..Commit::default() }).await.unwrap();
    };
    let (mut one, two) = (endpoint(maker, &a), endpoint(maker, &a));
    save(&one).await;
    save(&two).await;
    save(&endpoint(maker, &scope("b"))).await;
    one.enabled = false;
    one.description = None;
    one.url = "https://new.example".to_owned();
    one.secret_old = Some((one.secret.clone(), maker.now()));
    one.secret = Sealed::from_text("v1.00000000.bmV3".to_owned());
    one.version += 1;
    save(&one).await;
    let found = store.endpoints(&a).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_same_endpoint(&found[0], &two);
    assert_same_endpoint(&found[1], &one);

    let mut changes = insert(charge(maker, &a, "one"), Vec::new());
    tell(&mut changes, EventKind::ChargeCreated, maker);
    let event = changes.events[0].clone();
    let open: Vec<Delivery> = (0..3).map(|_| delivery(maker, &event, &one)).collect();
    let other = delivery(maker, &event, &two);
    let done = tried(&delivery(maker, &event, &one), DeliveryState::Failed { at: maker.now() });
    let mut deliveries = open.clone();
    deliveries.extend([other.clone(), done.clone()]);
    let due = maker.now();
    let promise = |d: &Delivery| put(&mut Maker::new(), JobKind::Deliver(d.id), due).1;
    let jobs = [&open[0], &open[2], &other].map(promise).to_vec();
    store.commit(Commit { deliveries, jobs, ..commit(changes) }).await.unwrap();
    let gone = Commit { endpoint_gone: Some(one.id), ..Commit::default() };
    store.commit(gone).await.unwrap();

    assert_eq!(store.endpoints(&a).await.unwrap().len(), 1);
    for delivery in &open {
        assert!(store.delivery(delivery.id).await.unwrap().is_none());
    }
    assert!(store.delivery(done.id).await.unwrap().unwrap().endpoint.is_none());
    assert!(store.delivery(other.id).await.unwrap().unwrap().endpoint.is_some());
    let left: Vec<Job> = store.claim(due, Span::from_seconds(60), 9).await.unwrap();
    assert_eq!(left.iter().map(|j| j.kind).collect::<Vec<_>>(), [JobKind::Deliver(other.id)]);
}

async fn deliveries_keep_their_tries_and_are_listed(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let a = scope("a");
    let (one, two) = (endpoint(maker, &a), endpoint(maker, &a));
    let mut changes = insert(charge(maker, &a, "one"), Vec::new());
    tell(&mut changes, EventKind::ChargeCreated, maker);
    tell(&mut changes, EventKind::PollActive, maker);
    let events = changes.events.clone();
    let all = [
        delivery(maker, &events[0], &one),
        delivery(maker, &events[0], &two),
        delivery(maker, &events[1], &one),
    ];
    let first = one.id;
    let new = Commit { deliveries: all.to_vec(), endpoint: Some(one), ..commit(changes) };
    store.commit(new).await.unwrap();
    for state in [
        DeliveryState::Pending { next_at: Timestamp::from_micros(99) },
        DeliveryState::Succeeded { at: Timestamp::from_micros(100) },
        DeliveryState::Failed { at: Timestamp::from_micros(101) },
    ] {
        let after = tried(&all[0], state);
        let step = Commit { delivery_tried: Some(after.clone()), ..Commit::default() };
        store.commit(step).await.unwrap();
        let found = store.delivery(all[0].id).await.unwrap().unwrap();
        assert_eq!(found.delivery, after);
        assert_eq!(found.event.event, events[0]);
    }
    let elsewhere = endpoint(maker, &a);
    let unknown = delivery(maker, &events[0], &elsewhere);
    let nobody = Commit { delivery_tried: Some(unknown), ..Commit::default() };
    let result = store.commit(nobody).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");

    let check = async |filter: DeliveryFilter, page, wanted: &[usize]| {
        let found = store.deliveries(&a, &filter, page).await.unwrap();
        let found: Vec<_> = found.iter().map(|delivery| delivery.id).collect();
        let wanted: Vec<_> = wanted.iter().map(|at| all[*at].id).collect();
        assert_eq!(found, wanted, "{filter:?} {page:?}");
    };
    let any = DeliveryFilter::default;
    check(any(), page(9), &[2, 1, 0]).await;
    check(any(), Page { starting_after: Some(all[2].id), ..page(1) }, &[1]).await;
    check(any(), Page { ending_before: Some(all[0].id), ..page(1) }, &[1]).await;
    check(DeliveryFilter { endpoint: Some(first), ..any() }, page(9), &[2, 0]).await;
    check(DeliveryFilter { event: Some(events[0].id), ..any() }, page(9), &[1, 0]).await;
    let status = Some("failed".to_owned());
    check(DeliveryFilter { status, ..any() }, page(9), &[0]).await;
}

async fn refused_notices_are_counted_under_their_code(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let charge = charge(maker, &scope("a"), "one");
    let id = charge.id;
    store.commit(commit(insert(charge, Vec::new()))).await.unwrap();
    for (code, reason, at) in [
        (Code::AmountMismatch, "first", 1),
        (Code::SignatureMismatch, "bad", 2),
        (Code::AmountMismatch, "第二", 3),
    ] {
        let refused = Some(refused(id, code, reason, at));
        store.commit(Commit { refused, ..Commit::default() }).await.unwrap();
    }
    let mut wanted = refused(id, Code::AmountMismatch, "第二", 3);
    wanted.count = 2;
    let found = load(store, id).await.refused;
    assert_eq!(found, [wanted, refused(id, Code::SignatureMismatch, "bad", 2)]);
}

async fn idempotency_keys_begin_once(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let a = scope("a");
    let step =
        async |step| store.commit(Commit { idempotency: Some(step), ..Commit::default() }).await;
    let long = "k".repeat(255);
    let mut row = idempotency(&a, &long, Timestamp::from_seconds(100));
    row.charge = Some(maker.id());
    row.refund = Some(maker.id());
    step(IdempotencyStep::Begin(row.clone())).await.unwrap();
    assert_eq!(store.idempotency(&a, &long).await.unwrap(), Some(row.clone()));
    let again = step(IdempotencyStep::Begin(row.clone())).await;
    assert!(matches!(again, Err(CommitError::IdempotencyKeyTaken)), "{again:?}");
    let elsewhere = idempotency(&scope("b"), &long, Timestamp::from_seconds(200));
    step(IdempotencyStep::Begin(elsewhere.clone())).await.unwrap();

    let (scope, key) = (a.clone(), long.clone());
    let body = "{\"x\":\"好\"}".repeat(20_000);
    let done = IdempotencyStep::Done { scope, key, status: 201, body: body.clone() };
    step(done).await.unwrap();
    row.reply = Some((201, body));
    assert_eq!(store.idempotency(&a, &long).await.unwrap(), Some(row.clone()));
    assert_eq!(store.idempotency(&a, "other").await.unwrap(), None);

    assert_eq!(store.prune(Timestamp::from_seconds(100)).await.unwrap(), 0);
    assert_eq!(store.prune(Timestamp::from_seconds(101)).await.unwrap(), 1);
    assert_eq!(store.idempotency(&a, &long).await.unwrap(), None);
    step(IdempotencyStep::Begin(row.clone())).await.unwrap();
    let forget = IdempotencyStep::Forget { scope: a.clone(), key: long.clone() };
    step(forget).await.unwrap();
    assert_eq!(store.idempotency(&a, &long).await.unwrap(), None);
    assert_eq!(store.idempotency(&elsewhere.scope, &long).await.unwrap(), Some(elsewhere));
}

async fn secrets_are_found_and_replaced_where_they_still_stand(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let mut one = endpoint(maker, &scope("a"));
    one.secret_old = Some((Sealed::from_text("v1.00000000.b2xk".to_owned()), maker.now()));
    let two = endpoint(maker, &scope("b"));
    for endpoint in [&one, &two] {
        let endpoint = Some(endpoint.clone());
        store.commit(Commit { endpoint, ..Commit::default() }).await.unwrap();
    }
    let bodies =
        ["v1.00000000.cmVwbHk=", "{\"secret\": \"whsec_x\"}", "{}", "{\"v1\": \"whsecs\"}"];
    for (key, body) in ["a", "b", "c", "d"].into_iter().zip(bodies) {
        let (scope, key) = (scope("a"), key.to_owned());
        let begin = IdempotencyStep::Begin(idempotency(&scope, &key, maker.now()));
        let done = IdempotencyStep::Done { scope, key, status: 201, body: body.to_owned() };
        for step in [begin, done] {
            let commit = Commit { idempotency: Some(step), ..Commit::default() };
            store.commit(commit).await.unwrap();
        }
    }
    let mut all = store.all_endpoints().await.unwrap();
    all.sort_by_key(|endpoint| endpoint.id);
    assert_eq!(all.len(), 2);
    assert_same_endpoint(&all[0], &one);
    assert_same_endpoint(&all[1], &two);
    let mut replies = store.secret_replies().await.unwrap();
    replies.sort_by_key(|kept| format!("{:?}", kept.place));
    let texts: Vec<&str> = replies.iter().map(|kept| kept.text.as_text()).collect();
    assert_eq!(texts, bodies[..2]);

    let place = |place, text: &Sealed| KeptSecret { place, text: text.clone() };
    let anew = Sealed::from_text("v1.11111111.YW5ldw==".to_owned());
    let old = one.secret_old.clone().unwrap();
    for kept in [
        place(SecretPlace::Endpoint(one.id), &one.secret),
        place(SecretPlace::EndpointOld(one.id), &old.0),
        replies[0].clone(),
    ] {
        assert!(store.reseal(&kept, &anew).await.unwrap());
        assert!(!store.reseal(&kept, &anew).await.unwrap(), "something else stands there now");
    }
    let nowhere = place(SecretPlace::EndpointOld(two.id), &two.secret);
    assert!(!store.reseal(&nowhere, &anew).await.unwrap());
    one.secret = anew.clone();
    one.secret_old = Some((anew.clone(), old.1));
    one.version += 2;
    assert_same_endpoint(&store.endpoints(&scope("a")).await.unwrap()[0], &one);
    assert_same_endpoint(&store.endpoints(&scope("b")).await.unwrap()[0], &two);
    let row = store.idempotency(&scope("a"), "a").await.unwrap().unwrap();
    assert_eq!(row.reply.unwrap().1, anew.as_text());
    let row = store.idempotency(&scope("a"), "b").await.unwrap().unwrap();
    assert_eq!(row.reply.unwrap().1, bodies[1]);
}

async fn api_keys_are_found_by_hash(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let a = scope("a");
    let mut one = api_key(maker, &a, &"1".repeat(64));
    let mut two = api_key(maker, &a, &"2".repeat(64));
    two.scope.mode = Mode::Live;
    two.description = Some("柜台".to_owned());
    for key in [&one, &two, &api_key(maker, &scope("b"), &"3".repeat(64))] {
        store.save_api_key(key).await.unwrap();
    }
    one.revoked_at = Some(maker.now());
    store.save_api_key(&one).await.unwrap();
    let newest_first: Vec<ApiKey> = store.api_keys(&a.app).await.unwrap();
    assert_eq!(newest_first, [two.clone(), one.clone()]);
    assert_eq!(store.api_key(&two.hash).await.unwrap(), Some(two));
    assert_eq!(store.api_key(&one.hash).await.unwrap(), Some(one));
    assert_eq!(store.api_key("").await.unwrap(), None);
    store.ready().await.unwrap();
}

async fn of_many_conditional_updates_one_wins_each_version(fresh: &Fresh) {
    let maker = &mut Maker::new();
    let charge = charge(maker, &scope("a"), "one");
    let id = charge.id;
    fresh.store.commit(commit(insert(charge, Vec::new()))).await.unwrap();
    for round in 1..=4 {
        let loaded = load(&*fresh.store, id).await;
        assert_eq!((loaded.charge.version, loaded.charge.events), (round, round - 1));
        let race = (0..64).map(|_| {
            let mut changes = update(&loaded);
            tell(&mut changes, EventKind::PollActive, maker);
            let store = Arc::clone(&fresh.store);
            tokio::spawn(async move { store.commit(commit(changes)).await })
        });
        let results = join_all(race.collect::<Vec<_>>()).await;
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        let stale = |result: &&_| matches!(result, Err(CommitError::Stale));
        assert_eq!(results.iter().filter(stale).count(), 63, "{results:?}");
    }
    let filter = EventFilter { charge: Some(id), kind: None };
    let events = fresh.store.events(&scope("a"), &filter, page(99)).await.unwrap();
    let sequences: Vec<i64> = events.iter().map(|stored| stored.event.sequence).collect();
    assert_eq!(sequences, [4, 3, 2, 1]);
}

async fn readers_at_once_each_get_their_own_charge(fresh: &Fresh) {
    let maker = &mut Maker::new();
    for at in 0..100 {
        let charge = charge(maker, &scope("a"), &format!("N{at}"));
        let mut attempts = vec![attempt(maker, charge.id, "acc", &format!("T{at}"))];
        attempts.push(attempt(maker, charge.id, "acc", &format!("U{at}")));
        attempts[0].state = AttemptState::Closed { at: maker.now() };
        fresh.store.commit(commit(insert(charge, attempts))).await.unwrap();
    }
    let ask = |at: usize| {
        let store = Arc::clone(&fresh.store);
        let text =
            if at.is_multiple_of(2) { format!("T{}", at / 2) } else { format!("U{}", at / 2) };
        tokio::spawn(async move {
            store.charge_by_out_trade_no(&account("acc"), &number(&text)).await.unwrap()
        })
    };
    let found = join_all((0..210).map(ask)).await;
    for (at, found) in found.into_iter().enumerate() {
        let found = found.unwrap();
        assert_eq!(found.is_some(), at < 200, "{at}");
        if let Some(loaded) = found {
            assert_eq!(loaded.charge.order_no.as_str(), format!("N{}", at / 2));
            assert_eq!(loaded.attempts.len(), 2);
            assert!(loaded.attempts[0].out_trade_no.as_str().starts_with('T'));
        }
    }
}

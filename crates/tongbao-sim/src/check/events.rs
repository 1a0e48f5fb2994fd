//! Events: numbered without gap or repeat, in step with what happened, and told to everybody who
//! wants to be told.

use super::{End, Found, wrong};
use crate::hooks::{URLS, WANTS};
use tongbao_core::{Loaded, Target};
use tongbao_engine::StoredEvent;

pub(super) fn check(end: &End<'_>, found: &mut Found) {
    for loaded in &end.charges {
        let id = loaded.charge.id;
        let mut own: Vec<&StoredEvent> =
            end.events.iter().filter(|stored| stored.event.charge == id).collect();
        own.sort_by_key(|stored| stored.event.sequence);
        numbers(loaded, &own, found);
        kinds(loaded, &own, found);
    }
    for stored in &end.events {
        deliveries(end, stored, found);
    }
    received(end, found);
}

fn numbers(loaded: &Loaded, own: &[&StoredEvent], found: &mut Found) {
    let told: Vec<i64> = own.iter().map(|stored| stored.event.sequence).collect();
    let last = told.last().copied().unwrap_or(0);
    let has_gap = told.iter().zip(1..).any(|(told, wanted)| *told != wanted);
    if has_gap || last != loaded.charge.events {
        wrong(found, "sequence", format!("{}: {told:?}", loaded.charge.id));
    }
    for stored in own {
        let body: serde_json::Value = serde_json::from_str(&stored.body).unwrap_or_default();
        let event = &stored.event;
        if body["sequence"] != event.sequence || body["type"] != event.kind.as_str() {
            wrong(found, "event body", format!("{} is not what it tells", event.id));
        }
    }
}

/// How often each kind is told follows from what happened.
fn kinds(loaded: &Loaded, own: &[&StoredEvent], found: &mut Found) {
    let charge = &loaded.charge;
    let count = |kind: &str| own.iter().filter(|s| s.event.kind.as_str() == kind).count();
    let state = charge.state.status();
    let mut expect = vec![
        ("charge.created", 1),
        ("charge.succeeded", usize::from(state == "succeeded")),
        ("refund.created", loaded.refunds.len()),
        ("refund.succeeded", refunds_that_are(loaded, "succeeded")),
    ];
    let stuck = refunds_that_are(loaded, "pending");
    if count("refund.abnormal") < stuck {
        wrong(found, "events", format!("{}: a stuck refund is told to nobody", charge.id));
    }
    if state == "closed" || state == "failed" {
        expect.push((if state == "closed" { "charge.closed" } else { "charge.failed" }, 1));
    }
    for (kind, wanted) in expect {
        if count(kind) != wanted {
            let what = format!("{} is {state}, {kind} is told {} times", charge.id, count(kind));
            wrong(found, "events", what);
        }
    }
}

fn refunds_that_are(loaded: &Loaded, state: &str) -> usize {
    loaded.refunds.iter().filter(|refund| refund.state.status() == state).count()
}

/// Whether an endpoint wants to be told, by the words of the documentation.
fn wants(words: &[&str], kind: &str) -> bool {
    words.iter().any(|word| match word.strip_suffix('*') {
        Some("") => !kind.starts_with("poll."),
        Some(beginning) => kind.starts_with(beginning),
        None => *word == kind,
    })
}

fn deliveries(end: &End<'_>, stored: &StoredEvent, found: &mut Found) {
    let event = &stored.event;
    for endpoint in &end.endpoints {
        let Some(index) = URLS.iter().position(|url| *url == endpoint.url) else { continue };
        let is_it = |one: &&tongbao_core::Delivery| {
            one.event == event.id && one.target == Target::Endpoint(endpoint.id)
        };
        let own: Vec<_> = end.deliveries.iter().filter(is_it).collect();
        let wanted = usize::from(wants(WANTS[index], event.kind.as_str()));
        if own.len() != wanted {
            let what = format!("{} to {}: {} of {wanted}", event.id, endpoint.url, own.len());
            wrong(found, "delivery", what);
        }
        for delivery in own {
            let hooks = end.life.hooks.all();
            let taken = hooks.iter().any(|hook| {
                hook.is_taken && hook.url == endpoint.url && hook.id == event.id.to_string()
            });
            let fine = match delivery.state.status() {
                "succeeded" => taken,
                "failed" => delivery.n_tries > 20,
                _ => false,
            };
            if !fine {
                let state = delivery.state.status();
                let what = format!("{} is {state} after {} tries", delivery.id, delivery.n_tries);
                wrong(found, "delivery", what);
            }
        }
    }
}

/// What was received is what is kept.
fn received(end: &End<'_>, found: &mut Found) {
    for hook in end.life.hooks.all().into_iter().filter(|hook| URLS.contains(&&*hook.url)) {
        let known = end.events.iter().find(|stored| stored.event.id.to_string() == hook.id);
        let lonely = end.life.desks.len() == 1;
        match known {
            Some(stored) if stored.body != hook.body => {
                wrong(found, "webhook", format!("{} was told in other words", hook.id));
            }
            None if lonely => wrong(found, "webhook", format!("{} is no event", hook.id)),
            _ => {}
        }
    }
}

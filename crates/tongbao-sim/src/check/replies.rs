//! Replies: what a caller was told is still true.

use super::{End, Found, wrong};
use crate::replies::{About, Told};
use std::collections::BTreeMap;

pub(super) fn check(end: &End<'_>, found: &mut Found) {
    let all = end.life.replies.all();
    let own: Vec<&Told> = all.iter().filter(|told| told.merchant == end.merchant).collect();
    for told in &own {
        match told.about {
            About::Charge { fen } if told.status < 300 => charge(end, told, fen, found),
            About::Refund { fen } if told.status < 300 => refund(end, told, fen, found),
            About::Refund { .. } => refusal(end, told, found),
            About::Charge { fen } => taken(told, fen, found),
        }
    }
    keys(&own, found);
}

fn charge(end: &End<'_>, told: &Told, fen: Option<i64>, found: &mut Found) {
    let (id, said) = (&told.body["id"], &told.body["status"]);
    let now = end.charges.iter().find(|loaded| *id == loaded.charge.id.to_string());
    let Some(now) = now else {
        return wrong(found, "reply", format!("{id} of reply {} does not exist", told.nth));
    };
    let state = now.charge.state.status();
    let holds = match said.as_str().unwrap_or_default() {
        "succeeded" => state == "succeeded",
        "closed" | "failed" => state != "pending",
        _ => true,
    };
    let same = fen.is_none_or(|fen| fen == now.charge.amount.fen().0);
    if !holds || !same {
        wrong(found, "reply", format!("reply {} said {said}, {id} is {state}", told.nth));
    }
}

fn refund(end: &End<'_>, told: &Told, fen: Option<i64>, found: &mut Found) {
    let (id, said) = (&told.body["id"], &told.body["status"]);
    let mut refunds = end.charges.iter().flat_map(|loaded| &loaded.refunds);
    let Some(now) = refunds.find(|refund| *id == refund.id.to_string()) else {
        return wrong(found, "reply", format!("{id} of reply {} does not exist", told.nth));
    };
    let state = now.state.status();
    let holds = said != "succeeded" || state == "succeeded";
    if !holds || fen.is_some_and(|fen| fen != now.amount.fen().0) {
        wrong(found, "reply", format!("reply {} said {said}, {id} is {state}", told.nth));
    }
}

/// A no that says that no money moved.
fn refusal(end: &End<'_>, told: &Told, found: &mut Found) {
    if told.body["money_moved"] != "no" {
        return;
    }
    let id = &told.body["refund"];
    let mut refunds = end.charges.iter().flat_map(|loaded| &loaded.refunds);
    let now = refunds.find(|refund| *id == refund.id.to_string());
    if now.is_some_and(|refund| refund.state.status() == "succeeded") {
        wrong(found, "reply", format!("reply {} said that no money moved", told.nth));
    }
}

/// In these lives one order number is used by one request alone. Whoever repeats that with its key
/// must never hear that somebody else has the number.
fn taken(told: &Told, fen: Option<i64>, found: &mut Found) {
    if told.key.is_some() && fen.is_some() && told.body["error"] == "order_no_in_use" {
        let what = format!("reply {} calls a repetition another request", told.nth);
        wrong(found, "idempotency", what);
    }
}

/// One key, one object.
fn keys(own: &[&Told], found: &mut Found) {
    let mut seen: BTreeMap<u32, &serde_json::Value> = BTreeMap::new();
    for told in own.iter().filter(|told| told.status < 300) {
        let Some(key) = told.key else { continue };
        let first = seen.entry(key).or_insert(&told.body["id"]);
        if **first != told.body["id"] {
            let what = format!("key {key}: {first} and {}", told.body["id"]);
            wrong(found, "idempotency", what);
        }
    }
}

//! Callbacks: every payment of an older service's charge was told as that service told it, in its
//! own words, or given up after three days; and what callers were told is true.

use super::{End, Found, wrong};
use crate::older::{Said, URLS};
use serde_json::Value;
use tongbao_core::{Callback, ChargeState, Delivery, Loaded, Payment, Target};
use tongbao_types::Profile;

const ALL: [(Callback, Profile); 3] = [
    (Callback::WepayNotify, Profile::Wepay),
    (Callback::CapiNotify, Profile::Capi),
    (Callback::CapiFunction, Profile::Capi),
];

pub(super) fn check(end: &End<'_>, found: &mut Found) {
    for loaded in &end.charges {
        for (place, (callback, profile)) in ALL.into_iter().enumerate() {
            let is_its = loaded.charge.profile == Some(profile);
            let payment = match &loaded.charge.state {
                ChargeState::Succeeded(payment) if is_its => Some(payment),
                _ => None,
            };
            told(end, (loaded, payment), (callback, URLS[place]), found);
        }
    }
    if end.life.plan.shops[0].merchant == end.merchant {
        for said in end.life.sayings.all() {
            holds(end, &said, found);
        }
    }
}

fn told(
    end: &End<'_>,
    (loaded, payment): (&Loaded, Option<&Payment>),
    (callback, url): (Callback, &str),
    found: &mut Found,
) {
    let id = loaded.charge.id;
    let events = end.events.iter().filter(|stored| stored.event.charge == id);
    let events: Vec<_> = events.map(|stored| stored.event.id).collect();
    let is_it =
        |one: &&Delivery| one.target == Target::Callback(callback) && events.contains(&one.event);
    let own: Vec<&Delivery> = end.deliveries.iter().filter(is_it).collect();
    if own.len() != usize::from(payment.is_some()) {
        let state = loaded.charge.state.status();
        wrong(found, "callback", format!("{id} is {state}, {callback:?}: {}", own.len()));
    }
    let (Some(delivery), Some(payment)) = (own.first(), payment) else { return };
    let hooks = end.life.hooks.all();
    let number = loaded.charge.order_no.as_str();
    let taken = hooks.iter().filter(|hook| hook.url == url && hook.is_taken);
    let bodies: Vec<Value> = taken
        .filter_map(|hook| serde_json::from_str(&hook.body).ok())
        .filter(|body| order(callback, body) == number)
        .collect();
    let word = match delivery.state.status() {
        "succeeded" if !bodies.is_empty() => "taken",
        "failed" if delivery.n_tries > 20 => "given up",
        state => {
            let what = format!("{id} {callback:?} is {state} after {} tries", delivery.n_tries);
            return wrong(found, "callback", what);
        }
    };
    end.life.faults.coverage().count(format_args!("{callback:?}: {word}"));
    for body in bodies.iter().filter(|body| !is_right(callback, body, payment)) {
        wrong(found, "callback text", format!("{id} {callback:?}: {body}"));
    }
}

/// The number of the order that a text is about.
fn order(callback: Callback, body: &Value) -> String {
    let number = match callback {
        Callback::WepayNotify => &body["out_trade_no"],
        Callback::CapiNotify => &body["id"],
        Callback::CapiFunction => &body["charge"]["id"],
    };
    number.as_str().map_or_else(|| number.to_string(), str::to_owned)
}

/// WeChat's fields are texts; capi's charge has numbers.
fn is_right(callback: Callback, body: &Value, payment: &Payment) -> bool {
    let fen = payment.amount.0;
    let fee = body["total_fee"].as_str().and_then(|text| text.parse().ok());
    let charge = match callback {
        Callback::WepayNotify => {
            return fee == Some(fen)
                && body["transaction_id"] == payment.trade_no.as_str()
                && body["result_code"] == "SUCCESS";
        }
        Callback::CapiNotify => body,
        Callback::CapiFunction => &body["charge"],
    };
    let amount = &charge["amount"];
    // What was asked for, also where another amount was paid.
    let is_amount = *amount == fen || payment.remark.is_some();
    is_amount && charge["paid"] == true && charge["status"] == "succeeded"
}

/// A caller who was given something to pay with has a charge of that amount.
fn holds(end: &End<'_>, said: &Said, found: &mut Found) {
    let of_profile = |loaded: &&Loaded| loaded.charge.profile == Some(said.profile);
    let fits = |loaded: &&Loaded| loaded.charge.amount.fen().0 == said.fen;
    let named = |number: &Value| {
        let own = end.charges.iter().filter(of_profile).filter(fits);
        own.filter(|loaded| *number == loaded.charge.order_no.as_str()).count()
    };
    let count = match said.profile {
        Profile::AuthPay if said.body["code_url"].is_string() => named(&said.body["out_trade_no"]),
        Profile::Wepay if said.body["errcode"] == 0 => {
            end.charges.iter().filter(of_profile).filter(fits).count().min(1)
        }
        Profile::Capi if said.body["id"].is_string() => named(&said.body["order_no"]),
        _ => 1,
    };
    if count != 1 {
        wrong(found, "older reply", format!("{}: {}", said.profile, said.body));
    }
}

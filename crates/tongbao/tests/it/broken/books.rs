//! What must be true once everything stands again: nothing that was acknowledged is lost, nothing
//! is doubled, the provider, the database and the merchant agree.
//!
//! Most of it becomes true by itself after a while, so it is looked at again until nothing is wrong
//! any more or patience ends; then what is still wrong is listed.

use super::client::Client;
use super::ledger::{Acknowledged, Ledger};
use super::snapshot::{Snapshot, text};
use crate::merchant::{Merchant, Webhook};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How long anything may take: over a server, the jobs of a killed instance wait for the end of
/// their lease, which is ten seconds here.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many wrongs are told.
const TOLD_MAX: usize = 20;

/// What the books say, for the record of a run.
#[derive(Debug)]
pub(crate) struct Balance {
    pub(crate) charges: usize,
    pub(crate) payments: usize,
    pub(crate) refunds: usize,
    pub(crate) notices: usize,
    pub(crate) events: usize,
    pub(crate) webhooks: usize,
    pub(crate) replies: usize,
}

impl Balance {
    /// As counts of a record.
    pub(crate) fn counts(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("charges", self.charges),
            ("payments", self.payments),
            ("refunds", self.refunds),
            ("notices accepted", self.notices),
            ("events", self.events),
            ("webhooks delivered", self.webhooks),
            ("replies that came again for their key", self.replies),
        ];
        all.into_iter().map(|(name, count)| (name, count.to_string())).collect()
    }
}

/// Checks everything, and says how much there was.
pub(crate) async fn check(client: &Client, merchant: &Merchant, ledger: &Ledger) -> Balance {
    eprintln!("the load: {:?}", ledger.tally());
    let acknowledged = ledger.acknowledged();
    assert!(acknowledged.len() >= 20, "there was hardly any load: {}", acknowledged.len());
    let open = open_charges(client).await;
    same_replies(client, &acknowledged, ledger).await;
    let snapshot = settled(client, merchant, ledger, &open).await;
    let paid = |trade: &&Value| trade["paid_at"].is_string();
    let balance = Balance {
        charges: snapshot.charges.len(),
        payments: snapshot.trades.iter().filter(paid).count(),
        refunds: snapshot.refunds.len(),
        notices: snapshot.notices.len(),
        events: snapshot.events.len(),
        webhooks: snapshot.webhooks.len(),
        replies: acknowledged.len(),
    };
    assert!(balance.payments > 0 && balance.refunds > 0, "too little was done: {balance:?}");
    eprintln!("the books: {balance:?}");
    balance
}

/// The number of the last event of each charge that nobody paid yet.
async fn open_charges(client: &Client) -> HashMap<String, i64> {
    let open = client.all("/v1/charges?status=pending").await;
    assert!(!open.is_empty(), "no charge was left open");
    let mut last = HashMap::new();
    for charge in &open {
        let path = format!("/v1/events?charge={}&limit=1", text(charge, "id"));
        let number = client.get(&path).await["data"][0]["sequence"].as_i64().unwrap();
        last.insert(text(charge, "id").to_owned(), number);
    }
    last
}

/// What the ledger counts these under: what was done stands, but its reply found no room, so the
/// key is busy for a minute. Each run says how many it allows.
pub(crate) const NOT_KEPT: &str = "replies that could not be kept for their key";

/// The same request with the same key gets the same reply.
async fn same_replies(client: &Client, acknowledged: &[Acknowledged], ledger: &Ledger) {
    let ask = async |one: &Acknowledged| {
        let Acknowledged { path, body, key, status, reply } = one;
        let again = client.try_call("POST", path, Some(body), Some(key)).await.unwrap();
        if again.status == 409 && again.body["code"] == "idempotency_key_busy" {
            ledger.count(NOT_KEPT);
            return None;
        }
        let same = again.status == *status && is_same(reply, &again.body);
        (!same).then(|| format!("{path} {key}: was {reply}, is {} {}", again.status, again.body))
    };
    let wrong: Vec<_> = stream::iter(acknowledged).map(ask).buffer_unordered(8).collect().await;
    let wrong: Vec<_> = wrong.into_iter().flatten().take(TOLD_MAX).collect();
    assert!(wrong.is_empty(), "replies that are not the same any more: {wrong:#?}");
}

/// A reply that came before the outcome of its order was known is answered as things stand now.
fn is_same(first: &Value, again: &Value) -> bool {
    let was_open = first["object"] == "charge" && first["action"].is_null();
    let is_known = !was_open || first["status"] != "pending";
    first == again || (!is_known && first["id"] == again["id"])
}

/// Waits until nothing is wrong any more. The sandbox's time is moved, so that it repeats what it
/// owes; the gateway's own time goes on as it does.
async fn settled(
    client: &Client,
    merchant: &Merchant,
    ledger: &Ledger,
    open: &HashMap<String, i64>,
) -> Snapshot {
    let began = Instant::now();
    loop {
        let snapshot = Snapshot::read(client, merchant).await;
        let mut wrong = wrongs(&snapshot, ledger, &|webhook| merchant.believes(webhook));
        check_polls(&snapshot, open, &mut wrong);
        if wrong.is_empty() {
            return snapshot;
        }
        let told: Vec<_> = wrong.iter().take(TOLD_MAX).collect();
        let count = wrong.len();
        assert!(began.elapsed() < PATIENCE, "{count} things are wrong, such as {told:#?}");
        client.advance("1m").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Everything that is not as it should be.
pub(crate) fn wrongs(
    snapshot: &Snapshot,
    ledger: &Ledger,
    believes: &dyn Fn(&Webhook) -> bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    check_acknowledged(snapshot, ledger, &mut wrong);
    check_trades(snapshot, &mut wrong);
    check_refunds(snapshot, &mut wrong);
    check_notices(snapshot, &mut wrong);
    check_events(snapshot, &mut wrong);
    check_webhooks(snapshot, believes, &mut wrong);
    wrong
}

/// What was answered, and what was read, is still so.
fn check_acknowledged(snapshot: &Snapshot, ledger: &Ledger, wrong: &mut Vec<String>) {
    let objects = snapshot.charges.iter().chain(&snapshot.refunds);
    let objects: HashMap<&str, &Value> = objects.map(|one| (text(one, "id"), one)).collect();
    for Acknowledged { path, reply, .. } in ledger.acknowledged() {
        let id = text(&reply, "id");
        match objects.get(id) {
            None => wrong.push(format!("{id} was acknowledged and is lost")),
            Some(now) if path.ends_with("/close") && now["status"] == "pending" => {
                wrong.push(format!("{id} was closed and is {}", now["status"]));
            }
            Some(now) if now["amount"] != reply["amount"] => {
                wrong.push(format!("{id} was acknowledged otherwise: {reply}, {now}"));
            }
            Some(_) => {}
        }
    }
    for seen in ledger.seen().iter().filter(|seen| seen["status"] == "succeeded") {
        let id = text(seen, "id");
        if objects.get(id).is_none_or(|now| now["status"] != "succeeded") {
            wrong.push(format!("{id} was read as succeeded and is not any more"));
        }
    }
}

/// Each order at the provider has its charge; one is paid there if and only if it is paid here.
fn check_trades(snapshot: &Snapshot, wrong: &mut Vec<String>) {
    let charges = snapshot.by_order();
    let events = snapshot.by_charge();
    let mut paid = HashMap::new();
    for trade in &snapshot.trades {
        let number = text(trade, "out_trade_no");
        let Some(charge) = charges.get(number) else {
            wrong.push(format!("{number} is at the provider only"));
            continue;
        };
        if trade["paid_at"].is_null() {
            continue;
        }
        paid.insert(text(charge, "id"), trade);
        let same = charge["status"] == "succeeded"
            && charge["provider_trade_no"] == trade["trade_no"]
            && charge["amount"] == trade["amount"];
        if !same {
            wrong.push(format!("{number} is paid at the provider, here it is {charge}"));
        }
    }
    for charge in &snapshot.charges {
        let id = text(charge, "id");
        let is_paid = charge["status"] == "succeeded";
        if is_paid && !paid.contains_key(id) {
            wrong.push(format!("{id} is paid here only"));
        }
        let own = events.get(id).map_or(&[][..], Vec::as_slice);
        let told = own.iter().filter(|event| event["type"] == "charge.succeeded").count();
        if told != usize::from(is_paid) {
            wrong.push(format!("{id} is {}, and its success was told {told} times", is_paid));
        }
    }
}

/// The refunds of each trade are those here, and never more than was paid.
fn check_refunds(snapshot: &Snapshot, wrong: &mut Vec<String>) {
    let mut here: BTreeMap<&str, BTreeMap<&str, (i64, bool)>> = BTreeMap::new();
    for refund in snapshot.refunds.iter().filter(|refund| refund["status"] != "failed") {
        let entry = (refund["amount"].as_i64().unwrap(), refund["status"] == "succeeded");
        let of = here.entry(text(refund, "charge")).or_default();
        of.insert(text(refund, "out_refund_no"), entry);
    }
    let charges = snapshot.by_order();
    for trade in &snapshot.trades {
        let number = text(trade, "out_trade_no");
        let Some(charge) = charges.get(number) else { continue };
        let refunds = trade["refunds"].as_array().unwrap().iter().map(|refund| {
            let entry = (refund["amount"].as_i64().unwrap(), refund["state"] == "success");
            (text(refund, "out_refund_no"), entry)
        });
        let there: BTreeMap<_, _> = refunds.collect();
        let ours = here.remove(text(charge, "id")).unwrap_or_default();
        if there != ours {
            wrong.push(format!("refunds of {number}: {there:?} at the provider, {ours:?} here"));
        }
        let sum: i64 = there.values().map(|(amount, _)| amount).sum();
        if sum > trade["amount"].as_i64().unwrap() || charge["amount_refunded"] != sum {
            wrong.push(format!("refunds of {number}: {sum} went back of {charge}"));
        }
    }
    for (charge, refunds) in here {
        wrong.push(format!("refunds of {charge} are here only: {refunds:?}"));
    }
}

/// Each notice was accepted in the end, and each that was accepted had its effect.
fn check_notices(snapshot: &Snapshot, wrong: &mut Vec<String>) {
    let charges = snapshot.by_order();
    for notice in &snapshot.notices {
        let number = text(notice, "out_trade_no");
        let (id, kind) = (&notice["id"], text(notice, "kind"));
        if notice["delivered"] != true {
            wrong.push(format!("the notice {id} ({kind}) of {number} was not accepted"));
        } else if charges.get(number).is_none_or(|charge| charge["paid"] != true) {
            wrong.push(format!("the notice {id} ({kind}) of {number} was accepted and is lost"));
        }
    }
}

/// Charges that still wait for their payer are looked after.
pub(crate) fn check_polls(
    snapshot: &Snapshot,
    before: &HashMap<String, i64>,
    wrong: &mut Vec<String>,
) {
    let events = snapshot.by_charge();
    let waiting = snapshot.charges.iter().filter(|charge| charge["status"] == "pending");
    for id in waiting.map(|charge| text(charge, "id")) {
        let Some(before) = before.get(id) else { continue };
        let last = events.get(id).and_then(|of| of.last()?["sequence"].as_i64());
        if last.is_none_or(|last| last <= *before) {
            wrong.push(format!("nobody looks after {id} any more"));
        }
    }
}

/// Events of a charge are numbered from 1 without a gap.
fn check_events(snapshot: &Snapshot, wrong: &mut Vec<String>) {
    for (charge, events) in snapshot.by_charge() {
        let numbers: Vec<_> = events.iter().map(|event| event["sequence"].as_i64()).collect();
        let whole: Vec<_> = (1..).map(Some).take(numbers.len()).collect();
        if numbers != whole {
            wrong.push(format!("the events of {charge} are numbered {numbers:?}"));
        }
    }
}

/// Each event came, signed, the same whenever it was repeated; nothing else came.
fn check_webhooks(
    snapshot: &Snapshot,
    believes: &dyn Fn(&Webhook) -> bool,
    wrong: &mut Vec<String>,
) {
    let mut came: HashMap<&str, Vec<&Webhook>> = HashMap::new();
    for webhook in &snapshot.webhooks {
        if !believes(webhook) || webhook.event["id"] != webhook.id.as_str() {
            wrong.push(format!("the webhook {} is not to be believed", webhook.id));
        }
        came.entry(&webhook.id).or_default().push(webhook);
    }
    for event in &snapshot.events {
        let (id, kind) = (text(event, "id"), text(event, "type"));
        let told = came.remove(id).unwrap_or_default();
        // Endpoints get news of polls only if they name them.
        if told.is_empty() && !kind.starts_with("poll.") {
            wrong.push(format!("{kind} {id} was never delivered"));
        }
        if told.iter().any(|webhook| webhook.event != *event) {
            wrong.push(format!("{kind} {id} was delivered otherwise than it is"));
        }
    }
    came.keys().for_each(|id| wrong.push(format!("the webhook {id} is of no event")));
    let pending = snapshot.pending.iter().map(|one| text(one, "id"));
    pending.for_each(|id| wrong.push(format!("the delivery {id} is not over")));
}

//! The books see each kind of wrong: a good balance is spoilt in one place after another.

use super::books::{check_polls, wrongs};
use super::ledger::{Acknowledged, Ledger};
use super::snapshot::Snapshot;
use crate::merchant::Webhook;
use serde_json::{Value, json};

/// One charge that was paid, told, and half refunded.
fn good() -> (Snapshot, Ledger) {
    let charge = json!({"id": "ch_1", "object": "charge", "status": "succeeded", "paid": true,
        "amount": 100, "amount_refunded": 50, "provider_trade_no": "T1",
        "attempts": [{"out_trade_no": "A"}]});
    let refund = json!({"id": "re_1", "object": "refund", "charge": "ch_1", "amount": 50,
        "out_refund_no": "R", "status": "succeeded"});
    let event = |n: i64, kind: &str, object: &Value| {
        let id = format!("evt_{n}");
        json!({"id": id, "type": kind, "sequence": n, "data": {"object": object}})
    };
    let events = vec![
        event(1, "charge.created", &charge),
        event(2, "charge.succeeded", &charge),
        event(3, "poll.finished", &charge),
        event(4, "refund.succeeded", &refund),
    ];
    let webhook = |event: &Value| Webhook {
        id: event["id"].as_str().unwrap().to_owned(),
        timestamp: 0,
        signatures: "good".to_owned(),
        raw: Vec::new(),
        event: event.clone(),
    };
    let webhooks = [0, 1, 1, 3].map(|idx| webhook(&events[idx])).to_vec();
    let trade = json!({"out_trade_no": "A", "trade_no": "T1", "amount": 100, "paid_at": "then",
        "refunds": [{"out_refund_no": "R", "amount": 50, "state": "success"}]});
    let notice = json!({"id": "n1", "kind": "payment", "out_trade_no": "A", "delivered": true});
    let ledger = Ledger::default();
    for (path, reply) in [("/v1/charges", &charge), ("/v1/refunds", &refund)] {
        let (path, key, body) = (path.to_owned(), String::new(), Value::Null);
        ledger.acknowledge(Acknowledged { path, body, key, status: 201, reply: reply.clone() });
    }
    ledger.see(charge.clone());
    let snapshot = Snapshot {
        charges: vec![charge],
        refunds: vec![refund],
        events,
        pending: Vec::new(),
        trades: vec![trade],
        notices: vec![notice],
        webhooks,
    };
    (snapshot, ledger)
}

/// What is wrong after one thing was spoilt.
fn found(spoil: impl FnOnce(&mut Snapshot)) -> String {
    let (mut snapshot, ledger) = good();
    spoil(&mut snapshot);
    wrongs(&snapshot, &ledger, &|webhook| webhook.signatures == "good").join("\n")
}

#[test]
fn good_books_are_good() {
    assert_eq!(found(|_| {}), "");
}

#[test]
fn each_wrong_is_seen() {
    type Spoil = fn(&mut Snapshot);
    let all: [(&str, Spoil); 19] = [
        ("ch_1 was acknowledged and is lost", |all| all.charges.clear()),
        ("re_1 was acknowledged and is lost", |all| all.refunds.clear()),
        ("acknowledged otherwise", |all| all.charges[0]["amount"] = json!(99)),
        ("read as succeeded", |all| all.charges[0]["status"] = json!("closed")),
        ("A is at the provider only", |all| all.charges[0]["attempts"] = json!([])),
        ("A is paid at the provider", |all| all.charges[0]["provider_trade_no"] = json!("T2")),
        ("ch_1 is paid here only", |all| all.trades[0]["paid_at"] = json!(null)),
        ("told 0 times", |all| all.events[1]["type"] = json!("charge.closed")),
        ("told 2 times", |all| all.events[0]["type"] = json!("charge.succeeded")),
        ("refunds of A:", |all| all.trades[0]["refunds"][0]["amount"] = json!(49)),
        ("refunds of A:", |all| all.trades[0]["refunds"][0]["state"] = json!("processing")),
        ("refunds of ch_1 are here only", |all| all.trades.clear()),
        ("101 went back", |all| {
            all.trades[0]["refunds"][0]["amount"] = json!(101);
            all.refunds[0]["amount"] = json!(101);
            all.charges[0]["amount_refunded"] = json!(101);
        }),
        ("was not accepted", |all| all.notices[0]["delivered"] = json!(false)),
        ("accepted and is lost", |all| all.charges[0]["paid"] = json!(false)),
        ("numbered [Some(1), Some(3), Some(4)]", |all| drop(all.events.remove(1))),
        ("not to be believed", |all| all.webhooks[1].signatures = "bad".to_owned()),
        ("evt_1 was never delivered", |all| drop(all.webhooks.remove(0))),
        ("dl_1 is not over", |all| all.pending.push(json!({"id": "dl_1"}))),
    ];
    for (words, spoil) in all {
        let told = found(spoil);
        assert!(told.contains(words), "{words:?} is not among:\n{told}");
    }
    let otherwise = found(|all| all.webhooks[2].event["type"] = json!("charge.failed"));
    assert!(otherwise.contains("delivered otherwise"), "{otherwise}");
    let stranger = found(|all| drop(all.events.pop()));
    assert!(stranger.contains("evt_4 is of no event"), "{stranger}");
}

#[test]
fn a_charge_that_nobody_looks_after_is_seen() {
    let (mut snapshot, _) = good();
    snapshot.charges[0]["status"] = json!("pending");
    let told = |before: i64| {
        let mut wrong = Vec::new();
        check_polls(&snapshot, &[("ch_1".to_owned(), before)].into(), &mut wrong);
        wrong
    };
    assert_eq!(told(3), [""; 0]);
    assert_eq!(told(4), ["nobody looks after ch_1 any more"]);
}

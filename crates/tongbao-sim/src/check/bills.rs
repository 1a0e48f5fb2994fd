//! Bills: their lines are the money that moved at the provider, each once, and what is paid and
//! given back here stands in them.

use super::{End, Found, wrong};
use crate::bills::Bills;
use crate::providers::SeenTrade;
use serde_json::Value;
use tongbao_core::{Attempt, AttemptState, Loaded};
use tongbao_types::{Channel, Provider};

/// Our number of an order, that of the refund if it is one, and fen with their sign.
type Entry = (String, Option<String>, i64);

pub(super) fn check(end: &End<'_>, found: &mut Found) {
    for bills in end.life.shelf.all() {
        if bills.merchant == end.merchant {
            let lines: Vec<Entry> = bills.lines.iter().map(entry).collect();
            ledger(end, &bills, lines.clone(), found);
            books(end, &bills, &lines, found);
        }
    }
}

fn entry(line: &Value) -> Entry {
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let amount = line["amount"].as_i64().unwrap_or(i64::MIN);
    (text("out_trade_no").unwrap_or_default(), text("out_refund_no"), amount)
}

/// What moved at the provider.
fn moved(trade: &SeenTrade) -> Vec<Entry> {
    let number = || trade.out_trade_no.clone();
    let payment = trade.paid_at.map(|_| (number(), None, trade.amount));
    // WeChat's bill also names refunds that are under way or were closed, with their state.
    let counts = |state: &str| trade.provider == Provider::Wechat || state == "success";
    let refunds = trade.refunds.iter().filter(|refund| counts(&refund.state));
    let back = refunds.map(|one| (number(), Some(one.out_refund_no.clone()), -one.amount));
    payment.into_iter().chain(back.filter(|_| trade.is_paid)).collect()
}

/// Line by line the same as at the provider.
fn ledger(end: &End<'_>, bills: &Bills, mut lines: Vec<Entry>, found: &mut Found) {
    let provider = bills.kind.provider();
    let trades = end.trades.iter().filter(|trade| trade.provider == provider);
    let mut there: Vec<Entry> = trades.flat_map(moved).collect();
    there.sort();
    lines.sort();
    for (number, refund, fen) in there.iter().filter(|one| !lines.contains(one)) {
        let what = format!("{:?}: {number} {refund:?} {fen} has no line", bills.kind);
        wrong(found, "bill lines", what);
    }
    for (number, refund, fen) in lines.iter().filter(|one| !there.contains(one)) {
        let what = format!("{:?}: {number} {refund:?} {fen} never moved", bills.kind);
        wrong(found, "bill lines", what);
    }
    if there.len() != lines.len() {
        let what = format!("{:?}: {} lines, {} moved", bills.kind, lines.len(), there.len());
        wrong(found, "bill lines", what);
    }
}

/// What is paid or went back here has its line, and each payment in the bill is paid here or has
/// gone back.
fn books(end: &End<'_>, bills: &Bills, lines: &[Entry], found: &mut Found) {
    let provider = bills.kind.provider();
    let own = |attempt: &&Attempt| attempt.channel.provider() == provider;
    let all = end.charges.iter().flat_map(|loaded| {
        loaded.attempts.iter().filter(own).map(move |attempt| (loaded, attempt))
    });
    let mut wanted: Vec<Entry> = Vec::new();
    for (loaded, attempt) in all.clone() {
        wanted.extend(paid_here(loaded, attempt));
    }
    for (number, refund, fen) in wanted.iter().filter(|one| !lines.contains(one)) {
        let what = format!("{number} {refund:?} {fen} is here and not in the bill");
        wrong(found, "bill and books", what);
    }
    for line in lines.iter().filter(|line| line.1.is_none() && !wanted.contains(line)) {
        let (number, _, fen) = line;
        let back = lines.iter().filter(|one| one.0 == *number && one.1.is_some());
        let is_back = -back.map(|one| one.2).sum::<i64>() >= *fen;
        let attempt = all.clone().find(|(_, one)| one.out_trade_no.as_str() == number);
        // Reading bills is not looking for payments: nothing here learns of one from its bill, and
        // the old gateway has no other way left when its notices are lost (see `money`).
        let is_old = attempt.is_some_and(|(_, one)| one.channel == Channel::AlipayLegacyPage);
        if !is_back && !is_old {
            wrong(found, "bill and books", format!("{number} {fen} is in the bill alone"));
        }
    }
}

fn paid_here(loaded: &Loaded, attempt: &Attempt) -> Vec<Entry> {
    let AttemptState::Succeeded { amount, .. } = attempt.state else { return Vec::new() };
    let number = || attempt.out_trade_no.as_str().to_owned();
    let refunds = loaded.refunds.iter();
    let done = refunds.filter(|one| one.attempt == attempt.id && one.state.status() == "succeeded");
    let back = done
        .map(|one| (number(), Some(one.out_refund_no.as_str().to_owned()), -one.amount.fen().0));
    std::iter::once((number(), None, amount.0)).chain(back).collect()
}

//! Money: what is paid and given back at the provider is paid and given back here, by the same
//! amounts, and nothing else is.

use super::{End, Found, wrong};
use crate::providers::SeenTrade;
use tongbao_core::{Attempt, AttemptState, ChargeState, Loaded, Refund};
use tongbao_types::{Channel, Provider, Span};

pub(super) fn check(end: &End<'_>, found: &mut Found) {
    for trade in &end.trades {
        let number = &trade.out_trade_no;
        let is_its = |attempt: &&Attempt| {
            attempt.channel.provider() == trade.provider && attempt.out_trade_no.as_str() == number
        };
        let place = end.charges.iter().find_map(|loaded| {
            loaded.attempts.iter().find(is_its).map(|attempt| (loaded, attempt))
        });
        match place {
            Some((loaded, attempt)) => {
                payment(trade, (loaded, attempt), found);
                refunds(trade, (loaded, attempt), found);
            }
            None => wrong(found, "unknown order", format!("{number} has no attempt here")),
        }
    }
    for loaded in &end.charges {
        for attempt in &loaded.attempts {
            kept(end, (loaded, attempt), found);
        }
        counted(loaded, found);
    }
}

/// What has gone back or is on its way, of which a closed refund is no part.
fn gone(trade: &SeenTrade) -> i64 {
    let counts = trade.refunds.iter().filter(|refund| refund.state != "closed");
    counts.map(|refund| refund.amount).sum()
}

fn payment(trade: &SeenTrade, (loaded, attempt): (&Loaded, &Attempt), found: &mut Found) {
    let number = &trade.out_trade_no;
    match &attempt.state {
        AttemptState::Succeeded { amount, trade_no, .. } => {
            if !trade.is_paid {
                wrong(found, "paid here alone", format!("{number} is not paid there"));
            } else if amount.0 != trade.amount {
                let what = format!("{number}: {} here, {} there", amount.0, trade.amount);
                wrong(found, "amount", what);
            } else if trade_no.as_str() != trade.trade_no {
                wrong(found, "trade_no", format!("{number}: {trade_no}, {}", trade.trade_no));
            }
        }
        _ if trade.is_paid && is_told_by_the_bill_alone(trade, attempt) => {}
        state if trade.is_paid && gone(trade) < trade.amount => {
            let what = format!("{number} is paid, the attempt is {}", state.status());
            wrong(found, "paid there alone", what);
        }
        state => {
            let waits = ["NOTPAY", "USERPAYING", "WAIT_BUYER_PAY", "CHECKING"];
            let is_open = waits.contains(&trade.state.as_str());
            if is_open && !is_past_the_last_look(trade, (loaded, attempt)) {
                let what = format!("{number} is {}, the attempt {}", trade.state, state.status());
                wrong(found, "open at the provider", what);
            }
        }
    }
}

/// Nobody looks any more a minute after the end of a charge (decision 0025). An order that is
/// placed later still, by a process that dies before it tells, stays open and was shown to nobody.
fn is_past_the_last_look(trade: &SeenTrade, (loaded, attempt): (&Loaded, &Attempt)) -> bool {
    let last_look = loaded.charge.expires_at + Span::from_seconds(60);
    let is_hidden = attempt.state.status() == "closed" && attempt.action.is_none();
    is_hidden && trade.placed_at.is_some_and(|at| at >= last_look)
}

/// The address of Alipay's old gateway can be opened after its charge has ended. If then all
/// notifications get lost too, or name another app, nobody looks for the payment but whoever reads
/// the day's bill: tongbao compares no bill with its charges, and the old gateway has none.
/// Where the merchant has another account at Alipay, `bills` sees to it that the bill names it.
fn is_told_by_the_bill_alone(trade: &SeenTrade, attempt: &Attempt) -> bool {
    const NO_GOOD_NOTICE: [i64; 2] = [77_701, 77_708];
    let has_no_notice = NO_GOOD_NOTICE.contains(&(trade.amount % 100_000));
    attempt.channel == Channel::AlipayLegacyPage && has_no_notice
}

fn refunds(trade: &SeenTrade, (loaded, attempt): (&Loaded, &Attempt), found: &mut Found) {
    let of_it = |refund: &&Refund| refund.attempt == attempt.id;
    for there in &trade.refunds {
        // What a provider takes back by itself bears the order's own number.
        if there.out_refund_no == trade.out_trade_no {
            continue;
        }
        let number = |refund: &&Refund| refund.out_refund_no.as_str() == there.out_refund_no;
        let here = loaded.refunds.iter().filter(of_it).find(number);
        let words = (there.state.as_str(), here.map(|refund| refund.state.status()));
        let agrees = match words {
            ("success", Some(word)) => word == "succeeded",
            // Alipay has one word for what is closed and what is stuck.
            ("closed", Some("pending")) => trade.provider == Provider::Alipay,
            ("closed", Some(word)) => word == "closed",
            (_, Some(word)) => word == "pending",
            (_, None) => false,
        };
        let same = here.is_some_and(|refund| refund.amount.fen().0 == there.amount);
        if !agrees || !same {
            let what = format!("{}: {words:?}, {} fen there", there.out_refund_no, there.amount);
            wrong(found, "refund", what);
        }
    }
    for here in loaded.refunds.iter().filter(of_it) {
        let number = here.out_refund_no.as_str();
        let there = trade.refunds.iter().find(|refund| refund.out_refund_no == number);
        let state = here.state.status();
        if there.is_none() && state == "succeeded" {
            wrong(found, "refund", format!("{number} is {state} here and unknown there"));
        }
        // A refund that must wait says why; the event of it is another checker's.
        if state == "pending" && here.failure().is_none() {
            wrong(found, "refund", format!("{number} never ends"));
        }
    }
    if gone(trade) > trade.amount {
        wrong(found, "refunded too much", trade.out_trade_no.clone());
    }
}

/// Of all payments of a charge only the one that counts is kept.
fn kept(end: &End<'_>, (loaded, attempt): (&Loaded, &Attempt), found: &mut Found) {
    let number = attempt.out_trade_no.as_str();
    let is_it = |trade: &&SeenTrade| {
        trade.out_trade_no == number && trade.provider == attempt.channel.provider()
    };
    let trade = end.trades.iter().find(is_it);
    let AttemptState::Succeeded { .. } = attempt.state else { return };
    let Some(trade) = trade else {
        return wrong(found, "paid here alone", format!("{number} is unknown there"));
    };
    let counts = match &loaded.charge.state {
        ChargeState::Succeeded(payment) => payment.attempt == attempt.id,
        _ => false,
    };
    let of_it = |refund: &&Refund| refund.attempt == attempt.id;
    let is_stuck = loaded.refunds.iter().filter(of_it).any(|refund| refund.failure().is_some());
    if !counts && gone(trade) < trade.amount && !is_stuck {
        let state = loaded.charge.state.status();
        let what = format!("{number} is kept beside a charge that is {state}");
        wrong(found, "kept money", what);
    }
}

/// What the charge says of its payment and its refunds.
fn counted(loaded: &Loaded, found: &mut Found) {
    let charge = &loaded.charge;
    let ChargeState::Succeeded(payment) = &charge.state else { return };
    let of_it = loaded.refunds.iter().filter(|refund| refund.attempt == payment.attempt);
    let back = of_it.filter(|refund| refund.state.status() == "succeeded");
    let sum: i64 = back.map(|refund| refund.amount.fen().0).sum();
    if sum != charge.amount_refunded.0 {
        let what =
            format!("{} counts {} fen, {sum} went back", charge.id, charge.amount_refunded.0);
        wrong(found, "amount_refunded", what);
    }
    let paid = loaded.attempts.iter().find(|attempt| attempt.id == payment.attempt);
    let same = paid.is_some_and(|attempt| {
        matches!(&attempt.state, AttemptState::Succeeded { amount, trade_no, .. }
            if *amount == payment.amount && *trade_no == payment.trade_no)
    });
    if !same {
        wrong(found, "payment", format!("{} is paid by an attempt that is not", charge.id));
    }
    let noted = payment.remark.is_some() || payment.amount == charge.amount.fen();
    if !noted {
        wrong(found, "amount", format!("{} is paid with another amount", charge.id));
    }
}

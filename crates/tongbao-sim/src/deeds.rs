//! Carrying out what a plan says: the requests of merchants, what payers do, what strangers send.

use crate::hooks::scope;
use crate::life::Life;
use crate::notices;
use crate::older;
use crate::plan::Deed;
use crate::providers::{Merchant, code};
use crate::replies::{About, Told};
use crate::trace::say;
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_core::{Loaded, Payer, RefundDraft};
use tongbao_engine::{
    ChargeFilter, ChargeView, Error, Expires, IdempotentRequest, NewAttempt, NewCharge, NewRefund,
    Page, Store,
};
use tongbao_types::{Amount, Channel, ChargeId, Fen, OrderNo, Provider, RefundNo};

/// What a face makes of an outcome; the statuses do not matter here.
fn render(outcome: Result<&str, &Error>) -> (u16, String) {
    let error = match outcome {
        Ok(json) => return (201, json.to_owned()),
        Err(error) => error,
    };
    let body = json!({"error": error.code.as_str(), "message": error.message,
        "charge": error.charge.map(|id| id.to_string()),
        "refund": error.refund.map(|id| id.to_string()),
        "money_moved": error.money_moved.as_str()});
    (400, body.to_string())
}

/// Does the `nth` deed of the plan.
pub(crate) async fn perform(life: &Arc<Life>, nth: usize, deed: &Deed) {
    say!(life.trace, "deed   {nth} {deed:?}");
    match deed {
        Deed::Skew { .. } | Deed::Kill { .. } => life.upset(deed),
        Deed::Pay { merchant, order, attempt, outcome } => {
            pay(life, (*merchant, *order, *attempt), outcome).await;
        }
        Deed::PayOlder { merchant, profile, nth } => {
            older::pay(life, *merchant, *profile, *nth).await;
        }
        Deed::Older { merchant, profile, order, fen } => {
            let Some(process) = life.process("deed", nth as u64) else { return };
            older::order(life, &process, (*merchant, *profile), (*order, *fen)).await;
        }
        Deed::Forge { merchant, order, attempt } => {
            forge(life, nth, (*merchant, *order, *attempt)).await;
        }
        _ => {
            let Some(process) = life.process("deed", nth as u64) else {
                say!(life.trace, "reply  {nth}: no gateway is there");
                return;
            };
            let asked = ask(life, &process.engine, (nth, deed));
            match process.survive(asked).await.flatten() {
                None => say!(life.trace, "reply  {nth}: none"),
                Some(told) => {
                    say!(life.trace, "reply  {nth}: {} {}", told.status, short(&told.body));
                    life.replies.add(told);
                }
            }
        }
    }
}

fn short(body: &Value) -> String {
    let member = |name: &str| body[name].as_str().unwrap_or("-").to_owned();
    format!("{} {} {}", member("id"), member("status"), member("error"))
}

async fn ask(
    life: &Arc<Life>,
    engine: &tongbao_engine::Engine,
    (nth, deed): (usize, &Deed),
) -> Option<Told> {
    let (merchant, order) = whose(deed)?;
    let scope = scope(merchant);
    let known = charge(life, merchant, order).await.map(|loaded| loaded.charge.id);
    let (about, key, reply) = match deed {
        Deed::Create { key, fen, .. } => {
            let request = key.map(|key| idempotent(merchant, key, deed));
            let reply = engine.create_charge(&scope, new_charge(deed)?, request, render).await;
            (About::Charge { fen: Some(*fen) }, *key, (reply.status, reply.body))
        }
        Deed::Attempt { channel, key, .. } => {
            let new = NewAttempt {
                charge: known?,
                channel: *channel,
                account: None,
                payer: payer(*channel, nth),
                client_ip: Some(CLIENT_IP.to_owned()),
            };
            let request = key.map(|key| idempotent(merchant, key, deed));
            let reply = engine.add_attempt(&scope, new, request, render).await;
            (About::Charge { fen: None }, *key, (reply.status, reply.body))
        }
        Deed::Refund { fen, number, key, .. } => {
            let amount = fen.and_then(|fen| Amount::new(Fen(fen)).ok());
            let refund_no = RefundNo::new(format!("R{number:04}")).ok();
            let draft = RefundDraft { refund_no, amount, ..RefundDraft::default() };
            let new = NewRefund { charge: known?, draft };
            let request = key.map(|key| idempotent(merchant, key, deed));
            let reply = engine.create_refund(&scope, new, request, render).await;
            (About::Refund { fen: *fen }, *key, (reply.status, reply.body))
        }
        Deed::Close { .. } => {
            let reply = rendered(engine.close_charge(&scope, known?).await);
            (About::Charge { fen: None }, None, reply)
        }
        Deed::Sync { .. } => {
            let reply = rendered(engine.sync_charge(&scope, known?).await);
            (About::Charge { fen: None }, None, reply)
        }
        _ => return None,
    };
    let (status, body) = reply;
    let body = serde_json::from_str(&body).unwrap_or_default();
    Some(Told { nth, merchant, about, key, status, body })
}

fn whose(deed: &Deed) -> Option<(Merchant, u32)> {
    match deed {
        Deed::Create { merchant, order, .. }
        | Deed::Attempt { merchant, order, .. }
        | Deed::Refund { merchant, order, .. }
        | Deed::Close { merchant, order }
        | Deed::Sync { merchant, order } => Some((*merchant, *order)),
        _ => None,
    }
}

fn rendered(outcome: Result<ChargeView, Error>) -> (u16, String) {
    match outcome {
        Ok(view) => (200, serde_json::to_string(&view).unwrap_or_default()),
        Err(error) => render(Err(&error)),
    }
}

fn idempotent(merchant: Merchant, key: u32, deed: &Deed) -> IdempotentRequest {
    let body = format!("{deed:?}");
    let key = format!("{}-{key}", merchant.as_str());
    IdempotentRequest::new(key, "POST", "/v1", body.as_bytes())
}

const CLIENT_IP: &str = "203.0.113.7";

fn order_no(order: u32) -> OrderNo {
    OrderNo::new(format!("ORDER{order:04}")).expect("letters and digits are an order number")
}

fn new_charge(deed: &Deed) -> Option<NewCharge> {
    let Deed::Create { merchant, order, channel, account, fen, expires, .. } = deed else {
        return None;
    };
    Some(NewCharge {
        order_no: Some(order_no(*order)),
        amount: Amount::new(Fen(*fen)).ok()?,
        subject: "Tea 茶".to_owned(),
        body: None,
        attach: Some("table 7".to_owned()),
        return_url: None,
        client_ip: Some(CLIENT_IP.to_owned()),
        payer: channel.and_then(|channel| payer(channel, *order as usize)),
        metadata: Vec::new(),
        profile: None,
        channel: *channel,
        account: account.map(|kind| kind.name(*merchant)),
        expires: expires.map(Expires::In),
    })
}

/// Who pays, where the channel wants to know.
fn payer(channel: Channel, nth: usize) -> Option<Payer> {
    let none = Payer::default();
    let (openid, buyer) = ("oPayerOfTheSimulation0000001", "2088000000000017");
    match channel {
        Channel::WechatJsapi | Channel::WechatMini => {
            Some(Payer { openid: Some(openid.to_owned()), ..none })
        }
        Channel::AlipayJsapi => Some(Payer { buyer_id: Some(buyer.to_owned()), ..none }),
        Channel::WechatMicropay => {
            Some(Payer { auth_code: Some(format!("13{:016}", nth + 1)), ..none })
        }
        Channel::AlipayBarcode => {
            Some(Payer { auth_code: Some(format!("28{:016}", nth + 1)), ..none })
        }
        _ => None,
    }
}

/// The charge of a number, past all faults: what payers see on the merchant's own page.
async fn charge(life: &Life, merchant: Merchant, order: u32) -> Option<Loaded> {
    let filter = ChargeFilter { order_no: Some(order_no(order)), ..ChargeFilter::default() };
    let page: Page<ChargeId> = Page { limit: 1, starting_after: None, ending_before: None };
    let found = life.memory.charges(&scope(merchant), &filter, page).await;
    found.ok()?.into_iter().next()
}

/// A payer uses the code that is shown; without one there is nothing to do.
async fn pay(life: &Life, (merchant, order, attempt): (Merchant, u32, usize), outcome: &str) {
    let Some(loaded) = charge(life, merchant, order).await else { return };
    let shown: Vec<_> = loaded.attempts.iter().filter_map(|one| one.action.as_ref()).collect();
    let Some(action) = shown.get(attempt % shown.len().max(1)) else { return };
    let what = json!({"code": code(action), "outcome": outcome});
    let (status, said) = life.desks[&merchant].pay(&what).await;
    let (number, word) = (&said["out_trade_no"], &said["code"]);
    say!(life.trace, "payer  {status} {number} {word}");
}

async fn forge(life: &Arc<Life>, nth: usize, (merchant, order, attempt): (Merchant, u32, usize)) {
    let Some(loaded) = charge(life, merchant, order).await else { return };
    let Some(one) = loaded.attempts.get(attempt % loaded.attempts.len().max(1)) else { return };
    let (provider, number): (Provider, _) = (one.channel.provider(), one.out_trade_no.as_str());
    let made = life.desks[&merchant].forge(provider, number, one.action.as_ref()).await;
    let Some(due) = made else { return };
    let place = (merchant, u32::try_from(nth).unwrap_or(0), 7);
    let request = due.request.clone();
    say!(life.trace, "forger tells that {number} is paid");
    life.faults.coverage().count(format_args!("a forged notice"));
    notices::hand_in(life, place, &due, request).await;
}

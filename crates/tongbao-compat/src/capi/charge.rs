//! A Charge as this profile shows it, and the part of it that a notification tells too.
//!
//! Times are Beijing's, without a zone: `2017-10-14T10:51:34.233` in a Charge,
//! `2017-10-11 12:10` in what goes to `notify_url`.

use super::request::note;
use crate::orders::Object;
use serde_json::{Map, Value, json};
use tongbao_core::{ChargeState, Loaded, ProviderReply, ReplyKind};
use tongbao_engine::ChargeView;
use tongbao_types::{OutTradeNo, Span, Timestamp};

/// What a Charge and its notifications have in common.
pub(super) struct Told {
    number: String,
    subject: String,
    body: Option<String>,
    amount: i64,
    livemode: bool,
    status: &'static str,
    paid_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    trade_no: Option<String>,
    data: Object,
}

impl Told {
    fn of_view(view: &ChargeView, replies: &[ProviderReply]) -> Told {
        let paid = view.attempts.iter().find(|attempt| attempt.status == "succeeded");
        let payment = view.provider_trade_no.as_deref().zip(paid);
        Told {
            number: view.order_no.clone(),
            subject: view.subject.clone(),
            body: view.body.clone(),
            amount: view.amount,
            livemode: view.livemode,
            status: view.status,
            paid_at: view.paid_at.as_deref().and_then(|text| text.parse().ok()),
            created_at: view.created_at.parse().ok(),
            trade_no: view.metadata.get("trade_no").cloned(),
            data: data(payment.map(|(no, order)| (no, order.out_trade_no.as_str())), replies),
        }
    }

    /// As the charge stands, with what its provider said.
    pub(super) fn of_loaded(loaded: &Loaded, replies: &[ProviderReply]) -> Told {
        let charge = &loaded.charge;
        let payment = match &charge.state {
            ChargeState::Succeeded(payment) => Some(payment),
            _ => None,
        };
        let order = payment.and_then(|payment| loaded.attempt(payment.attempt));
        let order = order.map(|order| &order.out_trade_no).map(OutTradeNo::as_str);
        let trade_no = payment.map(|payment| payment.trade_no.as_str());
        Told {
            number: charge.order_no.to_string(),
            subject: charge.subject.clone(),
            body: charge.body.clone(),
            amount: charge.amount.fen().0,
            livemode: charge.scope.mode.is_live(),
            status: charge.state.status(),
            paid_at: payment.map(|payment| payment.paid_at),
            created_at: Some(charge.created_at),
            trade_no: note(&charge.metadata, "trade_no").map(str::to_owned),
            data: data(trade_no.zip(order), replies),
        }
    }

    /// The JSON, with times in this form.
    pub(super) fn object(self, time: fn(Timestamp) -> String) -> Object {
        let members = [
            ("id", number(&self.number)),
            ("subject", self.subject.into()),
            ("body", self.body.into()),
            ("amount", self.amount.into()),
            ("livemode", self.livemode.into()),
            ("status", self.status.into()),
            ("paid", self.paid_at.is_some().into()),
            ("paid_time", self.paid_at.map(time).into()),
            ("created", self.created_at.map(time).into()),
            ("trade_no", self.trade_no.into()),
            ("data", self.data.into()),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A Charge.
pub(super) fn object(view: &ChargeView, replies: &[ProviderReply], public_url: &str) -> Object {
    let mut charge = Told::of_view(view, replies).object(moment);
    let note = |name: &str| view.metadata.get(name).map(String::as_str);
    let secret = view.client_secret.as_deref().unwrap_or_default();
    let watch = format!("{public_url}/v1/charges/{}/watch?client_secret={secret}", view.id);
    let more = json!({
        "channel": note("channel"),
        "source": note("source"),
        "papp": note("papp").map(number),
        "return_url": view.return_url,
        "notify_url": note("notify_url"),
        "amount_refunded": view.amount_refunded,
        "watch_url": watch,
        "cashier_url": view.cashier_url,
    });
    if let Value::Object(more) = more {
        charge.extend(more);
    }
    charge
}

/// `2017-10-14T10:51:34.233`.
pub(super) fn moment(at: Timestamp) -> String {
    (at + BEIJING).jiff().strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// `2017-10-11 12:10`.
pub(super) fn minute(at: Timestamp) -> String {
    (at + BEIJING).jiff().strftime("%Y-%m-%d %H:%M").to_string()
}

const BEIJING: Span = Span::from_seconds(8 * 3600);

/// Digits become a number, as callers know it.
fn number(text: &str) -> Value {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => number.into(),
        _ => text.into(),
    }
}

/// What is known of the payment with this trade number, for the order with that number: as Alipay
/// names it, and empty where it said nothing.
fn data(payment: Option<(&str, &str)>, replies: &[ProviderReply]) -> Object {
    let Some((trade_no, order)) = payment else { return Map::new() };
    let said = |kind: ReplyKind| words(replies, kind, order);
    let (notice, query) = (said(ReplyKind::Notice), said(ReplyKind::Query));
    let text = |names: &[&str]| {
        let of = |words: &Object| {
            names.iter().find_map(|name| words.get(*name)?.as_str().map(str::to_owned))
        };
        notice.as_ref().and_then(of).or_else(|| query.as_ref().and_then(of)).unwrap_or_default()
    };
    let members = [
        ("trade_no", trade_no.to_owned()),
        // The current gateway calls it by another name.
        ("buyer_email", text(&["buyer_email", "buyer_logon_id"])),
        ("seller_id", text(&["seller_id"])),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// What the provider said about this order; a charge may have had several.
fn words(replies: &[ProviderReply], kind: ReplyKind, order: &str) -> Option<Object> {
    let reply = replies.iter().find(|reply| reply.kind == kind)?;
    let words: Object = serde_json::from_str(&reply.body).ok()?;
    (words.get("out_trade_no")?.as_str()? == order).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::{ChargeId, Mint};

    fn reply(kind: ReplyKind, body: &str) -> ProviderReply {
        let charge: ChargeId = Mint::new(Timestamp::from_seconds(1), [1; 10]).id();
        ProviderReply { charge, kind, body: body.to_owned(), at: Timestamp::from_seconds(2) }
    }

    fn check(replies: &[ProviderReply], buyer: &str, seller: &str) {
        let found = Value::from(data(Some(("2017", "n-1")), replies));
        let wanted = json!({"trade_no": "2017", "buyer_email": buyer, "seller_id": seller});
        assert_eq!(found, wanted);
    }

    #[test]
    fn times_are_written_as_the_older_service_wrote_them() {
        let at: Timestamp = "2017-10-14T02:51:35.816999Z".parse().unwrap();
        assert_eq!(moment(at), "2017-10-14T10:51:35.816");
        assert_eq!(minute(at), "2017-10-14 10:51");
        let whole: Timestamp = "2017-12-31T16:00:00Z".parse().unwrap();
        assert_eq!(moment(whole), "2018-01-01T00:00:00.000");
    }

    #[test]
    fn the_payers_login_comes_from_whichever_gateway_told_it() {
        let legacy = r#"{"out_trade_no": "n-1", "buyer_email": "a@b.c", "seller_id": "2088"}"#;
        check(&[reply(ReplyKind::Notice, legacy)], "a@b.c", "2088");
        let current = r#"{"out_trade_no": "n-1", "buyer_logon_id": "a***", "seller_id": "2088"}"#;
        check(&[reply(ReplyKind::Notice, current)], "a***", "2088");
        let asked = r#"{"out_trade_no": "n-1", "buyer_logon_id": "b***"}"#;
        check(&[reply(ReplyKind::Query, asked)], "b***", "");
        check(&[], "", "");
        assert!(data(None, &[reply(ReplyKind::Notice, legacy)]).is_empty());
    }

    #[test]
    fn what_was_said_of_another_order_of_the_charge_is_not_told() {
        let other = r#"{"out_trade_no": "n-2", "buyer_email": "x@y.z", "seller_id": "2099"}"#;
        check(&[reply(ReplyKind::Notice, other)], "", "");
        let broken = [reply(ReplyKind::Notice, "[]"), reply(ReplyKind::Query, "no JSON")];
        check(&broken, "", "");
    }

    #[test]
    fn digits_are_shown_as_a_number() {
        assert_eq!(number("101"), json!(101));
        assert_eq!(number("007"), json!("007"));
        assert_eq!(number("app"), json!("app"));
    }
}

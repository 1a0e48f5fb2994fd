//! `pay_notify`: WeChat tells of a payment; and `cbNotifyUrl`, where the merchant is told of it.
//!
//! The older service passed on whatever came. Here a notification is verified with the key of the
//! account that the order belongs to, committed, and only then answered. The merchant is told by a
//! JSON POST of the notification's fields, or of the same fields of a query where no notification
//! came, until it answers 2xx.

use super::WepayMerchant;
use crate::{ProfileSetup, Service};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Map, Value, json};
use tongbao_core::{
    Attempt, Callback, Charge, ChargeState, Loaded, Payment, ProviderReply, ReplyKind,
};
use tongbao_engine::CallbackRequest;
use tongbao_types::{AccountName, Provider, Span, Timestamp};

/// The signature is WeChat's key; nobody else needs one here.
pub(super) async fn pay_notify(State(service): State<Service>, request: Request) -> Response {
    let merchants = service.setup.merchants.iter();
    let accounts: Vec<AccountName> = merchants.map(|one| one.account.clone()).collect();
    let taken = service.take_notice_of(Provider::Wechat, &accounts, request).await;
    taken.unwrap_or_else(|_| StatusCode::BAD_REQUEST.into_response())
}

/// A paid charge is told if there is anybody to tell.
pub(crate) fn callbacks(setup: &ProfileSetup, charge: &Charge) -> Vec<Callback> {
    let of_mode = |one: &&WepayMerchant| one.mode == charge.scope.mode;
    let mut merchants = setup.merchants.iter().filter(of_mode);
    let is_told = setup.cb_notify_url.is_some() || merchants.any(|one| one.cb_notify_url.is_some());
    is_told.then_some(Callback::WepayNotify).into_iter().collect()
}

/// What the merchant is told, and where.
pub(crate) fn notification(
    setup: &ProfileSetup,
    loaded: &Loaded,
    replies: &[ProviderReply],
) -> Result<CallbackRequest, String> {
    let ChargeState::Succeeded(payment) = &loaded.charge.state else {
        return Err("the charge is not paid".to_owned());
    };
    let paid = loaded.attempt(payment.attempt).ok_or("the payment's order is not there")?;
    let merchant = merchant_of(setup, loaded, paid);
    let own = merchant.and_then(|merchant| merchant.cb_notify_url.as_ref());
    let url = own.or(setup.cb_notify_url.as_ref());
    let url = url.ok_or("the merchant of this order has no cbNotifyUrl any more")?.clone();
    let mut fields = words(paid, payment, replies)
        .unwrap_or_else(|| kept(merchant, &loaded.charge, payment, paid));
    // What the merchant calls it, also where WeChat knows it by another number.
    fields.insert("out_trade_no".to_owned(), json!(loaded.charge.order_no.as_str()));
    Ok(CallbackRequest { url, body: Value::Object(fields).to_string() })
}

/// The merchant that was paid; if it was paid elsewhere, the one that the charge was made for.
fn merchant_of<'a>(
    setup: &'a ProfileSetup,
    loaded: &Loaded,
    paid: &Attempt,
) -> Option<&'a WepayMerchant> {
    let named = |attempt: &Attempt| {
        setup.merchants.iter().find(|merchant| merchant.account == attempt.account)
    };
    named(paid).or_else(|| loaded.attempts.iter().find_map(named))
}

/// What WeChat said about this very payment. A notification of another amount was not believed, so
/// nobody is told its words.
fn words(
    paid: &Attempt,
    payment: &Payment,
    replies: &[ProviderReply],
) -> Option<Map<String, Value>> {
    let about_it = |fields: &Map<String, Value>| {
        let is = |name: &str, text: &str| fields.get(name).is_some_and(|value| value == text);
        is("out_trade_no", paid.out_trade_no.as_str())
            && is("transaction_id", payment.trade_no.as_str())
            && is("total_fee", &payment.amount.0.to_string())
    };
    [ReplyKind::Notice, ReplyKind::Query].into_iter().find_map(|kind| {
        let reply = replies.iter().find(|reply| reply.kind == kind)?;
        serde_json::from_str(&reply.body).ok().filter(about_it)
    })
}

/// The same fields from what is kept, where WeChat's words are about another order by now.
fn kept(
    merchant: Option<&WepayMerchant>,
    charge: &Charge,
    payment: &Payment,
    paid: &Attempt,
) -> Map<String, Value> {
    let payer = payment.payer.as_ref().or(paid.payer.as_ref());
    let fields = [
        ("return_code", Some("SUCCESS".to_owned())),
        ("result_code", Some("SUCCESS".to_owned())),
        ("appid", merchant.map(|merchant| merchant.app_id.clone())),
        ("mch_id", merchant.map(|merchant| merchant.mch_id.clone())),
        ("openid", payer.and_then(|payer| payer.openid.clone())),
        ("transaction_id", Some(payment.trade_no.to_string())),
        ("total_fee", Some(payment.amount.0.to_string())),
        ("fee_type", Some("CNY".to_owned())),
        ("attach", charge.attach.clone()),
        ("time_end", Some(china_time(payment.paid_at))),
    ];
    let known = fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    known.map(|(name, text)| (name, json!(text))).collect()
}

/// As WeChat writes it, `20091227091010` in China.
fn china_time(moment: Timestamp) -> String {
    let there = (moment + Span::from_seconds(8 * 3600)).to_string();
    there.chars().filter(char::is_ascii_digit).take(14).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_core::AttemptState;
    use tongbao_types::{Channel, Fen, Mint, OutTradeNo, TradeNo};

    #[test]
    fn words_that_were_not_believed_are_told_to_nobody() {
        let number = OutTradeNo::new("order-0001").unwrap();
        let mut mint = Mint::new(Timestamp::from_seconds(1), [1; 10]);
        let (id, charge, at) = (mint.id(), mint.id(), mint.now());
        let trade_no = TradeNo::new("4200000263").unwrap();
        let paid = Attempt {
            id,
            charge,
            channel: Channel::WechatJsapi,
            account: AccountName::new("shop").unwrap(),
            out_trade_no: number,
            state: AttemptState::Awaiting,
            payer: None,
            action: None,
            created_at: at,
        };
        let (amount, payer, remark) = (Fen(1200), None, None);
        let payment = Payment { attempt: id, amount, trade_no, paid_at: at, payer, remark };
        let reply = |kind: ReplyKind, fee: &str| {
            let body = json!({"out_trade_no": "order-0001", "transaction_id": "4200000263",
                "total_fee": fee});
            ProviderReply { charge, kind, body: body.to_string(), at }
        };
        let told = |replies: &[ProviderReply]| {
            words(&paid, &payment, replies).map(|fields| fields["total_fee"].clone())
        };
        let (wrong, right) = (reply(ReplyKind::Notice, "1199"), reply(ReplyKind::Query, "1200"));
        assert_eq!(told(&[reply(ReplyKind::Notice, "1200")]), Some(json!("1200")));
        assert_eq!(told(std::slice::from_ref(&wrong)), None);
        assert_eq!(told(&[wrong, right]), Some(json!("1200")));
    }

    #[test]
    fn a_moment_is_written_as_wechat_writes_it() {
        let moment = Timestamp::from_micros(1_542_729_599_123_456);
        assert_eq!(moment.to_string(), "2018-11-20T15:59:59.123456Z");
        assert_eq!(china_time(moment), "20181120235959");
    }
}

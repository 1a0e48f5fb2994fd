//! Refund (微信支付 API v3, 申请退款).
//!
//! 200 means that the refund was accepted, not that the money is back: usually it is PROCESSING.
//! After an unknown outcome the same number is sent again, never another: a new number is a second
//! refund. RESOURCE_NOT_EXISTS is said of unpaid and unknown orders, but also for some minutes
//! after a payment ([`crate::RefundRefusal::Again`]).

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, post, read_json};
use super::party::same;
use crate::account::V3Credentials;
use crate::china::rfc3339_time;
use crate::error::{Answer, FieldError, Mismatch, ReplyError};
use crate::refund::{Refund, RefundState};
use crate::rules::{Kind, Rule, may, must};
use crate::trade::TradeKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tongbao_types::{Fen, HttpRequest, HttpResponse, Timestamp};

/// Where refunds are sent; a query adds the number.
pub const REFUND_PATH: &str = "/v3/refund/domestic/refunds";

/// Money back, all or a part.
#[derive(Debug, Clone, PartialEq)]
pub struct RefundOrder {
    /// Which trade.
    pub key: TradeKey,
    /// The merchant's number of the refund, 1 to 64 bytes. One number refunds once.
    pub out_refund_no: String,
    /// What the payer reads, at most 80 bytes.
    pub reason: Option<String>,
    /// Where the notification goes, in place of the one set on the merchant platform: http(s), at
    /// most 256 bytes, no query.
    pub notify_url: Option<String>,
    /// `AVAILABLE`: out of the balance at hand, for old merchants.
    pub funds_account: Option<String>,
    /// What goes back, at least 1 fen and at most the order's amount.
    pub refund: Fen,
    /// The order's amount.
    pub total: Fen,
    /// Out of which of the merchant's accounts how much comes, as WeChat writes it.
    pub from: Option<Vec<Value>>,
    /// The goods, as WeChat writes them.
    pub goods_detail: Option<Vec<Value>>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub_mchid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    out_trade_no: Option<String>,
    out_refund_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notify_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    funds_account: Option<String>,
    amount: AmountBody,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goods_detail: Option<Vec<Value>>,
}

#[derive(Serialize, Deserialize)]
struct AmountBody {
    refund: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Vec<Value>>,
    total: i64,
    currency: String,
}

const FROM: &[Rule] = &[
    must("account", "出资账户类型", Kind::Word(&["AVAILABLE", "UNAVAILABLE"])),
    must("amount", "出资金额", Kind::Integer(1)),
];
const AMOUNT: &[Rule] = &[
    must("refund", "退款金额", Kind::Integer(1)),
    may("from", "退款出资账户及金额", Kind::Objects(FROM)),
    must("total", "原订单金额", Kind::Integer(1)),
    must("currency", "退款币种", Kind::Word(&["CNY"])),
];
const GOODS: &[Rule] = &[
    must("merchant_goods_id", "商户侧商品编码", Kind::Text(1, 32)),
    may("wechatpay_goods_id", "微信支付商品编码", Kind::Text(1, 32)),
    may("goods_name", "商品名称", Kind::Text(1, 256)),
    must("unit_price", "商品单价", Kind::Integer(0)),
    must("refund_amount", "商品退款金额", Kind::Integer(0)),
    must("refund_quantity", "商品退货数量", Kind::Integer(1)),
];
const RULES: &[Rule] = &[
    may("sub_mchid", "子商户号", Kind::Text(1, 32)),
    may("transaction_id", "微信支付订单号", Kind::Text(1, 32)),
    may("out_trade_no", "商户订单号", Kind::OutTradeNo),
    must("out_refund_no", "商户退款单号", Kind::OutRefundNo),
    may("reason", "退款原因", Kind::Text(0, 80)),
    may("notify_url", "退款结果回调url", Kind::NotifyUrl(256)),
    may("funds_account", "退款资金来源", Kind::Word(&["AVAILABLE", "UNSETTLED"])),
    must("amount", "金额信息", Kind::Object(AMOUNT)),
    may("goods_detail", "退款商品", Kind::Objects(GOODS)),
];

impl RefundOrder {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let (transaction_id, out_trade_no) = match self.key.clone() {
            TradeKey::TransactionId(number) => (Some(number), None),
            TradeKey::OutTradeNo(number) => (None, Some(number)),
        };
        let body = Body {
            sub_mchid: credentials.merchant().sub_mch_id.clone(),
            transaction_id,
            out_trade_no,
            out_refund_no: self.out_refund_no.clone(),
            reason: self.reason.clone(),
            notify_url: self.notify_url.clone(),
            funds_account: self.funds_account.clone(),
            amount: AmountBody {
                refund: self.refund.0,
                from: self.from.clone(),
                total: self.total.0,
                currency: "CNY".to_owned(),
            },
            goods_detail: self.goods_detail.clone(),
        };
        post(REFUND_PATH.to_owned(), &body, credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well. A service provider's names
    /// the sub-merchant (`opened.merchant`).
    pub fn decode(opened: &Opened) -> Result<RefundOrder, Refusal> {
        let body: Body = opened.body(RULES)?;
        let key = match (body.transaction_id, body.out_trade_no) {
            (Some(number), _) => TradeKey::TransactionId(number),
            (None, Some(number)) => TradeKey::OutTradeNo(number),
            (None, None) => return Err(Refusal::missing("/body/transaction_id")),
        };
        Ok(RefundOrder {
            key,
            out_refund_no: body.out_refund_no,
            reason: body.reason,
            notify_url: body.notify_url,
            funds_account: body.funds_account,
            refund: Fen(body.amount.refund),
            total: Fen(body.amount.total),
            from: body.amount.from,
            goods_detail: body.goods_detail,
        })
    }

    /// The provider's reply, the same refund again for the same number. There are no coupons here,
    /// so cash is all there is.
    pub fn encode_reply(refund: &Refund, replier: &Replier<'_>) -> HttpResponse {
        replier.json(&RefundBody::of(refund))
    }

    /// The merchant reads the reply. It must be about this trade, number and amount.
    pub fn decode_reply(&self, received: &Received<'_>) -> Result<Answer<Refund>, ReplyError> {
        received.verified()?.then(|body| {
            let refund = read_json::<RefundBody>(body)?.refund()?;
            same("out_refund_no", &self.out_refund_no, Some(&refund.out_refund_no))?;
            match &self.key {
                TradeKey::TransactionId(number) => {
                    same("transaction_id", number, Some(&refund.transaction_id))?;
                }
                TradeKey::OutTradeNo(number) => {
                    same("out_trade_no", number, Some(&refund.out_trade_no))?;
                }
            }
            same_fen("amount.refund", self.refund, refund.refund_fen)?;
            same_fen("amount.total", self.total, refund.total_fen)?;
            Ok(refund)
        })
    }
}

fn same_fen(field: &'static str, wanted: Fen, found: Fen) -> Result<(), Mismatch> {
    same(field, &wanted.0.to_string(), Some(&found.0.to_string()))
}

/// A refund in JSON. Fields are in the order of their names, as in all of production's replies.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RefundBody {
    amount: RefundAmount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    funds_account: Option<String>,
    out_refund_no: String,
    out_trade_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promotion_detail: Option<Vec<Value>>,
    refund_id: String,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    transaction_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_received_account: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RefundAmount {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount_refund: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_refund: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_total: Option<i64>,
    refund: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settlement_refund: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settlement_total: Option<i64>,
    total: i64,
}

impl RefundBody {
    pub(super) fn of(refund: &Refund) -> RefundBody {
        let (back, total) = (refund.refund_fen.0, refund.total_fen.0);
        RefundBody {
            amount: RefundAmount {
                currency: Some("CNY".to_owned()),
                discount_refund: Some(0),
                from: Some(Vec::new()),
                payer_refund: Some(back),
                payer_total: Some(total),
                refund: back,
                settlement_refund: Some(back),
                settlement_total: Some(total),
                total,
            },
            channel: refund.channel.clone(),
            create_time: refund.created_time.map(rfc3339_time),
            funds_account: Some("AVAILABLE".to_owned()),
            out_refund_no: refund.out_refund_no.clone(),
            out_trade_no: refund.out_trade_no.clone(),
            promotion_detail: Some(Vec::new()),
            refund_id: refund.refund_id.clone(),
            status: refund.state.as_v3_str().to_owned(),
            success_time: refund.success_time.map(rfc3339_time),
            transaction_id: refund.transaction_id.clone(),
            user_received_account: refund.user_received_account.clone(),
        }
    }

    /// The typed refund.
    pub(super) fn refund(self) -> Result<Refund, ReplyError> {
        if let Some(found) = self.amount.currency.as_deref().filter(|found| *found != "CNY") {
            let (wanted, found) = ("CNY".to_owned(), found.to_owned());
            return Err(Mismatch { field: "amount.currency", wanted, found }.into());
        }
        let (refund_fen, total_fen) = checked_amounts(self.amount.refund, self.amount.total)?;
        Ok(Refund {
            out_trade_no: self.out_trade_no,
            transaction_id: self.transaction_id,
            out_refund_no: self.out_refund_no,
            refund_id: named("refund_id", self.refund_id)?,
            refund_fen,
            total_fen,
            state: RefundState::read_v3(&self.status),
            success_time: time("success_time", self.success_time.as_deref())?,
            created_time: time("create_time", self.create_time.as_deref())?,
            user_received_account: self.user_received_account,
            channel: self.channel,
        })
    }
}

/// What goes back and the order's amount, if they can be such.
pub(super) fn checked_amounts(refund: i64, total: i64) -> Result<(Fen, Fen), FieldError> {
    if refund < 1 {
        return Err(FieldError { name: "amount.refund", problem: "is not positive" });
    }
    if refund > total {
        return Err(FieldError { name: "amount.refund", problem: "is more than the order's" });
    }
    Ok((Fen(refund), Fen(total)))
}

/// A number that must not be empty.
pub(super) fn named(name: &'static str, number: String) -> Result<String, FieldError> {
    if number.is_empty() { Err(FieldError { name, problem: "is empty" }) } else { Ok(number) }
}

/// A time that may be absent, or empty, which is the same.
pub(super) fn time(
    name: &'static str,
    text: Option<&str>,
) -> Result<Option<Timestamp>, FieldError> {
    let read = text.filter(|text| !text.is_empty()).map(str::parse).transpose();
    read.map_err(|_| FieldError { name, problem: "is not RFC 3339" })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
    use super::*;
    use crate::refusal::RefundRefusal;
    use serde_json::json;

    pub(in crate::v3) fn refund(state: RefundState) -> Refund {
        let at = |text: &str| text.parse().ok();
        let done = state == RefundState::Success;
        Refund {
            out_trade_no: "20180821665587".to_owned(),
            transaction_id: "4200000165201808217781847728".to_owned(),
            out_refund_no: "20180821665587-1@a|*".to_owned(),
            refund_id: "50000007632018082105880317434".to_owned(),
            refund_fen: Fen(40),
            total_fen: Fen(100),
            state,
            success_time: done.then(|| at("2026-11-21T14:30:05+08:00")).flatten(),
            created_time: at("2026-11-21T14:30:00+08:00"),
            user_received_account: Some("支付用户零钱".to_owned()),
            channel: Some("ORIGINAL".to_owned()),
        }
    }

    fn order() -> RefundOrder {
        let refund = refund(RefundState::Processing);
        RefundOrder {
            key: TradeKey::OutTradeNo(refund.out_trade_no),
            out_refund_no: refund.out_refund_no,
            reason: None,
            notify_url: None,
            funds_account: None,
            refund: Fen(40),
            total: Fen(100),
            from: None,
            goods_detail: None,
        }
    }

    fn whole() -> RefundOrder {
        RefundOrder {
            key: TradeKey::TransactionId("4200000165201808217781847728".to_owned()),
            reason: Some("商品已售完".to_owned()),
            notify_url: Some("https://pay.example.com/refund".to_owned()),
            funds_account: Some("AVAILABLE".to_owned()),
            from: Some(vec![json!({"account": "AVAILABLE", "amount": 40})]),
            goods_detail: Some(vec![json!({
                "merchant_goods_id": "1", "unit_price": 40, "refund_amount": 40,
                "refund_quantity": 1
            })]),
            ..order()
        }
    }

    #[test]
    fn a_refund_is_written_exactly_so() {
        let request = order().encode(&PAIR.credentials, stamp());
        assert_eq!(request.target, "/v3/refund/domestic/refunds");
        let wanted = r#"{"out_trade_no":"20180821665587","out_refund_no":"20180821665587-1@a|*","amount":{"refund":40,"total":100,"currency":"CNY"}}"#;
        assert_eq!(request.body, wanted);
        let request = order().encode(&PARTNER, stamp());
        assert!(request.body.starts_with(br#"{"sub_mchid":"1900000209","out_trade_no""#));
        let response = RefundOrder::encode_reply(&refund(RefundState::Processing), &replier());
        let wanted = r#"{"amount":{"currency":"CNY","discount_refund":0,"from":[],"payer_refund":40,"payer_total":100,"refund":40,"settlement_refund":40,"settlement_total":100,"total":100},"channel":"ORIGINAL","create_time":"2026-11-21T14:30:00+08:00","funds_account":"AVAILABLE","out_refund_no":"20180821665587-1@a|*","out_trade_no":"20180821665587","promotion_detail":[],"refund_id":"50000007632018082105880317434","status":"PROCESSING","transaction_id":"4200000165201808217781847728","user_received_account":"支付用户零钱"}"#;
        assert_eq!(response.body, wanted);
    }

    #[test]
    fn refunds_go_there_and_back() {
        for (credentials, sub) in [(&PAIR.credentials, None), (&*PARTNER, Some("1900000209"))] {
            for order in [order(), whole()] {
                let opened = opened(order.encode(credentials, stamp()));
                assert_eq!(RefundOrder::decode(&opened).as_ref(), Ok(&order));
                assert_eq!(opened.merchant.sub_mch_id.as_deref(), sub);
                for word in ["PROCESSING", "SUCCESS", "CLOSED", "ABNORMAL", "NEWWORD"] {
                    let refund = refund(RefundState::read_v3(word));
                    let response = RefundOrder::encode_reply(&refund, &replier());
                    let answer = order.decode_reply(&received(&response));
                    assert_eq!(answer, Ok(Answer::Done(refund)));
                }
            }
        }
    }

    #[test]
    fn a_reply_about_something_else_is_not_believed() {
        let check = |order: RefundOrder, change: fn(&mut Refund), wanted: &str| {
            let mut refund = refund(RefundState::Processing);
            change(&mut refund);
            let response = RefundOrder::encode_reply(&refund, &replier());
            match order.decode_reply(&received(&response)) {
                Err(ReplyError::Mismatch(mismatch)) => assert_eq!(mismatch.field, wanted),
                Err(ReplyError::Field(error)) => assert_eq!(error.name, wanted),
                other => panic!("{wanted}: {other:?}"),
            }
        };
        check(order(), |r| r.out_refund_no.push('0'), "out_refund_no");
        check(order(), |r| r.out_trade_no.push('0'), "out_trade_no");
        check(whole(), |r| r.transaction_id.push('0'), "transaction_id");
        check(order(), |r| r.refund_fen = Fen(41), "amount.refund");
        check(order(), |r| r.total_fen = Fen(101), "amount.total");
        check(order(), |r| r.refund_fen = Fen(0), "amount.refund");
        check(order(), |r| r.refund_fen = Fen(101), "amount.refund");
        check(order(), |r| r.refund_id.clear(), "refund_id");
        let read = |change: fn(&mut Value)| {
            let mut body =
                serde_json::to_value(RefundBody::of(&refund(RefundState::Success))).unwrap();
            change(&mut body);
            serde_json::from_value::<RefundBody>(body).unwrap().refund()
        };
        assert!(read(|_| ()).is_ok());
        let error = read(|b| b["amount"]["currency"] = json!("USD")).unwrap_err();
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "amount.currency"));
        assert!(read(|b| b["success_time"] = json!("soon")).is_err());
        assert!(read(|b| b["create_time"] = json!("soon")).is_err());
    }

    #[test]
    fn the_provider_refuses_what_breaks_its_rules() {
        let check = |change: fn(&mut Value), words: &str| {
            let sent = whole().encode(&PAIR.credentials, stamp());
            let mut body: Value = serde_json::from_slice(&sent.body).unwrap();
            change(&mut body);
            let sent = post(sent.target, &body, &PAIR.credentials, stamp());
            let refusal = RefundOrder::decode(&opened(sent)).unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_str()), (400, "PARAM_ERROR"));
            assert!(refusal.message.contains(words), "{} has not {words}", refusal.message);
        };
        fn drop(body: &mut Value, name: &str) {
            body.as_object_mut().unwrap().remove(name);
        }
        check(|b| drop(b, "transaction_id"), "“/body/transaction_id”");
        check(|b| drop(b, "out_refund_no"), "“/body/out_refund_no”");
        check(|b| b["out_refund_no"] = json!("退款"), "正则表达式");
        check(|b| b["out_refund_no"] = json!("1".repeat(65)), "大于最大值 64");
        check(|b| b["reason"] = json!("因".repeat(27)), "大于最大值 80");
        check(|b| b["notify_url"] = json!("https://a.example/?a"), "退款结果回调url");
        check(|b| b["funds_account"] = json!("ELSEWHERE"), "退款资金来源");
        check(|b| drop(&mut b["amount"], "currency"), "“/body/amount/currency”");
        check(|b| b["amount"]["currency"] = json!("USD"), "退款币种");
        check(|b| b["amount"]["refund"] = json!(0), "值低于最小值 1");
        check(|b| drop(&mut b["amount"], "total"), "“/body/amount/total”");
        check(|b| drop(&mut b["goods_detail"][0], "refund_quantity"), "商品退货数量");
        check(|b| b["mchid"] = json!("1900000109"), "额外参数");
    }

    #[test]
    fn an_order_that_is_not_found_yet_may_be_refunded_later() {
        let refused = Refusal::new(404, "RESOURCE_NOT_EXISTS", "订单不存在").encode("id");
        let Ok(Answer::Refused(error)) = order().decode_reply(&received(&refused)) else {
            panic!()
        };
        assert_eq!(error.as_refund(), RefundRefusal::Again);
    }
}

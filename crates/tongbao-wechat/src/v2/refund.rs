//! Refund (微信支付 API v2, 申请退款). The call needs the merchant's client certificate
//! ([`needs_certificate`](super::needs_certificate)).
//!
//! Success means that the refund was accepted, not that the money is back. After an unknown outcome
//! the same number is sent again, never another: a new number is a second refund.

use super::envelope::{Opened, Refusal, Replier, fen, field, need, read_reply, request, same};
use super::query::{check_key, read_key, set_key};
use crate::account::V2Credentials;
use crate::error::{Answer, ReplyError};
use crate::refund::{Refund, RefundState};
use crate::rules::{Kind, Rule, may, must};
use crate::trade::TradeKey;
use crate::xml::Fields;
use tongbao_types::{Fen, HttpRequest, HttpResponse};

/// Where refunds are sent, with the client certificate.
pub const REFUND_PATH: &str = "/secapi/pay/refund";

/// Money back, all or a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrder {
    /// Which trade.
    pub key: TradeKey,
    /// The merchant's number of the refund, 1 to 64 bytes. One number refunds once.
    pub out_refund_no: String,
    /// The order's amount.
    pub total_fee: Fen,
    /// What goes back, at least 1 fen and at most the order's amount.
    pub refund_fee: Fen,
    /// What the payer reads, at most 80 bytes; not shown for a part of at most 1 yuan.
    pub refund_desc: Option<String>,
    /// Where the notification goes, in place of the one set on the merchant platform.
    pub notify_url: Option<String>,
    /// `REFUND_SOURCE_UNSETTLED_FUNDS` or `REFUND_SOURCE_RECHARGE_FUNDS`, for old merchants.
    pub refund_account: Option<String>,
    /// `CNY`.
    pub refund_fee_type: Option<String>,
}

const RULES: &[Rule] = &[
    may("transaction_id", "微信支付订单号", Kind::Text(1, 32)),
    may("out_trade_no", "商户订单号", Kind::OutTradeNo),
    must("out_refund_no", "商户退款单号", Kind::OutRefundNo),
    must("total_fee", "订单金额", Kind::Integer(1)),
    must("refund_fee", "退款金额", Kind::Integer(1)),
    may("refund_desc", "退款原因", Kind::Text(0, 80)),
    may("notify_url", "退款结果通知url", Kind::NotifyUrl(256)),
    may(
        "refund_account",
        "退款资金来源",
        Kind::Word(&["REFUND_SOURCE_UNSETTLED_FUNDS", "REFUND_SOURCE_RECHARGE_FUNDS"]),
    ),
    may("refund_fee_type", "退款货币种类", Kind::Word(&["CNY"])),
];

impl RefundOrder {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        set_key(&mut fields, &self.key);
        fields.set("out_refund_no", &self.out_refund_no);
        fields.set("total_fee", self.total_fee.0.to_string());
        fields.set("refund_fee", self.refund_fee.0.to_string());
        fields.set_some("refund_desc", self.refund_desc.as_deref());
        fields.set_some("notify_url", self.notify_url.as_deref());
        fields.set_some("refund_account", self.refund_account.as_deref());
        fields.set_some("refund_fee_type", self.refund_fee_type.as_deref());
        request(REFUND_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<RefundOrder, Refusal> {
        opened.check(RULES)?;
        let order = RefundOrder {
            key: read_key(opened)?,
            out_refund_no: opened.text("out_refund_no").unwrap_or_default(),
            total_fee: opened.fen("total_fee"),
            refund_fee: opened.fen("refund_fee"),
            refund_desc: opened.text("refund_desc"),
            notify_url: opened.text("notify_url"),
            refund_account: opened.text("refund_account"),
            refund_fee_type: opened.text("refund_fee_type"),
        };
        // Production says this one at the communication level, unlike all else about amounts.
        if order.refund_fee > order.total_fee {
            return Err(Refusal::Communication("invalid refund_fee".to_owned()));
        }
        Ok(order)
    }

    /// The provider's reply, the same again for the same number. There are no coupons here, so
    /// cash is all there is.
    pub fn encode_reply(refund: &Refund, replier: &Replier<'_>) -> HttpResponse {
        let mut own = Fields::new();
        own.set("transaction_id", &refund.transaction_id);
        own.set("out_trade_no", &refund.out_trade_no);
        own.set("out_refund_no", &refund.out_refund_no);
        own.set("refund_id", &refund.refund_id);
        // Not known yet when it is accepted; production sends it empty.
        own.set("refund_channel", "");
        own.set("refund_fee", refund.refund_fen.0.to_string());
        own.set("coupon_refund_fee", "0");
        own.set("total_fee", refund.total_fen.0.to_string());
        own.set("cash_fee", refund.total_fen.0.to_string());
        own.set("coupon_refund_count", "0");
        own.set("cash_refund_fee", refund.refund_fen.0.to_string());
        replier.done(own)
    }

    /// The merchant reads the reply: accepted, and so [`RefundState::Processing`]. It must be about
    /// this trade, number and amount.
    pub fn decode_reply(
        &self,
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<Refund>, ReplyError> {
        read_reply(credentials, response)?.then(|fields| {
            check_key(&fields, &self.key)?;
            same(&fields, "out_refund_no", &self.out_refund_no)?;
            same(&fields, "refund_fee", &self.refund_fee.0.to_string())?;
            let text = |name| need(&fields, name).map(str::to_owned);
            Ok(Refund {
                out_trade_no: text("out_trade_no")?,
                transaction_id: text("transaction_id")?,
                out_refund_no: self.out_refund_no.clone(),
                refund_id: text("refund_id")?,
                refund_fen: self.refund_fee,
                total_fen: fen(&fields, "total_fee")?.ok_or(field("total_fee", "is missing"))?,
                state: RefundState::Processing,
                success_time: None,
                created_time: None,
                user_received_account: None,
                channel: fields.text("refund_channel").map(str::to_owned),
            })
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::*;
    use crate::account::SignType;
    use crate::refusal::RefundRefusal;

    pub(in crate::v2) fn refund(number: &str, state: RefundState) -> Refund {
        Refund {
            out_trade_no: "20180821665587".to_owned(),
            transaction_id: "4200000165201808217781847728".to_owned(),
            out_refund_no: number.to_owned(),
            refund_id: format!("50000007722018082106052170{number}"),
            refund_fen: Fen(1),
            total_fen: Fen(3),
            success_time: None,
            created_time: None,
            user_received_account: None,
            channel: None,
            state,
        }
    }

    fn order() -> RefundOrder {
        RefundOrder {
            key: TradeKey::OutTradeNo("20180821665587".to_owned()),
            out_refund_no: "678".to_owned(),
            total_fee: Fen(3),
            refund_fee: Fen(1),
            refund_desc: Some("商品已售完".to_owned()),
            notify_url: Some("https://pay.example.com/refunded".to_owned()),
            refund_account: None,
            refund_fee_type: Some("CNY".to_owned()),
        }
    }

    #[test]
    fn refunds_go_there_and_back_by_either_number() {
        let theirs = TradeKey::TransactionId("4200000165201808217781847728".to_owned());
        for (key, sign_type) in [(order().key, SignType::Md5), (theirs, SignType::HmacSha256)] {
            let credentials = credentials(sign_type);
            let order = RefundOrder { key, ..order() };
            let request = order.encode(&credentials, "n1");
            assert_eq!(request.path(), REFUND_PATH);
            let opened = opened(&request, &credentials);
            assert_eq!(RefundOrder::decode(&opened).as_ref(), Ok(&order));
            let accepted = refund("678", RefundState::Processing);
            let replier = opened.replier(credentials.key(), "n2");
            let response = RefundOrder::encode_reply(&accepted, &replier);
            let answer = order.decode_reply(&credentials, &response);
            assert_eq!(answer, Ok(Answer::Done(accepted)));
        }
    }

    /// The reply captured from production, signed anew: fields, texts and order are its own.
    #[test]
    fn the_reply_has_the_fields_of_production() {
        let credentials = credentials(SignType::Md5);
        let mut number = order();
        number.out_refund_no = "20180821665587".to_owned();
        (number.total_fee, number.refund_fee) = (Fen(1), Fen(1));
        let opened = opened(&number.encode(&credentials, "n1"), &credentials);
        let captured = Refund {
            refund_id: "50000007722018082106052170678".to_owned(),
            total_fen: Fen(1),
            ..refund("20180821665587", RefundState::Processing)
        };
        let replier = opened.replier(credentials.key(), "n2");
        let response = RefundOrder::encode_reply(&captured, &replier);
        let fields = Fields::parse(&response.body).unwrap();
        let own: Vec<String> = fields.iter().skip(7).map(|(n, t)| format!("{n}={t}")).collect();
        let wanted = "transaction_id=4200000165201808217781847728 out_trade_no=20180821665587 \
                      out_refund_no=20180821665587 refund_id=50000007722018082106052170678 \
                      refund_channel= refund_fee=1 coupon_refund_fee=0 total_fee=1 cash_fee=1 \
                      coupon_refund_count=0 cash_refund_fee=1";
        assert_eq!(own.join(" "), wanted);
        assert_eq!(number.decode_reply(&credentials, &response), Ok(Answer::Done(captured)));
    }

    #[test]
    fn a_reply_about_another_refund_is_not_believed() {
        let credentials = credentials(SignType::Md5);
        let opened = opened(&order().encode(&credentials, "n1"), &credentials);
        let check = |name: &str, change: fn(&mut Refund)| {
            let mut other = refund("678", RefundState::Processing);
            change(&mut other);
            let replier = opened.replier(credentials.key(), "n2");
            let response = RefundOrder::encode_reply(&other, &replier);
            let error = order().decode_reply(&credentials, &response).unwrap_err();
            assert!(matches!(&error, ReplyError::Mismatch(m) if m.field == name), "{error:?}");
        };
        check("out_trade_no", |r| r.out_trade_no = "20180821665588".to_owned());
        check("out_refund_no", |r| r.out_refund_no = "679".to_owned());
        check("refund_fee", |r| r.refund_fen = Fen(2));
        let mut bare = refund("678", RefundState::Processing);
        bare.refund_id = String::new();
        let replier = opened.replier(credentials.key(), "n2");
        let response = RefundOrder::encode_reply(&bare, &replier);
        let error = order().decode_reply(&credentials, &response).unwrap_err();
        assert_eq!(error, field("refund_id", "is missing").into());
    }

    #[test]
    fn the_refusals_of_production_are_understood() {
        let credentials = credentials(SignType::Md5);
        let opened = opened(&order().encode(&credentials, "n1"), &credentials);
        let replier = opened.replier(credentials.key(), "n2");
        let check = |code: &str, message: &str, wanted: RefundRefusal| {
            let response = replier.refuse(&Refusal::business(code, message));
            let Ok(Answer::Refused(error)) = order().decode_reply(&credentials, &response) else {
                panic!("{code} is no refusal");
            };
            assert_eq!((error.message.as_str(), error.as_refund()), (message, wanted), "{code}");
        };
        check("ORDERNOTEXIST", "订单不存在", RefundRefusal::Final);
        check("ERROR", "订单已关闭", RefundRefusal::Final);
        check("ERROR", "订单已全额退款", RefundRefusal::Final);
        let text = "订单金额或退款金额与之前请求不一致，请核实后再试";
        check("REFUND_FEE_MISMATCH", text, RefundRefusal::Final);
        check("INVALID_REQUEST", "refund_fee大于可退金额", RefundRefusal::Final);
        check("BIZERR_NEED_RETRY", "", RefundRefusal::Unknown);
    }

    #[test]
    fn the_provider_refuses_what_breaks_its_rules() {
        let check = |change: fn(&mut RefundOrder), words: &str| {
            let mut order = order();
            change(&mut order);
            let credentials = credentials(SignType::Md5);
            let opened = opened(&order.encode(&credentials, "n1"), &credentials);
            match RefundOrder::decode(&opened) {
                Err(Refusal::Communication(message)) => {
                    assert!(message.contains(words), "{message} has not {words}");
                }
                other => panic!("{other:?} is not the refusal {words}"),
            }
        };
        check(|o| o.refund_fee = Fen(4), "invalid refund_fee");
        check(|o| o.refund_fee = Fen(0), "“/body/xml/refund_fee”");
        check(|o| o.total_fee = Fen(0), "“/body/xml/total_fee”");
        check(|o| o.out_refund_no = String::new(), "必填");
        check(|o| o.out_refund_no = "a b".to_owned(), "商户退款单号");
        check(|o| o.refund_desc = Some("字".repeat(27)), "字节数 81，大于最大值 80");
        check(|o| o.notify_url = Some("https://a.example/?b".to_owned()), "notify_url");
        check(|o| o.key = TradeKey::OutTradeNo(String::new()), "缺少参数out_trade_no");
        check(|o| o.refund_account = Some("MINE".to_owned()), "退款资金来源");
    }
}

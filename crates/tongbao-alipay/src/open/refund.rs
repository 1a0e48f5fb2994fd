//! `alipay.trade.refund`: gives money back, all of it or a part. Alipay, 统一收单交易退款接口.
//!
//! Within a trade, `out_request_no` names one refund: the same number again repeats it and moves no
//! money. Code 10000 with `fund_change` other than `Y` says that this call moved nothing: ask with
//! [`super::refund_query`].

use super::envelope::{self, CallContext};
use super::fund_bill::FundBill;
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, TradeRef, Writer};
use super::order::wrong;
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_types::{Amount, Fen, HttpRequest, HttpResponse, OutTradeNo, Timestamp, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.refund";

/// The query option that fills `send_back_fee` and `refund_detail_item_list`.
pub(crate) const DETAIL: &str = "refund_detail_item_list";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Which trade.
    pub trade: TradeRef,
    /// How much, in fen.
    pub refund_amount: Amount,
    /// The number of this refund, 1 to 64 characters, its own within the trade. Without one the
    /// refund must be of the whole trade and counts under the trade's `out_trade_no`.
    pub out_request_no: Option<String>,
    /// Why, at most 256 characters.
    pub refund_reason: Option<String>,
    /// Whether the reply shall say where the money went.
    pub with_detail: bool,
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundReply {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: Option<TradeNo>,
    /// `fund_change` is `Y`: money moved in this call.
    pub has_fund_change: bool,
    /// What was refunded of the trade so far, in fen; not what this call refunded.
    pub refund_fee: Fen,
    /// What went back now; `0.00` unless the detail was asked for.
    pub send_back_fee: Option<Fen>,
    /// Where it went, if that was asked for.
    pub refund_detail_item_list: Vec<FundBill>,
    /// When the money was given back.
    pub gmt_refund_pay: Option<Timestamp>,
    /// The buyer's user id (2088…).
    pub buyer_user_id: Option<String>,
    /// The buyer's id for this app, which newer apps get instead.
    pub buyer_open_id: Option<String>,
    /// The buyer's account, masked.
    pub buyer_logon_id: Option<String>,
}

impl Refund {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<RefundReply>, ReplyError> {
        envelope::reply(credentials, METHOD, response)?.then(|members| self.answer(&members))
    }

    pub(crate) fn write(&self) -> Writer {
        let options: &[&str] = if self.with_detail { &[DETAIL] } else { &[] };
        self.trade
            .write()
            .text("refund_amount", &self.refund_amount.fen().to_yuan())
            .maybe("out_request_no", self.out_request_no.as_deref())
            .maybe("refund_reason", self.refund_reason.as_deref())
            .texts("query_options", options)
    }

    /// What the members of a reply say of this call.
    pub(crate) fn answer(&self, members: &Reader) -> Result<RefundReply, ReplyError> {
        let reply = RefundReply::read(members)?;
        self.trade.check(&reply.out_trade_no, reply.trade_no.as_ref())?;
        Ok(reply)
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<Refund, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let amount = biz.text("refund_amount").and_then(|text| Fen::from_yuan(&text).ok());
        let amount = amount.and_then(|fen| Amount::new(fen).ok());
        let at_most = |name: &str, most: usize| match biz.text(name) {
            Some(text) if text.chars().count() > most => Err(wrong(name)),
            other => Ok(other),
        };
        Ok(Refund {
            trade: TradeRef::read(&biz)?,
            refund_amount: amount.ok_or_else(|| wrong("refund_amount"))?,
            out_request_no: at_most("out_request_no", 64)?,
            refund_reason: at_most("refund_reason", 256)?,
            with_detail: biz.texts("query_options").iter().any(|option| option == DETAIL),
        })
    }
}

impl RefundReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new()
            .maybe("buyer_logon_id", self.buyer_logon_id.as_deref())
            .maybe("buyer_open_id", self.buyer_open_id.as_deref())
            .maybe("buyer_user_id", self.buyer_user_id.as_deref())
            .flag("fund_change", self.has_fund_change)
            .time("gmt_refund_pay", self.gmt_refund_pay)
            .text("out_trade_no", self.out_trade_no.as_str())
            .list(DETAIL, FundBill::write(&self.refund_detail_item_list))
            .fen("refund_fee", Some(self.refund_fee))
            .fen("send_back_fee", self.send_back_fee)
            .maybe("trade_no", self.trade_no.as_ref().map(TradeNo::as_str))
    }

    fn read(members: &Reader) -> Result<RefundReply, ReplyError> {
        let change = members.flag("fund_change")?;
        Ok(RefundReply {
            out_trade_no: members.out_trade_no()?,
            trade_no: members.trade_no()?,
            has_fund_change: change.unwrap_or(false),
            refund_fee: members.fen("refund_fee")?.ok_or(ReplyError::Malformed("refund_fee"))?,
            send_back_fee: members.fen("send_back_fee")?,
            refund_detail_item_list: FundBill::read(members, DETAIL)?,
            gmt_refund_pay: members.time("gmt_refund_pay")?,
            buyer_user_id: members.text("buyer_user_id"),
            buyer_open_id: members.text("buyer_open_id"),
            buyer_logon_id: members.text("buyer_logon_id"),
        })
    }
}

/// The gateway's side: what production adds to a refused refund, two amounts of nothing.
pub fn refusal_members() -> Vec<(&'static str, &'static str)> {
    vec![("refund_fee", "0.00"), ("send_back_fee", "0.00")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefundRefusal;
    use crate::open::testing::Both;

    fn call() -> Refund {
        Refund {
            trade: TradeRef::Out(OutTradeNo::new("TB20261121000001").unwrap()),
            refund_amount: Amount::new(Fen(100)).unwrap(),
            out_request_no: Some("TB20261121000001R1".into()),
            refund_reason: Some("茶凉了".into()),
            with_detail: false,
        }
    }

    fn answer() -> RefundReply {
        RefundReply {
            out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
            trade_no: Some(TradeNo::new("2026112122001400000500000001").unwrap()),
            has_fund_change: true,
            refund_fee: Fen(300),
            send_back_fee: Some(Fen(0)),
            refund_detail_item_list: Vec::new(),
            gmt_refund_pay: Some("2026-11-22T06:30:11Z".parse().unwrap()),
            buyer_user_id: Some("2088000000000002".into()),
            buyer_open_id: None,
            buyer_logon_id: Some("buy***@example.com".into()),
        }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        let whole = Refund {
            trade: TradeRef::Trade(TradeNo::new("2026112122001400000500000001").unwrap()),
            out_request_no: None,
            refund_reason: None,
            with_detail: true,
            ..call()
        };
        let item = FundBill {
            fund_channel: "BANKCARD".into(),
            amount: Fen(100),
            real_amount: Some(Fen(100)),
            fund_type: Some("DEBIT_CARD".into()),
        };
        let again = RefundReply { has_fund_change: false, ..answer() };
        let detail = RefundReply {
            send_back_fee: Some(Fen(100)),
            refund_detail_item_list: vec![item],
            ..answer()
        };
        for (call, reply) in [(call(), answer()), (call(), again), (whole, detail)] {
            for both in Both::all() {
                let received = both.receive(&call.encode(&both.merchant, &both.context()));
                assert_eq!(received.method().as_deref(), Some(METHOD));
                assert_eq!(Refund::read(&both.biz_content(&received)), Ok(call.clone()));
                let response = reply.encode(&received, both.sealing());
                let read = call.decode(&both.merchant, &response);
                assert_eq!(read, Ok(Answer::Done(reply.clone())));
            }
        }
    }

    #[test]
    fn the_members_are_those_of_production() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        let body = answer().encode(&received, Sealing::Unsigned).body;
        let wanted = concat!(
            r#"{"alipay_trade_refund_response":{"code":"10000","msg":"Success","#,
            r#""buyer_logon_id":"buy***@example.com","buyer_user_id":"2088000000000002","#,
            r#""fund_change":"Y","gmt_refund_pay":"2026-11-22 14:30:11","#,
            r#""out_trade_no":"TB20261121000001","refund_fee":"3.00","send_back_fee":"0.00","#,
            r#""trade_no":"2026112122001400000500000001"}}"#,
        );
        assert_eq!(body, wanted);
    }

    #[test]
    fn a_refused_refund_has_two_amounts_of_nothing() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        for (refusal, meaning) in [
            (Refusal::TRADE_NOT_EXIST, RefundRefusal::Ask),
            (Refusal::TRADE_STATUS_ERROR, RefundRefusal::Ask),
            (Refusal::TRADE_HAS_CLOSE, RefundRefusal::Ask),
            (Refusal::SELLER_BALANCE_NOT_ENOUGH, RefundRefusal::Later),
            (Refusal::TRADE_HAS_FINISHED, RefundRefusal::Final),
        ] {
            let response = received.refuse(&refusal, &refusal_members(), both.sealing());
            let body = String::from_utf8(response.body.to_vec()).unwrap();
            let tail = r#","refund_fee":"0.00","send_back_fee":"0.00"},"sign""#;
            assert!(body.contains(&format!("\"sub_msg\":\"{}\"{tail}", refusal.sub_msg)));
            match call().decode(&both.merchant, &response) {
                Ok(Answer::Refused(error)) => assert_eq!(error.of_refund(), meaning),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn without_fund_change_nothing_moved() {
        let both = Both::plain();
        let read = |more: &str| {
            let rest = r#""out_trade_no":"TB20261121000001","refund_fee":"1.00""#;
            let object = format!(r#"{{"code":"10000",{rest}{more}}}"#);
            call().decode(&both.merchant, &both.signed_reply(METHOD, &object))
        };
        let moved = |more: &str| match read(more) {
            Ok(Answer::Done(reply)) => reply.has_fund_change,
            other => panic!("{other:?}"),
        };
        assert!(moved(r#","fund_change":"Y""#));
        assert!(!moved(r#","fund_change":"N""#));
        assert!(!moved(""));
        let odd = read(r#","fund_change":"perhaps""#);
        assert_eq!(odd, Err(ReplyError::Malformed("fund_change")));
    }

    #[test]
    fn a_reply_about_another_trade_or_without_a_sum_is_not_taken() {
        let both = Both::plain();
        let check = |object: &str, wanted: ReplyError| {
            let response = both.signed_reply(METHOD, object);
            assert_eq!(call().decode(&both.merchant, &response), Err(wanted), "{object}");
        };
        let other = r#"{"code":"10000","out_trade_no":"OTHER","refund_fee":"1.00"}"#;
        check(other, ReplyError::OtherOrder);
        let without = r#"{"code":"10000","out_trade_no":"TB20261121000001","fund_change":"Y"}"#;
        check(without, ReplyError::Malformed("refund_fee"));
    }

    #[test]
    fn what_the_gateway_refuses_is_named() {
        let read = |biz: &str| Refund::read(biz).map(|_| ());
        assert_eq!(read(r#"{"out_trade_no":"T1","refund_amount":"0.01"}"#), Ok(()));
        for amount in ["\"0.00\"", "\"-1.00\"", "\"0.001\"", "\"x\"", "null"] {
            let biz = format!(r#"{{"out_trade_no":"T1","refund_amount":{amount}}}"#);
            assert_eq!(read(&biz), Err(wrong("refund_amount")), "{amount}");
        }
        let long = "R".repeat(65);
        let biz = format!(r#"{{"trade_no":"1","refund_amount":"1","out_request_no":"{long}"}}"#);
        assert_eq!(read(&biz), Err(wrong("out_request_no")));
        let missing = read(r#"{"refund_amount":"1.00"}"#);
        assert_eq!(missing, Err(Refusal::ACQ_INVALID_PARAMETER));
    }
}

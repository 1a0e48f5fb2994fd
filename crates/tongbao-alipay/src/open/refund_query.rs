//! `alipay.trade.fastpay.refund.query`: whether a refund was carried out. Alipay, 统一收单交易退款查询.
//!
//! Only `refund_status` `REFUND_SUCCESS` says yes. A reply without it says that the refund was not
//! received, or failed, or that the number is wrong: repeat the refund with the same number and
//! amount, which moves money at most once. Ask ten seconds after a refund at the earliest.

use super::envelope::{self, CallContext};
use super::fund_bill::FundBill;
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, TradeRef, Writer};
use super::order::wrong;
use super::refund::DETAIL;
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_types::{Fen, HttpRequest, HttpResponse, OutTradeNo, Timestamp, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.fastpay.refund.query";

const REFUND_TIME: &str = "gmt_refund_pay";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundQuery {
    /// Which trade.
    pub trade: TradeRef,
    /// The number of the refund; the trade's `out_trade_no` if the refund had none.
    pub out_request_no: String,
    /// `query_options`: whether the reply shall say when, and where the money went.
    pub with_detail: bool,
}

/// Where a refund stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundStatus {
    /// The money was given back.
    Success,
    /// Under way; only by special contract.
    Processing,
    /// It failed; only by special contract.
    Fail,
    /// A word that this version does not know.
    Unknown(String),
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundQueryReply {
    /// Nothing is known under this number: a bare reply.
    NothingKnown,
    /// There is such a refund.
    Found(RefundFound),
}

/// A refund that Alipay knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundFound {
    /// Our number of the trade.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number of the trade.
    pub trade_no: Option<TradeNo>,
    /// The number of the refund.
    pub out_request_no: String,
    /// The trade's amount, in fen.
    pub total_amount: Option<Fen>,
    /// This refund's amount, in fen.
    pub refund_amount: Option<Fen>,
    /// Where it stands; absent from replies before about 2020.
    pub refund_status: Option<RefundStatus>,
    /// When the money was given back, if that was asked for.
    pub gmt_refund_pay: Option<Timestamp>,
    /// What went back.
    pub send_back_fee: Option<Fen>,
    /// Where it went, if that was asked for.
    pub refund_detail_item_list: Vec<FundBill>,
}

impl RefundStatus {
    /// From the word on the wire.
    pub fn from_word(word: &str) -> RefundStatus {
        match word {
            "REFUND_SUCCESS" => RefundStatus::Success,
            "REFUND_PROCESSING" => RefundStatus::Processing,
            "REFUND_FAIL" => RefundStatus::Fail,
            other => RefundStatus::Unknown(other.chars().take(32).collect()),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            RefundStatus::Success => "REFUND_SUCCESS",
            RefundStatus::Processing => "REFUND_PROCESSING",
            RefundStatus::Fail => "REFUND_FAIL",
            RefundStatus::Unknown(word) => word,
        }
    }
}

impl RefundQuery {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<RefundQueryReply>, ReplyError> {
        envelope::reply(credentials, METHOD, response)?.then(|members| self.answer(&members))
    }

    pub(crate) fn write(&self) -> Writer {
        let options: &[&str] = if self.with_detail { &[DETAIL, REFUND_TIME] } else { &[] };
        let writer = self.trade.write().text("out_request_no", &self.out_request_no);
        writer.texts("query_options", options)
    }

    /// What the members of a reply say of this call.
    pub(crate) fn answer(&self, members: &Reader) -> Result<RefundQueryReply, ReplyError> {
        let reply = RefundQueryReply::read(members)?;
        if let RefundQueryReply::Found(found) = &reply {
            self.trade.check(&found.out_trade_no, found.trade_no.as_ref())?;
            if found.out_request_no != self.out_request_no {
                return Err(ReplyError::OtherOrder);
            }
        }
        Ok(reply)
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<RefundQuery, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let number = biz.text("out_request_no").filter(|text| text.chars().count() <= 64);
        Ok(RefundQuery {
            trade: TradeRef::read(&biz)?,
            out_request_no: number.ok_or_else(|| wrong("out_request_no"))?,
            with_detail: biz.texts("query_options").iter().any(|option| option == DETAIL),
        })
    }
}

impl RefundQueryReply {
    /// Whether the money was given back. A reply of before 2020 without a status counts as no,
    /// since repeating the refund is safe and believing in one is not.
    pub fn is_refunded(&self) -> bool {
        match self {
            RefundQueryReply::NothingKnown => false,
            RefundQueryReply::Found(found) => found.refund_status == Some(RefundStatus::Success),
        }
    }

    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        match self {
            RefundQueryReply::NothingKnown => Writer::new(),
            RefundQueryReply::Found(found) => found.write(),
        }
    }

    fn read(members: &Reader) -> Result<RefundQueryReply, ReplyError> {
        // A bare reply has neither; one with numbers but without a status is an old one.
        let names = ["out_request_no", "refund_amount", "refund_status"];
        if names.iter().all(|name| members.text(name).is_none()) {
            return Ok(RefundQueryReply::NothingKnown);
        }
        RefundFound::read(members).map(RefundQueryReply::Found)
    }
}

impl RefundFound {
    fn write(&self) -> Writer {
        Writer::new()
            .time(REFUND_TIME, self.gmt_refund_pay)
            .text("out_request_no", &self.out_request_no)
            .text("out_trade_no", self.out_trade_no.as_str())
            .fen("refund_amount", self.refund_amount)
            .list(DETAIL, FundBill::write(&self.refund_detail_item_list))
            .maybe("refund_status", self.refund_status.as_ref().map(RefundStatus::as_str))
            .fen("send_back_fee", self.send_back_fee)
            .fen("total_amount", self.total_amount)
            .maybe("trade_no", self.trade_no.as_ref().map(TradeNo::as_str))
    }

    fn read(members: &Reader) -> Result<RefundFound, ReplyError> {
        let status = members.text("refund_status");
        Ok(RefundFound {
            out_trade_no: members.out_trade_no()?,
            trade_no: members.trade_no()?,
            out_request_no: members.required("out_request_no")?,
            total_amount: members.fen("total_amount")?,
            refund_amount: members.fen("refund_amount")?,
            refund_status: status.as_deref().map(RefundStatus::from_word),
            gmt_refund_pay: members.time(REFUND_TIME)?,
            send_back_fee: members.fen("send_back_fee")?,
            refund_detail_item_list: FundBill::read(members, DETAIL)?,
        })
    }
}

/// The gateway's side: what production adds to a refused query, the number that was asked about.
pub fn refusal_members(trade: &TradeRef) -> Vec<(&'static str, &str)> {
    trade.out_trade_no().map(|no| ("out_trade_no", no.as_str())).into_iter().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::open::testing::Both;

    pub(crate) fn call() -> RefundQuery {
        RefundQuery {
            trade: TradeRef::Out(OutTradeNo::new("TB20261121000001").unwrap()),
            out_request_no: "R1".into(),
            with_detail: true,
        }
    }

    pub(crate) fn found() -> RefundFound {
        let item = FundBill {
            fund_channel: "ALIPAYACCOUNT".into(),
            amount: Fen(100),
            real_amount: None,
            fund_type: None,
        };
        RefundFound {
            out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
            trade_no: Some(TradeNo::new("2026112122001400000500000001").unwrap()),
            out_request_no: "R1".into(),
            total_amount: Some(Fen(8888)),
            refund_amount: Some(Fen(100)),
            refund_status: Some(RefundStatus::Success),
            gmt_refund_pay: Some("2026-11-22T06:30:11Z".parse().unwrap()),
            send_back_fee: Some(Fen(100)),
            refund_detail_item_list: vec![item],
        }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        let plain = RefundQuery { with_detail: false, ..call() };
        for (call, reply) in
            [(call(), RefundQueryReply::Found(found())), (plain, RefundQueryReply::NothingKnown)]
        {
            for both in Both::all() {
                let received = both.receive(&call.encode(&both.merchant, &both.context()));
                assert_eq!(received.method().as_deref(), Some(METHOD));
                assert_eq!(RefundQuery::read(&both.biz_content(&received)), Ok(call.clone()));
                let response = reply.encode(&received, both.sealing());
                let read = call.decode(&both.merchant, &response);
                assert_eq!(read, Ok(Answer::Done(reply.clone())));
            }
        }
    }

    #[test]
    fn a_number_that_no_refund_has_gets_the_bare_reply() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        let body = RefundQueryReply::NothingKnown.encode(&received, Sealing::Unsigned).body;
        let root = "alipay_trade_fastpay_refund_query_response";
        assert_eq!(body, format!(r#"{{"{root}":{{"code":"10000","msg":"Success"}}}}"#));
    }

    #[test]
    fn only_the_word_of_success_means_refunded() {
        let status = |refund_status| {
            RefundQueryReply::Found(RefundFound { refund_status, ..found() }).is_refunded()
        };
        assert!(status(Some(RefundStatus::Success)));
        for word in ["REFUND_PROCESSING", "REFUND_FAIL", "REFUND_SUCCESSFUL", "refund_success"] {
            assert!(!status(Some(RefundStatus::from_word(word))), "{word}");
            assert_eq!(RefundStatus::from_word(word).as_str(), word);
        }
        assert!(!status(None));
        assert!(!RefundQueryReply::NothingKnown.is_refunded());
    }

    #[test]
    fn a_trade_that_is_not_there_is_refused_with_its_number() {
        let both = Both::plain();
        let call = call();
        let received = both.receive(&call.encode(&both.merchant, &both.context()));
        let members = refusal_members(&call.trade);
        let response = received.refuse(&Refusal::TRADE_NOT_EXIST, &members, both.sealing());
        let body = String::from_utf8(response.body.to_vec()).unwrap();
        let tail = r#""sub_msg":"交易不存在","out_trade_no":"TB20261121000001"},"#;
        assert!(body.contains(tail), "{body}");
        match call.decode(&both.merchant, &response) {
            Ok(Answer::Refused(error)) => assert!(error.is_trade_not_exist()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reply_about_another_refund_is_not_taken() {
        let both = Both::plain();
        let check = |from: &str, to: &str| {
            let object = found().write().to_reply().replace(from, to);
            let response = both.signed_reply(METHOD, &object);
            let read = call().decode(&both.merchant, &response);
            assert_eq!(read, Err(ReplyError::OtherOrder), "{object}");
        };
        check("\"R1\"", "\"R2\"");
        check("\"TB20261121000001\"", "\"OTHER\"");
        let half = r#"{"code":"10000","refund_status":"REFUND_SUCCESS"}"#;
        let read = call().decode(&both.merchant, &both.signed_reply(METHOD, half));
        assert_eq!(read, Err(ReplyError::Malformed("out_trade_no")));
    }

    #[test]
    fn the_gateway_wants_the_number_of_the_refund() {
        let read = RefundQuery::read(r#"{"out_trade_no":"T1"}"#);
        assert_eq!(read, Err(wrong("out_request_no")));
    }
}

//! `alipay.trade.close`: ends a trade that nobody has paid. Alipay, 统一收单交易关闭.
//!
//! Only `WAIT_BUYER_PAY` can be closed; closing what is closed already is refused. A trade whose
//! code nobody scanned does not exist, and neither can be closed.

use super::envelope::{self, CallContext};
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, TradeRef, Writer};
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_types::{HttpRequest, HttpResponse, OutTradeNo, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.close";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Which trade.
    pub trade: TradeRef,
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReply {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: Option<TradeNo>,
}

impl Close {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.trade.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<CloseReply>, ReplyError> {
        envelope::reply(credentials, METHOD, response)?.then(|members| self.answer(&members))
    }

    /// What the members of a reply say of this call.
    pub(crate) fn answer(&self, members: &Reader) -> Result<CloseReply, ReplyError> {
        let reply =
            CloseReply { out_trade_no: members.out_trade_no()?, trade_no: members.trade_no()? };
        self.trade.check(&reply.out_trade_no, reply.trade_no.as_ref())?;
        Ok(reply)
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<Close, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        Ok(Close { trade: TradeRef::read(&biz)? })
    }
}

impl CloseReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new()
            .text("out_trade_no", self.out_trade_no.as_str())
            .maybe("trade_no", self.trade_no.as_ref().map(TradeNo::as_str))
    }
}

/// The gateway's side: what production adds to a refusal, the number; nothing if there is no such
/// trade.
pub fn refusal_members<'a>(
    refusal: &Refusal,
    out_trade_no: &'a OutTradeNo,
) -> Vec<(&'static str, &'a str)> {
    if *refusal == Refusal::TRADE_NOT_EXIST {
        return Vec::new();
    }
    vec![("out_trade_no", out_trade_no.as_str())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::Both;

    fn call() -> Close {
        Close { trade: TradeRef::Out(OutTradeNo::new("TB20261121000001").unwrap()) }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        for both in Both::all() {
            let received = both.receive(&call().encode(&both.merchant, &both.context()));
            let biz = received.biz_content(both.content_key.as_ref()).unwrap();
            assert_eq!(Close::read(&biz), Ok(call()));
            let reply = CloseReply {
                out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
                trade_no: Some(TradeNo::new("2026112122001400000500000001").unwrap()),
            };
            let response = reply.encode(&received, both.sealing());
            assert_eq!(call().decode(&both.merchant, &response), Ok(Answer::Done(reply)));
        }
    }

    #[test]
    fn refusals_have_the_members_of_production() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        let no = OutTradeNo::new("T1").unwrap();
        let body = |refusal: Refusal| {
            let members = refusal_members(&refusal, &no);
            let response = received.refuse(&refusal, &members, Sealing::Unsigned);
            String::from_utf8(response.body.to_vec()).unwrap()
        };
        assert_eq!(
            body(Refusal::TRADE_STATUS_ERROR),
            concat!(
                r#"{"alipay_trade_close_response":{"code":"40004","msg":"Business Failed","#,
                r#""sub_code":"ACQ.TRADE_STATUS_ERROR","sub_msg":"交易状态不合法","#,
                r#""out_trade_no":"T1"}}"#,
            )
        );
        assert!(body(Refusal::TRADE_NOT_EXIST).ends_with("\"sub_msg\":\"交易不存在\"}}"));
    }

    #[test]
    fn a_call_without_a_number_is_refused() {
        let refused = Close::read(r#"{"operator_id":"1"}"#);
        assert_eq!(refused, Err(Refusal::ACQ_INVALID_PARAMETER));
        assert_eq!(Close::read("[]"), Err(Refusal::ILLEGAL_JSON));
        let both = r#"{"trade_no":"1","out_trade_no":"2"}"#;
        let trade = TradeRef::Trade(TradeNo::new("1").unwrap());
        assert_eq!(Close::read(both), Ok(Close { trade }));
    }

    #[test]
    fn a_reply_about_another_trade_is_not_taken() {
        let both = Both::plain();
        let object = r#"{"code":"10000","out_trade_no":"OTHER","trade_no":"1"}"#;
        let response = both.signed_reply(METHOD, object);
        assert_eq!(call().decode(&both.merchant, &response), Err(ReplyError::OtherOrder));
    }
}

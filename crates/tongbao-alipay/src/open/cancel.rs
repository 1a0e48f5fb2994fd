//! `alipay.trade.cancel`: ends a face-to-face trade whose outcome stays unknown: unpaid it is
//! closed, paid it is refunded in full. Alipay, 统一收单交易撤销.

use super::envelope::{self, CallContext};
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, TradeRef, Writer};
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_types::{HttpRequest, HttpResponse, OutTradeNo, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.cancel";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Which trade.
    pub trade: TradeRef,
}

/// What cancelling did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAction {
    /// It was not paid and is closed.
    Close,
    /// It was paid and is refunded in full.
    Refund,
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelReply {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: Option<TradeNo>,
    /// `retry_flag` is `Y`: the same call must be made again.
    pub must_retry: bool,
    /// What was done; `None` if there is no such trade.
    pub action: Option<CancelAction>,
}

impl CancelAction {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            CancelAction::Close => "close",
            CancelAction::Refund => "refund",
        }
    }

    fn from_word(word: &str) -> Option<CancelAction> {
        [CancelAction::Close, CancelAction::Refund].into_iter().find(|a| a.as_str() == word)
    }
}

impl Cancel {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.trade.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<CancelReply>, ReplyError> {
        envelope::reply(credentials, METHOD, response)?.then(|members| self.answer(&members))
    }

    /// What the members of a reply say of this call.
    pub(crate) fn answer(&self, members: &Reader) -> Result<CancelReply, ReplyError> {
        let must_retry = members.flag("retry_flag")?;
        let reply = CancelReply {
            out_trade_no: members.out_trade_no()?,
            trade_no: members.trade_no()?,
            must_retry: must_retry.ok_or(ReplyError::Malformed("retry_flag"))?,
            action: members.read_as("action", CancelAction::from_word)?,
        };
        self.trade.check(&reply.out_trade_no, reply.trade_no.as_ref())?;
        Ok(reply)
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<Cancel, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        Ok(Cancel { trade: TradeRef::read(&biz)? })
    }
}

impl CancelReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new()
            .maybe("action", self.action.map(CancelAction::as_str))
            .text("out_trade_no", self.out_trade_no.as_str())
            .flag("retry_flag", self.must_retry)
            .maybe("trade_no", self.trade_no.as_ref().map(TradeNo::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::Both;

    fn call() -> Cancel {
        Cancel { trade: TradeRef::Out(OutTradeNo::new("TB20261121000001").unwrap()) }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        for action in [None, Some(CancelAction::Close), Some(CancelAction::Refund)] {
            for both in Both::all() {
                let received = both.receive(&call().encode(&both.merchant, &both.context()));
                let biz = received.biz_content(both.content_key.as_ref()).unwrap();
                assert_eq!(Cancel::read(&biz), Ok(call()));
                let reply = CancelReply {
                    out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
                    trade_no: action.map(|_| TradeNo::new("2026112122001400000500000001").unwrap()),
                    must_retry: action.is_none(),
                    action,
                };
                let response = reply.encode(&received, both.sealing());
                assert_eq!(call().decode(&both.merchant, &response), Ok(Answer::Done(reply)));
            }
        }
    }

    #[test]
    fn a_reply_with_unknown_words_is_not_taken() {
        let both = Both::plain();
        let check = |more: &str, wanted: &'static str| {
            let object = format!(r#"{{"code":"10000","out_trade_no":"TB20261121000001"{more}}}"#);
            let response = both.signed_reply(METHOD, &object);
            let read = call().decode(&both.merchant, &response);
            assert_eq!(read, Err(ReplyError::Malformed(wanted)), "{object}");
        };
        check("", "retry_flag");
        check(r#","retry_flag":"maybe""#, "retry_flag");
        check(r#","retry_flag":"N","action":"burn""#, "action");
    }

    #[test]
    fn a_reply_about_another_trade_is_not_taken() {
        let both = Both::plain();
        let object = r#"{"code":"10000","out_trade_no":"OTHER","trade_no":"1","retry_flag":"N"}"#;
        let response = both.signed_reply(METHOD, object);
        assert_eq!(call().decode(&both.merchant, &response), Err(ReplyError::OtherOrder));
    }
}

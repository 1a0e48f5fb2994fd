//! `POST /v3/alipay/trade/close` and `POST /v3/alipay/trade/cancel`: end a trade. See
//! [`crate::open::close`] and [`crate::open::cancel`].

use super::envelope::{self, CallContext};
use super::gateway::Sealing;
use crate::account::Credentials;
use crate::error::{Answer, ReplyError};
use crate::open::cancel::{Cancel, CancelReply};
use crate::open::close::{Close, CloseReply};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// The path of close.
pub const CLOSE_PATH: &str = "/v3/alipay/trade/close";
/// The path of cancel.
pub const CANCEL_PATH: &str = "/v3/alipay/trade/cancel";

impl Close {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, CLOSE_PATH, self.trade.write())
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<CloseReply>, ReplyError> {
        envelope::reply(credentials, response, now)?.then(|members| self.answer(&members))
    }
}

impl CloseReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

impl Cancel {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, CANCEL_PATH, self.trade.write())
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<CancelReply>, ReplyError> {
        envelope::reply(credentials, response, now)?.then(|members| self.answer(&members))
    }
}

impl CancelReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::TradeRef;
    use crate::open::cancel::CancelAction;
    use crate::open::testing::Both;
    use crate::v3::gateway::tests::{call, content, now, sealing};
    use tongbao_types::{OutTradeNo, TradeNo};

    fn number() -> OutTradeNo {
        OutTradeNo::new("TB20261121000001").unwrap()
    }

    fn trade_no() -> Option<TradeNo> {
        Some(TradeNo::new("2026112122001400000500000001").unwrap())
    }

    #[test]
    fn closing_passes_between_both_ends() {
        let close = Close { trade: TradeRef::Out(number()) };
        for both in Both::all() {
            let sent = close.encode_v3(&both.merchant, &call());
            assert_eq!(sent.target, CLOSE_PATH);
            let (method, content) = content(&both, &sent);
            assert_eq!(method, crate::open::close::METHOD);
            assert_eq!(Close::read(&content), Ok(close.clone()));
            let reply = CloseReply { out_trade_no: number(), trade_no: trade_no() };
            let response = reply.encode_v3(sealing(&both));
            let read = close.decode_v3(&both.merchant, &response, now());
            assert_eq!(read, Ok(Answer::Done(reply)));
        }
    }

    #[test]
    fn cancelling_passes_between_both_ends() {
        let cancel = Cancel { trade: TradeRef::Out(number()) };
        for action in [None, Some(CancelAction::Close), Some(CancelAction::Refund)] {
            for both in Both::all() {
                let sent = cancel.encode_v3(&both.merchant, &call());
                assert_eq!(sent.target, CANCEL_PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, crate::open::cancel::METHOD);
                assert_eq!(Cancel::read(&content), Ok(cancel.clone()));
                let (out_trade_no, must_retry) = (number(), action.is_none());
                let reply = CancelReply { out_trade_no, trade_no: trade_no(), must_retry, action };
                let response = reply.encode_v3(sealing(&both));
                let read = cancel.decode_v3(&both.merchant, &response, now());
                assert_eq!(read, Ok(Answer::Done(reply)));
            }
        }
    }

    #[test]
    fn words_and_numbers_that_do_not_belong_are_not_taken() {
        let both = Both::plain();
        let cancel = |more: &str| {
            let body = format!(r#"{{"out_trade_no":"TB20261121000001"{more}}}"#);
            let response = sealing(&both).respond(200, &body);
            let cancel = Cancel { trade: TradeRef::Out(number()) };
            cancel.decode_v3(&both.merchant, &response, now()).unwrap_err()
        };
        assert_eq!(cancel(""), ReplyError::Malformed("retry_flag"));
        assert_eq!(cancel(r#","retry_flag":"?""#), ReplyError::Malformed("retry_flag"));
        let burn = r#","retry_flag":"N","action":"burn""#;
        assert_eq!(cancel(burn), ReplyError::Malformed("action"));
        let other = OutTradeNo::new("OTHER").unwrap();
        let response = CloseReply { out_trade_no: number(), trade_no: trade_no() };
        let response = response.encode_v3(sealing(&both));
        let close = Close { trade: TradeRef::Out(other.clone()) };
        let read = close.decode_v3(&both.merchant, &response, now());
        assert_eq!(read, Err(ReplyError::OtherOrder));
        let reply = CancelReply {
            out_trade_no: number(),
            trade_no: trade_no(),
            must_retry: false,
            action: None,
        };
        let cancel = Cancel { trade: TradeRef::Out(other) };
        let read = cancel.decode_v3(&both.merchant, &reply.encode_v3(sealing(&both)), now());
        assert_eq!(read, Err(ReplyError::OtherOrder));
    }
}

//! `POST /v3/alipay/trade/refund` and `POST /v3/alipay/trade/fastpay/refund/query`: give money
//! back, and ask whether it went. See [`crate::open::refund`] and [`crate::open::refund_query`].

use super::envelope::{self, CallContext};
use super::gateway::Sealing;
use crate::account::Credentials;
use crate::error::{Answer, ReplyError};
use crate::open::refund::{Refund, RefundReply};
use crate::open::refund_query::{RefundQuery, RefundQueryReply};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// The path of the refund.
pub const REFUND_PATH: &str = "/v3/alipay/trade/refund";
/// The path of the question.
pub const REFUND_QUERY_PATH: &str = "/v3/alipay/trade/fastpay/refund/query";

impl Refund {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, REFUND_PATH, self.write())
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<RefundReply>, ReplyError> {
        envelope::reply(credentials, response, now)?.then(|members| self.answer(&members))
    }
}

impl RefundReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

impl RefundQuery {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, REFUND_QUERY_PATH, self.write())
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<RefundQueryReply>, ReplyError> {
        envelope::reply(credentials, response, now)?.then(|members| self.answer(&members))
    }
}

impl RefundQueryReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::TradeRef;
    use crate::open::refund_query::RefundFound;
    use crate::open::refund_query::tests::{call as query, found};
    use crate::open::testing::{Both, body_text};
    use crate::v3::gateway::refuse;
    use crate::v3::gateway::tests::{call, content, now, sealing};
    use crate::{RefundRefusal, Refusal};
    use tongbao_types::{Amount, Fen, OutTradeNo, TradeNo};

    fn number() -> OutTradeNo {
        OutTradeNo::new("TB20261121000001").unwrap()
    }

    fn refund() -> Refund {
        Refund {
            trade: TradeRef::Out(number()),
            refund_amount: Amount::new(Fen(100)).unwrap(),
            out_request_no: Some("R1".into()),
            refund_reason: Some("茶凉了".into()),
            with_detail: true,
        }
    }

    fn refunded(has_fund_change: bool) -> RefundReply {
        RefundReply {
            out_trade_no: number(),
            trade_no: Some(TradeNo::new("2026112122001400000500000001").unwrap()),
            has_fund_change,
            refund_fee: Fen(300),
            send_back_fee: Some(Fen(100)),
            refund_detail_item_list: found().refund_detail_item_list,
            gmt_refund_pay: Some("2026-11-22T06:30:11Z".parse().unwrap()),
            buyer_user_id: Some("2088000000000002".into()),
            buyer_open_id: None,
            buyer_logon_id: None,
        }
    }

    #[test]
    fn a_refund_passes_between_both_ends() {
        let bare =
            Refund { out_request_no: None, refund_reason: None, with_detail: false, ..refund() };
        for (refund, change) in [(refund(), true), (bare, false)] {
            for both in Both::all() {
                let sent = refund.encode_v3(&both.merchant, &call());
                assert_eq!(sent.target, REFUND_PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, crate::open::refund::METHOD);
                assert_eq!(Refund::read(&content), Ok(refund.clone()));
                let response = refunded(change).encode_v3(sealing(&both));
                let read = refund.decode_v3(&both.merchant, &response, now());
                assert_eq!(read, Ok(Answer::Done(refunded(change))));
            }
        }
    }

    #[test]
    fn the_question_passes_between_both_ends() {
        let plain = RefundQuery { with_detail: false, ..query() };
        for (query, reply) in
            [(query(), RefundQueryReply::Found(found())), (plain, RefundQueryReply::NothingKnown)]
        {
            for both in Both::all() {
                let sent = query.encode_v3(&both.merchant, &call());
                assert_eq!(sent.target, REFUND_QUERY_PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, crate::open::refund_query::METHOD);
                assert_eq!(RefundQuery::read(&content), Ok(query.clone()));
                let response = reply.encode_v3(sealing(&both));
                let read = query.decode_v3(&both.merchant, &response, now());
                assert_eq!(read, Ok(Answer::Done(reply.clone())));
            }
        }
        let bare = RefundQueryReply::NothingKnown.encode_v3(sealing(&Both::plain()));
        assert_eq!(body_text(&bare), "{}");
    }

    #[test]
    fn a_reply_about_another_refund_is_not_taken() {
        let both = Both::plain();
        let other =
            RefundReply { out_trade_no: OutTradeNo::new("OTHER").unwrap(), ..refunded(true) };
        let response = other.encode_v3(sealing(&both));
        let read = refund().decode_v3(&both.merchant, &response, now());
        assert_eq!(read, Err(ReplyError::OtherOrder));
        for other in [
            RefundFound { out_request_no: "R2".into(), ..found() },
            RefundFound { out_trade_no: OutTradeNo::new("OTHER").unwrap(), ..found() },
        ] {
            let response = RefundQueryReply::Found(other).encode_v3(sealing(&both));
            let read = query().decode_v3(&both.merchant, &response, now());
            assert_eq!(read, Err(ReplyError::OtherOrder));
        }
    }

    #[test]
    fn a_refused_refund_is_told_from_one_that_is_unknown() {
        let both = Both::plain();
        for (refusal, meaning) in [
            (Refusal::SELLER_BALANCE_NOT_ENOUGH, RefundRefusal::Later),
            (Refusal::TRADE_HAS_FINISHED, RefundRefusal::Final),
            (Refusal::DISCORDANT_REPEAT_REQUEST, RefundRefusal::Ask),
            (Refusal::SYSTEM_ERROR, RefundRefusal::Unknown),
            (Refusal::UNAVAILABLE, RefundRefusal::Unknown),
            (Refusal::INVALID_SIGNATURE, RefundRefusal::Setup),
        ] {
            let response = refuse(&refusal, Some(sealing(&both)), "trace");
            match refund().decode_v3(&both.merchant, &response, now()) {
                Ok(Answer::Refused(error)) => assert_eq!(error.of_refund(), meaning, "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

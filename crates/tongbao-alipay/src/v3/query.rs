//! `POST /v3/alipay/trade/query`: where a trade stands. See [`crate::open::query`].

use super::envelope::{self, CallContext};
use super::gateway::Sealing;
use crate::account::Credentials;
use crate::error::{Answer, ReplyError};
use crate::open::query::{Query, QueryReply};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// The path.
pub const PATH: &str = "/v3/alipay/trade/query";

impl Query {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, PATH, self.trade.write())
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<QueryReply>, ReplyError> {
        envelope::reply(credentials, response, now)?.then(|members| self.answer(&members))
    }
}

impl QueryReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TradeStatus;
    use crate::open::TradeRef;
    use crate::open::query::tests::{answer, call as query};
    use crate::open::testing::{Both, body_text};
    use crate::v3::gateway::tests::{call, content, now, sealing};
    use tongbao_types::{OutTradeNo, TradeNo};

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        let trade = TradeRef::Trade(TradeNo::new("2026112122001400000500000001").unwrap());
        for query in [query(), Query { trade }] {
            for both in Both::all() {
                let sent = query.encode_v3(&both.merchant, &call());
                assert_eq!(sent.target, PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, crate::open::query::METHOD);
                assert_eq!(Query::read(&content), Ok(query.clone()));
                let response = answer(TradeStatus::TradeSuccess).encode_v3(sealing(&both));
                let read = query.decode_v3(&both.merchant, &response, now());
                assert_eq!(read, Ok(Answer::Done(answer(TradeStatus::TradeSuccess))));
            }
        }
    }

    #[test]
    fn a_reply_is_the_object_alone() {
        let body = body_text(&answer(TradeStatus::TradeSuccess).encode_v3(sealing(&Both::plain())));
        let wanted = concat!(
            r#"{"buyer_logon_id":"buy***@example.com","buyer_pay_amount":"0.00","#,
            r#""buyer_user_id":"2088000000000002","invoice_amount":"0.00","#,
            r#""out_trade_no":"TB20261121000001","point_amount":"0.00","receipt_amount":"0.00","#,
            r#""send_pay_date":"2026-11-21 14:30:11","total_amount":"88.88","#,
            r#""trade_no":"2026112122001400000500000001","trade_status":"TRADE_SUCCESS"}"#,
        );
        assert_eq!(body, wanted);
    }

    #[test]
    fn a_reply_about_another_trade_is_not_taken() {
        let both = Both::plain();
        let other = QueryReply {
            out_trade_no: OutTradeNo::new("OTHER").unwrap(),
            ..answer(TradeStatus::TradeSuccess)
        };
        let response = other.encode_v3(sealing(&both));
        let read = query().decode_v3(&both.merchant, &response, now());
        assert_eq!(read, Err(ReplyError::OtherOrder));
    }
}

//! Close order (微信支付 API v3, 关闭订单).
//!
//! 204 without a body, signed all the same. A paid order is refused (ORDERPAID), which is news.

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, path_segment, post};
use super::query::checked_segment;
use crate::account::V3Credentials;
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, Rule, must};
use serde::{Deserialize, Serialize};
use tongbao_types::{HttpRequest, HttpResponse};

const PREFIX: &str = "/v3/pay/transactions/out-trade-no/";
const SUFFIX: &str = "/close";

/// Let this order not be paid any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseOrder {
    /// The merchant's number.
    pub out_trade_no: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    mchid: String,
}

const RULES: &[Rule] = &[must("mchid", "直连商户号", Kind::Text(1, 32))];

impl CloseOrder {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let target = format!("{PREFIX}{}{SUFFIX}", path_segment(&self.out_trade_no));
        let body = Body { mchid: credentials.merchant().mch_id.clone() };
        post(target, &body, credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<CloseOrder, Refusal> {
        let path = opened.request.path();
        let segment = path.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        let rule = must("out_trade_no", "商户订单号", Kind::OutTradeNo);
        let out_trade_no = checked_segment(segment.unwrap_or(""), &rule)?;
        let body: Body = opened.body(RULES)?;
        opened.check_mchid(&body.mchid)?;
        Ok(CloseOrder { out_trade_no })
    }

    /// The provider's reply.
    pub fn encode_reply(replier: &Replier<'_>) -> HttpResponse {
        replier.no_content()
    }

    /// The merchant reads the reply.
    pub fn decode_reply(&self, received: &Received<'_>) -> Result<Answer<()>, ReplyError> {
        Ok(received.verified()?.map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, opened, received, replier, stamp};
    use super::*;

    #[test]
    fn a_close_goes_there_and_back_and_a_paid_order_says_so() {
        let close = CloseOrder { out_trade_no: "20180821|665587".to_owned() };
        let request = close.encode(&PAIR.credentials, stamp());
        assert_eq!(request.body, r#"{"mchid":"1900000109"}"#);
        assert_eq!(CloseOrder::decode(&opened(request)).as_ref(), Ok(&close));
        let done = CloseOrder::encode_reply(&replier());
        assert_eq!(done.status, 204);
        assert_eq!(close.decode_reply(&received(&done)), Ok(Answer::Done(())));
        let paid = Refusal::new(400, "ORDER_PAID", "该订单已支付").encode("id");
        let answer = close.decode_reply(&received(&paid));
        assert!(matches!(answer, Ok(Answer::Refused(error)) if error.is_paid()));
    }

    #[test]
    fn the_provider_checks_the_number_and_the_merchant() {
        let check = |target: &str, body: serde_json::Value| {
            let request = post(target.to_owned(), &body, &PAIR.credentials, stamp());
            assert_eq!(CloseOrder::decode(&opened(request)).unwrap_err().status, 400);
        };
        let good = "/v3/pay/transactions/out-trade-no/20180821665587/close";
        check(good, serde_json::json!({}));
        check(good, serde_json::json!({"mchid": "1"}));
        check(good, serde_json::json!({"mchid": "1900000109", "x": 1}));
        let body = serde_json::json!({"mchid": "1900000109"});
        check("/v3/pay/transactions/out-trade-no/123/close", body.clone());
        check("/v3/pay/transactions/out-trade-no/2018%FF0821/close", body);
    }
}

//! Close order (微信支付 API v3, 关闭订单).
//!
//! 204 without a body, signed all the same. A paid order is refused (ORDERPAID), which is news.

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, post};
use super::party::{Mode, Party};
use super::target::{checked_segment, path_segment};
use crate::account::V3Credentials;
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, must};
use tongbao_types::{HttpRequest, HttpResponse};

const PREFIX: &str = "out-trade-no/";
const SUFFIX: &str = "/close";

/// Let this order not be paid any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseOrder {
    /// The merchant's number.
    pub out_trade_no: String,
}

impl CloseOrder {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let merchant = credentials.merchant();
        let rest = format!("{PREFIX}{}{SUFFIX}", path_segment(&self.out_trade_no));
        let target = Mode::of(merchant).path(&rest);
        post(target, &Party::numbers_of(merchant), credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<CloseOrder, Refusal> {
        let (mode, rest) = Mode::strip(opened.request.path()).unwrap_or((Mode::Direct, ""));
        let segment = rest.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        let rule = must("out_trade_no", "商户订单号", Kind::OutTradeNo);
        let out_trade_no = checked_segment(segment.unwrap_or(""), &rule)?;
        let party: Party = opened.body(mode.number_rules())?;
        opened.check_party(&party)?;
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
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
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
    fn a_service_provider_closes_a_sub_merchants_order() {
        let close = CloseOrder { out_trade_no: "20180821665587".to_owned() };
        let request = close.encode(&PARTNER, stamp());
        let wanted = "/v3/pay/partner/transactions/out-trade-no/20180821665587/close";
        assert_eq!(request.target, wanted);
        assert_eq!(request.body, r#"{"sp_mchid":"1900000109","sub_mchid":"1900000209"}"#);
        let opened = opened(request);
        assert_eq!(CloseOrder::decode(&opened).as_ref(), Ok(&close));
        assert_eq!(opened.merchant.sub_mch_id.as_deref(), Some("1900000209"));
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
        let partners = "/v3/pay/partner/transactions/out-trade-no/20180821665587/close";
        check(partners, body.clone());
        check(partners, serde_json::json!({"sp_mchid": "1900000109"}));
        check(partners, serde_json::json!({"sp_mchid": "1", "sub_mchid": "1900000209"}));
        check("/v3/pay/transactions/out-trade-no/2018%FF0821/close", body);
    }
}

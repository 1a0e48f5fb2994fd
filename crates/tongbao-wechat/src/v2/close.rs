//! Close order (微信支付 API v2, 关闭订单).
//!
//! Closing what is closed or unknown succeeds in production; only a paid order is refused
//! (ORDERPAID), and that is news, not a failure.

use super::envelope::{Opened, Refusal, Replier, read_reply, request};
use crate::account::V2Credentials;
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, Rule, must};
use crate::xml::Fields;
use tongbao_types::{HttpRequest, HttpResponse};

/// Where closes are sent.
pub const CLOSE_PATH: &str = "/pay/closeorder";

/// Let this order not be paid any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseOrder {
    /// The merchant's number.
    pub out_trade_no: String,
}

const RULES: &[Rule] = &[must("out_trade_no", "商户订单号", Kind::OutTradeNo)];

impl CloseOrder {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        fields.set("out_trade_no", &self.out_trade_no);
        request(CLOSE_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<CloseOrder, Refusal> {
        opened.check(RULES)?;
        Ok(CloseOrder { out_trade_no: opened.text("out_trade_no").unwrap_or_default() })
    }

    /// The provider's reply. Direct mode gets an empty `sub_mch_id`, as captured.
    pub fn encode_reply(opened: &Opened, replier: &Replier<'_>) -> HttpResponse {
        let mut own = Fields::new();
        own.set("sub_mch_id", opened.text("sub_mch_id").unwrap_or_default());
        own.set("result_msg", "OK");
        replier.done(own)
    }

    /// The merchant reads the reply.
    pub fn decode_reply(
        &self,
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<()>, ReplyError> {
        Ok(read_reply(credentials, response)?.map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::*;
    use crate::account::SignType;

    #[test]
    fn a_close_goes_there_and_back_and_a_paid_order_says_so() {
        let credentials = credentials(SignType::HmacSha256);
        let close = CloseOrder { out_trade_no: "20180821665587".to_owned() };
        let opened = opened(&close.encode(&credentials, "n1"), &credentials);
        assert_eq!(CloseOrder::decode(&opened).as_ref(), Ok(&close));
        let replier = opened.replier(credentials.key(), "n2");
        let done = CloseOrder::encode_reply(&opened, &replier);
        assert_eq!(close.decode_reply(&credentials, &done), Ok(Answer::Done(())));
        let paid = replier.refuse(&Refusal::business("ORDERPAID", "order paid"));
        let answer = close.decode_reply(&credentials, &paid);
        assert!(matches!(answer, Ok(Answer::Refused(error)) if error.is_paid()));
    }

    #[test]
    fn a_close_without_a_number_is_refused() {
        let credentials = credentials(SignType::Md5);
        let bare = CloseOrder { out_trade_no: String::new() }.encode(&credentials, "n1");
        assert!(CloseOrder::decode(&opened(&bare, &credentials)).is_err());
    }
}

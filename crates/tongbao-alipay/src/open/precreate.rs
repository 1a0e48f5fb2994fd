//! `alipay.trade.precreate`: an order as a QR code that the buyer scans. Alipay, 统一收单线下交易预创建.
//!
//! No trade exists at Alipay until somebody scans the code.

use super::envelope::{self, CallContext};
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, Writer};
use super::order::Order;
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_types::{HttpRequest, HttpResponse, OutTradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.precreate";
/// `product_code` of the product 订单码.
pub const QR_CODE_OFFLINE: &str = "QR_CODE_OFFLINE";
/// `product_code` of the older product 当面付.
pub const FACE_TO_FACE_PAYMENT: &str = "FACE_TO_FACE_PAYMENT";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precreate {
    /// The order, its `product_code` one of the two above.
    pub order: Order,
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrecreateReply {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// What the QR code says, such as `https://qr.alipay.com/bax…`; valid for two hours.
    pub qr_code: String,
}

impl Precreate {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.order.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<PrecreateReply>, ReplyError> {
        envelope::reply(credentials, METHOD, response)?.then(|members| self.answer(&members))
    }

    /// What the members of a reply say of this call.
    pub(crate) fn answer(&self, members: &Reader) -> Result<PrecreateReply, ReplyError> {
        let out_trade_no = self.order.own_number(members)?;
        let qr_code = members.required("qr_code")?;
        Ok(PrecreateReply { out_trade_no, qr_code })
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<Precreate, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        Ok(Precreate { order: Order::read(&biz)? })
    }
}

impl PrecreateReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new()
            .text("out_trade_no", self.out_trade_no.as_str())
            .text("qr_code", &self.qr_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::{Both, order};

    fn call() -> Precreate {
        Precreate { order: order(QR_CODE_OFFLINE) }
    }

    fn answer() -> PrecreateReply {
        let qr_code = "https://qr.alipay.com/bax03431ljhokirwl38f00a7".into();
        PrecreateReply { out_trade_no: call().order.out_trade_no, qr_code }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        for both in Both::all() {
            let received = both.receive(&call().encode(&both.merchant, &both.context()));
            assert_eq!(received.method().as_deref(), Some(METHOD));
            let biz = received.biz_content(both.content_key.as_ref()).unwrap();
            assert_eq!(Precreate::read(&biz), Ok(call()));
            let response = answer().encode(&received, both.sealing());
            assert_eq!(call().decode(&both.merchant, &response), Ok(Answer::Done(answer())));
        }
    }

    #[test]
    fn the_reply_is_written_as_production_writes_it() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        let response = answer().encode(&received, Sealing::Unsigned);
        let body = concat!(
            r#"{"alipay_trade_precreate_response":{"code":"10000","msg":"Success","#,
            r#""out_trade_no":"TB20261121000001","#,
            r#""qr_code":"https:\/\/qr.alipay.com\/bax03431ljhokirwl38f00a7"}}"#,
        );
        assert_eq!(response.body, body);
        assert_eq!(response.header("content-type"), Some("text/html;charset=utf-8"));
    }

    #[test]
    fn a_reply_about_another_order_or_without_a_code_is_not_taken() {
        let both = Both::plain();
        let check = |object: &str, wanted: ReplyError| {
            let response = both.signed_reply(METHOD, object);
            assert_eq!(call().decode(&both.merchant, &response), Err(wanted), "{object}");
        };
        check(
            r#"{"code":"10000","msg":"Success","out_trade_no":"OTHER","qr_code":"x"}"#,
            ReplyError::OtherOrder,
        );
        check(
            r#"{"code":"10000","msg":"Success","out_trade_no":"TB20261121000001"}"#,
            ReplyError::Malformed("qr_code"),
        );
        check(r#"{"code":"10000","qr_code":"x"}"#, ReplyError::Malformed("out_trade_no"));
    }
}

//! `alipay.trade.create`: an order for a known buyer, paid with `tradePay` inside Alipay (JSAPI,
//! mini programs). Alipay, 统一收单交易创建接口.
//!
//! Unlike the other operations, the trade exists at once, waiting for its buyer.

use super::envelope::{self, CallContext};
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, Writer};
use super::order::{Order, wrong};
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_types::{HttpRequest, HttpResponse, OutTradeNo, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.create";
/// `product_code` of mini programs.
pub const JSAPI_PAY: &str = "JSAPI_PAY";

/// Who shall pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buyer {
    /// `buyer_id`: the user id (2088…), at most 28 characters.
    UserId(String),
    /// `buyer_open_id`: the id for this app, which newer apps get instead; at most 128 characters.
    OpenId(String),
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The order, its `product_code` the one above, or that of 当面付.
    pub order: Order,
    /// Who shall pay.
    pub buyer: Buyer,
    /// `op_app_id`: the mini program that the buyer pays in.
    pub op_app_id: Option<String>,
    /// `op_buyer_open_id`: the buyer's id for that mini program.
    pub op_buyer_open_id: Option<String>,
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateReply {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number: `tradeNO` of `tradePay`.
    pub trade_no: TradeNo,
}

impl Create {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<CreateReply>, ReplyError> {
        envelope::reply(credentials, METHOD, response)?.then(|members| self.answer(&members))
    }

    /// What the members of a reply say of this call.
    pub(crate) fn answer(&self, members: &Reader) -> Result<CreateReply, ReplyError> {
        let out_trade_no = self.order.own_number(members)?;
        let trade_no = members.trade_no()?.ok_or(ReplyError::Malformed("trade_no"))?;
        Ok(CreateReply { out_trade_no, trade_no })
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<Create, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        Ok(Create {
            order: Order::read(&biz)?,
            buyer: Buyer::read(&biz)?,
            op_app_id: biz.text("op_app_id"),
            op_buyer_open_id: biz.text("op_buyer_open_id"),
        })
    }

    pub(crate) fn write(&self) -> Writer {
        let writer = self.order.write();
        let writer = match &self.buyer {
            Buyer::UserId(id) => writer.text("buyer_id", id),
            Buyer::OpenId(id) => writer.text("buyer_open_id", id),
        };
        writer
            .maybe("op_app_id", self.op_app_id.as_deref())
            .maybe("op_buyer_open_id", self.op_buyer_open_id.as_deref())
    }
}

impl Buyer {
    fn read(biz: &Reader) -> Result<Buyer, Refusal> {
        let sent = |name: &str, most: usize| match biz.text(name) {
            Some(id) if id.chars().count() > most => Err(wrong(name)),
            other => Ok(other),
        };
        if let Some(id) = sent("buyer_id", 28)? {
            return Ok(Buyer::UserId(id));
        }
        sent("buyer_open_id", 128)?.map(Buyer::OpenId).ok_or_else(|| wrong("buyer_id"))
    }
}

impl CreateReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new()
            .text("out_trade_no", self.out_trade_no.as_str())
            .text("trade_no", self.trade_no.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::{Both, order};

    fn calls() -> [Create; 2] {
        let user = Create {
            order: order(JSAPI_PAY),
            buyer: Buyer::UserId("2088000000000002".into()),
            op_app_id: None,
            op_buyer_open_id: None,
        };
        let mini_program = Create {
            buyer: Buyer::OpenId("074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5".into()),
            op_app_id: Some("2021000000000009".into()),
            op_buyer_open_id: Some("056BB61ZNfAEiqh4hX7APMJxb".into()),
            ..user.clone()
        };
        [user, mini_program]
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        for call in calls() {
            for both in Both::all() {
                let received = both.receive(&call.encode(&both.merchant, &both.context()));
                assert_eq!(received.method().as_deref(), Some(METHOD));
                assert_eq!(Create::read(&both.biz_content(&received)), Ok(call.clone()));
                let reply = CreateReply {
                    out_trade_no: call.order.out_trade_no.clone(),
                    trade_no: TradeNo::new("2026112122001400000500000001").unwrap(),
                };
                let response = reply.encode(&received, both.sealing());
                assert_eq!(call.decode(&both.merchant, &response), Ok(Answer::Done(reply)));
            }
        }
    }

    #[test]
    fn an_order_for_nobody_is_refused() {
        let biz = |more: &str| {
            let order = r#""out_trade_no":"T1","total_amount":"1.00","subject":"x""#;
            Create::read(&format!("{{{order}{more}}}")).map(|call| call.buyer)
        };
        assert_eq!(biz(""), Err(wrong("buyer_id")));
        assert_eq!(biz(r#","buyer_id":"""#), Err(wrong("buyer_id")));
        let long = "2".repeat(29);
        assert_eq!(biz(&format!(r#","buyer_id":"{long}""#)), Err(wrong("buyer_id")));
        assert_eq!(biz(&format!(r#","buyer_open_id":"{long}""#)), Ok(Buyer::OpenId(long)));
    }

    #[test]
    fn a_reply_about_another_order_or_without_a_number_is_not_taken() {
        let both = Both::plain();
        let [call, _] = calls();
        let check = |object: &str, wanted: ReplyError| {
            let response = both.signed_reply(METHOD, object);
            assert_eq!(call.decode(&both.merchant, &response), Err(wanted), "{object}");
        };
        let other = r#"{"code":"10000","out_trade_no":"OTHER","trade_no":"1"}"#;
        check(other, ReplyError::OtherOrder);
        let without = r#"{"code":"10000","out_trade_no":"TB20261121000001"}"#;
        check(without, ReplyError::Malformed("trade_no"));
    }
}

//! `POST /v3/alipay/trade/{precreate,create,pay}`: the orders that are placed by a call. See
//! [`crate::open::precreate`], [`crate::open::create`] and [`crate::open::pay`].
//!
//! Replies of v3 have no code, so that a payment that waits for its buyer is told from one that was
//! made by the status 202, or by a missing `gmt_payment`.

use super::envelope::{self, CallContext, Received};
use super::gateway::Sealing;
use crate::account::Credentials;
use crate::error::{Answer, ReplyError};
use crate::open::create::{Create, CreateReply};
use crate::open::pay::{Pay, PayProgress, PayReply};
use crate::open::precreate::{Precreate, PrecreateReply};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// The path of precreate.
pub const PRECREATE_PATH: &str = "/v3/alipay/trade/precreate";
/// The path of create.
pub const CREATE_PATH: &str = "/v3/alipay/trade/create";
/// The path of pay.
pub const PAY_PATH: &str = "/v3/alipay/trade/pay";

impl Precreate {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, PRECREATE_PATH, self.order.write())
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<PrecreateReply>, ReplyError> {
        envelope::reply(credentials, response, now)?.then(|members| self.answer(&members))
    }
}

impl PrecreateReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

impl Create {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, CREATE_PATH, self.write())
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<CreateReply>, ReplyError> {
        envelope::reply(credentials, response, now)?.then(|members| self.answer(&members))
    }
}

impl CreateReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

impl Pay {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::post(credentials, call, PAY_PATH, self.write())
    }

    /// Reads what came back in v3. A reply with status 202 may say no more than that.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<PayReply>, ReplyError> {
        envelope::received(credentials, response, now)?.then(|Received { is_pending, members }| {
            let out_trade_no = match members.text("out_trade_no") {
                None if is_pending => self.order.out_trade_no.clone(),
                _ => self.order.own_number(&members)?,
            };
            let progress = match members.time("gmt_payment")? {
                Some(_) if !is_pending => PayProgress::Deducted,
                _ => PayProgress::WaitingForPayer,
            };
            PayReply::read(&members, out_trade_no, progress)
        })
    }
}

impl PayReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        match self.progress {
            PayProgress::Deducted => sealing.answer(&self.write()),
            PayProgress::WaitingForPayer => sealing.respond(202, &self.write().to_biz_content()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::create::Buyer;
    use crate::open::members::Reader;
    use crate::open::pay::METHOD as PAY_METHOD;
    use crate::open::pay::tests::{call as pay, deducted, waiting};
    use crate::open::testing::{Both, order};
    use crate::open::{create, precreate};
    use crate::v3::gateway::refuse;
    use crate::v3::gateway::tests::{call, content, now, sealing};
    use crate::{PayRefusal, Refusal};
    use tongbao_types::TradeNo;

    fn trade_no() -> TradeNo {
        TradeNo::new("2026112122001400000500000001").unwrap()
    }

    fn placing() -> CallContext {
        CallContext { notify_url: Some("https://pay.example.com/n".into()), ..call() }
    }

    fn asks_for_notices(content: &str) -> bool {
        Reader::read(content).unwrap().text("notify_url").as_deref()
            == Some("https://pay.example.com/n")
    }

    #[test]
    fn an_order_as_a_code_passes_between_both_ends() {
        let precreate = Precreate { order: order(precreate::QR_CODE_OFFLINE) };
        for both in Both::all() {
            let sent = precreate.encode_v3(&both.merchant, &placing());
            assert_eq!(sent.target, PRECREATE_PATH);
            let (method, content) = content(&both, &sent);
            assert_eq!(method, precreate::METHOD);
            assert!(asks_for_notices(&content));
            assert_eq!(Precreate::read(&content), Ok(precreate.clone()));
            let out_trade_no = precreate.order.out_trade_no.clone();
            let qr_code = "https://qr.alipay.com/bax03431ljhokirwl38f00a7".into();
            let reply = PrecreateReply { out_trade_no, qr_code };
            let response = reply.encode_v3(sealing(&both));
            let read = precreate.decode_v3(&both.merchant, &response, now());
            assert_eq!(read, Ok(Answer::Done(reply)));
        }
    }

    #[test]
    fn an_order_for_a_known_buyer_passes_between_both_ends() {
        let create = Create {
            order: order(create::JSAPI_PAY),
            buyer: Buyer::UserId("2088000000000002".into()),
            op_app_id: Some("2021000000000001".into()),
            op_buyer_open_id: Some("o".into()),
        };
        let newer = Create {
            buyer: Buyer::OpenId("074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5".into()),
            op_app_id: None,
            op_buyer_open_id: None,
            ..create.clone()
        };
        for create in [create, newer] {
            for both in Both::all() {
                let sent = create.encode_v3(&both.merchant, &placing());
                assert_eq!(sent.target, CREATE_PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, create::METHOD);
                assert!(asks_for_notices(&content));
                assert_eq!(Create::read(&content), Ok(create.clone()));
                let out_trade_no = create.order.out_trade_no.clone();
                let reply = CreateReply { out_trade_no, trade_no: trade_no() };
                let response = reply.encode_v3(sealing(&both));
                let read = create.decode_v3(&both.merchant, &response, now());
                assert_eq!(read, Ok(Answer::Done(reply)));
            }
        }
    }

    #[test]
    fn a_payment_by_code_passes_between_both_ends() {
        for reply in [deducted(), waiting()] {
            for both in Both::all() {
                let sent = pay().encode_v3(&both.merchant, &placing());
                assert_eq!(sent.target, PAY_PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, PAY_METHOD);
                assert!(asks_for_notices(&content));
                assert_eq!(Pay::read(&content), Ok(pay()));
                let response = reply.encode_v3(sealing(&both));
                let read = pay().decode_v3(&both.merchant, &response, now());
                assert_eq!(read, Ok(Answer::Done(reply.clone())));
            }
        }
    }

    #[test]
    fn only_a_date_of_payment_says_that_money_moved() {
        let both = Both::plain();
        let read = |status: u16, body: &str| {
            pay().decode_v3(&both.merchant, &sealing(&both).respond(status, body), now())
        };
        let progress = |status: u16, body: &str| match read(status, body) {
            Ok(Answer::Done(reply)) => reply.progress,
            other => panic!("{other:?}"),
        };
        let number = r#""out_trade_no":"TB20261121000001""#;
        let waiting = PayProgress::WaitingForPayer;
        assert_eq!(progress(202, ""), waiting);
        assert_eq!(progress(202, "{}"), waiting);
        assert_eq!(progress(200, &format!("{{{number}}}")), waiting);
        let date = r#""gmt_payment":"2026-11-21 14:30:11""#;
        assert_eq!(progress(202, &format!("{{{number},{date}}}")), waiting);
        let no_trade = format!("{{{number},{date}}}");
        assert_eq!(read(200, &no_trade), Err(ReplyError::Malformed("trade_no")));
        let no_total = format!(r#"{{{number},{date},"trade_no":"1"}}"#);
        assert_eq!(read(200, &no_total), Err(ReplyError::Malformed("total_amount")));
        assert_eq!(read(200, "{}"), Err(ReplyError::Malformed("out_trade_no")));
        let other = r#"{"out_trade_no":"OTHER"}"#;
        assert_eq!(read(202, other), Err(ReplyError::OtherOrder));
        let unsigned = HttpResponse::new(202, "application/json", "{}");
        let read = pay().decode_v3(&both.merchant, &unsigned, now());
        assert_eq!(read, Err(ReplyError::SignatureMissing));
    }

    #[test]
    fn replies_about_other_orders_or_without_their_news_are_not_taken() {
        let both = Both::plain();
        let reply = |body: &str| sealing(&both).respond(200, body);
        let precreate = Precreate { order: order(precreate::QR_CODE_OFFLINE) };
        let read = |body: &str| precreate.decode_v3(&both.merchant, &reply(body), now());
        let other = r#"{"out_trade_no":"OTHER","qr_code":"x","trade_no":"1"}"#;
        assert_eq!(read(other), Err(ReplyError::OtherOrder));
        let own = r#"{"out_trade_no":"TB20261121000001"}"#;
        assert_eq!(read(own), Err(ReplyError::Malformed("qr_code")));
        let create = Create {
            order: order(create::JSAPI_PAY),
            buyer: Buyer::UserId("2088000000000002".into()),
            op_app_id: None,
            op_buyer_open_id: None,
        };
        let read = |body: &str| create.decode_v3(&both.merchant, &reply(body), now());
        assert_eq!(read(other), Err(ReplyError::OtherOrder));
        assert_eq!(read(own), Err(ReplyError::Malformed("trade_no")));
    }

    #[test]
    fn a_refused_payment_keeps_its_meaning() {
        let both = Both::plain();
        for (refusal, meaning) in [
            (Refusal::PAYMENT_AUTH_CODE_INVALID, PayRefusal::AuthCode),
            (Refusal::BUYER_BALANCE_NOT_ENOUGH, PayRefusal::Buyer),
            (Refusal::TRADE_HAS_SUCCESS, PayRefusal::Ask),
            (Refusal::SYSTEM_ERROR, PayRefusal::Unknown),
            (Refusal::APP_CALL_LIMITED, PayRefusal::Later),
        ] {
            let response = refuse(&refusal, Some(sealing(&both)), "trace");
            match pay().decode_v3(&both.merchant, &response, now()) {
                Ok(Answer::Refused(error)) => assert_eq!(error.of_pay(), meaning, "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

//! `POST /v3/alipay/trade/{precreate,create,pay}`: the orders that are placed by a call. See
//! [`crate::open::precreate`], [`crate::open::create`] and [`crate::open::pay`].
//!
//! Replies of v3 have no code, so that a payment that waits for its buyer is told from one that was
//! made by the status 202, or by a missing `gmt_payment`.

use super::envelope::{self, CallContext, Received};
use super::gateway::Sealing;
use crate::account::Credentials;
use crate::error::{Answer, ReplyError};
use crate::open::FundBill;
use crate::open::create::{Buyer, Create, CreateReply};
use crate::open::members::{Reader, Writer};
use crate::open::pay::{Pay, PayProgress, PayReply};
use crate::open::precreate::{Precreate, PrecreateReply};
use tongbao_types::{HttpRequest, HttpResponse, OutTradeNo, Timestamp, TradeNo};

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
        let members = match envelope::reply(credentials, response, now)? {
            Answer::Done(members) => members,
            Answer::Refused(error) => return Ok(Answer::Refused(error)),
        };
        let out_trade_no = own_number(&members, &self.order.out_trade_no)?;
        let qr_code = members.required("qr_code")?;
        Ok(Answer::Done(PrecreateReply { out_trade_no, qr_code }))
    }
}

impl PrecreateReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        let members = Writer::new()
            .text("out_trade_no", self.out_trade_no.as_str())
            .text("qr_code", &self.qr_code);
        sealing.answer(&members)
    }
}

impl Create {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        let members = match &self.buyer {
            Buyer::UserId(id) => self.order.write().text("buyer_id", id),
            Buyer::OpenId(id) => self.order.write().text("buyer_open_id", id),
        };
        let members = members
            .maybe("op_app_id", self.op_app_id.as_deref())
            .maybe("op_buyer_open_id", self.op_buyer_open_id.as_deref());
        envelope::post(credentials, call, CREATE_PATH, members)
    }

    /// Reads what came back in v3.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<CreateReply>, ReplyError> {
        let members = match envelope::reply(credentials, response, now)? {
            Answer::Done(members) => members,
            Answer::Refused(error) => return Ok(Answer::Refused(error)),
        };
        let out_trade_no = own_number(&members, &self.order.out_trade_no)?;
        let trade_no = members.trade_no()?.ok_or(ReplyError::Malformed("trade_no"))?;
        Ok(Answer::Done(CreateReply { out_trade_no, trade_no }))
    }
}

impl CreateReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        let members = Writer::new()
            .text("out_trade_no", self.out_trade_no.as_str())
            .text("trade_no", self.trade_no.as_str());
        sealing.answer(&members)
    }
}

impl Pay {
    /// The call in v3, signed.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        let members = self
            .order
            .write()
            .text("auth_code", self.auth_code.as_str())
            .text("scene", self.scene.as_str());
        envelope::post(credentials, call, PAY_PATH, members)
    }

    /// Reads what came back in v3. A reply with status 202 may say no more than that.
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<PayReply>, ReplyError> {
        let Received { is_pending, members } = match envelope::received(credentials, response, now)?
        {
            Answer::Done(received) => received,
            Answer::Refused(error) => return Ok(Answer::Refused(error)),
        };
        let own = &self.order.out_trade_no;
        let out_trade_no = match members.text("out_trade_no") {
            None if is_pending => own.clone(),
            _ => own_number(&members, own)?,
        };
        paid(&members, out_trade_no, is_pending).map(Answer::Done)
    }
}

fn paid(
    members: &Reader,
    out_trade_no: OutTradeNo,
    is_pending: bool,
) -> Result<PayReply, ReplyError> {
    let gmt_payment = members.time("gmt_payment")?;
    let is_deducted = !is_pending && gmt_payment.is_some();
    let reply = PayReply {
        progress: if is_deducted { PayProgress::Deducted } else { PayProgress::WaitingForPayer },
        out_trade_no,
        trade_no: members.trade_no()?,
        total_amount: members.fen("total_amount")?,
        gmt_payment,
        buyer_user_id: members.text("buyer_user_id"),
        buyer_open_id: members.text("buyer_open_id"),
        buyer_logon_id: members.text("buyer_logon_id"),
        buyer_pay_amount: members.fen("buyer_pay_amount")?,
        receipt_amount: members.fen("receipt_amount")?,
        invoice_amount: members.fen("invoice_amount")?,
        point_amount: members.fen("point_amount")?,
        fund_bill_list: FundBill::read(members, "fund_bill_list")?,
    };
    if is_deducted && reply.trade_no.is_none() {
        return Err(ReplyError::Malformed("trade_no"));
    }
    if is_deducted && reply.total_amount.is_none() {
        return Err(ReplyError::Malformed("total_amount"));
    }
    Ok(reply)
}

impl PayReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        let members = Writer::new()
            .maybe("buyer_logon_id", self.buyer_logon_id.as_deref())
            .maybe("buyer_open_id", self.buyer_open_id.as_deref())
            .fen("buyer_pay_amount", self.buyer_pay_amount)
            .maybe("buyer_user_id", self.buyer_user_id.as_deref())
            .list("fund_bill_list", FundBill::write(&self.fund_bill_list))
            .time("gmt_payment", self.gmt_payment)
            .fen("invoice_amount", self.invoice_amount)
            .text("out_trade_no", self.out_trade_no.as_str())
            .fen("point_amount", self.point_amount)
            .fen("receipt_amount", self.receipt_amount)
            .fen("total_amount", self.total_amount)
            .maybe("trade_no", self.trade_no.as_ref().map(TradeNo::as_str));
        match self.progress {
            PayProgress::Deducted => sealing.answer(&members),
            PayProgress::WaitingForPayer => sealing.respond(202, &members.to_biz_content()),
        }
    }
}

fn own_number(members: &Reader, own: &OutTradeNo) -> Result<OutTradeNo, ReplyError> {
    let number = members.out_trade_no()?;
    if number == *own { Ok(number) } else { Err(ReplyError::OtherOrder) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::pay::{AuthCode, FACE_TO_FACE_PAYMENT, Scene};
    use crate::open::testing::{Both, order};
    use crate::open::{create, pay, precreate};
    use crate::v3::gateway::refuse;
    use crate::v3::gateway::tests::{call, content, now, sealing};
    use crate::{PayRefusal, Refusal};
    use tongbao_types::Fen;

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

    fn pay() -> Pay {
        let auth_code = AuthCode::new("28763443825664394").unwrap();
        Pay { order: order(FACE_TO_FACE_PAYMENT), auth_code, scene: Scene::BarCode }
    }

    fn deducted() -> PayReply {
        PayReply {
            progress: PayProgress::Deducted,
            out_trade_no: pay().order.out_trade_no,
            trade_no: Some(trade_no()),
            total_amount: Some(Fen(8888)),
            gmt_payment: Some("2026-11-21T06:30:11Z".parse().unwrap()),
            buyer_user_id: Some("2088000000000002".into()),
            buyer_open_id: None,
            buyer_logon_id: Some("buy***@example.com".into()),
            buyer_pay_amount: Some(Fen(8888)),
            receipt_amount: Some(Fen(8888)),
            invoice_amount: Some(Fen(8888)),
            point_amount: Some(Fen(0)),
            fund_bill_list: vec![FundBill {
                fund_channel: "ALIPAYACCOUNT".into(),
                amount: Fen(8888),
                real_amount: None,
                fund_type: None,
            }],
        }
    }

    #[test]
    fn a_payment_by_code_passes_between_both_ends() {
        let progress = PayProgress::WaitingForPayer;
        let waiting = PayReply { progress, gmt_payment: None, ..deducted() };
        for reply in [deducted(), waiting] {
            for both in Both::all() {
                let sent = pay().encode_v3(&both.merchant, &placing());
                assert_eq!(sent.target, PAY_PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, pay::METHOD);
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

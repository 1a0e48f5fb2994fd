//! `alipay.trade.pay`: the cashier scans the code that the buyer's phone shows. Alipay, 统一收单交易支付接口.
//!
//! Three outcomes are no refusal: code 10000 (deducted, though Alipay says that it may still be
//! rolled back: confirm by query or notification), 10003 (the buyer must confirm on the phone) and
//! the unknown ([`GatewayError::is_unknown`](crate::GatewayError::is_unknown)). After 10003 ask
//! every few seconds for up to a minute, and cancel what is unpaid then.

use super::envelope::{self, CallContext};
use super::fund_bill::FundBill;
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, Writer};
use super::order::{Order, wrong};
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use std::fmt;
use tongbao_types::{Fen, HttpRequest, HttpResponse, NumberError, OutTradeNo, Timestamp, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.pay";
/// `product_code` of 当面付.
pub const FACE_TO_FACE_PAYMENT: &str = "FACE_TO_FACE_PAYMENT";
/// `product_code` of the contract 当面付快捷版.
pub const OFFLINE_PAYMENT: &str = "OFFLINE_PAYMENT";

const WAITING: &str = "10003";

/// What the buyer's phone shows: 16 to 24 digits that begin with 25 to 30, or a face's `fp…`. It is
/// worth money for about a minute, so that logs do not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthCode(String);

/// `scene`: how the code was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// A scanned code.
    BarCode,
    /// Sound, of old.
    WaveCode,
    /// A face.
    SecurityCode,
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pay {
    /// The order, its `product_code` one of the two above.
    pub order: Order,
    /// The buyer's code.
    pub auth_code: AuthCode,
    /// How it was read.
    pub scene: Scene,
}

/// How far the payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayProgress {
    /// Code 10000: the money was deducted.
    Deducted,
    /// Code 10003: the buyer must confirm.
    WaitingForPayer,
}

/// What a reply with code 10000 or 10003 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayReply {
    /// Which of the two codes.
    pub progress: PayProgress,
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: Option<TradeNo>,
    /// The order's amount, in fen: the one to compare. Always there if the money was deducted.
    pub total_amount: Option<Fen>,
    /// When it was paid.
    pub gmt_payment: Option<Timestamp>,
    /// The buyer's user id (2088…).
    pub buyer_user_id: Option<String>,
    /// The buyer's id for this app, which newer apps get instead.
    pub buyer_open_id: Option<String>,
    /// The buyer's account, masked.
    pub buyer_logon_id: Option<String>,
    /// What the buyer paid.
    pub buyer_pay_amount: Option<Fen>,
    /// What the merchant gets.
    pub receipt_amount: Option<Fen>,
    /// What may be invoiced.
    pub invoice_amount: Option<Fen>,
    /// The part paid in points (集分宝).
    pub point_amount: Option<Fen>,
    /// Where the money came from.
    pub fund_bill_list: Vec<FundBill>,
}

impl AuthCode {
    /// Checks the form.
    pub fn new(text: impl Into<String>) -> Result<AuthCode, NumberError> {
        let text = text.into();
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let begins = text.get(..2).is_some_and(|two| ("25"..="30").contains(&two));
        let code = digits && begins && (16..=24).contains(&text.len());
        let letters = text.bytes().all(|b| b.is_ascii_alphanumeric());
        let face = letters && text.starts_with("fp") && text.len() == 35;
        if code || face { Ok(AuthCode(text)) } else { Err(NumberError(AUTH_CODE_RULE)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const AUTH_CODE_RULE: &str =
    "a payment code of Alipay's is 16 to 24 digits that begin with 25 to 30";

impl fmt::Debug for AuthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthCode(…)")
    }
}

impl Scene {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scene::BarCode => "bar_code",
            Scene::WaveCode => "wave_code",
            Scene::SecurityCode => "security_code",
        }
    }

    fn from_word(word: &str) -> Option<Scene> {
        [Scene::BarCode, Scene::WaveCode, Scene::SecurityCode]
            .into_iter()
            .find(|scene| scene.as_str() == word)
    }
}

impl Pay {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<PayReply>, ReplyError> {
        let text = envelope::body_text(response)?;
        let answer = envelope::reply_with(credentials, METHOD, text, &["10000", WAITING])?;
        answer.then(|members| {
            let progress = match members.required("code")?.as_str() {
                WAITING => PayProgress::WaitingForPayer,
                _ => PayProgress::Deducted,
            };
            PayReply::read(&members, self.order.own_number(&members)?, progress)
        })
    }

    pub(crate) fn write(&self) -> Writer {
        let writer = self.order.write().text("auth_code", self.auth_code.as_str());
        writer.text("scene", self.scene.as_str())
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<Pay, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let order = Order::read(&biz)?;
        let scene = biz.text("scene").and_then(|word| Scene::from_word(&word));
        let auth_code = biz.text("auth_code").ok_or_else(|| wrong("auth_code"))?;
        Ok(Pay {
            order,
            auth_code: AuthCode::new(auth_code).map_err(|_| Refusal::PAYMENT_AUTH_CODE_INVALID)?,
            scene: scene.ok_or_else(|| wrong("scene"))?,
        })
    }
}

impl PayReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        let code = match self.progress {
            PayProgress::Deducted => "10000",
            PayProgress::WaitingForPayer => WAITING,
        };
        request.answer(&self.write().to_reply_with(code), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new()
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
            .maybe("trade_no", self.trade_no.as_ref().map(TradeNo::as_str))
    }

    /// The rest of a reply; the protocols say in ways of their own how far the payment is.
    pub(crate) fn read(
        members: &Reader,
        out_trade_no: OutTradeNo,
        progress: PayProgress,
    ) -> Result<PayReply, ReplyError> {
        let is_deducted = progress == PayProgress::Deducted;
        let reply = PayReply {
            progress,
            out_trade_no,
            trade_no: members.trade_no()?,
            total_amount: members.fen("total_amount")?,
            gmt_payment: members.time("gmt_payment")?,
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
}

/// The gateway's side: what production adds to a refused payment, four amounts of nothing.
pub fn refusal_members() -> Vec<(&'static str, &'static str)> {
    ["buyer_pay_amount", "invoice_amount", "point_amount", "receipt_amount"]
        .map(|name| (name, "0.00"))
        .to_vec()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::PayRefusal;
    use crate::open::testing::{Both, K1, order};

    pub(crate) fn call() -> Pay {
        let auth_code = AuthCode::new("28763443825664394").unwrap();
        Pay { order: order(FACE_TO_FACE_PAYMENT), auth_code, scene: Scene::BarCode }
    }

    pub(crate) fn waiting() -> PayReply {
        PayReply {
            progress: PayProgress::WaitingForPayer,
            out_trade_no: call().order.out_trade_no,
            trade_no: Some(TradeNo::new("2026112122001400000500000001").unwrap()),
            total_amount: Some(Fen(8888)),
            gmt_payment: None,
            buyer_user_id: Some("2088000000000002".into()),
            buyer_open_id: None,
            buyer_logon_id: Some("buy***@example.com".into()),
            buyer_pay_amount: Some(Fen(0)),
            receipt_amount: Some(Fen(0)),
            invoice_amount: Some(Fen(0)),
            point_amount: Some(Fen(0)),
            fund_bill_list: Vec::new(),
        }
    }

    pub(crate) fn deducted() -> PayReply {
        let source = FundBill {
            fund_channel: "ALIPAYACCOUNT".into(),
            amount: Fen(8888),
            real_amount: None,
            fund_type: None,
        };
        PayReply {
            progress: PayProgress::Deducted,
            gmt_payment: Some("2026-11-21T06:30:11Z".parse().unwrap()),
            fund_bill_list: vec![source],
            ..waiting()
        }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        for reply in [deducted(), waiting()] {
            for both in Both::all() {
                let received = both.receive(&call().encode(&both.merchant, &both.context()));
                assert_eq!(received.method().as_deref(), Some(METHOD));
                assert_eq!(Pay::read(&both.biz_content(&received)), Ok(call()));
                let response = reply.encode(&received, both.sealing());
                let read = call().decode(&both.merchant, &response);
                assert_eq!(read, Ok(Answer::Done(reply.clone())));
            }
        }
    }

    #[test]
    fn the_reply_from_production_is_read_and_written_alike() {
        let key = include_str!("../../vectors/production.reply.key");
        let object = include_str!("../../vectors/production.reply.object");
        let sign = include_str!("../../vectors/production.reply.rsa2");
        let merchant = Credentials::with_public_key("2021000000000001", K1, key).unwrap();
        let body = format!(r#"{{"alipay_trade_pay_response":{object},"sign":"{sign}"}}"#);
        let response = HttpResponse::new(200, "text/html;charset=utf-8", body);
        let mut call = call();
        call.order.out_trade_no = OutTradeNo::new("GZ201901301040361012").unwrap();
        let Ok(Answer::Done(reply)) = call.decode(&merchant, &response) else { panic!() };
        assert_eq!(reply.progress, PayProgress::Deducted);
        assert_eq!(reply.trade_no.as_ref().unwrap().as_str(), "2019082922001432790585537960");
        assert_eq!(reply.total_amount, Some(Fen(1)));
        assert_eq!(reply.gmt_payment, Some("2019-08-29T12:14:05Z".parse().unwrap()));
        assert_eq!(reply.fund_bill_list[0].fund_channel, "PCREDIT");
        let both = Both::plain();
        let received = both.receive(&call.encode(&both.merchant, &both.context()));
        let body = reply.encode(&received, Sealing::Unsigned).body;
        let wanted = format!(r#"{{"alipay_trade_pay_response":{object}}}"#);
        assert_eq!(body, wanted);
    }

    #[test]
    fn codes_are_told_apart() {
        let both = Both::plain();
        let number = r#""out_trade_no":"TB20261121000001""#;
        let decode =
            |object: &str| call().decode(&both.merchant, &both.signed_reply(METHOD, object));
        let read = decode(&format!(r#"{{"code":"10003","msg":"x",{number}}}"#)).unwrap();
        let Answer::Done(reply) = read else { panic!() };
        assert_eq!(reply.progress, PayProgress::WaitingForPayer);
        let bare = decode(&format!(r#"{{"code":"10000",{number},"total_amount":"1.00"}}"#));
        assert_eq!(bare, Err(ReplyError::Malformed("trade_no")));
        let bare = decode(&format!(r#"{{"code":"10000",{number},"trade_no":"1"}}"#));
        assert_eq!(bare, Err(ReplyError::Malformed("total_amount")));
        let other = decode(r#"{"code":"10003","out_trade_no":"OTHER"}"#);
        assert_eq!(other, Err(ReplyError::OtherOrder));
        match decode(r#"{"code":"20000","msg":"x","sub_code":"isp.unknow-error"}"#) {
            Ok(Answer::Refused(error)) => assert_eq!(error.of_pay(), PayRefusal::Unknown),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_payment_has_four_amounts_of_nothing() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        let refusal = Refusal::PAYMENT_AUTH_CODE_INVALID;
        let response = received.refuse(&refusal, &refusal_members(), both.sealing());
        let object = concat!(
            r#"{"code":"40004","msg":"Business Failed","#,
            r#""sub_code":"ACQ.PAYMENT_AUTH_CODE_INVALID","sub_msg":"付款码无效","buyer_pay_amount":"0.00","invoice_amount":"0.00","#,
            r#""point_amount":"0.00","receipt_amount":"0.00"}"#,
        );
        let body = String::from_utf8(response.body.to_vec()).unwrap();
        assert!(body.contains(object), "{body}");
        match call().decode(&both.merchant, &response) {
            Ok(Answer::Refused(error)) => assert_eq!(error.of_pay(), PayRefusal::AuthCode),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn codes_of_the_phone_keep_their_form_and_stay_out_of_logs() {
        let face = format!("fp{}", "a1".repeat(16) + "b");
        for (text, fits) in [
            ("28763443825664394", true),
            ("2512345678901234", true),
            ("301234567890123456789012", true),
            (face.as_str(), true),
            ("2412345678901234", false),
            ("3112345678901234", false),
            ("251234567890123", false),
            ("2512345678901234567890123", false),
            ("28763443825664a94", false),
            ("fp123", false),
            ("支付宝付款码", false),
            ("", false),
        ] {
            assert_eq!(AuthCode::new(text).is_ok(), fits, "{text}");
        }
        assert!(!format!("{:?}", call()).contains("28763443825664394"));
    }

    #[test]
    fn what_the_gateway_refuses_is_named() {
        let biz = |scene: &str, code: &str| {
            let order = r#""out_trade_no":"T1","total_amount":"1.00","subject":"x""#;
            Pay::read(&format!(r#"{{{order},"scene":"{scene}","auth_code":"{code}"}}"#)).err()
        };
        assert_eq!(biz("bar_code", "28763443825664394"), None);
        assert_eq!(biz("wave_code", "28763443825664394"), None);
        assert_eq!(biz("smell", "28763443825664394"), Some(wrong("scene")));
        assert_eq!(biz("bar_code", ""), Some(wrong("auth_code")));
        assert_eq!(biz("bar_code", "1"), Some(Refusal::PAYMENT_AUTH_CODE_INVALID));
    }
}

//! The notification about a trade, which Alipay posts to `notify_url` until it is answered. Alipay,
//! 异步通知说明.
//!
//! The order of checks is fixed: size, syntax, kind of signature, signature, app and merchant,
//! members. Amount and order are the caller's to compare. Alipay repeats a notification as long as
//! the answer is not [`SUCCESS`], with the same `notify_id`.

use super::members::Writer;
use super::sign::{self, Empty, SIGN_TYPE};
use crate::account::Credentials;
use crate::notice::{self, fen, time};
use crate::verified::{Verified, seal};
use crate::{Charset, Params, TradeStatus, beijing};
use tongbao_crypt::RsaPrivateKey;
use tongbao_types::{Bug, Fen, HttpRequest, Method, OutTradeNo, Timestamp, TradeNo, is_planted};

pub use crate::notice::{NoticeError, SIZE_MAX};

/// The answer once the message is stored, and the only one that ends the repeats.
pub const SUCCESS: &str = "success";
/// The answer to anything else; Alipay will come again.
pub const FAIL: &str = "fail";

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The same for all repeats of one notification.
    pub notify_id: String,
    /// When this copy was sent.
    pub notify_time: Option<Timestamp>,
    /// The app.
    pub app_id: String,
    /// The merchant's PID.
    pub seller_id: Option<String>,
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: TradeNo,
    /// Where the trade stands.
    pub trade_status: TradeStatus,
    /// The order's amount, in fen: the one to compare.
    pub total_amount: Fen,
    /// What the merchant gets.
    pub receipt_amount: Option<Fen>,
    /// What the buyer paid.
    pub buyer_pay_amount: Option<Fen>,
    /// What may be invoiced.
    pub invoice_amount: Option<Fen>,
    /// The part paid in points (集分宝).
    pub point_amount: Option<Fen>,
    /// The buyer's user id (2088…).
    pub buyer_id: Option<String>,
    /// The buyer's id for this app, which newer apps get instead.
    pub buyer_open_id: Option<String>,
    /// The buyer's account, masked.
    pub buyer_logon_id: Option<String>,
    /// As ordered.
    pub subject: Option<String>,
    /// As ordered.
    pub body: Option<String>,
    /// As ordered.
    pub passback_params: Option<String>,
    /// JSON text of how it was paid.
    pub fund_bill_list: Option<String>,
    /// When the trade was created.
    pub gmt_create: Option<Timestamp>,
    /// When it was paid.
    pub gmt_payment: Option<Timestamp>,
    /// When it was refunded, in part or in full.
    pub gmt_refund: Option<Timestamp>,
    /// When it was closed.
    pub gmt_close: Option<Timestamp>,
    /// What was refunded so far, in fen.
    pub refund_fee: Option<Fen>,
    /// The number of the refund (`out_request_no`).
    pub out_biz_no: Option<String>,
}

/// Checks a notification and reads it.
pub fn verify(
    credentials: &Credentials,
    request: &HttpRequest,
) -> Result<Verified<Notification>, NoticeError> {
    if request.method != Method::Post {
        return Err(NoticeError::NotPosted);
    }
    let params = checked(credentials, &request.body)?;
    Notification::read(&params).map(seal)
}

/// The order that an unverified message claims to be about; good for nothing but to note a refusal
/// at that order.
pub fn claimed_out_trade_no(request: &HttpRequest) -> Option<String> {
    if request.body.len() > SIZE_MAX {
        return None;
    }
    let no = form_urlencoded::parse(&request.body).find(|(name, _)| name == "out_trade_no")?.1;
    OutTradeNo::new(no).ok().map(|no| no.as_str().to_owned())
}

/// Size, syntax, kind of signature, signature, app and merchant: what notifications and returns
/// have in common.
pub(super) fn checked(credentials: &Credentials, form: &[u8]) -> Result<Params, NoticeError> {
    let params = notice::checked(form, SIGN_TYPE, |params, signature| {
        is_planted(Bug::VerifySkippedAtAlipay)
            || sign::verify_message(&credentials.trust().keys(), params, signature)
    })?;
    check_account(credentials, &params)?;
    Ok(params)
}

/// `app_id` must be there; the others must fit if they are.
fn check_account(credentials: &Credentials, params: &Params) -> Result<(), NoticeError> {
    if params.text("app_id").as_deref() != Some(credentials.app_id()) {
        return Err(NoticeError::AccountMismatch { field: "app_id" });
    }
    let differs = |name: &str, wanted: Option<&str>| {
        let given = params.filled(name);
        wanted.is_some() && given.is_some() && given.as_deref() != wanted
    };
    if differs("auth_app_id", Some(credentials.app_id())) {
        return Err(NoticeError::AccountMismatch { field: "auth_app_id" });
    }
    if differs("seller_id", credentials.seller_id()) {
        return Err(NoticeError::AccountMismatch { field: "seller_id" });
    }
    Ok(())
}

impl Notification {
    /// The gateway's side: the message to post, signed, without empty members. `target` is path
    /// and query of the `notify_url`.
    pub fn encode(&self, target: &str, charset: Charset, key: &RsaPrivateKey) -> HttpRequest {
        let mut params = Params::new(charset);
        for (name, value) in self.members().pairs() {
            params.set(name, value);
        }
        params.set("charset", charset.name());
        let signature = sign::sign(key, &sign::message_string(&params, Empty::Kept));
        params.set("sign", &signature);
        params.set("sign_type", SIGN_TYPE);
        let content_type = format!("application/x-www-form-urlencoded; charset={}", charset.name());
        HttpRequest {
            method: Method::Post,
            target: target.to_owned(),
            headers: vec![("Content-Type".to_owned(), content_type)],
            body: params.to_form().into(),
        }
    }

    fn members(&self) -> Writer {
        Writer::new()
            .text("notify_id", &self.notify_id)
            .text("notify_type", "trade_status_sync")
            .text("version", "1.0")
            .time("notify_time", self.notify_time)
            .text("app_id", &self.app_id)
            .text("auth_app_id", &self.app_id)
            .maybe("seller_id", self.seller_id.as_deref())
            .text("out_trade_no", self.out_trade_no.as_str())
            .text("trade_no", self.trade_no.as_str())
            .text("trade_status", self.trade_status.as_str())
            .fen("total_amount", Some(self.total_amount))
            .fen("receipt_amount", self.receipt_amount)
            .fen("buyer_pay_amount", self.buyer_pay_amount)
            .fen("invoice_amount", self.invoice_amount)
            .fen("point_amount", self.point_amount)
            .maybe("buyer_id", self.buyer_id.as_deref())
            .maybe("buyer_open_id", self.buyer_open_id.as_deref())
            .maybe("buyer_logon_id", self.buyer_logon_id.as_deref())
            .maybe("subject", self.subject.as_deref())
            .maybe("body", self.body.as_deref())
            .maybe("passback_params", self.passback_params.as_deref())
            .maybe("fund_bill_list", self.fund_bill_list.as_deref())
            .time("gmt_create", self.gmt_create)
            .time("gmt_payment", self.gmt_payment)
            .maybe("gmt_refund", self.gmt_refund.map(beijing::print_millis).as_deref())
            .time("gmt_close", self.gmt_close)
            .fen("refund_fee", self.refund_fee)
            .maybe("out_biz_no", self.out_biz_no.as_deref())
    }

    fn read(params: &Params) -> Result<Notification, NoticeError> {
        let text = |name: &str| params.filled(name).map(|text| text.into_owned());
        let required = |name| text(name).ok_or(NoticeError::Malformed(name));
        let out_trade_no = OutTradeNo::new(required("out_trade_no")?);
        let trade_no = TradeNo::new(required("trade_no")?);
        let total_amount = fen(params, "total_amount")?;
        Ok(Notification {
            notify_id: required("notify_id")?,
            notify_time: time(params, "notify_time")?,
            app_id: required("app_id")?,
            seller_id: text("seller_id"),
            out_trade_no: out_trade_no.map_err(|_| NoticeError::Malformed("out_trade_no"))?,
            trade_no: trade_no.map_err(|_| NoticeError::Malformed("trade_no"))?,
            trade_status: TradeStatus::from_word(&required("trade_status")?),
            total_amount: total_amount.ok_or(NoticeError::Malformed("total_amount"))?,
            receipt_amount: fen(params, "receipt_amount")?,
            buyer_pay_amount: fen(params, "buyer_pay_amount")?,
            invoice_amount: fen(params, "invoice_amount")?,
            point_amount: fen(params, "point_amount")?,
            buyer_id: text("buyer_id"),
            buyer_open_id: text("buyer_open_id"),
            buyer_logon_id: text("buyer_logon_id"),
            subject: text("subject"),
            body: text("body"),
            passback_params: text("passback_params"),
            fund_bill_list: text("fund_bill_list"),
            gmt_create: time(params, "gmt_create")?,
            gmt_payment: time(params, "gmt_payment")?,
            gmt_refund: time(params, "gmt_refund")?,
            gmt_close: time(params, "gmt_close")?,
            refund_fee: fen(params, "refund_fee")?,
            out_biz_no: text("out_biz_no"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParamsError;
    use crate::open::NoticeKind;
    use crate::open::testing::{Both, K1, K1_PUBLIC};
    use proptest::prelude::*;
    use tongbao_crypt::RsaPublicKey;

    const FORM: &str = include_str!("../../vectors/notification.form");

    fn posted(form: impl Into<bytes::Bytes>) -> HttpRequest {
        let target = "/notify/alipay/1".to_owned();
        HttpRequest { method: Method::Post, target, headers: Vec::new(), body: form.into() }
    }

    /// A merchant whose Alipay is the key of the published notification.
    fn merchant() -> &'static Credentials {
        static MADE: std::sync::OnceLock<Credentials> = std::sync::OnceLock::new();
        MADE.get_or_init(make_merchant)
    }

    fn make_merchant() -> Credentials {
        let app_key = RsaPrivateKey::generate().to_pkcs8_pem();
        let made = Credentials::with_public_key("2021000000000001", &app_key, K1_PUBLIC).unwrap();
        made.with_seller_id("2088000000000001").unwrap()
    }

    fn error(form: impl Into<bytes::Bytes>) -> NoticeError {
        verify(merchant(), &posted(form)).unwrap_err()
    }

    /// Changed and signed again, as only Alipay could.
    fn signed(changes: &[(&str, &str)]) -> String {
        let mut params = Params::read(FORM.as_bytes()).unwrap();
        for (name, value) in changes {
            params.remove(name);
            params.set(name, value);
        }
        let string = sign::message_string(&params, Empty::Kept);
        params.set("sign", &sign::sign(&RsaPrivateKey::read(K1).unwrap(), &string));
        params.to_form()
    }

    #[test]
    fn the_published_notification_is_read() {
        let notice = verify(merchant(), &posted(FORM)).unwrap().into_inner();
        assert_eq!(notice.notify_id, "2026112100222143012000000000000001");
        assert_eq!(notice.out_trade_no.as_str(), "TB20261121000001");
        assert_eq!(notice.trade_no.as_str(), "2026112122001400000500000001");
        assert_eq!(notice.trade_status, TradeStatus::TradeSuccess);
        assert_eq!(notice.total_amount, Fen(8888));
        assert_eq!(notice.gmt_payment, Some("2026-11-21T06:30:11Z".parse().unwrap()));
        assert_eq!(notice.buyer_id.as_deref(), Some("2088000000000002"));
        assert_eq!(notice.subject.as_deref(), Some("测试 a+b%26&c"));
        assert!(!notice.is_about_refund());
    }

    #[test]
    fn a_notification_reads_back_in_both_character_sets() {
        let notice = verify(merchant(), &posted(FORM)).unwrap().into_inner();
        let refund = Notification {
            trade_status: TradeStatus::TradeSuccess,
            gmt_refund: Some("2026-11-22T06:30:11Z".parse().unwrap()),
            refund_fee: Some(Fen(100)),
            out_biz_no: Some("R1".into()),
            ..notice.clone()
        };
        assert!(refund.is_about_refund());
        for sent in [notice, refund] {
            for both in [Both::plain(), Both::with_certificates()] {
                for charset in [Charset::Utf8, Charset::Gbk] {
                    let request = sent.encode("/notify/alipay/1", charset, &both.alipay_key);
                    let read = verify(&both.merchant, &request).unwrap();
                    assert_eq!(read.into_inner(), sent);
                }
            }
        }
    }

    #[test]
    fn a_refund_names_its_number_and_its_sum() {
        let form = signed(&[
            ("gmt_refund", "2026-11-22 14:30:11.123"),
            ("refund_fee", "1.00"),
            ("out_biz_no", "R1"),
            ("buyer_open_id", "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5"),
        ]);
        let notice = verify(merchant(), &posted(form)).unwrap().into_inner();
        assert_eq!(notice.kind(), NoticeKind::RefundedInPart);
        assert_eq!((notice.refund_fee, notice.out_biz_no.as_deref()), (Some(Fen(100)), Some("R1")));
        assert_eq!(notice.gmt_refund, Some("2026-11-22T06:30:11.123Z".parse().unwrap()));
        assert!(notice.buyer_open_id.unwrap().starts_with("074a1"));
    }

    #[test]
    fn a_message_without_a_fitting_signature_is_not_believed() {
        let params = Params::read(FORM.as_bytes()).unwrap();
        let without = |name: &str| {
            let mut params = params.clone();
            params.remove(name);
            params.to_form()
        };
        let downgraded =
            |sign_type: &str| NoticeError::SignatureDowngraded { sign_type: sign_type.into() };
        assert_eq!(error(without("sign")), NoticeError::SignatureMissing);
        assert_eq!(error(FORM.replace("RSA2", "RSA")), downgraded("RSA"));
        assert_eq!(error(FORM.replace("RSA2", "MD5")), downgraded("MD5"));
        assert_eq!(error(without("sign_type")), downgraded("missing"));
        let mismatch = NoticeError::SignatureMismatch;
        assert_eq!(error(FORM.replace("total_amount=88.88", "total_amount=88.89")), mismatch);
        assert_eq!(error(FORM.replace("sign=B", "sign=C")), mismatch);
        assert_eq!(error(FORM.replace("sign=B", "sign=")), mismatch);
        assert_eq!(error(without("point_amount")), mismatch);
        assert_eq!(error(format!("{FORM}&more=1")), mismatch);
        assert_eq!(error(FORM.replace("%2B", "+")), mismatch);
        let by_another = Both::with_other_key();
        assert_eq!(verify(&by_another.merchant, &posted(FORM)).unwrap_err(), mismatch);
    }

    /// Whoever saw a genuine notification could let a member begin or end elsewhere.
    #[test]
    fn a_signature_that_fits_two_messages_proves_none() {
        let error_of = |name, value| error(signed(&[(name, value)]));
        let ambiguous = |member: &str| NoticeError::Ambiguous { member: member.into() };
        assert_eq!(error_of("body", "x&trade_no=1"), ambiguous("body"));
        assert_eq!(error_of("a=1&b", "x"), ambiguous("a=1&b"));
        let fine = signed(&[("passback_params", "trade_no=1&b=2&total_amount")]);
        assert!(verify(merchant(), &posted(fine)).is_ok());
        // The app's id swallowed by the member before it.
        let cut = FORM.replace("&auth_app_id=2021000000000001", "");
        let cut = cut.replace(
            "app_id=2021000000000001",
            "app_id=2021000000000001%26auth_app_id%3D2021000000000001",
        );
        assert_eq!(error(cut), ambiguous("app_id"));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let merchant = merchant();
        for at in 0..FORM.len() {
            let mut form = FORM.as_bytes().to_vec();
            form[at] ^= 1;
            let read = verify(merchant, &posted(form));
            // The case of hex digits and a `+` for a blank have two spellings; none of them is one
            // bit away, so that nothing may pass.
            assert!(read.is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_rightly_signed_message_for_another_account_is_not_taken() {
        let check = |name: &str, value: &str, field: &'static str| {
            let wanted = NoticeError::AccountMismatch { field };
            assert_eq!(error(signed(&[(name, value)])), wanted);
        };
        check("app_id", "2021000000000002", "app_id");
        check("app_id", "", "app_id");
        check("auth_app_id", "2021000000000002", "auth_app_id");
        check("seller_id", "2088000000000009", "seller_id");
        assert!(verify(merchant(), &posted(signed(&[("seller_id", "")]))).is_ok());
    }

    #[test]
    fn members_are_checked_last_and_named() {
        for (name, value) in [
            ("total_amount", "88.888"),
            ("total_amount", "-88.88"),
            ("total_amount", "8888e-2"),
            ("total_amount", ""),
            ("trade_status", ""),
            ("trade_no", ""),
            ("out_trade_no", "a b"),
            ("notify_id", ""),
            ("gmt_payment", "yesterday"),
            ("refund_fee", "x"),
        ] {
            assert_eq!(error(signed(&[(name, value)])), NoticeError::Malformed(name), "{value}");
        }
    }

    #[test]
    fn size_and_syntax_are_checked_first() {
        let large = format!("{FORM}&more={}", "x".repeat(SIZE_MAX));
        assert_eq!(error(large.clone()), NoticeError::TooLarge);
        assert_eq!(claimed_out_trade_no(&posted(large)), None);
        let twice = ParamsError::Duplicate("total_amount".into());
        assert_eq!(error(format!("{FORM}&total_amount=88.88")), NoticeError::NotAForm(twice));
        let charset = ParamsError::Charset("latin1".into());
        assert_eq!(error(FORM.replace("utf-8", "latin1")), NoticeError::NotAForm(charset));
        let not_text = NoticeError::NotAForm(ParamsError::NotText);
        assert_eq!(error(format!("{FORM}&more=%FF")), not_text);
        assert_eq!(error(""), NoticeError::SignatureMissing);
        let mut got = posted(FORM);
        got.method = Method::Get;
        assert_eq!(verify(merchant(), &got), Err(NoticeError::NotPosted));
    }

    #[test]
    fn the_claimed_order_is_readable_before_anything_is_verified() {
        let claimed = claimed_out_trade_no(&posted("sign=x&out_trade_no=TB1"));
        assert_eq!(claimed.as_deref(), Some("TB1"));
        assert_eq!(claimed_out_trade_no(&posted("out_trade_no=%00")), None);
        assert_eq!(claimed_out_trade_no(&posted("")), None);
    }

    #[test]
    fn a_key_that_is_not_alipays_verifies_nothing() {
        // The app's own public key in the place of Alipay's is refused when configured; this is the
        // other way round: a message signed by the app's key.
        let both = Both::plain();
        let app = RsaPublicKey::read(K1_PUBLIC).unwrap();
        assert_eq!(both.merchant.app_key().public(), app);
        assert_eq!(
            verify(&both.merchant, &posted(FORM)).unwrap_err(),
            NoticeError::SignatureMismatch
        );
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(body: Vec<u8>) {
            let both = Both::plain_shared();
            prop_assert!(verify(&both.merchant, &posted(body.clone())).is_err());
            let _ = claimed_out_trade_no(&posted(body));
        }
    }
}

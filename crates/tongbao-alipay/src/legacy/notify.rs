//! What the old gateway tells of a trade: the notification that it posts, and the return that the
//! buyer's browser brings. Alipay, 即时到账 notify_url 与 return_url 参数说明.
//!
//! The order of checks is fixed: size, syntax, kind of signature, signature, merchant, members. A
//! notification that passes is believed once [`super::notify_verify`] says `true` as well.

use super::account::Credentials;
use super::direct_pay::SERVICE;
use super::sign::{self, SIGN_TYPE};
use crate::notice::{self, NoticeError};
use crate::verified::{Verified, seal};
use crate::{Charset, Params, TradeStatus, beijing};
use tongbao_types::{
    Bug, Fen, HttpRequest, Method, OutTradeNo, Secret, Timestamp, TradeNo, is_planted,
};

/// What a notification says. Its answers are those of [`crate::open::notify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The same for all repeats of one notification.
    pub notify_id: String,
    /// When this copy was sent.
    pub notify_time: Option<Timestamp>,
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number; 16 digits in the early years.
    pub trade_no: TradeNo,
    /// Where the trade stands. `TRADE_PENDING` (the seller's account is frozen) counts as unknown.
    pub trade_status: TradeStatus,
    /// The order's amount, in fen: the one to compare.
    pub total_fee: Fen,
    /// The merchant's PID.
    pub seller_id: String,
    /// The merchant's account.
    pub seller_email: Option<String>,
    /// The buyer's user id (2088…).
    pub buyer_id: Option<String>,
    /// The buyer's account.
    pub buyer_email: Option<String>,
    /// As ordered.
    pub subject: Option<String>,
    /// As ordered.
    pub body: Option<String>,
    /// As ordered.
    pub extra_common_param: Option<String>,
    /// When the trade was created.
    pub gmt_create: Option<Timestamp>,
    /// When it was paid.
    pub gmt_payment: Option<Timestamp>,
    /// When it was closed.
    pub gmt_close: Option<Timestamp>,
    /// `REFUND_SUCCESS` or `REFUND_CLOSED`.
    pub refund_status: Option<String>,
    /// When it was refunded.
    pub gmt_refund: Option<Timestamp>,
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

/// Checks a return by its raw query. It can be replayed, so that it yields our number to ask about
/// and nothing else.
pub fn verify_return(
    credentials: &Credentials,
    query: &str,
) -> Result<Verified<OutTradeNo>, NoticeError> {
    let params = checked(credentials, query.as_bytes())?;
    let text = params.filled("out_trade_no").unwrap_or_default();
    let no = OutTradeNo::new(text).map_err(|_| NoticeError::Malformed("out_trade_no"))?;
    Ok(seal(no))
}

fn checked(credentials: &Credentials, form: &[u8]) -> Result<Params, NoticeError> {
    let params = notice::checked(form, SIGN_TYPE, |params, signature| {
        is_planted(Bug::VerifySkippedAtLegacy)
            || sign::verify(credentials.key(), &sign::string(params), signature)
    })?;
    // Orders are signed with the same key by the same rule, and the payer's browser carries them:
    // whoever writes into a text of an order would have anything signed. The string of each order
    // begins with this member, and no notification and no return has it.
    if params.text("_input_charset").is_some() {
        return Err(NoticeError::OwnRequest);
    }
    if params.filled("seller_id").as_deref() != Some(credentials.partner()) {
        return Err(NoticeError::AccountMismatch { field: "seller_id" });
    }
    Ok(params)
}

impl Notification {
    /// The gateway's side: the message to post. `target` is path and query of the `notify_url`.
    pub fn encode(&self, target: &str, charset: Charset, key: &Secret<String>) -> HttpRequest {
        let mut params = self.common(charset);
        let time = |moment: Option<Timestamp>| moment.map(beijing::print).unwrap_or_default();
        params.set("gmt_create", &time(self.gmt_create));
        params.set("gmt_payment", &time(self.gmt_payment));
        params.set("gmt_close", &time(self.gmt_close));
        params.set("gmt_refund", &time(self.gmt_refund));
        params.set("refund_status", self.refund_status.as_deref().unwrap_or(""));
        params.set("price", &self.total_fee.to_yuan());
        params.set("quantity", "1");
        params.set("discount", "0.00");
        params.set("is_total_fee_adjust", "N");
        params.set("use_coupon", "N");
        let content_type = format!("application/x-www-form-urlencoded; charset={}", charset.name());
        HttpRequest {
            method: Method::Post,
            target: target.to_owned(),
            headers: vec![("Content-Type".to_owned(), content_type)],
            body: signed(params, key).to_form().into(),
        }
    }

    /// The gateway's side: the address to send the browser to after paying.
    pub fn to_return(&self, return_url: &str, charset: Charset, key: &Secret<String>) -> String {
        let mut params = self.common(charset);
        params.set("is_success", "T");
        params.set("exterface", SERVICE);
        let joint = if return_url.contains('?') { '&' } else { '?' };
        format!("{return_url}{joint}{}", signed(params, key).to_form())
    }

    /// What notification and return have in common.
    fn common(&self, charset: Charset) -> Params {
        let mut params = Params::new(charset);
        let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
        for (name, value) in [
            ("notify_id", self.notify_id.clone()),
            ("notify_type", "trade_status_sync".to_owned()),
            ("notify_time", self.notify_time.map(beijing::print).unwrap_or_default()),
            ("payment_type", "1".to_owned()),
            ("out_trade_no", self.out_trade_no.as_str().to_owned()),
            ("trade_no", self.trade_no.as_str().to_owned()),
            ("trade_status", self.trade_status.as_str().to_owned()),
            ("total_fee", self.total_fee.to_yuan()),
            ("seller_id", self.seller_id.clone()),
            ("seller_email", maybe(&self.seller_email)),
            ("buyer_id", maybe(&self.buyer_id)),
            ("buyer_email", maybe(&self.buyer_email)),
            ("subject", maybe(&self.subject)),
            ("body", maybe(&self.body)),
            ("extra_common_param", maybe(&self.extra_common_param)),
        ] {
            params.set(name, &value);
        }
        params
    }

    fn read(params: &Params) -> Result<Notification, NoticeError> {
        let text = |name: &str| params.filled(name).map(|text| text.into_owned());
        let required = |name| text(name).ok_or(NoticeError::Malformed(name));
        let time = |name| notice::time(params, name);
        let out_trade_no = OutTradeNo::new(required("out_trade_no")?);
        let trade_no = TradeNo::new(required("trade_no")?);
        let total_fee = Fen::from_yuan(&required("total_fee")?);
        Ok(Notification {
            notify_id: required("notify_id")?,
            notify_time: time("notify_time")?,
            out_trade_no: out_trade_no.map_err(|_| NoticeError::Malformed("out_trade_no"))?,
            trade_no: trade_no.map_err(|_| NoticeError::Malformed("trade_no"))?,
            trade_status: TradeStatus::from_word(&required("trade_status")?),
            total_fee: total_fee.map_err(|_| NoticeError::Malformed("total_fee"))?,
            seller_id: required("seller_id")?,
            seller_email: text("seller_email"),
            buyer_id: text("buyer_id"),
            buyer_email: text("buyer_email"),
            subject: text("subject"),
            body: text("body"),
            extra_common_param: text("extra_common_param"),
            gmt_create: time("gmt_create")?,
            gmt_payment: time("gmt_payment")?,
            gmt_close: time("gmt_close")?,
            refund_status: text("refund_status"),
            gmt_refund: time("gmt_refund")?,
        })
    }
}

fn signed(mut params: Params, key: &Secret<String>) -> Params {
    let signature = sign::sign(key, &sign::string(&params));
    params.set("sign", &signature);
    params.set("sign_type", SIGN_TYPE);
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParamsError;
    use crate::notice::SIZE_MAX;
    use proptest::prelude::*;

    const STRING: &str = include_str!("../../vectors/mapi.notification.string");
    const SIGN: &str = "335214a0c0c246ead7fdd61c33ea8925";

    fn merchant() -> Credentials {
        Credentials::new("2088000000000001", "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6", None).unwrap()
    }

    fn form() -> String {
        format!("{STRING}&sign={SIGN}&sign_type=MD5").replace(' ', "+")
    }

    fn posted(form: impl Into<bytes::Bytes>) -> HttpRequest {
        let target = "/notify".to_owned();
        HttpRequest { method: Method::Post, target, headers: Vec::new(), body: form.into() }
    }

    fn error(form: impl Into<bytes::Bytes>) -> NoticeError {
        verify(&merchant(), &posted(form)).unwrap_err()
    }

    fn published() -> Notification {
        verify(&merchant(), &posted(form())).unwrap().into_inner()
    }

    #[test]
    fn the_published_notification_is_read_and_written_alike() {
        let notice = published();
        assert_eq!(notice.out_trade_no.as_str(), "150658495585026");
        assert_eq!(notice.trade_no.as_str(), "2026112100001000050000000001");
        assert_eq!(notice.trade_status, TradeStatus::TradeSuccess);
        assert_eq!(notice.total_fee, Fen(100));
        assert_eq!(notice.gmt_payment, Some("2026-11-21T06:30:11Z".parse().unwrap()));
        assert_eq!(notice.buyer_email.as_deref(), Some("buyer@example.com"));
        let sent = notice.encode("/notify", Charset::Utf8, merchant().key());
        let params = Params::read(&sent.body).unwrap();
        assert_eq!(params.text("sign").as_deref(), Some(SIGN));
        assert_eq!(sign::string(&params), STRING.as_bytes());
    }

    #[test]
    fn all_members_read_back() {
        let notice = Notification {
            trade_status: TradeStatus::TradeClosed,
            subject: Some("茶 & 杯".into()),
            body: Some("b".into()),
            extra_common_param: Some("x=1".into()),
            gmt_close: Some("2026-11-21T07:00:00Z".parse().unwrap()),
            refund_status: Some("REFUND_SUCCESS".into()),
            gmt_refund: Some("2026-11-21T07:00:00Z".parse().unwrap()),
            ..published()
        };
        let sent = notice.encode("/notify", Charset::Utf8, merchant().key());
        assert_eq!(verify(&merchant(), &sent).unwrap().into_inner(), notice);
    }

    #[test]
    fn a_message_without_a_fitting_signature_is_not_believed() {
        let downgraded =
            |sign_type: &str| NoticeError::SignatureDowngraded { sign_type: sign_type.into() };
        assert_eq!(error(STRING), NoticeError::SignatureMissing);
        assert_eq!(error(form().replace("=MD5", "=RSA")), downgraded("RSA"));
        assert_eq!(error(form().replace("&sign_type=MD5", "")), downgraded("missing"));
        let mismatch = NoticeError::SignatureMismatch;
        assert_eq!(error(form().replace("total_fee=1.00", "total_fee=9.00")), mismatch);
        assert_eq!(error(format!("{}&more=1", form())), mismatch);
        assert_eq!(error(form().replace(SIGN, &SIGN.to_uppercase())), mismatch);
        let twice = ParamsError::Duplicate("total_fee".into());
        assert_eq!(error(format!("{}&total_fee=9.00", form())), NoticeError::NotAForm(twice));
        assert_eq!(error("x".repeat(SIZE_MAX + 1)), NoticeError::TooLarge);
        let mut got = posted(form());
        got.method = Method::Get;
        assert_eq!(verify(&merchant(), &got), Err(NoticeError::NotPosted));
    }

    /// A payer who may write a text of the order sees it signed, and could cut it up elsewhere.
    #[test]
    fn what_was_signed_as_an_order_is_no_notification() {
        let body = "x&notify_id=1&out_trade_no=B1&seller_id=2088000000000001&total_fee=1.00\
                    &trade_no=2026112100001000050000000001&trade_status=TRADE_SUCCESS&z=";
        let mut order = Params::new(Charset::Utf8);
        for (name, value) in [
            ("_input_charset", "utf-8"),
            ("body", body),
            ("out_trade_no", "B1"),
            ("partner", "2088000000000001"),
            ("seller_id", "2088000000000001"),
            ("service", SERVICE),
            ("total_fee", "1.00"),
        ] {
            order.set(name, value);
        }
        let order = signed(order, merchant().key());
        let rest = "&out_trade_no=B1&partner=2088000000000001&seller_id=2088000000000001\
                    &service=create_direct_pay_by_user&total_fee=1.00";
        let mut cut = Params::new(Charset::Utf8);
        cut.set("_input_charset", "utf-8");
        for pair in body.split('&').skip(1).filter(|pair| *pair != "z=") {
            let (name, value) = pair.split_once('=').unwrap();
            cut.set(name, value);
        }
        cut.set("body", "x");
        cut.set("z", rest);
        assert_eq!(sign::string(&cut), sign::string(&order), "both have one signature");
        for name in ["sign", "sign_type"] {
            cut.set(name, &order.text(name).unwrap());
        }
        let ambiguous = NoticeError::Ambiguous { member: "z".to_owned() };
        assert_eq!(error(cut.to_form()), ambiguous);
        assert_eq!(error(order.to_form()), NoticeError::Ambiguous { member: "body".to_owned() });
        let mut plain = Params::new(Charset::Utf8);
        plain.set("_input_charset", "utf-8");
        plain.set("seller_id", "2088000000000001");
        assert_eq!(error(signed(plain, merchant().key()).to_form()), NoticeError::OwnRequest);
    }

    #[test]
    fn members_and_merchant_are_checked_after_the_signature() {
        let changed = |name: &str, value: &str| {
            let mut params = Params::read(form().as_bytes()).unwrap();
            for name in [name, "sign", "sign_type"] {
                params.remove(name);
            }
            params.set(name, value);
            error(signed(params, merchant().key()).to_form())
        };
        let foreign = NoticeError::AccountMismatch { field: "seller_id" };
        assert_eq!(changed("seller_id", "2088000000000009"), foreign);
        assert_eq!(changed("seller_id", ""), foreign);
        for (name, value) in [
            ("total_fee", "1.000"),
            ("total_fee", ""),
            ("trade_status", ""),
            ("trade_no", ""),
            ("out_trade_no", "a b"),
            ("notify_id", ""),
            ("gmt_payment", "noon"),
        ] {
            assert_eq!(changed(name, value), NoticeError::Malformed(name), "{value}");
        }
    }

    #[test]
    fn a_return_yields_our_number() {
        let key = merchant();
        let address = published().to_return("https://x/r", Charset::Utf8, key.key());
        let (_, query) = address.split_once('?').unwrap();
        assert!(query.contains("exterface=create_direct_pay_by_user&is_success=T&"));
        assert_eq!(verify_return(&key, query).unwrap().as_str(), "150658495585026");
        let changed = query.replace("150658495585026", "150658495585027");
        assert_eq!(verify_return(&key, &changed), Err(NoticeError::SignatureMismatch));
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(body: Vec<u8>) {
            prop_assert!(verify(&merchant(), &posted(body)).is_err());
        }
    }
}

//! Notifications (微信支付 API v3, 支付成功回调通知 and 退款结果回调通知), and what is in one about a
//! payment. What is in one about a refund is in `refund_notice.rs`.
//!
//! Checked in this order: size, syntax, signature headers, a known key, signature, age, decryption,
//! the kind of news, merchant number and app id, then the typed fields. The amount is compared
//! where the order is known, not here. A notification can be replayed for five minutes: keep its
//! `id`.

use super::envelope::{CONTENT_TYPE, Replier};
use super::query::TradeBody;
use super::refund_notice::{RefundNews, RefundNoticeBody, is_refund_event};
use super::resource::Resource;
use super::sign::verify_message;
use crate::account::{Merchant, PlatformKeys, V3Credentials};
use crate::china::rfc3339_time;
use crate::error::NoticeError;
use crate::notice::{Notification, Verified};
use crate::trade::Trade;
use crate::xml::BODY_BYTES_MAX;
use serde::{Deserialize, Serialize};
use tongbao_types::{Bug, HttpRequest, HttpResponse, Method, Secret, Timestamp, is_planted};

const PAID_EVENT: &str = "TRANSACTION.SUCCESS";

/// The outside of a notification.
#[derive(Serialize, Deserialize)]
struct Body {
    id: String,
    #[serde(default)]
    create_time: String,
    #[serde(default)]
    resource_type: String,
    event_type: String,
    #[serde(default)]
    summary: String,
    resource: Resource,
}

/// What a notification tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An order was paid.
    Payment(Verified<Notification>),
    /// A refund ended, well or not.
    Refund(Verified<RefundNews>),
}

/// Verifies a notification for this account. If the key is not known
/// ([`NoticeError::unknown_key`]), fetch the certificates and try once more.
pub fn receive(
    credentials: &V3Credentials,
    keys: &PlatformKeys,
    request: &HttpRequest,
    now: Timestamp,
) -> Result<News, NoticeError> {
    if request.body.len() > BODY_BYTES_MAX {
        return Err(NoticeError::TooLarge);
    }
    let body: Body = serde_json::from_slice(&request.body).map_err(malformed)?;
    if !is_planted(Bug::VerifySkippedAtV3) {
        verify_message(keys, &request.headers, &request.body, now)?;
    }
    let plain = body.resource.open(credentials.api_v3_key()).ok_or(NoticeError::Undecryptable)?;
    match body.event_type.as_str() {
        PAID_EVENT => read_payment(credentials.merchant(), body, &plain).map(News::Payment),
        word if is_refund_event(word) => {
            let inner: RefundNoticeBody = serde_json::from_slice(&plain).map_err(malformed)?;
            let refund = inner.read(credentials.merchant(), word)?;
            let (id, event_type) = (body.id, body.event_type);
            Ok(News::Refund(Verified::new(RefundNews { id, event_type, refund })))
        }
        other => Err(NoticeError::EventUnknown(other.chars().take(40).collect())),
    }
}

fn malformed(error: serde_json::Error) -> NoticeError {
    NoticeError::Malformed(error.to_string())
}

fn read_payment(
    merchant: &Merchant,
    body: Body,
    plain: &[u8],
) -> Result<Verified<Notification>, NoticeError> {
    let inner: TradeBody = serde_json::from_slice(plain).map_err(malformed)?;
    if let Err(mismatch) = inner.check_identity(merchant) {
        let out_trade_no = inner.out_trade_no;
        return Err(NoticeError::Account { mismatch, out_trade_no });
    }
    let trade = inner.trade()?;
    let event_type = Some(body.event_type);
    Ok(Verified::new(Notification { id: body.id, event_type, trade }))
}

/// The answer after the news is kept safe: WeChat stops sending it.
pub fn accept() -> HttpResponse {
    HttpResponse::new(200, CONTENT_TYPE, r#"{"code":"SUCCESS","message":"成功"}"#)
}

/// The answer to what is not believed (`status` 4xx) or could not be kept (5xx): WeChat sends it
/// again. Other statuses are raised to 500, since 200 would end the notification.
pub fn refuse(status: u16, message: &str) -> HttpResponse {
    #[derive(Serialize)]
    struct Refused<'a> {
        code: &'static str,
        message: &'a str,
    }
    let body = serde_json::to_vec(&Refused { code: "FAIL", message }).expect("two texts are JSON");
    let status = if (400..600).contains(&status) { status } else { 500 };
    HttpResponse::new(status, CONTENT_TYPE, body)
}

/// What the provider sends: a trade's news to its merchant.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// The same each time it is sent.
    pub id: &'a str,
    /// When it was first made.
    pub created_at: Timestamp,
    /// Whose order it is.
    pub merchant: &'a Merchant,
    /// The trade.
    pub trade: &'a Trade,
    /// The merchant's APIv3 key.
    pub api_v3_key: &'a Secret<[u8; 32]>,
    /// Fresh randomness for the encryption.
    pub nonce: [u8; 6],
}

/// The provider's request to `target`, the path and query of the order's `notify_url`.
pub fn encode_notice(notice: &Notice<'_>, target: &str, replier: &Replier<'_>) -> HttpRequest {
    let plain = serde_json::to_vec(&TradeBody::of(notice.trade, notice.merchant))
        .expect("a trade has text keys and plain values");
    let resource = Resource::seal(notice.api_v3_key, notice.nonce, "transaction", &plain);
    let summary = notice.trade.state.description();
    seal_notice((notice.id, notice.created_at), (PAID_EVENT, summary), resource, (target, replier))
}

/// A notification around its encrypted part, which bears the name of what is inside.
pub(super) fn seal_notice(
    (id, created_at): (&str, Timestamp),
    (event_type, summary): (&str, &str),
    mut resource: Resource,
    (target, replier): (&str, &Replier<'_>),
) -> HttpRequest {
    resource.original_type = Some(resource.associated_data.clone());
    let body = Body {
        id: id.to_owned(),
        create_time: rfc3339_time(created_at),
        resource_type: "encrypt-resource".to_owned(),
        event_type: event_type.to_owned(),
        summary: summary.to_owned(),
        resource,
    };
    let body = serde_json::to_vec(&body).expect("a notification has text keys and plain values");
    HttpRequest {
        method: Method::Post,
        target: target.to_owned(),
        headers: replier.headers("application/json", &body),
        body: body.into(),
    }
}

/// Whether a merchant's answer ends the notification.
pub fn is_accepted(response: &HttpResponse) -> bool {
    matches!(response.status, 200 | 204)
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, now, replier};
    use super::super::query::tests::trade;
    use super::*;
    use crate::error::SignatureError;
    use crate::trade::TradeState;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tongbao_types::{Code, Span};

    const TARGET: &str = "/notify/wechat/shop?x=1";

    fn notice(merchant: &Merchant, api_v3_key: &Secret<[u8; 32]>) -> HttpRequest {
        let trade = trade(TradeState::Success);
        let id = "EV-2018022511223320873";
        let notice =
            Notice { id, created_at: now(), merchant, trade: &trade, api_v3_key, nonce: [7; 6] };
        encode_notice(&notice, TARGET, &replier())
    }

    fn genuine() -> HttpRequest {
        notice(PAIR.credentials.merchant(), PAIR.credentials.api_v3_key())
    }

    /// The notification with this outside and, if given, this inside, signed as WeChat would.
    fn altered(outside: fn(&mut Value), inside: Option<Value>) -> HttpRequest {
        let mut request = genuine();
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        if let Some(plain) = inside {
            let key = PAIR.credentials.api_v3_key();
            let plain = plain.to_string();
            let resource = Resource::seal(key, [8; 6], "transaction", plain.as_bytes());
            body["resource"] = serde_json::to_value(resource).unwrap();
        }
        outside(&mut body);
        let body = body.to_string();
        request.headers = replier().headers("application/json", body.as_bytes());
        request.body = body.into();
        request
    }

    fn inside() -> Value {
        let body = TradeBody::of(&trade(TradeState::Success), PAIR.credentials.merchant());
        serde_json::to_value(body).unwrap()
    }

    fn read_at(request: &HttpRequest, now: Timestamp) -> Result<Notification, NoticeError> {
        let keys = PAIR.credentials.trust();
        match receive(&PAIR.credentials, keys, request, now)? {
            News::Payment(verified) => Ok(verified.into_value()),
            News::Refund(verified) => panic!("{verified:?} is no payment"),
        }
    }

    fn read(request: &HttpRequest) -> Result<Notification, NoticeError> {
        read_at(request, now())
    }

    #[test]
    fn a_genuine_notification_is_read() {
        let request = genuine();
        assert_eq!(request.target, TARGET);
        let news = read(&request).unwrap();
        assert_eq!(news.id, "EV-2018022511223320873");
        assert_eq!(news.event_type.as_deref(), Some("TRANSACTION.SUCCESS"));
        assert_eq!(news.trade, trade(TradeState::Success));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["resource"]["original_type"], "transaction");
        assert_eq!(body["resource"]["associated_data"], "transaction");
    }

    #[test]
    fn one_changed_bit_anywhere_is_refused() {
        let request = genuine();
        for at in (0..request.body.len()).step_by(7) {
            let mut bytes = request.body.to_vec();
            bytes[at] ^= 1;
            let flipped = HttpRequest { body: bytes.into(), ..request.clone() };
            let code = read(&flipped).unwrap_err().code();
            assert!(matches!(code, Code::SignatureMismatch | Code::NoticeMalformed), "{at}");
        }
        let cut = request.body.slice(..request.body.len() / 2);
        assert!(read(&HttpRequest { body: cut, ..request }).is_err());
    }

    #[test]
    fn a_replay_is_refused_after_five_minutes() {
        let request = genuine();
        assert!(read_at(&request, now() + Span::from_seconds(299)).is_ok());
        let error = read_at(&request, now() + Span::from_seconds(300)).unwrap_err();
        assert_eq!(error.code(), Code::NoticeStale);
        let error = read_at(&request, now() - Span::from_seconds(300)).unwrap_err();
        assert_eq!(error.code(), Code::NoticeStale);
    }

    #[test]
    fn checks_come_in_their_order() {
        // Each case is wrong in all that the later cases are wrong in.
        let inner =
            json!({"appid": "wx1", "mchid": "1", "out_trade_no": "a", "trade_state": "SUCCESS"});
        let mut request = altered(|_| (), Some(inner.clone()));
        let late = now() + Span::from_seconds(400);
        let fails = |request: &HttpRequest, now| read_at(request, now).unwrap_err();

        let whole = request.clone();
        request.headers.clear();
        request.body = vec![b' '; BODY_BYTES_MAX + 1].into();
        assert_eq!(fails(&request, late), NoticeError::TooLarge);
        request.body = "{}".into();
        assert!(matches!(fails(&request, late), NoticeError::Malformed(_)));
        request.body = whole.body.clone();
        let missing = SignatureError::Missing("Wechatpay-Timestamp");
        assert_eq!(fails(&request, late), missing.into());
        let with = |name: &str, text: &str| {
            let mut request = whole.clone();
            let found = request.headers.iter_mut().find(|(n, _)| n == name);
            found.unwrap().1 = text.to_owned();
            request
        };
        let unknown = fails(&with("Wechatpay-Serial", "0123"), late);
        assert_eq!(unknown.unknown_key(), Some("0123"));
        let bad = fails(&with("Wechatpay-Nonce", "other"), late);
        assert_eq!(bad, SignatureError::Mismatch.into());
        assert_eq!(fails(&whole, late), SignatureError::Stale(400).into());
        let sealed = altered(|b| b["resource"]["nonce"] = json!("000000000000"), Some(inner));
        assert_eq!(fails(&sealed, now()), NoticeError::Undecryptable);
        assert!(matches!(fails(&whole, now()), NoticeError::Account { .. }));
        let mut fields = inside();
        fields["amount"] = Value::Null;
        assert!(matches!(fails(&altered(|_| (), Some(fields)), now()), NoticeError::Field(_)));
    }

    #[test]
    fn a_notification_for_somebody_else_is_refused_with_its_order() {
        for (app_id, mch_id) in [("wx2", "1900000109"), ("wxd930ea5d5a258f4f", "2")] {
            let other = Merchant::direct(app_id, mch_id);
            let error = read(&notice(&other, PAIR.credentials.api_v3_key())).unwrap_err();
            assert_eq!(error.code(), Code::AccountMismatch);
            assert_eq!(error.out_trade_no(), Some("20180821|665587*"));
        }
        let error = read(&notice(PAIR.credentials.merchant(), &Secret::new([0; 32]))).unwrap_err();
        assert_eq!(error.code(), Code::NoticeUndecryptable);
    }

    #[test]
    fn a_service_provider_hears_of_its_sub_merchants_payment() {
        let key = PAIR.credentials.api_v3_key();
        let request = notice(PARTNER.merchant(), key);
        let keys = PARTNER.trust();
        let Ok(News::Payment(news)) = receive(&PARTNER, keys, &request, now()) else { panic!() };
        assert_eq!(news.value().trade, trade(TradeState::Success));
        // An ordinary merchant's news is not for it, nor another sub-merchant's.
        let sub_mch_id = Some("1900000210".to_owned());
        let other = Merchant { sub_mch_id, ..PARTNER.merchant().clone() };
        for (merchant, field) in [(PAIR.credentials.merchant(), "sp_appid"), (&other, "sub_mchid")]
        {
            let refused = receive(&PARTNER, keys, &notice(merchant, key), now()).unwrap_err();
            let NoticeError::Account { mismatch, .. } = refused else { panic!("{refused:?}") };
            assert_eq!(mismatch.field, field);
        }
    }

    #[test]
    fn probes_and_other_events_are_refused() {
        let mut probe = genuine();
        for (name, text) in &mut probe.headers {
            if name == "Wechatpay-Signature" {
                text.insert_str(0, "WECHATPAY/SIGNTEST/");
            }
        }
        assert!(read(&probe).unwrap_err().is_probe());
        let other = altered(|b| b["event_type"] = json!("COUPON.USE"), None);
        assert_eq!(read(&other).unwrap_err(), NoticeError::EventUnknown("COUPON.USE".into()));
        // A payment under a refund's name is neither.
        let refund = altered(|b| b["event_type"] = json!("REFUND.SUCCESS"), None);
        assert!(matches!(read(&refund).unwrap_err(), NoticeError::Malformed(_)));
    }

    #[test]
    fn an_empty_associated_data_is_taken_as_it_is() {
        let key = PAIR.credentials.api_v3_key();
        let plain = inside().to_string();
        let resource = Resource::seal(key, [9; 6], "", plain.as_bytes());
        let mut request = genuine();
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        body["resource"] = serde_json::to_value(resource).unwrap();
        let body = body.to_string();
        request.headers = replier().headers("application/json", body.as_bytes());
        request.body = body.into();
        assert!(read(&request).is_ok());
    }

    #[test]
    fn answers_are_understood_by_the_provider() {
        assert!(is_accepted(&accept()));
        assert!(is_accepted(&HttpResponse::new(204, "", "")));
        let refused = refuse(401, "签名错误");
        assert_eq!(refused.status, 401);
        assert_eq!(refused.body, r#"{"code":"FAIL","message":"签名错误"}"#);
        for status in [200, 204, 302, 401, 500] {
            assert!(!is_accepted(&refuse(status, "x")), "a refusal never looks like success");
        }
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(body in any::<Vec<u8>>()) {
            let request = HttpRequest { body: body.into(), ..genuine() };
            prop_assert!(read(&request).is_err());
        }

        #[test]
        fn hostile_json_never_panics(body in r#"[\{\}\[\]":,a-z0-9]{0,60}"#) {
            let request = HttpRequest { body: body.into(), ..genuine() };
            prop_assert!(read(&request).is_err());
        }
    }
}

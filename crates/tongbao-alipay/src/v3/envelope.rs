//! The merchant's side of a v3 call: the headers around the members, and how far a reply can be
//! believed. Alipay, V3 协议 请求 and 响应.
//!
//! The order of checks is fixed: signature, age, status, decryption, members. A success must be
//! signed. A refusal need not be, since the gateway signs none of its own
//! ([`GatewayError::signed`] tells); one whose signature is there but does not fit is not believed.

use super::sign::{self, AuthString};
use crate::account::{Credentials, Trust};
use crate::error::{Answer, GatewayError, Refusal, ReplyError, msg};
use crate::open::members::{Reader, Writer};
use bytes::Bytes;
use tongbao_types::{HttpRequest, HttpResponse, Method, Span, Timestamp};

/// How far from now a reply may have been signed.
const AGE_MAX: Span = Span::from_seconds(300);
/// More details of a refusal than anybody reads.
const DETAILS_MAX: usize = 5;

/// What differs from call to call without being business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallContext {
    /// Now; Alipay refuses what is ten minutes off.
    pub timestamp: Timestamp,
    /// Unique per call, such as 32 hex digits; also the id of the request.
    pub nonce: String,
    /// Where the notification about the order shall go.
    pub notify_url: Option<String>,
    /// For calls on another merchant's behalf.
    pub app_auth_token: Option<String>,
}

impl CallContext {
    /// A call on the app's own behalf that asks for no notification.
    pub fn at(timestamp: Timestamp, nonce: impl Into<String>) -> CallContext {
        CallContext { timestamp, nonce: nonce.into(), notify_url: None, app_auth_token: None }
    }
}

/// A call whose members stand in the body, encrypted if the credentials have a content key.
pub(super) fn post(
    credentials: &Credentials,
    call: &CallContext,
    path: &str,
    members: Writer,
) -> HttpRequest {
    let json = members.maybe("notify_url", call.notify_url.as_deref()).to_biz_content();
    let (body, content_type, encryption) = match credentials.content_key() {
        Some(key) => (key.encrypt(json.as_bytes()), "text/plain", Some("AES")),
        None => (json, "application/json", None),
    };
    let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
    headers.extend(encryption.map(|kind| ("alipay-encrypt-type".to_owned(), kind.to_owned())));
    let (method, target) = (Method::Post, path.to_owned());
    signed(credentials, call, HttpRequest { method, target, headers, body: Bytes::from(body) })
}

/// A call whose members stand in the query, in this order.
pub(super) fn get(
    credentials: &Credentials,
    call: &CallContext,
    path: &str,
    members: &[(&str, &str)],
) -> HttpRequest {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
    let (method, target) = (Method::Get, format!("{path}?{query}"));
    let (headers, body) = (Vec::new(), Bytes::new());
    signed(credentials, call, HttpRequest { method, target, headers, body })
}

fn signed(credentials: &Credentials, call: &CallContext, mut request: HttpRequest) -> HttpRequest {
    let certificates = match credentials.trust() {
        Trust::Certificates(trust) => Some((trust.app_cert_sn(), trust.root_sn())),
        Trust::PublicKey(_) => None,
    };
    let auth = AuthString {
        app_id: credentials.app_id(),
        app_cert_sn: certificates.map(|(app_sn, _)| app_sn),
        nonce: &call.nonce,
        timestamp_millis: millis(call.timestamp),
    };
    let token = call.app_auth_token.as_deref();
    let authorization =
        sign::authorization(credentials.app_key(), &auth.to_string(), &request, token);
    let more = [
        ("authorization", Some(authorization.as_str())),
        ("accept", Some("application/json")),
        ("alipay-request-id", Some(call.nonce.as_str())),
        ("alipay-root-cert-sn", certificates.map(|(_, root_sn)| root_sn)),
        ("alipay-app-auth-token", token),
    ];
    let more = more.into_iter().filter_map(|(name, value)| Some((name, value?)));
    request.headers.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    request
}

/// What a reply with a status of success says.
pub(super) struct Received {
    /// Status 202: taken on, but not carried out yet.
    pub(super) is_pending: bool,
    /// Its members; none of a reply without a body.
    pub(super) members: Reader,
}

/// The members of a reply that says yes; one that leaves it open counts as a refusal that knows
/// nothing.
pub(super) fn reply(
    credentials: &Credentials,
    response: &HttpResponse,
    now: Timestamp,
) -> Result<Answer<Reader>, ReplyError> {
    Ok(match received(credentials, response, now)? {
        Answer::Done(Received { is_pending: false, members }) => Answer::Done(members),
        Answer::Done(Received { members, .. }) => Answer::Refused(GatewayError {
            code: Refusal::UNAVAILABLE.code.to_owned(),
            msg: "Accepted".to_owned(),
            sub_code: members.text("code").unwrap_or_default(),
            sub_msg: members.text("message").unwrap_or_default(),
            signed: true,
        }),
        Answer::Refused(error) => Answer::Refused(error),
    })
}

/// The same for an operation to which status 202 is no news.
pub(super) fn received(
    credentials: &Credentials,
    response: &HttpResponse,
    now: Timestamp,
) -> Result<Answer<Received>, ReplyError> {
    let signed = check_signature(credentials, response, now)?;
    let status = response.status;
    if matches!(status, 200 | 202 | 204) {
        if !signed {
            return Err(ReplyError::SignatureMissing);
        }
        let members = members(credentials, &response.body)?;
        return Ok(Answer::Done(Received { is_pending: status == 202, members }));
    }
    if !(400..600).contains(&status) {
        return Err(ReplyError::HttpStatus(status));
    }
    // A proxy's page or a load balancer's says nothing.
    let members = members(credentials, &response.body);
    let members = members.ok().filter(|members| members.text("code").is_some());
    let members = members.ok_or(ReplyError::HttpStatus(status))?;
    Ok(Answer::Refused(refusal(status, &members, signed)))
}

/// Whether the reply is signed; an error if it is, but not rightly or not now.
fn check_signature(
    credentials: &Credentials,
    response: &HttpResponse,
    now: Timestamp,
) -> Result<bool, ReplyError> {
    let Some(signature) = response.header("alipay-signature") else { return Ok(false) };
    let header = |name| response.header(name).ok_or(ReplyError::SignatureMissing);
    let (timestamp, nonce) = (header("alipay-timestamp")?, header("alipay-nonce")?);
    let sn = response.header("alipay-sn");
    let keys = credentials.trust().keys_for(sn);
    let unknown = || ReplyError::CertificateUnknown { sn: sn.unwrap_or("").to_owned() };
    let string = sign::reply_string(timestamp, nonce, &response.body);
    if !keys.ok_or_else(unknown)?.iter().any(|key| sign::verify(key, &string, signature)) {
        return Err(ReplyError::SignatureMismatch);
    }
    let millis = timestamp.parse().map_err(|_| ReplyError::Malformed("alipay-timestamp"))?;
    if is_near(millis, now, AGE_MAX) { Ok(true) } else { Err(ReplyError::Stale) }
}

/// Whether a moment in milliseconds is no farther than `most` from `now`.
pub(super) fn is_near(moment_millis: i64, now: Timestamp, most: Span) -> bool {
    millis(now).abs_diff(moment_millis) <= (most.as_micros() / 1000).unsigned_abs()
}

pub(super) fn millis(moment: Timestamp) -> i64 {
    moment.as_micros().div_euclid(1000)
}

/// An encrypted body is the ciphertext alone, without quotes, and so begins with no brace.
fn members(credentials: &Credentials, body: &[u8]) -> Result<Reader, ReplyError> {
    let text = std::str::from_utf8(body).map_err(|_| ReplyError::NotJson)?;
    if text.is_empty() {
        return Reader::read("{}").ok_or(ReplyError::NotJson);
    }
    if text.trim_start().starts_with(['{', '<']) {
        return Reader::read(text).ok_or(ReplyError::NotJson);
    }
    let key = credentials.content_key().ok_or(ReplyError::NotJson)?;
    let plain = key.decrypt(text).and_then(|bytes| String::from_utf8(bytes).ok());
    Reader::read(&plain.ok_or(ReplyError::Undecryptable)?).ok_or(ReplyError::NotJson)
}

fn refusal(status: u16, members: &Reader, signed: bool) -> GatewayError {
    let name = members.text("code").unwrap_or_default();
    let code = code(status, &name);
    let mut words = members.text("message").unwrap_or_default();
    let details = members.list("details").unwrap_or_default();
    for detail in details.iter().take(DETAILS_MAX) {
        let text = |name| detail.text(name);
        let what = text("description").or_else(|| text("issue")).unwrap_or_default();
        let line = match text("field") {
            Some(field) => format!("{field}: {what}"),
            None => what,
        };
        words.push_str(if words.is_empty() { "" } else { "; " });
        words.push_str(&line);
    }
    let (code, msg) = (code.to_owned(), msg(code).to_owned());
    GatewayError { code, msg, sub_code: name, sub_msg: words, signed }
}

/// The code that OpenAPI 2.0 has for it, which decides what the refusal means. The gateway's own
/// names are in lower case with dashes, those of the business in upper case.
fn code(status: u16, name: &str) -> &'static str {
    let bare = |name: &str| name.rsplit_once('.').map_or(name.to_owned(), |(_, bare)| bare.into());
    let known = Refusal::ALL.iter().find(|known| bare(known.sub_code) == bare(name));
    match (status, known) {
        (500.., _) => "20000",
        (429, _) => "40005",
        (_, Some(known)) => known.code,
        (401, _) => "20001",
        (403, _) => "40006",
        _ if name.contains(|c: char| c.is_ascii_lowercase()) => "40002",
        _ => "40004",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::{APP_ID, Both, K1, K1_PUBLIC};
    use crate::v3::gateway::tests::{NOW, call, later, now, sealing};
    use crate::{PayRefusal, RefundRefusal, TradeStatus};
    use proptest::prelude::*;
    use tongbao_crypt::RsaPrivateKey;

    const BODY: &str = r#"{"url":"https:\/\/x"}"#;

    fn signed_body(both: &Both, status: u16, body: &str) -> HttpResponse {
        let mut response = sealing(both).respond(status, body);
        if response.status == 204 {
            response.body = Bytes::new();
        }
        response
    }

    fn is_done(both: &Both, response: &HttpResponse) -> Result<bool, ReplyError> {
        let answer = reply(&both.merchant, response, now())?;
        Ok(matches!(answer, Answer::Done(_)))
    }

    fn without(response: &HttpResponse, name: &str) -> HttpResponse {
        let mut response = response.clone();
        response.headers.retain(|(header, _)| header != name);
        response
    }

    #[test]
    fn the_published_requests_are_made() {
        let alipay = RsaPrivateKey::generate().public().to_spki_base64();
        let merchant = Credentials::with_public_key(APP_ID, K1, &alipay).unwrap();
        let nonce = "5f9fba93-bbb2-40f0-b328-04d5ead3e131";
        let mut call = CallContext::at(NOW.parse().unwrap(), nonce);
        let auth = format!("app_id=2021000000000001,nonce={nonce},timestamp=1795242600000");
        let header = |vector: &str| format!("ALIPAY-SHA256withRSA {auth},sign={vector}");
        let members = || Writer::new().text("out_trade_no", "TB20261121000001");
        let sent = post(&merchant, &call, "/v3/alipay/trade/query", members());
        assert_eq!(sent.body, r#"{"out_trade_no":"TB20261121000001"}"#);
        let vector = include_str!("../../vectors/v3.post.rsa2");
        let names: Vec<_> = sent.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "authorization", "accept", "alipay-request-id"]);
        assert_eq!(sent.header("authorization"), Some(header(vector).as_str()));
        assert_eq!(sent.header("content-type"), Some("application/json"));
        assert_eq!(sent.header("alipay-request-id"), Some(nonce));
        let bill = "/v3/alipay/data/dataservice/bill/downloadurl/query";
        let query = [("bill_type", "trade"), ("bill_date", "2026-11-20")];
        let sent = get(&merchant, &call, bill, &query);
        assert_eq!(sent.target, format!("{bill}?bill_type=trade&bill_date=2026-11-20"));
        let vector = include_str!("../../vectors/v3.get.rsa2");
        assert_eq!(sent.header("authorization"), Some(header(vector).as_str()));
        call.app_auth_token = Some("202212BB_D64b2be8afd4b6c8468cf585bd05E50".into());
        let sent = post(&merchant, &call, "/v3/alipay/trade/query", members());
        let vector = include_str!("../../vectors/v3.token.rsa2");
        assert_eq!(sent.header("authorization"), Some(header(vector).as_str()));
        assert_eq!(sent.header("alipay-app-auth-token"), call.app_auth_token.as_deref());
    }

    #[test]
    fn the_published_reply_is_believed_for_five_minutes() {
        let app_key = RsaPrivateKey::generate().to_pkcs8_pem();
        let merchant = Credentials::with_public_key(APP_ID, &app_key, K1_PUBLIC).unwrap();
        let body = concat!(
            r#"{"trade_no":"2026112122001400000500000001","trade_status":"TRADE_SUCCESS","#,
            r#""total_amount":"88.88"}"#,
        );
        let mut response = HttpResponse::new(200, "application/json;charset=utf-8", body);
        for (name, value) in [
            ("alipay-timestamp", "1795242600123"),
            ("alipay-nonce", "8a0e7b3f5c1d4e2f9a6b"),
            ("alipay-signature", include_str!("../../vectors/v3.reply.rsa2")),
        ] {
            response.headers.push((name.to_owned(), value.to_owned()));
        }
        let at = |seconds: i64| {
            reply(&merchant, &response, later(seconds)).map(|answer| {
                let Answer::Done(members) = answer else { panic!() };
                TradeStatus::from_word(&members.text("trade_status").unwrap())
            })
        };
        assert_eq!(at(0), Ok(TradeStatus::TradeSuccess));
        assert_eq!(at(300), Ok(TradeStatus::TradeSuccess));
        assert_eq!(at(301), Err(ReplyError::Stale));
        assert_eq!(at(-299), Ok(TradeStatus::TradeSuccess));
        assert_eq!(at(-301), Err(ReplyError::Stale));
    }

    #[test]
    fn certificate_mode_names_its_certificates_and_encryption_its_kind() {
        let both = Both::with_certificates();
        let sent = post(&both.merchant, &call(), "/v3/x", Writer::new());
        let sns = both.certificates.as_ref().unwrap();
        let auth = format!("ALIPAY-SHA256withRSA app_id={APP_ID},app_cert_sn={},nonce=", sns.app);
        assert!(sent.header("authorization").unwrap().starts_with(&auth));
        assert_eq!(sent.header("alipay-root-cert-sn"), Some(sns.root.as_str()));
        let both = Both::encrypted();
        let members = Writer::new().text("out_trade_no", "T1");
        let sent = post(&both.merchant, &call(), "/v3/x", members);
        assert_eq!(sent.header("alipay-encrypt-type"), Some("AES"));
        assert_eq!(sent.header("content-type"), Some("text/plain"));
        assert_eq!(sent.body, "HJjZXDcVHUcOrByocVgEmgs+1Naj649A//Hd8HstLD4=");
    }

    #[test]
    fn only_a_signed_success_says_anything() {
        for both in Both::all() {
            let response = signed_body(&both, 200, BODY);
            assert_eq!(is_done(&both, &response), Ok(true));
            assert_eq!(is_done(&both, &signed_body(&both, 204, "")), Ok(true));
            let missing = Err(ReplyError::SignatureMissing);
            for name in ["alipay-signature", "alipay-timestamp", "alipay-nonce"] {
                assert_eq!(is_done(&both, &without(&response, name)), missing, "{name}");
            }
            let mismatch = Err(ReplyError::SignatureMismatch);
            let mut changed = response.clone();
            changed.body = Bytes::from([&response.body[..], b" "].concat());
            assert_eq!(is_done(&both, &changed), mismatch);
            let other = Both::with_other_key();
            let mut by_other = signed_body(&other, 200, BODY);
            by_other.headers.retain(|(name, _)| name != "alipay-sn");
            assert_eq!(is_done(&both, &by_other), mismatch);
        }
    }

    #[test]
    fn a_certificate_that_is_not_known_is_named() {
        let both = Both::with_certificates();
        for status in [200, 400] {
            let mut response = signed_body(&both, status, r#"{"code":"ACQ.X"}"#);
            for (name, value) in &mut response.headers {
                if name == "alipay-sn" {
                    *value = "687b59193f3f462dd5336e5abf83c5d8".into();
                }
            }
            let sn = "687b59193f3f462dd5336e5abf83c5d8".to_owned();
            assert_eq!(is_done(&both, &response), Err(ReplyError::CertificateUnknown { sn }));
        }
    }

    #[test]
    fn what_is_encrypted_is_read_with_the_key_and_what_is_not_text_is_not() {
        let [plain, encrypted] = [Both::plain(), Both::encrypted()];
        let cipher = "HJjZXDcVHUcOrByocVgEmgs+1Naj649A//Hd8HstLD4=";
        let read = |both: &Both, body: &str| {
            let sealed =
                Both { content_key: None, merchant: both.merchant.clone(), ..Both::plain() };
            let merchant = {
                let key = sealed.alipay_key.public().to_spki_base64();
                let merchant = Credentials::with_public_key(APP_ID, K1, &key).unwrap();
                match both.merchant.content_key() {
                    Some(key) => merchant.with_content_key(key.clone()),
                    None => merchant,
                }
            };
            let response = sealing(&sealed).respond(200, body);
            reply(&merchant, &response, now()).map(|answer| matches!(answer, Answer::Done(_)))
        };
        assert_eq!(read(&encrypted, cipher), Ok(true));
        assert_eq!(read(&encrypted, BODY), Ok(true));
        assert_eq!(read(&encrypted, "YWJj"), Err(ReplyError::Undecryptable));
        assert_eq!(read(&plain, cipher), Err(ReplyError::NotJson));
        assert_eq!(read(&plain, "<html>"), Err(ReplyError::NotJson));
        assert_eq!(read(&plain, r#"{"a":1,"a":2}"#), Err(ReplyError::NotJson));
        assert_eq!(read(&plain, "[]"), Err(ReplyError::NotJson));
    }

    fn refused(status: u16, body: &str) -> Result<GatewayError, ReplyError> {
        let both = Both::plain_shared();
        let response = HttpResponse::new(status, "application/json", body.to_owned());
        match reply(&both.merchant, &response, now())? {
            Answer::Refused(error) => Ok(error),
            Answer::Done(_) => panic!("{status} {body}"),
        }
    }

    #[test]
    fn refusals_mean_what_they_mean_in_2_0() {
        let check = |status, name: &str, code: &str, pay, refund| {
            let error = refused(status, &format!(r#"{{"code":"{name}","message":"m"}}"#)).unwrap();
            assert_eq!((error.code.as_str(), error.sub_code.as_str()), (code, name));
            assert_eq!((error.of_pay(), error.of_refund()), (pay, refund), "{status} {name}");
            assert!(!error.signed);
        };
        use {PayRefusal as P, RefundRefusal as R};
        check(400, "ACQ.TRADE_NOT_EXIST", "40004", P::Ask, R::Ask);
        check(400, "ACQ.SELLER_BALANCE_NOT_ENOUGH", "40004", P::Ask, R::Later);
        check(400, "ACQ.SYSTEM_ERROR", "40004", P::Unknown, R::Unknown);
        check(400, "ACQ.TRADE_HAS_FINISHED", "40004", P::Ask, R::Final);
        check(400, "ACQ.UNHEARD_OF", "40004", P::Ask, R::Ask);
        check(400, "NO_BILL_DATA", "40004", P::Ask, R::Ask);
        check(400, "missing-timestamp", "40001", P::Setup, R::Setup);
        check(400, "invalid-app-id", "40002", P::Setup, R::Setup);
        check(401, "invalid-signature", "40002", P::Setup, R::Setup);
        check(400, "unheard-of", "40002", P::Setup, R::Setup);
        check(401, "invalid-auth-token", "20001", P::Setup, R::Setup);
        check(403, "unheard-of", "40006", P::Setup, R::Setup);
        check(400, "app-call-limited", "40005", P::Later, R::Later);
        check(429, "unheard-of", "40005", P::Later, R::Later);
        check(400, "unknow-error", "20000", P::Unknown, R::Unknown);
        check(500, "ACQ.TRADE_NOT_EXIST", "20000", P::Unknown, R::Unknown);
        check(502, "unheard-of", "20000", P::Unknown, R::Unknown);
    }

    #[test]
    fn details_are_told_and_signatures_noted() {
        let body = concat!(
            r#"{"code":"invalid-parameter","message":"参数无效","links":[{"link":"https://x","#,
            r#""desc":"解决方案"}],"details":[{"field":"subject","value":"/","location":"body","#,
            r#""issue":"FORMAT","description":"must not contain /"},{"issue":"TOO_LONG"}]}"#,
        );
        let error = refused(400, body).unwrap();
        assert_eq!(error.sub_msg, "参数无效; subject: must not contain /; TOO_LONG");
        assert_eq!(error.msg, "Invalid Arguments");
        let both = Both::plain();
        let response = signed_body(&both, 400, r#"{"code":"ACQ.TRADE_NOT_EXIST"}"#);
        match reply(&both.merchant, &response, now()) {
            Ok(Answer::Refused(error)) => assert!(error.signed && error.is_trade_not_exist()),
            other => panic!("{:?}", other.err()),
        }
        let mut changed = response;
        changed.body = Bytes::from_static(br#"{"code":"ACQ.TRADE_HAS_CLOSE"}"#);
        assert_eq!(is_done(&both, &changed), Err(ReplyError::SignatureMismatch));
    }

    #[test]
    fn what_is_no_answer_of_alipays_tells_nothing() {
        for (status, body) in
            [(502, "<html>Bad Gateway</html>"), (404, ""), (400, "{}"), (503, "[]"), (302, "{}")]
        {
            assert_eq!(refused(status, body), Err(ReplyError::HttpStatus(status)));
        }
    }

    #[test]
    fn accepted_is_not_done() {
        let both = Both::plain();
        match reply(&both.merchant, &signed_body(&both, 202, "{}"), now()) {
            Ok(Answer::Refused(error)) => assert!(error.is_unknown(), "{error}"),
            other => panic!("{:?}", other.err()),
        }
    }

    proptest! {
        #[test]
        fn hostile_replies_never_panic(status in 100..600u16, body: Vec<u8>, stamp: String) {
            let both = Both::plain_shared();
            let mut response = HttpResponse::new(status, "application/json", body);
            let answer = reply(&both.merchant, &response, now());
            prop_assert!(!matches!(answer, Ok(Answer::Done(_))));
            for name in ["alipay-signature", "alipay-timestamp", "alipay-nonce"] {
                response.headers.push((name.to_owned(), stamp.clone()));
            }
            prop_assert!(reply(&both.merchant, &response, now()).is_err());
        }
    }
}

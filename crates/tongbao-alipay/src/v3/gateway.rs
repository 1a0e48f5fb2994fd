//! The gateway's side of a v3 call: reading a request, judging it, and writing replies. For the
//! sandbox; a merchant needs none of it.
//!
//! Which apps exist, whether a nonce came before, and what an operation does, is the sandbox's.

use super::envelope::{is_near, millis};
use super::sign;
use crate::ContentKey;
use crate::error::Refusal;
use crate::open::AppAtGateway;
use crate::open::members::{Reader, Writer};
use serde_json::{Value, json};
use tongbao_crypt::{RsaPrivateKey, RsaPublicKey};
use tongbao_types::{HttpRequest, HttpResponse, Method, Span, Timestamp};

/// Where the paths of operations begin.
const PREFIX: &str = "/v3/";
/// How far from now a request may have been signed.
const AGE_MAX: Span = Span::from_seconds(600);

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct GatewayRequest<'a> {
    request: &'a HttpRequest,
    /// What the client says about itself, as sent, in whatever order.
    auth: &'a str,
    signature: &'a str,
}

/// How replies are signed.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// Alipay's key for this app.
    pub key: &'a RsaPrivateKey,
    /// `alipay-sn`; to be given if the app is in certificate mode.
    pub cert_sn: Option<&'a str>,
    /// Encrypts the body first, if the request was encrypted.
    pub content_key: Option<&'a ContentKey>,
    /// Now.
    pub timestamp: Timestamp,
    /// Unique per reply; also the trace id.
    pub nonce: &'a str,
}

impl<'a> GatewayRequest<'a> {
    /// Takes the `authorization` header apart. Without one, what production misses first is the
    /// timestamp.
    pub fn read(request: &'a HttpRequest) -> Result<GatewayRequest<'a>, Refusal> {
        let header = request.header("authorization").ok_or(Refusal::MISSING_TIMESTAMP)?;
        let (auth, signature) =
            sign::read_authorization(header).ok_or(Refusal::MISSING_SIGNATURE)?;
        Ok(GatewayRequest { request, auth, signature })
    }

    /// The operation by its name in 2.0, such as `alipay.trade.query`; `None` if the path is not of
    /// v3. Whether it goes with the HTTP method is not checked.
    pub fn method(&self) -> Option<String> {
        let path = self.request.path().strip_prefix(PREFIX)?;
        Some(path.replace('/', "."))
    }

    /// The app id.
    pub fn app_id(&self) -> Result<&'a str, Refusal> {
        self.said("app_id").ok_or(Refusal::MISSING_APP_ID)
    }

    /// What must not come twice from an app.
    pub fn nonce(&self) -> Option<&'a str> {
        self.said("nonce")
    }

    /// The token of the merchant that an ISV acts for.
    pub fn app_auth_token(&self) -> Option<&'a str> {
        self.request.header("alipay-app-auth-token").filter(|token| !token.is_empty())
    }

    /// Whether the client works in certificate mode.
    pub fn has_cert_sn(&self) -> bool {
        self.said("app_cert_sn").is_some()
    }

    /// Whether the body is encrypted, so that the reply will be.
    pub fn is_encrypted(&self) -> bool {
        self.request.header("alipay-encrypt-type").is_some()
    }

    /// The bytes that the gateway checks the signature over.
    pub fn string(&self) -> Vec<u8> {
        sign::request_string(self.auth, self.request, self.app_auth_token())
    }

    /// Whether the signature fits.
    pub fn is_signed_by(&self, key: &RsaPublicKey) -> bool {
        sign::verify(key, &self.string(), self.signature)
    }

    /// Everything that is checked once the app is known: timestamp and nonce, certificate serials,
    /// signature.
    pub fn check(&self, app: AppAtGateway<'_>, now: Timestamp) -> Result<(), Refusal> {
        let timestamp = self.said("timestamp").ok_or(Refusal::MISSING_TIMESTAMP)?;
        let moment = timestamp.parse::<i64>().map_err(|_| Refusal::INVALID_TIMESTAMP)?;
        if timestamp.len() != 13 || !is_near(moment, now, AGE_MAX) {
            return Err(Refusal::INVALID_TIMESTAMP);
        }
        self.nonce().ok_or(Refusal::INVALID_PARAMETER)?;
        self.check_certificates(app)?;
        if self.is_signed_by(app.key) { Ok(()) } else { Err(self.invalid_signature()) }
    }

    /// The business members as a JSON object: the body, decrypted if it was encrypted, or the
    /// query of a GET. The operations' `read` takes it.
    pub fn content(&self, content_key: Option<&ContentKey>) -> Result<String, Refusal> {
        let text = match (self.request.method, self.request.header("alipay-encrypt-type")) {
            (Method::Get, _) => query_as_json(self.request.query()),
            (Method::Post, None) => self.body()?.to_owned(),
            (Method::Post, Some("AES")) => {
                let key = content_key.ok_or(Refusal::INVALID_ENCRYPT)?;
                let plain = key.decrypt(self.body()?).ok_or(Refusal::DECRYPTION_UNKNOWN)?;
                String::from_utf8(plain).map_err(|_| Refusal::DECRYPTION_UNKNOWN)?
            }
            (Method::Post, Some(_)) => return Err(Refusal::INVALID_ENCRYPT_TYPE),
        };
        let text = if text.is_empty() { "{}".to_owned() } else { text };
        Reader::read(&text).map(|_| text).ok_or(Refusal::ILLEGAL_JSON)
    }

    fn body(&self) -> Result<&'a str, Refusal> {
        std::str::from_utf8(&self.request.body).map_err(|_| Refusal::ILLEGAL_JSON)
    }

    fn said(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.auth.split(',').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(key, _)| *key == name)?.1;
        (!value.is_empty()).then_some(value)
    }

    fn check_certificates(&self, app: AppAtGateway<'_>) -> Result<(), Refusal> {
        let Some((app_sn, root_sn)) = app.certificates else {
            let plain = !self.has_cert_sn();
            return if plain { Ok(()) } else { Err(Refusal::MISSING_SIGNATURE_CONFIG) };
        };
        let sent_app = self.said("app_cert_sn").ok_or(Refusal::MISSING_APP_CERT_SN)?;
        let sent_root = self.request.header("alipay-root-cert-sn");
        let sent_root = sent_root.ok_or(Refusal::MISSING_ROOT_CERT_SN)?;
        if sent_app != app_sn || sent_root != root_sn {
            return Err(Refusal::MISSING_SIGNATURE_CONFIG);
        }
        Ok(())
    }

    fn invalid_signature(&self) -> Refusal {
        let string = String::from_utf8_lossy(&self.string()).into_owned();
        let words = Refusal::INVALID_SIGNATURE.sub_msg;
        Refusal::INVALID_SIGNATURE.saying(format!("{words}{string}"))
    }
}

impl Sealing<'_> {
    /// The reply of an operation that was carried out.
    pub(super) fn answer(self, members: &Writer) -> HttpResponse {
        self.respond(200, &members.to_biz_content())
    }

    /// A whole reply, signed.
    pub(super) fn respond(self, status: u16, body: &str) -> HttpResponse {
        let (body, content_type) = match self.content_key {
            Some(key) if !body.is_empty() => (key.encrypt(body.as_bytes()), "text/plain"),
            _ => (body.to_owned(), JSON),
        };
        let timestamp = millis(self.timestamp).to_string();
        let string = sign::reply_string(&timestamp, self.nonce, body.as_bytes());
        let signature = self.key.sign_sha256(&string);
        let mut response = HttpResponse::new(status, content_type, body);
        let headers = [
            ("alipay-timestamp", Some(timestamp.as_str())),
            ("alipay-nonce", Some(self.nonce)),
            ("alipay-signature", Some(signature.as_str())),
            ("alipay-trace-id", Some(self.nonce)),
            ("alipay-sn", self.cert_sn),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        response.headers.extend(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        response
    }
}

const JSON: &str = "application/json;charset=utf-8";

/// Answers with a refusal. What the business says is signed; the gateway's own refusals, also of
/// apps that it does not know, are not.
pub fn refuse(refusal: &Refusal, sealing: Option<Sealing<'_>>, trace_id: &str) -> HttpResponse {
    let link = format!("https://open.alipay.com/api/errCheck?traceId={trace_id}&source=openapi");
    let prefixes = ["isv.", "isp.", "aop."];
    let own = prefixes.iter().find_map(|prefix| refusal.sub_code.strip_prefix(prefix));
    let body = json!({
        "code": own.unwrap_or(refusal.sub_code),
        "message": refusal.sub_msg,
        "links": [{ "link": link, "desc": "解决方案" }],
    });
    let (status, body) = (status(refusal), body.to_string());
    match (own, sealing) {
        (None, Some(sealing)) => sealing.respond(status, &body),
        _ => {
            let mut response = HttpResponse::new(status, JSON, body);
            response.headers.push(("alipay-trace-id".to_owned(), trace_id.to_owned()));
            response
        }
    }
}

fn status(refusal: &Refusal) -> u16 {
    match refusal.code {
        "20000" => 500,
        "20001" => 401,
        "40005" => 429,
        "40006" => 403,
        _ => 400,
    }
}

/// The first of a name that comes twice counts.
fn query_as_json(query: &str) -> String {
    let mut members = serde_json::Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        members.entry(name).or_insert_with(|| value.into_owned().into());
    }
    Value::Object(members).to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::open::testing::{APP_ID, Both};
    use crate::v3::envelope::{self, CallContext};
    use proptest::prelude::*;

    pub(in crate::v3) const NOW: &str = "2026-11-21T06:30:00Z";

    pub(in crate::v3) fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    /// So many seconds from then, or before.
    pub(in crate::v3) fn later(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(now().as_seconds() + seconds)
    }

    pub(in crate::v3) fn call() -> CallContext {
        CallContext::at(now(), "0123456789abcdef0123456789abcdef")
    }

    pub(in crate::v3) fn sealing(both: &Both) -> Sealing<'_> {
        Sealing {
            key: &both.alipay_key,
            cert_sn: both.certificates.as_ref().map(|sns| sns.alipay.as_str()),
            content_key: both.content_key.as_ref(),
            timestamp: now(),
            nonce: "fedcba9876543210",
        }
    }

    /// The operation and the members of a request that the gateway has nothing against.
    pub(in crate::v3) fn content(both: &Both, request: &HttpRequest) -> (String, String) {
        let received = GatewayRequest::read(request).unwrap();
        assert_eq!(received.app_id(), Ok(APP_ID));
        let key = both.merchant.app_key().public();
        assert_eq!(received.check(both.app(&key), now()), Ok(()));
        let content = received.content(both.content_key.as_ref()).unwrap();
        (received.method().unwrap(), content)
    }

    fn post(both: &Both) -> HttpRequest {
        let members = Writer::new().text("out_trade_no", "T1");
        envelope::post(&both.merchant, &call(), "/v3/alipay/trade/query", members)
    }

    fn verdict(both: &Both, request: &HttpRequest, seconds: i64) -> Result<(), Refusal> {
        let received = GatewayRequest::read(request)?;
        let key = both.merchant.app_key().public();
        received.app_id()?;
        received.check(both.app(&key), later(seconds))
    }

    fn with_header(request: &HttpRequest, name: &str, value: Option<&str>) -> HttpRequest {
        let mut request = request.clone();
        request.headers.retain(|(header, _)| header != name);
        request.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        request
    }

    /// The same request with another auth string, rightly signed.
    fn saying(both: &Both, auth: &str) -> HttpRequest {
        let request = post(both);
        let header = sign::authorization(both.merchant.app_key(), auth, &request, None);
        with_header(&request, "authorization", Some(&header))
    }

    #[test]
    fn a_request_is_read_and_its_age_judged() {
        for both in Both::all() {
            let sent = post(&both);
            let (method, content) = content(&both, &sent);
            assert_eq!(method, "alipay.trade.query");
            assert_eq!(content, r#"{"out_trade_no":"T1"}"#);
            assert_eq!(verdict(&both, &sent, 600), Ok(()));
            assert_eq!(verdict(&both, &sent, 601), Err(Refusal::INVALID_TIMESTAMP));
            assert_eq!(verdict(&both, &sent, -601), Err(Refusal::INVALID_TIMESTAMP));
        }
    }

    #[test]
    fn the_auth_string_may_have_any_order() {
        let both = Both::plain();
        let auth = "timestamp=1795242600000,expired_seconds=600,nonce=n,app_id=2021000000000001";
        assert_eq!(verdict(&both, &saying(&both, auth), 0), Ok(()));
    }

    #[test]
    fn each_fault_is_refused_in_the_gateways_words() {
        let both = Both::plain();
        let check = |auth: &str, wanted: Refusal| {
            assert_eq!(verdict(&both, &saying(&both, auth), 0), Err(wanted), "{auth}");
        };
        check("nonce=n,timestamp=1795242600000", Refusal::MISSING_APP_ID);
        check("app_id=1,nonce=n", Refusal::MISSING_TIMESTAMP);
        check("app_id=1,timestamp=1795242600000", Refusal::INVALID_PARAMETER);
        check("app_id=1,nonce=n,timestamp=1795242600", Refusal::INVALID_TIMESTAMP);
        check("app_id=1,nonce=n,timestamp=+795242600000", Refusal::INVALID_TIMESTAMP);
        let with_sn = "app_id=1,app_cert_sn=x,nonce=n,timestamp=1795242600000";
        check(with_sn, Refusal::MISSING_SIGNATURE_CONFIG);
        let sent = post(&both);
        let without = with_header(&sent, "authorization", None);
        assert_eq!(verdict(&both, &without, 0), Err(Refusal::MISSING_TIMESTAMP));
        let unsigned = with_header(&sent, "authorization", Some("ALIPAY-SHA256withRSA app_id=1"));
        assert_eq!(verdict(&both, &unsigned, 0), Err(Refusal::MISSING_SIGNATURE));
    }

    #[test]
    fn certificate_mode_wants_the_serials_that_are_on_file() {
        let both = Both::with_certificates();
        let sent = post(&both);
        let root = |value| with_header(&sent, "alipay-root-cert-sn", value);
        let missing = Err(Refusal::MISSING_ROOT_CERT_SN);
        assert_eq!(verdict(&both, &root(None), 0), missing);
        let other = Err(Refusal::MISSING_SIGNATURE_CONFIG);
        assert_eq!(verdict(&both, &root(Some("x")), 0), other);
        let plain = saying(&both, "app_id=1,nonce=n,timestamp=1795242600000");
        assert_eq!(verdict(&both, &plain, 0), Err(Refusal::MISSING_APP_CERT_SN));
    }

    #[test]
    fn path_body_method_and_token_are_signed() {
        let both = Both::plain();
        let sent = post(&both);
        let changes: [fn(&mut HttpRequest); 4] = [
            |request| request.target.push_str("?a=1"),
            |request| request.body = bytes::Bytes::from_static(b"{}"),
            |request| request.method = Method::Get,
            |request| request.headers.push(("alipay-app-auth-token".into(), "t".into())),
        ];
        for change in changes {
            let mut changed = sent.clone();
            change(&mut changed);
            let refusal = verdict(&both, &changed, 0).unwrap_err();
            assert_eq!(refusal.sub_code, "isv.invalid-signature");
            assert!(refusal.sub_msg.contains("/v3/alipay/trade/query"), "{}", refusal.sub_msg);
        }
        let mut call = call();
        call.app_auth_token = Some("t".into());
        let sent = envelope::post(&both.merchant, &call, "/v3/x", Writer::new());
        assert_eq!(verdict(&both, &sent, 0), Ok(()));
        assert_eq!(GatewayRequest::read(&sent).unwrap().app_auth_token(), Some("t"));
    }

    #[test]
    fn ciphertext_is_read_with_the_key_on_file_only() {
        let both = Both::encrypted();
        let key = both.content_key.as_ref();
        let sent = post(&both);
        let content =
            |request: &HttpRequest, key| GatewayRequest::read(request).unwrap().content(key);
        assert_eq!(content(&sent, key).as_deref(), Ok(r#"{"out_trade_no":"T1"}"#));
        assert_eq!(content(&sent, None), Err(Refusal::INVALID_ENCRYPT));
        let des = with_header(&sent, "alipay-encrypt-type", Some("DES"));
        assert_eq!(content(&des, key), Err(Refusal::INVALID_ENCRYPT_TYPE));
        let plain = with_header(&sent, "alipay-encrypt-type", None);
        assert_eq!(content(&plain, key), Err(Refusal::ILLEGAL_JSON));
        let mut short = sent.clone();
        short.body = bytes::Bytes::from_static(b"YWJj");
        assert_eq!(content(&short, key), Err(Refusal::DECRYPTION_UNKNOWN));
        short.body = bytes::Bytes::from_static(b"\xff");
        assert_eq!(content(&short, key), Err(Refusal::ILLEGAL_JSON));
    }

    #[test]
    fn refusals_have_their_status_and_the_gateways_own_no_signature() {
        let both = Both::plain();
        let check = |refusal: Refusal, status: u16, name: &str, is_signed: bool| {
            let response = refuse(&refusal, Some(sealing(&both)), "trace");
            assert_eq!(response.status, status, "{name}");
            assert_eq!(response.header("alipay-signature").is_some(), is_signed, "{name}");
            assert!(response.header("alipay-trace-id").is_some());
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(body["code"], name);
            assert_eq!(body["message"], refusal.sub_msg.as_ref());
            assert_eq!(body["links"][0]["desc"], "解决方案");
            match envelope::reply(&both.merchant, &response, now()) {
                Ok(crate::Answer::Refused(error)) => {
                    assert_eq!((error.code.as_str(), error.signed), (refusal.code, is_signed));
                }
                other => panic!("{:?}", other.err()),
            }
        };
        check(Refusal::TRADE_NOT_EXIST, 400, "ACQ.TRADE_NOT_EXIST", true);
        check(Refusal::NO_BILL_DATA, 400, "NO_BILL_DATA", true);
        check(Refusal::SYSTEM_ERROR, 400, "ACQ.SYSTEM_ERROR", true);
        check(Refusal::INVALID_APP_ID, 400, "invalid-app-id", false);
        check(Refusal::APP_CALL_LIMITED, 429, "app-call-limited", false);
        check(Refusal::INSUFFICIENT_ISV_PERMISSIONS, 403, "insufficient-isv-permissions", false);
        check(Refusal::GATEWAY_UNAVAILABLE, 500, "unknow-error", false);
        let unknown_app = refuse(&Refusal::TRADE_NOT_EXIST, None, "trace");
        assert!(unknown_app.header("alipay-signature").is_none());
    }

    proptest! {
        #[test]
        fn hostile_requests_never_panic(header: String, target: String, body: Vec<u8>) {
            let headers = vec![("authorization".to_owned(), header)];
            let request = HttpRequest { method: Method::Get, target, headers, body: body.into() };
            if let Ok(received) = GatewayRequest::read(&request) {
                let _ = (received.app_id(), received.method(), received.content(None));
            }
        }

        #[test]
        fn hostile_auth_strings_never_panic(auth: String, body: Vec<u8>) {
            let header = format!("{} {auth},sign=YQ==", sign::SCHEME);
            let headers = vec![("authorization".to_owned(), header)];
            let method = Method::Post;
            let target = "/v3/alipay/trade/query".to_owned();
            let request = HttpRequest { method, target, headers, body: body.into() };
            let both = Both::plain_shared();
            prop_assert!(verdict(both, &request, 0).is_err());
            let _ = GatewayRequest::read(&request).map(|received| received.content(None).is_ok());
        }
    }
}

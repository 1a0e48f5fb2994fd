//! What all calls of API v3 share: signed requests, verified answers, refusals in JSON
//! (微信支付 API v3, 基本规则).
//!
//! Answers of 2xx are verified, an empty one too; others are read as refusals without, as WeChat's
//! own SDKs do.

use super::party::named_merchant;
use super::sign::{Authorization, Verdict, VerdictProblem, signature_headers, verify_message};
use crate::account::{Merchant, PlatformKeys, V3Credentials};
use crate::error::{Answer, Level, ReplyError, WechatError};
use crate::rules::{Broken, Rule, check_object};
use crate::xml::BODY_BYTES_MAX;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tongbao_crypt::{RsaPrivateKey, RsaPublicKey};
use tongbao_types::{HttpRequest, HttpResponse, Method, Timestamp};

/// The Java SDK of WeChat refuses other spellings.
pub(super) const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// What makes each request another one: real time and fresh randomness.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Now; more than five minutes off and WeChat refuses.
    pub now: Timestamp,
    /// Random text of up to 32 letters and digits.
    pub nonce: &'a str,
}

/// An answer that arrived, and what it is verified with.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The answer.
    pub response: &'a HttpResponse,
    /// The keys known by now.
    pub keys: &'a PlatformKeys,
    /// When it arrived.
    pub now: Timestamp,
}

/// A signed GET.
pub(super) fn get(target: String, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
    request(Method::Get, target, None, (credentials, stamp))
}

/// A signed POST of JSON.
pub(super) fn post<T: Serialize>(
    target: String,
    body: &T,
    credentials: &V3Credentials,
    stamp: Stamp<'_>,
) -> HttpRequest {
    let body = serde_json::to_vec(body).expect("request bodies have text keys and plain values");
    request(Method::Post, target, Some(body), (credentials, stamp))
}

fn request(
    method: Method,
    target: String,
    body: Option<Vec<u8>>,
    (credentials, stamp): (&V3Credentials, Stamp<'_>),
) -> HttpRequest {
    let mut headers = vec![("Accept", "application/json".to_owned())];
    if body.is_some() {
        headers.push(("Content-Type", "application/json".to_owned()));
    }
    headers.push(("User-Agent", concat!("tongbao/", env!("CARGO_PKG_VERSION")).to_owned()));
    // During a migration to the public key, this chooses which key answers are signed with.
    if let Some(id) = credentials.trust().public_key_id() {
        headers.push(("Wechatpay-Serial", id.to_owned()));
    }
    let headers = headers.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    let body = body.map(Bytes::from).unwrap_or_default();
    let mut request = HttpRequest { method, target, headers, body };
    let authorization = Authorization::sign(&request, credentials, stamp.now, stamp.nonce);
    request.headers.insert(0, ("Authorization".to_owned(), authorization.to_string()));
    request
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Received<'a> {
    /// Checks size, status and signature. `202` is neither done nor refused.
    pub(super) fn verified(&self) -> Result<Answer<&'a [u8]>, ReplyError> {
        let body = match self.unverified()? {
            Answer::Done(body) => body,
            Answer::Refused(error) => return Ok(Answer::Refused(error)),
        };
        verify_message(self.keys, &self.response.headers, body, self.now)?;
        Ok(Answer::Done(body))
    }

    /// Checks size and status alone, for certificates, which bring their own keys.
    pub(super) fn unverified(&self) -> Result<Answer<&'a [u8]>, ReplyError> {
        let HttpResponse { status, body, .. } = self.response;
        if body.len() > BODY_BYTES_MAX {
            return Err(ReplyError::TooLarge);
        }
        match status {
            200 | 201 | 204 => Ok(Answer::Done(body)),
            _ => read_refusal(self.response).map(Answer::Refused),
        }
    }
}

/// Reads what is no success: WeChat's no, or something that is not from WeChat.
pub(super) fn read_refusal(response: &HttpResponse) -> Result<WechatError, ReplyError> {
    let status = response.status;
    let body = response.body.get(..BODY_BYTES_MAX).unwrap_or(&response.body);
    match serde_json::from_slice(body) {
        Ok(ErrorBody { code, message }) if (400..=599).contains(&status) => {
            Ok(WechatError { level: Level::Http(status), code, message })
        }
        _ => Err(ReplyError::Status(status)),
    }
}

/// Reads JSON of an answer that was verified.
pub(super) fn read_json<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, ReplyError> {
    serde_json::from_slice(body).map_err(|error| ReplyError::Malformed(error.to_string()))
}

/// The provider's no (微信支付 API v3, 错误码).
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `code`.
    pub code: String,
    /// `message`.
    pub message: String,
    /// `detail`.
    pub detail: Option<Value>,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a Value>,
    message: &'a str,
}

impl Refusal {
    /// A refusal without details.
    pub fn new(status: u16, code: &str, message: &str) -> Refusal {
        Refusal { status, code: code.to_owned(), message: message.to_owned(), detail: None }
    }

    /// A parameter that breaks a rule.
    pub(super) fn param(broken: Broken, location: &str) -> Refusal {
        let field = broken.place.strip_prefix(&format!("/{location}")).unwrap_or(&broken.place);
        let issue = &broken.message;
        let detail =
            json!({"field": field, "issue": issue, "location": location, "value": broken.value});
        let detail = Some(detail);
        Refusal { status: 400, code: "PARAM_ERROR".to_owned(), message: broken.message, detail }
    }

    /// A field that only some requests must have, at this place.
    pub(super) fn missing(place: &str) -> Refusal {
        let message = format!("输入源“{place}”必填性规则校验失败，此字段为必填项");
        Refusal::new(400, "PARAM_ERROR", &message)
    }

    /// The answer; refusals bear no signature here.
    pub fn encode(&self, request_id: &str) -> HttpResponse {
        let (code, message) = (self.code.as_str(), self.message.as_str());
        let body = RefusalBody { code, detail: self.detail.as_ref(), message };
        let body = serde_json::to_vec(&body).expect("refusals have text keys and plain values");
        let mut response = HttpResponse::new(self.status, CONTENT_TYPE, body);
        response.headers.insert(0, ("Request-ID".to_owned(), request_id.to_owned()));
        response
    }
}

/// A request whose form is right; its signature is still to be checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Whose it says it is, and how it is signed. Find the key by `mchid`.
    pub authorization: Authorization,
    /// Whose it says it is: the number from there, the others from body or query as far as they
    /// are named; the app id is empty where it is not.
    pub merchant: Merchant,
    /// The platform key that the answer should be signed with, if the request names one.
    pub answer_key: Option<String>,
    /// The request.
    pub request: HttpRequest,
}

/// Opens a request: size and `Authorization`.
pub fn open(request: HttpRequest) -> Result<Opened, Refusal> {
    let no = |message: &str| Refusal::new(401, "SIGN_ERROR", message);
    let text = request
        .header("Authorization")
        .ok_or_else(|| no("Http头缺少Authorization，请参考 API v3 的签名生成"))?;
    let read: Result<Authorization, _> = text.parse();
    let authorization = read.map_err(|e| no(&format!("Http头Authorization值格式错误：{e}")))?;
    if request.body.len() > BODY_BYTES_MAX {
        return Err(Refusal::new(400, "PARAM_ERROR", "请求体过大"));
    }
    let answer_key = request.header("Wechatpay-Serial").map(str::to_owned);
    let merchant = named_merchant(&request, &authorization.mchid);
    Ok(Opened { authorization, merchant, answer_key, request })
}

impl Opened {
    /// Checks the signature with the merchant's key and the serial number of its certificate.
    pub fn verify(
        &self,
        key: &RsaPublicKey,
        serial: &str,
        now: Timestamp,
    ) -> Result<Verdict, (Verdict, Refusal)> {
        let verdict = self.authorization.verify(&self.request, key, serial, now);
        match verdict.problem {
            None => Ok(verdict),
            Some(problem) => {
                let refusal = self.sign_error(&verdict, problem);
                Err((verdict, refusal))
            }
        }
    }

    /// In the words of production; the provider's string is cut after 100 characters there, too.
    fn sign_error(&self, verdict: &Verdict, problem: VerdictProblem) -> Refusal {
        let (issue, field, message) = match problem {
            VerdictProblem::Serial => (
                "serial_no not match",
                "serial_no",
                "商户证书序列号有误，请使用商户API证书的序列号",
            ),
            VerdictProblem::Age => (
                "timestamp expired",
                "timestamp",
                "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟",
            ),
            VerdictProblem::Signature => ("sign not match", "signature", "签名错误，请检查后再试"),
        };
        let string = &verdict.string_to_sign;
        let cut: String = string.chars().take(100).collect();
        let detail = json!({
            "detail": {"issue": issue},
            "field": field,
            "location": "authorization",
            "sign_information": {
                "method": self.request.method.as_str(),
                "sign_message_length": string.len(),
                "truncated_sign_message": cut,
                "url": self.request.target,
            },
        });
        Refusal { detail: Some(detail), ..Refusal::new(401, "SIGN_ERROR", message) }
    }

    /// Reads the JSON body after checking every field of it against the rules.
    pub(super) fn body<T: for<'de> Deserialize<'de>>(&self, rules: &[Rule]) -> Result<T, Refusal> {
        let no = || Refusal::new(400, "PARAM_ERROR", "请求体不是合法的 JSON");
        let value: Value = serde_json::from_slice(&self.request.body).map_err(|_| no())?;
        check_object(&value, rules, "/body").map_err(|broken| Refusal::param(broken, "body"))?;
        // Read from the bytes, so that a name that comes twice is refused.
        serde_json::from_slice(&self.request.body).map_err(|_| no())
    }
}

/// Signs the provider's answers and notifications.
#[derive(Clone, Copy)]
pub struct Replier<'a> {
    /// The platform's private key.
    pub key: &'a RsaPrivateKey,
    /// Its certificate's serial number, or the public key's id.
    pub serial: &'a str,
    /// The provider's clock.
    pub now: Timestamp,
    /// Fresh randomness.
    pub nonce: &'a str,
    /// `Request-ID`.
    pub request_id: &'a str,
}

impl Replier<'_> {
    /// `200` with JSON.
    pub(super) fn json<T: Serialize>(&self, body: &T) -> HttpResponse {
        let body = serde_json::to_vec(body).expect("replies have text keys and plain values");
        HttpResponse { status: 200, headers: self.headers(CONTENT_TYPE, &body), body: body.into() }
    }

    /// `204`; it is signed, and has a content type, since an SDK reads that header always.
    pub(super) fn no_content(&self) -> HttpResponse {
        let headers = self.headers("application/json", b"");
        HttpResponse { status: 204, headers, body: Bytes::new() }
    }

    /// All headers of a signed message.
    pub(super) fn headers(&self, content_type: &str, body: &[u8]) -> Vec<(String, String)> {
        let mut headers = vec![
            ("Request-ID".to_owned(), self.request_id.to_owned()),
            ("Content-Type".to_owned(), content_type.to_owned()),
        ];
        headers.extend(signature_headers(self.key, self.serial, (self.now, self.nonce), body));
        headers
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::error::SignatureError;
    use std::sync::LazyLock;
    use tongbao_types::Secret;

    /// Both sides of an account, made once for all tests of this folder.
    pub(in crate::v3) struct Pair {
        pub(in crate::v3) credentials: V3Credentials,
        pub(in crate::v3) platform: RsaPrivateKey,
    }

    pub(in crate::v3) const API_V3_KEY: &str = "0123456789abcdef0123456789ABCDEF";
    pub(in crate::v3) const PLATFORM_ID: &str = "PUB_KEY_ID_0116000000";
    pub(in crate::v3) const SERIAL: &str = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";

    pub(in crate::v3) static PAIR: LazyLock<Pair> = LazyLock::new(|| {
        let platform = RsaPrivateKey::generate();
        let pem = platform.public().to_spki_pem();
        let trust = PlatformKeys::none().with_public_key(PLATFORM_ID, &pem).unwrap();
        let merchant = Merchant::direct("wxd930ea5d5a258f4f", "1900000109");
        let key = Secret::new(RsaPrivateKey::generate().to_pkcs8_pem().to_string());
        let v3 = Secret::new(API_V3_KEY.to_owned());
        let credentials = V3Credentials::new(merchant, SERIAL, &key, &v3).unwrap();
        Pair { credentials: credentials.trusting(trust), platform }
    });

    /// A service provider's account, with the keys of the pair.
    pub(in crate::v3) static PARTNER: LazyLock<V3Credentials> = LazyLock::new(|| {
        let merchant = Merchant {
            sub_app_id: Some("wxd678efh567hg6787".to_owned()),
            sub_mch_id: Some("1900000209".to_owned()),
            ..PAIR.credentials.merchant().clone()
        };
        let key = Secret::new(PAIR.credentials.merchant_key().to_pkcs8_pem().to_string());
        let v3 = Secret::new(API_V3_KEY.to_owned());
        let credentials = V3Credentials::new(merchant, SERIAL, &key, &v3).unwrap();
        credentials.trusting(PAIR.credentials.trust().clone())
    });

    pub(in crate::v3) fn now() -> Timestamp {
        Timestamp::from_seconds(1_795_242_600)
    }

    pub(in crate::v3) fn stamp() -> Stamp<'static> {
        Stamp { now: now(), nonce: "593BEC0C930BF1AFEB40B4A08C8FB242" }
    }

    pub(in crate::v3) fn replier() -> Replier<'static> {
        Replier {
            key: &PAIR.platform,
            serial: PLATFORM_ID,
            now: now(),
            nonce: "n2",
            request_id: "08F78BB5CC06-0",
        }
    }

    /// A request's way to the provider, with the signature found good there.
    pub(in crate::v3) fn opened(request: HttpRequest) -> Opened {
        let opened = open(request).unwrap();
        assert!(opened.verify(&PAIR.credentials.merchant_key().public(), SERIAL, now()).is_ok());
        opened
    }

    pub(in crate::v3) fn received(response: &HttpResponse) -> Received<'_> {
        Received { response, keys: PAIR.credentials.trust(), now: now() }
    }

    #[test]
    fn requests_name_the_public_key_and_are_signed_as_sent() {
        let sent = post("/v3/x?a=%7C".to_owned(), &json!({"a": "中"}), &PAIR.credentials, stamp());
        assert_eq!(sent.header("wechatpay-serial"), Some(PLATFORM_ID));
        assert_eq!(sent.header("content-type"), Some("application/json"));
        let opened = opened(sent);
        assert_eq!(opened.answer_key.as_deref(), Some(PLATFORM_ID));
        let mut bare = get("/v3/x".to_owned(), &PAIR.credentials, stamp());
        assert_eq!(bare.header("content-type"), None);
        bare.headers.remove(0);
        assert_eq!(open(bare).unwrap_err().code, "SIGN_ERROR");
    }

    #[test]
    fn a_wrong_signature_is_answered_with_the_string_that_the_provider_built() {
        let mut sent = post("/v3/x".to_owned(), &json!({}), &PAIR.credentials, stamp());
        sent.body = Bytes::from_static(b"{\"a\":1}");
        let opened = open(sent).unwrap();
        let key = PAIR.credentials.merchant_key().public();
        let (verdict, refusal) = opened.verify(&key, SERIAL, now()).unwrap_err();
        assert!(verdict.string_to_sign.ends_with("\n{\"a\":1}\n"));
        let response = refusal.encode("id");
        assert_eq!((response.status, response.header("Request-ID")), (401, Some("id")));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let told = &body["detail"]["sign_information"];
        assert_eq!(told["sign_message_length"], json!(verdict.string_to_sign.len()));
        assert!(
            verdict.string_to_sign.starts_with(told["truncated_sign_message"].as_str().unwrap())
        );
        let Ok(Answer::Refused(error)) = received(&response).verified() else { panic!() };
        assert!(error.is_signature());
    }

    #[test]
    fn answers_of_success_are_verified_and_204_too() {
        let good = replier().json(&json!({"a": 1}));
        assert_eq!(received(&good).verified(), Ok(Answer::Done(br#"{"a":1}"#.as_slice())));
        let empty = replier().no_content();
        assert_eq!(received(&empty).verified(), Ok(Answer::Done(b"".as_slice())));
        for mut response in [good, empty] {
            response.headers.retain(|(name, _)| name != "Wechatpay-Signature");
            let missing = SignatureError::Missing("Wechatpay-Signature");
            assert_eq!(received(&response).verified(), Err(missing.into()));
        }
    }

    #[test]
    fn other_statuses_are_refusals_or_unknown() {
        let read = |status, body: &str| {
            let response = HttpResponse::new(status, "x", body.to_owned());
            received(&response).verified().map(|answer| answer.map(<[u8]>::to_vec))
        };
        let Ok(Answer::Refused(error)) = read(404, r#"{"code":"ORDER_NOT_EXIST"}"#) else {
            panic!()
        };
        assert!(error.is_not_found() && error.level == Level::Http(404));
        assert_eq!(read(502, "<html>"), Err(ReplyError::Status(502)));
        assert_eq!(read(202, "{}"), Err(ReplyError::Status(202)));
        assert_eq!(read(302, ""), Err(ReplyError::Status(302)));
        assert_eq!(read(200, &" ".repeat(70_000)), Err(ReplyError::TooLarge));
    }

    #[test]
    fn an_account_with_both_keys_takes_either_and_no_key_under_the_others_name() {
        let (own, other) = (RsaPrivateKey::generate(), RsaPrivateKey::generate());
        let certificate = super::super::certificates::tests::certificate(&own, 1);
        let serial = certificate.serial_hex();
        let trust = PAIR.credentials.trust().clone();
        let keys = trust.with_certificate(&certificate.to_pem()).unwrap();
        let read = |key: &RsaPrivateKey, serial: &str| {
            let response = Replier { key, serial, ..replier() }.json(&json!({}));
            let answer = Received { keys: &keys, ..received(&response) }.verified();
            answer.map(|_| ())
        };
        assert_eq!(read(&PAIR.platform, PLATFORM_ID), Ok(()));
        assert_eq!(read(&own, &serial), Ok(()));
        assert_eq!(read(&own, &serial.to_ascii_lowercase()), Ok(()));
        assert_eq!(read(&own, PLATFORM_ID), Err(SignatureError::Mismatch.into()));
        assert_eq!(read(&PAIR.platform, &serial), Err(SignatureError::Mismatch.into()));
        let unknown = read(&other, "0123").unwrap_err();
        assert_eq!(unknown.unknown_key(), Some("0123"));
        // Requests still ask for the public key, so that the move gets on.
        assert_eq!(keys.public_key_id(), Some(PLATFORM_ID));
    }
}

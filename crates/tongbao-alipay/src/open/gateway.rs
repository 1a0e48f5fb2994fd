//! The gateway's side of a call: reading whatever a client sends, judging it in the gateway's own
//! order, and writing replies as production does. For the sandbox; a merchant needs none of it.
//!
//! Which apps exist, and what an operation does, is the sandbox's. Parameters are never matched
//! against a list: whatever arrives takes part in the signature.

use super::envelope::root;
use super::members::{Reader, Writer};
use super::sign::{self, SIGN_TYPE};
use crate::error::Refusal;
use crate::params::{RawPair, charset_named, raw_pairs};
use crate::{Charset, ContentKey, Params, ParamsError, beijing, multipart};
use tongbao_crypt::{RsaPrivateKey, RsaPublicKey};
use tongbao_types::{HttpRequest, HttpResponse};

/// A request as it arrived, its parameters merged from query and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRequest {
    /// All parameters, decoded.
    pub params: Params,
    /// Whether `charset` named one that the gateway has; if not, UTF-8 was taken.
    charset_known: bool,
}

/// What the gateway has on file of an app.
#[derive(Debug, Clone, Copy)]
pub struct AppAtGateway<'a> {
    /// 应用公钥.
    pub key: &'a RsaPublicKey,
    /// `app_cert_sn` and `alipay_root_cert_sn`, if the app is in certificate mode.
    pub certificates: Option<(&'a str, &'a str)>,
    /// The key of content encryption, if the app has one.
    pub content_key: Option<&'a ContentKey>,
}

/// What becomes of a reply's object before it is sent.
#[derive(Debug, Clone, Copy)]
pub enum Sealing<'a> {
    /// Signed; the usual case, for refusals too.
    Signed {
        /// Alipay's key for this app.
        key: &'a RsaPrivateKey,
        /// `alipay_cert_sn`; to be given if, and only if, the request had `app_cert_sn`.
        cert_sn: Option<&'a str>,
        /// Encrypts the object first, if the request was encrypted.
        content_key: Option<&'a ContentKey>,
    },
    /// Not signed, as for an app that the gateway does not know.
    Unsigned,
}

impl GatewayRequest {
    /// Merges the parameters of query and body (a form, or multipart) by name; one that comes
    /// twice, as some clients send `charset`, counts once, the query's first.
    pub fn read(request: &HttpRequest) -> Result<GatewayRequest, ParamsError> {
        let query = raw_pairs(request.query().as_bytes())?;
        let content_type = request.header("content-type").unwrap_or("");
        let body = match multipart::fields(content_type, &request.body) {
            Some(fields) => fields,
            None => raw_pairs(&request.body)?,
        };
        GatewayRequest::merged(query, body)
    }

    /// From the order string of `alipay.trade.app.pay`, which the wallet brings instead of a
    /// request.
    pub fn from_order_string(text: &str) -> Result<GatewayRequest, ParamsError> {
        GatewayRequest::merged(raw_pairs(text.as_bytes())?, Vec::new())
    }

    fn merged(query: Vec<RawPair>, body: Vec<RawPair>) -> Result<GatewayRequest, ParamsError> {
        let mut named = query.iter().chain(&body).filter(|(name, _)| name == b"charset");
        let charset = named.next().map(|(_, value)| charset_named(value));
        let charset_known = !matches!(charset, Some(Err(_)));
        let charset = charset.and_then(Result::ok).unwrap_or(Charset::Utf8);
        let mut params = Params::new(charset);
        params.merge(query)?;
        params.merge(body)?;
        Ok(GatewayRequest { params, charset_known })
    }

    /// The method, if there is one.
    pub fn method(&self) -> Option<String> {
        self.params.filled("method").map(|text| text.into_owned())
    }

    /// The app id; refused if the method or the app id is missing, in this order.
    pub fn app_id(&self) -> Result<String, Refusal> {
        self.method().ok_or(Refusal::MISSING_METHOD)?;
        let app_id = self.params.filled("app_id");
        app_id.map(|text| text.into_owned()).ok_or(Refusal::MISSING_APP_ID)
    }

    /// Whether the client works in certificate mode, so that the reply must say `alipay_cert_sn`.
    pub fn has_cert_sn(&self) -> bool {
        self.params.filled("app_cert_sn").is_some()
    }

    /// Whether `biz_content` is encrypted, so that the reply will be.
    pub fn is_encrypted(&self) -> bool {
        self.params.filled("encrypt_type").is_some()
    }

    /// The bytes that the gateway checks the signature over.
    pub fn string(&self) -> Vec<u8> {
        sign::request_string(&self.params)
    }

    /// Whether the signature fits.
    pub fn is_signed_by(&self, key: &RsaPublicKey) -> bool {
        let signature = self.params.filled("sign").unwrap_or_default();
        sign::verify(&[key], &self.string(), &signature)
    }

    /// Everything that is checked once the app is known, in the gateway's order: presence, forms,
    /// certificate serials, signature.
    pub fn check(&self, app: AppAtGateway<'_>) -> Result<(), Refusal> {
        self.check_presence()?;
        self.check_forms()?;
        self.check_certificates(app)?;
        if !self.is_signed_by(app.key) {
            return Err(self.invalid_signature());
        }
        Ok(())
    }

    /// `biz_content`, decrypted if it was encrypted; `{}` if there is none.
    pub fn biz_content(&self, content_key: Option<&ContentKey>) -> Result<String, Refusal> {
        let sent = self.params.filled("biz_content").unwrap_or_default();
        let text = match self.params.filled("encrypt_type").as_deref() {
            None if sent.is_empty() => "{}".to_owned(),
            None => sent.into_owned(),
            Some("AES") => {
                let key = content_key.ok_or(Refusal::INVALID_ENCRYPT)?;
                let plain = key.decrypt(&sent).ok_or(Refusal::DECRYPTION_UNKNOWN)?;
                let text = self.params.charset().decode(&plain);
                text.ok_or(Refusal::DECRYPTION_UNKNOWN)?.into_owned()
            }
            Some(_) => return Err(Refusal::INVALID_ENCRYPT_TYPE),
        };
        Reader::read(&text).map(|_| text).ok_or(Refusal::ILLEGAL_JSON)
    }

    /// `isv.invalid-signature` with the string that was checked, as production shows it.
    pub fn invalid_signature(&self) -> Refusal {
        let string = self.string();
        let string = self.params.charset().decode(&string).unwrap_or_default();
        let words = Refusal::INVALID_SIGNATURE.sub_msg;
        Refusal::INVALID_SIGNATURE.saying(format!("{words}{}", string.replace('&', "&amp;")))
    }

    /// Answers with a refusal. `members` are those that the operation adds even then.
    pub fn refuse(
        &self,
        refusal: &Refusal,
        members: &[(&'static str, &str)],
        sealing: Sealing<'_>,
    ) -> HttpResponse {
        let writer = members.iter().fold(Writer::new(), |w, (name, value)| w.text(name, value));
        self.answer(&writer.to_refusal(refusal), sealing)
    }

    /// Answers with an object that is written already.
    pub(crate) fn answer(&self, object: &str, sealing: Sealing<'_>) -> HttpResponse {
        let root = self.method().map_or("error_response".to_owned(), |method| root(&method));
        let root = serde_json::Value::from(root).to_string();
        reply(&root, object, self.params.charset(), sealing)
    }

    fn check_presence(&self) -> Result<(), Refusal> {
        for (name, refusal) in [
            ("sign", Refusal::MISSING_SIGNATURE),
            ("sign_type", Refusal::MISSING_SIGNATURE_TYPE),
            ("timestamp", Refusal::MISSING_TIMESTAMP),
            ("version", Refusal::MISSING_VERSION),
        ] {
            self.params.filled(name).ok_or(refusal)?;
        }
        Ok(())
    }

    fn check_forms(&self) -> Result<(), Refusal> {
        let filled = |name| self.params.filled(name).unwrap_or_default();
        match filled("sign_type").as_ref() {
            SIGN_TYPE => {}
            // These exist, but an app of today has no such key at the gateway.
            "RSA" | "SM2" => return Err(Refusal::MISSING_SIGNATURE_CONFIG),
            _ => return Err(Refusal::INVALID_SIGNATURE_TYPE),
        }
        if !self.charset_known {
            return Err(Refusal::INVALID_CHARSET);
        }
        let format = filled("format");
        if !format.is_empty() && !format.eq_ignore_ascii_case("json") {
            return Err(Refusal::INVALID_FORMAT);
        }
        beijing::parse(&filled("timestamp")).map(|_| ()).ok_or(Refusal::INVALID_TIMESTAMP)
    }

    fn check_certificates(&self, app: AppAtGateway<'_>) -> Result<(), Refusal> {
        let Some((app_sn, root_sn)) = app.certificates else {
            let plain = !self.has_cert_sn();
            return if plain { Ok(()) } else { Err(Refusal::MISSING_SIGNATURE_CONFIG) };
        };
        let sent = |name| self.params.filled(name);
        let sent_app = sent("app_cert_sn").ok_or(Refusal::MISSING_APP_CERT_SN)?;
        let sent_root = sent("alipay_root_cert_sn").ok_or(Refusal::MISSING_ROOT_CERT_SN)?;
        if sent_app != app_sn || sent_root != root_sn {
            return Err(Refusal::MISSING_SIGNATURE_CONFIG);
        }
        Ok(())
    }
}

/// The whole reply: status 200 always, the content type that production sends, no blanks, the
/// members in this order.
fn reply(root: &str, object: &str, charset: Charset, sealing: Sealing<'_>) -> HttpResponse {
    let mut body = format!("{{{root}:").into_bytes();
    match sealing {
        Sealing::Unsigned => body.extend(charset.encode(object)),
        Sealing::Signed { key, cert_sn, content_key } => {
            let object = match content_key {
                // The quotes belong to what is signed.
                Some(key) => format!("\"{}\"", key.encrypt(&charset.encode(object))).into_bytes(),
                None => charset.encode(object),
            };
            let signature = sign::sign(key, &object);
            body.extend(object);
            if let Some(sn) = cert_sn {
                body.extend(format!(",\"alipay_cert_sn\":\"{sn}\"").bytes());
            }
            body.extend(format!(",\"sign\":\"{signature}\"").bytes());
        }
    }
    body.push(b'}');
    HttpResponse::new(200, &format!("text/html;charset={}", charset.name()), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::envelope::{self, PATH};
    use crate::open::testing::{Both, K1_PUBLIC, body_text};
    use proptest::prelude::*;
    use tongbao_types::Method;

    fn request(method: Method, target: String, content_type: &str, body: String) -> HttpRequest {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        HttpRequest { method, target, headers, body: body.into() }
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    /// A rightly signed request, with some parameters changed before signing.
    fn changed(both: &Both, changes: &[(&str, &str)]) -> GatewayRequest {
        let context = both.context();
        let mut params = envelope::unsigned(&both.merchant, &context, "alipay.trade.query", "{}");
        for (name, value) in changes {
            params.remove(name);
            params.set(name, value);
        }
        let params = envelope::signed(&both.merchant, params);
        let sent = request(Method::Post, PATH.to_owned(), FORM, params.to_form());
        GatewayRequest::read(&sent).unwrap()
    }

    fn verdict(both: &Both, request: &GatewayRequest) -> Result<(), Refusal> {
        let key = both.merchant.app_key().public();
        request.app_id()?;
        request.check(both.app(&key))
    }

    #[test]
    fn parameters_may_stand_anywhere() {
        let both = Both::plain();
        let context = both.context();
        let params = envelope::unsigned(&both.merchant, &context, "alipay.trade.query", "{}");
        let params = envelope::signed(&both.merchant, params);
        let mut multipart = String::new();
        for (name, value) in params.iter() {
            let value = std::str::from_utf8(value).unwrap();
            multipart.push_str(&format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        multipart.push_str("--b--\r\n");
        let form = params.to_form();
        let in_query = format!("{PATH}?{form}");
        let twice = format!("{PATH}?charset=utf-8");
        for sent in [
            request(Method::Get, in_query, "", String::new()),
            request(Method::Post, PATH.to_owned(), FORM, form.clone()),
            request(Method::Post, twice.clone(), FORM, form),
            request(Method::Post, twice, "multipart/form-data; boundary=b", multipart),
        ] {
            let received = GatewayRequest::read(&sent).unwrap();
            assert_eq!(received.params, params);
            assert_eq!(verdict(&both, &received), Ok(()));
        }
    }

    #[test]
    fn each_fault_is_refused_in_the_gateways_words() {
        let both = Both::plain();
        let check = |changes: &[(&str, &str)], wanted: Refusal| {
            let received = changed(&both, changes);
            assert_eq!(verdict(&both, &received), Err(wanted), "{changes:?}");
        };
        check(&[("method", "")], Refusal::MISSING_METHOD);
        check(&[("app_id", "")], Refusal::MISSING_APP_ID);
        check(&[("method", ""), ("app_id", "")], Refusal::MISSING_METHOD);
        check(&[("sign_type", "")], Refusal::MISSING_SIGNATURE_TYPE);
        check(&[("timestamp", "")], Refusal::MISSING_TIMESTAMP);
        check(&[("version", "")], Refusal::MISSING_VERSION);
        check(&[("sign_type", "MD5")], Refusal::INVALID_SIGNATURE_TYPE);
        check(&[("sign_type", "RSA")], Refusal::MISSING_SIGNATURE_CONFIG);
        check(&[("charset", "latin1")], Refusal::INVALID_CHARSET);
        check(&[("format", "XML")], Refusal::INVALID_FORMAT);
        check(&[("timestamp", "1795242600")], Refusal::INVALID_TIMESTAMP);
        check(&[("app_cert_sn", "x")], Refusal::MISSING_SIGNATURE_CONFIG);
        assert_eq!(verdict(&both, &changed(&both, &[("format", "json")])), Ok(()));
        assert_eq!(verdict(&both, &changed(&both, &[("unheard_of", "x")])), Ok(()));
        let mut without = changed(&both, &[]);
        without.params.remove("sign");
        assert_eq!(verdict(&both, &without), Err(Refusal::MISSING_SIGNATURE));
    }

    #[test]
    fn certificate_mode_wants_the_serials_that_are_on_file() {
        let both = Both::with_certificates();
        assert_eq!(verdict(&both, &changed(&both, &[])), Ok(()));
        let check = |changes: &[(&str, &str)], wanted: Refusal| {
            assert_eq!(verdict(&both, &changed(&both, changes)), Err(wanted), "{changes:?}");
        };
        check(&[("app_cert_sn", "")], Refusal::MISSING_APP_CERT_SN);
        check(&[("alipay_root_cert_sn", "")], Refusal::MISSING_ROOT_CERT_SN);
        check(&[("app_cert_sn", "x")], Refusal::MISSING_SIGNATURE_CONFIG);
        check(&[("alipay_root_cert_sn", "x")], Refusal::MISSING_SIGNATURE_CONFIG);
    }

    #[test]
    fn a_wrong_signature_is_answered_with_the_string() {
        let both = Both::plain();
        let mut received = changed(&both, &[]);
        received.params.set("biz_content", "{ }");
        let refusal = verdict(&both, &received).unwrap_err();
        assert_eq!(refusal.sub_code, "isv.invalid-signature");
        assert_eq!(
            refusal.sub_msg,
            "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为：\
             app_id=2021000000000001&amp;biz_content={ }&amp;charset=utf-8&amp;format=JSON&amp;\
             method=alipay.trade.query&amp;\
             notify_url=https://pay.example.com/notify/alipay/1?x=1&amp;\
             sign_type=RSA2&amp;timestamp=2026-11-21 14:30:00&amp;version=1.0"
        );
        let other_key = tongbao_crypt::RsaPrivateKey::generate().public();
        assert!(!changed(&both, &[]).is_signed_by(&other_key));
        assert!(changed(&both, &[]).is_signed_by(&RsaPublicKey::read(K1_PUBLIC).unwrap()));
    }

    #[test]
    fn ciphertext_is_read_with_the_key_on_file_only() {
        let both = Both::encrypted();
        let key = both.content_key.as_ref();
        let sealed = "HJjZXDcVHUcOrByocVgEmgs+1Naj649A//Hd8HstLD4=";
        let sent = |kind: &str, content: &str| {
            changed(&both, &[("encrypt_type", kind), ("biz_content", content)])
        };
        let plain = sent("AES", sealed).biz_content(key);
        assert_eq!(plain.as_deref(), Ok(r#"{"out_trade_no":"T1"}"#));
        assert_eq!(sent("AES", sealed).biz_content(None), Err(Refusal::INVALID_ENCRYPT));
        assert_eq!(sent("AES", "YWJj").biz_content(key), Err(Refusal::DECRYPTION_UNKNOWN));
        assert_eq!(sent("DES", sealed).biz_content(key), Err(Refusal::INVALID_ENCRYPT_TYPE));
        assert_eq!(sent("", sealed).biz_content(key), Err(Refusal::ILLEGAL_JSON));
        assert_eq!(sent("", "").biz_content(key).as_deref(), Ok("{}"));
        assert_eq!(sent("", "[1]").biz_content(key), Err(Refusal::ILLEGAL_JSON));
    }

    #[test]
    fn replies_stand_in_the_order_of_production() {
        let both = Both::with_certificates();
        let received = changed(&both, &[]);
        let sns = both.certificates.as_ref().unwrap();
        let body = body_text(&received.answer("{}", both.sealing()));
        let sign = both.alipay_key.sign_sha256(b"{}");
        let wanted = format!(
            r#"{{"alipay_trade_query_response":{{}},"alipay_cert_sn":"{}","sign":"{sign}"}}"#,
            sns.alipay
        );
        assert_eq!(body, wanted);
        let mut unroutable = received;
        unroutable.params.remove("method");
        assert_eq!(
            body_text(&unroutable.answer("{}", Sealing::Unsigned)),
            r#"{"error_response":{}}"#
        );
    }

    #[test]
    fn an_app_in_gbk_is_answered_in_gbk() {
        let both = Both::plain();
        let query = "app_id=1&method=alipay.trade.query&charset=GBK&subject=%B2%E2";
        let target = format!("{PATH}?{query}");
        let received =
            GatewayRequest::read(&request(Method::Get, target, "", String::new())).unwrap();
        assert_eq!(received.params.text("subject").as_deref(), Some("测"));
        let response = received.refuse(&Refusal::MISSING_SIGNATURE, &[], both.sealing());
        assert_eq!(response.header("content-type"), Some("text/html;charset=GBK"));
        let text = Charset::Gbk.decode(&response.body).unwrap();
        assert!(text.contains("缺少签名参数"));
        let object = &text[text.find(":{").unwrap() + 1..=text.find('}').unwrap()];
        let sign = both.alipay_key.sign_sha256(&Charset::Gbk.encode(object));
        assert!(text.contains(&sign));
    }

    proptest! {
        #[test]
        fn hostile_requests_never_panic(target: String, kind: String, body: Vec<u8>) {
            let mut sent = request(Method::Post, target, &kind, String::new());
            sent.body = body.into();
            if let Ok(received) = GatewayRequest::read(&sent) {
                let _ = (received.app_id(), received.invalid_signature());
                let _ = received.biz_content(None);
            }
        }
    }
}

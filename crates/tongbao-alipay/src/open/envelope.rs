//! The merchant's side of a call: the request around `biz_content`, and how far a reply can be
//! believed. Alipay, 公共请求参数 and 公共响应参数.
//!
//! The order of checks is fixed: status, syntax, root, signature, decryption, code, members. A
//! reply without a signature counts only as a refusal of the request, never as a fact about a
//! trade.

use super::members::Reader;
use super::sign::{self, RawMembers, RawMembersError, SIGN_TYPE};
use crate::account::{Credentials, Trust};
use crate::error::{Answer, GatewayError, ReplyError};
use crate::params::form;
use crate::{Charset, Params, beijing};
use bytes::Bytes;
use std::borrow::Cow;
use tongbao_types::{HttpRequest, HttpResponse, Method, Timestamp};

/// The gateway's path.
pub const PATH: &str = "/gateway.do";

/// What differs from call to call without being business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallContext {
    /// Now; it is written as Beijing time.
    pub timestamp: Timestamp,
    /// Where the notification about the order shall go.
    pub notify_url: Option<String>,
    /// Where the buyer's browser shall go after paying; only page.pay and wap.pay use it.
    pub return_url: Option<String>,
}

impl CallContext {
    /// A call that asks for neither notification nor return.
    pub const fn at(timestamp: Timestamp) -> CallContext {
        CallContext { timestamp, notify_url: None, return_url: None }
    }
}

/// The public parameters and `biz_content`, not signed yet. Hand them to [`sign::request_string`]
/// to see what will be signed.
pub fn unsigned(
    credentials: &Credentials,
    call: &CallContext,
    method: &str,
    biz_content: &str,
) -> Params {
    let mut params = Params::new(Charset::Utf8);
    params.set("app_id", credentials.app_id());
    params.set("method", method);
    params.set("format", "JSON");
    params.set("charset", Charset::Utf8.name());
    params.set("sign_type", SIGN_TYPE);
    params.set("timestamp", &beijing::print(call.timestamp));
    params.set("version", "1.0");
    params.set("notify_url", call.notify_url.as_deref().unwrap_or(""));
    if let Trust::Certificates(trust) = credentials.trust() {
        params.set("app_cert_sn", trust.app_cert_sn());
        params.set("alipay_root_cert_sn", trust.root_sn());
    }
    params.set("biz_content", biz_content);
    params
}

/// Signs what [`unsigned`] made.
pub fn signed(credentials: &Credentials, mut params: Params) -> Params {
    let string = sign::request_string(&params);
    params.set("sign", &sign::sign(credentials.app_key(), &string));
    params
}

/// All parameters of a call, signed; `biz_content` encrypted if the credentials have a content key.
pub(crate) fn sealed(
    credentials: &Credentials,
    call: &CallContext,
    method: &str,
    biz_content: &str,
) -> Params {
    signed(credentials, encrypted(credentials, call, method, biz_content))
}

/// The same for what a browser carries, which also names the address of the way back.
pub(crate) fn sealed_for_browser(
    credentials: &Credentials,
    call: &CallContext,
    method: &str,
    biz_content: &str,
) -> Params {
    let mut params = encrypted(credentials, call, method, biz_content);
    params.set("return_url", call.return_url.as_deref().unwrap_or(""));
    signed(credentials, params)
}

fn encrypted(
    credentials: &Credentials,
    call: &CallContext,
    method: &str,
    biz_content: &str,
) -> Params {
    let Some(key) = credentials.content_key() else {
        return unsigned(credentials, call, method, biz_content);
    };
    let mut params = unsigned(credentials, call, method, &key.encrypt(biz_content.as_bytes()));
    params.set("encrypt_type", "AES");
    params
}

/// A server call: public parameters in the query, `biz_content` in the body.
pub(crate) fn request(
    credentials: &Credentials,
    call: &CallContext,
    method: &str,
    biz_content: &str,
) -> HttpRequest {
    let mut params = sealed(credentials, call, method, biz_content);
    let body = form(params.iter().filter(|(name, _)| *name == "biz_content"));
    params.remove("biz_content");
    let content_type = "application/x-www-form-urlencoded;charset=utf-8";
    HttpRequest {
        method: Method::Post,
        target: format!("{PATH}?{}", params.to_form()),
        headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
        body: Bytes::from(body),
    }
}

/// The members of a successful reply, or the refusal.
pub(crate) fn reply(
    credentials: &Credentials,
    method: &str,
    response: &HttpResponse,
) -> Result<Answer<Reader>, ReplyError> {
    reply_with(credentials, method, body_text(response)?, &["10000"])
}

/// The same from the text alone, for an operation with more codes than one that are no refusal.
pub(crate) fn reply_with(
    credentials: &Credentials,
    method: &str,
    text: &str,
    codes: &[&str],
) -> Result<Answer<Reader>, ReplyError> {
    let top = RawMembers::read(text).map_err(|error| match error {
        RawMembersError::NotJson => ReplyError::NotJson,
        RawMembersError::Duplicate(name) => ReplyError::DuplicateMember(name),
    })?;
    let root = root(method);
    let object = top.raw(&root).or_else(|| top.raw("error_response"));
    let object = object.ok_or(ReplyError::WrongRoot(root))?;
    let Some(signature) = top.text("sign") else { return unsigned_refusal(object) };
    check_signature(credentials, object, &signature, top.text("alipay_cert_sn").as_deref())?;
    let members = Reader::read(&decrypted(credentials, object)?).ok_or(ReplyError::NotJson)?;
    if codes.contains(&members.required("code")?.as_str()) {
        return Ok(Answer::Done(members));
    }
    Ok(Answer::Refused(refusal(&members, true)?))
}

/// The same for the one operation whose reply need not be signed.
pub(crate) fn reply_without_signature(
    method: &str,
    response: &HttpResponse,
) -> Result<Answer<Reader>, ReplyError> {
    let top = RawMembers::read(body_text(response)?).map_err(|_| ReplyError::NotJson)?;
    let root = root(method);
    let object = top.raw(&root).or_else(|| top.raw("error_response"));
    let object = object.ok_or(ReplyError::WrongRoot(root))?;
    let members = Reader::read(object).ok_or(ReplyError::NotJson)?;
    if members.required("code")? == "10000" {
        return Ok(Answer::Done(members));
    }
    Ok(Answer::Refused(refusal(&members, top.raw("sign").is_some())?))
}

/// The name of the member that holds a method's answer.
pub(crate) fn root(method: &str) -> String {
    format!("{}_response", method.replace('.', "_"))
}

pub(crate) fn body_text(response: &HttpResponse) -> Result<&str, ReplyError> {
    if response.status != 200 {
        return Err(ReplyError::HttpStatus(response.status));
    }
    std::str::from_utf8(&response.body).map_err(|_| ReplyError::NotJson)
}

fn check_signature(
    credentials: &Credentials,
    object: &str,
    signature: &str,
    cert_sn: Option<&str>,
) -> Result<(), ReplyError> {
    let keys = credentials.trust().keys_for(cert_sn);
    let unknown = || ReplyError::CertificateUnknown { sn: cert_sn.unwrap_or("").to_owned() };
    let keys = keys.ok_or_else(unknown)?;
    if sign::verify(&keys, object.as_bytes(), signature) {
        return Ok(());
    }
    // Some old services sign before the slashes are escaped; Alipay's own Java library tries this
    // second form as well.
    let unescaped = object.replace("\\/", "/");
    if unescaped != object && sign::verify(&keys, unescaped.as_bytes(), signature) {
        return Ok(());
    }
    Err(ReplyError::SignatureMismatch)
}

/// An encrypted object is a JSON string.
fn decrypted<'a>(credentials: &Credentials, object: &'a str) -> Result<Cow<'a, str>, ReplyError> {
    if !object.starts_with('"') {
        return Ok(Cow::Borrowed(object));
    }
    let sealed: String = serde_json::from_str(object).map_err(|_| ReplyError::NotJson)?;
    let key = credentials.content_key().ok_or(ReplyError::Undecryptable)?;
    let plain = key.decrypt(&sealed).and_then(|bytes| String::from_utf8(bytes).ok());
    plain.map(Cow::Owned).ok_or(ReplyError::Undecryptable)
}

/// The gateway cannot sign for an app that it does not know, so such a refusal is taken; one of
/// the business (40004) speaks of a trade and is not, nor is a success.
fn unsigned_refusal(object: &str) -> Result<Answer<Reader>, ReplyError> {
    let members = Reader::read(object).ok_or(ReplyError::SignatureMissing)?;
    let code = members.required("code")?;
    let of_the_request =
        ["20000", "20001", "40001", "40002", "40003", "40005", "40006"].contains(&code.as_str());
    let of_the_trade = members.text("sub_code").is_some_and(|name| name.contains("ACQ."));
    if !of_the_request || of_the_trade {
        return Err(ReplyError::SignatureMissing);
    }
    Ok(Answer::Refused(refusal(&members, false)?))
}

fn refusal(members: &Reader, signed: bool) -> Result<GatewayError, ReplyError> {
    let text = |name| members.text(name).unwrap_or_default();
    Ok(GatewayError {
        code: members.required("code")?,
        msg: text("msg"),
        sub_code: text("sub_code"),
        sub_msg: text("sub_msg"),
        signed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;
    use crate::open::gateway::Sealing;
    use crate::open::testing::{Both, body_text};
    use tongbao_crypt::RsaPrivateKey;

    const METHOD: &str = "alipay.trade.query";
    const PAID: &str = r#"{"code":"10000","msg":"Success","url":"https:\/\/x"}"#;

    fn read(both: &Both, body: &str) -> Result<bool, ReplyError> {
        let response = HttpResponse::new(200, "text/html;charset=utf-8", body.to_owned());
        reply(&both.merchant, METHOD, &response).map(|answer| matches!(answer, Answer::Done(_)))
    }

    fn body(both: &Both) -> String {
        body_text(&both.signed_reply(METHOD, PAID))
    }

    #[test]
    fn a_request_stands_in_query_and_body() {
        let both = Both::plain();
        let sent = request(&both.merchant, &both.context(), METHOD, r#"{"a":"+ &"}"#);
        assert_eq!(sent.path(), PATH);
        assert_eq!(sent.body, "biz_content=%7B%22a%22%3A%22%2B+%26%22%7D");
        let query = "app_id=2021000000000001&charset=utf-8&format=JSON&method=alipay.trade.query&\
                     notify_url=https%3A%2F%2Fpay.example.com%2Fnotify%2Falipay%2F1%3Fx%3D1&sign=";
        assert!(sent.query().starts_with(query), "{}", sent.query());
        let tail = "&sign_type=RSA2&timestamp=2026-11-21+14%3A30%3A00&version=1.0";
        assert!(sent.query().ends_with(tail), "{}", sent.query());
    }

    #[test]
    fn certificate_mode_names_its_certificates_and_encryption_its_kind() {
        let both = Both::with_certificates();
        let sent = request(&both.merchant, &both.context(), METHOD, "{}");
        let sns = both.certificates.as_ref().unwrap();
        assert!(sent.query().contains(&format!("app_cert_sn={}&", sns.app)));
        assert!(sent.query().contains(&format!("alipay_root_cert_sn={}&", sns.root)));
        let both = Both::encrypted();
        let sent = request(&both.merchant, &both.context(), METHOD, r#"{"out_trade_no":"T1"}"#);
        assert!(sent.query().contains("&encrypt_type=AES&"));
        let sealed = "HJjZXDcVHUcOrByocVgEmgs%2B1Naj649A%2F%2FHd8HstLD4%3D";
        assert_eq!(sent.body, format!("biz_content={sealed}"));
    }

    #[test]
    fn only_a_signed_reply_says_anything_about_a_trade() {
        let both = Both::plain();
        assert_eq!(read(&both, &body(&both)), Ok(true));
        let root = "alipay_trade_query_response";
        let unsigned = |object: &str| read(&both, &format!(r#"{{"{root}":{object}}}"#));
        assert_eq!(unsigned(PAID), Err(ReplyError::SignatureMissing));
        let missing = Err(ReplyError::SignatureMissing);
        assert_eq!(unsigned(r#"{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"}"#), missing);
        assert_eq!(unsigned(r#"{"code":"40002","sub_code":"ACQ.TRADE_NOT_EXIST"}"#), missing);
        assert_eq!(unsigned(r#"{"code":"10003"}"#), missing);
        assert_eq!(unsigned(r#""c2VhbGVk""#), missing);
        assert_eq!(unsigned(r#"{"code":"40002","sub_code":"isv.invalid-app-id"}"#), Ok(false));
        assert_eq!(unsigned(r#"{"code":"20000","sub_code":"aop.unknow-error"}"#), Ok(false));
        let old = r#"{"error_response":{"code":"40002","sub_code":"isv.invalid-method"}}"#;
        assert_eq!(read(&both, old), Ok(false));
    }

    #[test]
    fn a_reply_that_was_changed_or_signed_by_another_is_not_believed() {
        let both = Both::plain();
        let right = body(&both);
        let mismatch = Err(ReplyError::SignatureMismatch);
        assert_eq!(read(&both, &right.replace("10000", "10001")), mismatch);
        assert_eq!(read(&both, &right.replace("Success\"", "Success\" ")), mismatch);
        assert_eq!(read(&both, &right.replace("\"sign\":\"", "\"sign\":\"A")), mismatch);
        assert_eq!(read(&Both::with_other_key(), &right), mismatch);
        let by_the_app = both.merchant.app_key().sign_sha256(PAID.as_bytes());
        let forged = format!(r#"{{"alipay_trade_query_response":{PAID},"sign":"{by_the_app}"}}"#);
        assert_eq!(read(&both, &forged), mismatch);
    }

    #[test]
    fn a_reply_signed_before_its_slashes_were_escaped_is_believed() {
        let both = Both::plain();
        let sign = both.alipay_key.sign_sha256(PAID.replace("\\/", "/").as_bytes());
        let body = format!(r#"{{"alipay_trade_query_response":{PAID},"sign":"{sign}"}}"#);
        assert_eq!(read(&both, &body), Ok(true));
    }

    #[test]
    fn what_is_no_reply_to_this_call_is_told_apart() {
        let both = Both::plain();
        let right = body(&both);
        let twice = right.replacen('{', &format!("{{\"alipay_trade_query_response\":{PAID},"), 1);
        let root = "alipay_trade_query_response".to_owned();
        assert_eq!(read(&both, &twice), Err(ReplyError::DuplicateMember(root.clone())));
        let other = right.replace("trade_query", "trade_close");
        assert_eq!(read(&both, &other), Err(ReplyError::WrongRoot(root)));
        for text in ["", "<html>", "[]", &right[..right.len() - 1]] {
            assert_eq!(read(&both, text), Err(ReplyError::NotJson), "{text}");
        }
        let inside = r#"{"code":"10000","code":"10000"}"#;
        let response = both.signed_reply(METHOD, inside);
        assert_eq!(read(&both, &body_text(&response)), Err(ReplyError::NotJson));
        let response = HttpResponse::new(502, "text/html", right);
        let error = reply(&both.merchant, METHOD, &response).err();
        assert_eq!(error, Some(ReplyError::HttpStatus(502)));
    }

    #[test]
    fn in_certificate_mode_an_unknown_certificate_is_named() {
        let both = Both::with_certificates();
        let known = &both.certificates.as_ref().unwrap().alipay;
        let with_sn = |sn: &str| {
            body(&both).replace("\"sign\"", &format!("\"alipay_cert_sn\":\"{sn}\",\"sign\""))
        };
        assert_eq!(read(&both, &with_sn(known)), Ok(true));
        assert_eq!(read(&both, &body(&both)), Ok(true));
        let unknown = ReplyError::CertificateUnknown { sn: "abc".into() };
        assert_eq!(read(&both, &with_sn("abc")), Err(unknown));
    }

    #[test]
    fn an_encrypted_reply_needs_the_key() {
        let (both, plain) = (Both::encrypted(), Both::plain());
        let received = both.receive(&request(&both.merchant, &both.context(), METHOD, "{}"));
        let response = received.answer(PAID, both.sealing());
        let text = body_text(&response);
        assert!(text.starts_with("{\"alipay_trade_query_response\":\""), "{text}");
        assert_eq!(read(&both, &text), Ok(true));
        // Rightly signed, but not encrypted with this key.
        let sign = plain.alipay_key.sign_sha256(b"\"AAAA\"");
        let sealed = format!(r#"{{"alipay_trade_query_response":"AAAA","sign":"{sign}"}}"#);
        assert_eq!(read(&plain, &sealed), Err(ReplyError::Undecryptable));
    }

    #[test]
    fn a_signed_refusal_says_so() {
        let both = Both::plain();
        let received = both.receive(&request(&both.merchant, &both.context(), METHOD, "{}"));
        let key = RsaPrivateKey::generate();
        let wrong = Sealing::Signed { key: &key, cert_sn: None, content_key: None };
        for (sealing, signed) in [(both.sealing(), true), (Sealing::Unsigned, false)] {
            let response = received.refuse(&Refusal::INVALID_TIMESTAMP, &[], sealing);
            match reply(&both.merchant, METHOD, &response) {
                Ok(Answer::Refused(error)) => {
                    assert_eq!(error.signed, signed);
                    assert_eq!(error.code, "40002");
                    assert_eq!(error.msg, "Invalid Arguments");
                    assert_eq!(error.sub_msg, "非法的时间戳参数");
                }
                other => panic!("{other:?}"),
            }
        }
        let response = received.refuse(&Refusal::INVALID_TIMESTAMP, &[], wrong);
        let error = reply(&both.merchant, METHOD, &response).err();
        assert_eq!(error, Some(ReplyError::SignatureMismatch));
    }
}

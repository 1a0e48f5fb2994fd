//! What all calls of API v2 share: common fields, the three layers of outcome, signatures
//! (微信支付 API v2, 接口规则).
//!
//! The merchant's side sends and reads; the provider's side opens a request in steps (form, key,
//! signature, parameters), since the key is found by the merchant number inside.

use super::sign::{sign, string_to_sign, verify};
use crate::account::{Merchant, SignType, V2Credentials};
use crate::error::{Answer, FieldError, Level, Mismatch, ReplyError, WechatError};
use crate::rules::{Rule, check_text, read_integer};
use crate::xml::{Fields, XmlError};
use tongbao_crypt::digest;
use tongbao_types::{Fen, HttpRequest, HttpResponse, Method, Secret};

/// Replies and notifications are XML in UTF-8.
pub(super) const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// Whether a call needs the merchant's client certificate (`apiclient_cert.p12`, mutual TLS): money
/// goes back, or the account's own movements are shown. Paths of the provider's sandbox need none.
pub fn needs_certificate(path: &str) -> bool {
    path.starts_with("/secapi/") || path == super::FUND_FLOW_PATH
}

/// A request from `fields` with the common fields and the signature added.
pub(super) fn request(
    path: &str,
    fields: Fields,
    credentials: &V2Credentials,
    nonce: &str,
) -> HttpRequest {
    request_signed(path, fields, credentials, credentials.sign_type(), nonce)
}

/// The same for a call that prescribes how it is signed.
pub(super) fn request_signed(
    path: &str,
    mut fields: Fields,
    credentials: &V2Credentials,
    sign_type: SignType,
    nonce: &str,
) -> HttpRequest {
    let merchant = credentials.merchant();
    fields.set("appid", &merchant.app_id);
    fields.set("mch_id", &merchant.mch_id);
    fields.set_some("sub_appid", merchant.sub_app_id.as_deref());
    fields.set_some("sub_mch_id", merchant.sub_mch_id.as_deref());
    fields.set("nonce_str", nonce);
    fields.set("sign_type", sign_type.as_str());
    fields.set("sign", sign(&fields, credentials.key(), sign_type));
    post(path, &fields)
}

pub(super) fn post(target: &str, fields: &Fields) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        target: target.to_owned(),
        headers: vec![("Content-Type".to_owned(), CONTENT_TYPE.to_owned())],
        body: fields.to_xml().into(),
    }
}

/// Reads a reply: status, syntax, outcome, signature, whose it is. A communication failure is the
/// only answer that bears no signature.
pub(super) fn read_reply(
    credentials: &V2Credentials,
    response: &HttpResponse,
) -> Result<Answer<Fields>, ReplyError> {
    if response.status != 200 {
        return Err(ReplyError::Status(response.status));
    }
    let fields = Fields::parse(&response.body)?;
    let refused = |level, code: &str, message: &str| {
        let (code, message) = (code.to_owned(), message.to_owned());
        Ok(Answer::Refused(WechatError { level, code, message }))
    };
    match fields.text("return_code") {
        Some("SUCCESS") => {}
        Some("FAIL") => {
            let message = fields.text("return_msg").or(fields.text("retmsg")).unwrap_or("");
            return refused(Level::Communication, "FAIL", message);
        }
        _ => return Err(field("return_code", "is neither SUCCESS nor FAIL").into()),
    }
    verify(&fields, credentials.key(), credentials.sign_type())?;
    check_identity(&fields, credentials.merchant())?;
    match fields.text("result_code") {
        Some("SUCCESS") => Ok(Answer::Done(fields)),
        Some("FAIL") => {
            let code = fields.text("err_code").ok_or(field("err_code", "is missing"))?;
            refused(Level::Business, code, fields.text("err_code_des").unwrap_or(""))
        }
        _ => Err(field("result_code", "is neither SUCCESS nor FAIL").into()),
    }
}

/// `appid`, `mch_id` and `sub_mch_id` must be the account's, and `sub_appid` where it is there.
pub(super) fn check_identity(fields: &Fields, merchant: &Merchant) -> Result<(), Mismatch> {
    let same = |field: &'static str, wanted: &str| match fields.text(field).unwrap_or("") {
        found if found == wanted => Ok(()),
        found => Err(Mismatch { field, wanted: wanted.to_owned(), found: found.to_owned() }),
    };
    same("appid", &merchant.app_id)?;
    same("mch_id", &merchant.mch_id)?;
    // In direct mode it may be absent or empty; service providers always get it.
    same("sub_mch_id", merchant.sub_mch_id.as_deref().unwrap_or(""))?;
    // Echoed only where the order had it.
    if fields.text("sub_appid").is_some() {
        same("sub_appid", merchant.sub_app_id.as_deref().unwrap_or(""))?;
    }
    Ok(())
}

/// A required text of a message that was already verified.
pub(super) fn need<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, FieldError> {
    fields.text(name).ok_or(field(name, "is missing"))
}

/// A count of fen, if it is there; never negative.
pub(super) fn fen(fields: &Fields, name: &'static str) -> Result<Option<Fen>, FieldError> {
    let Some(text) = fields.text(name) else { return Ok(None) };
    let number = read_integer(text).filter(|number| *number >= 0);
    number.map(|n| Some(Fen(n))).ok_or(field(name, "is not a count of fen"))
}

/// A text of a reply must be the request's, or the reply is about something else.
pub(super) fn same(fields: &Fields, name: &'static str, wanted: &str) -> Result<(), ReplyError> {
    let found = need(fields, name)?;
    if found == wanted {
        return Ok(());
    }
    let (wanted, found) = (wanted.to_owned(), found.to_owned());
    Err(Mismatch { field: name, wanted, found }.into())
}

pub(super) const fn field(name: &'static str, problem: &'static str) -> FieldError {
    FieldError { name, problem }
}

/// The provider's no, before it is put into XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// `return_code=FAIL` with this `return_msg`.
    Communication(String),
    /// `result_code=FAIL`.
    Business {
        /// `err_code`.
        code: String,
        /// `err_code_des`.
        message: String,
    },
}

impl Refusal {
    /// A refusal at the business level.
    pub fn business(code: &str, message: &str) -> Refusal {
        Refusal::Business { code: code.to_owned(), message: message.to_owned() }
    }
}

/// A request whose form is right; its signature is still to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// All its fields.
    pub fields: Fields,
    /// Whose it says it is. Find the key by `mch_id`.
    pub merchant: Merchant,
    /// How it says it is signed; the reply will be, too.
    pub sign_type: SignType,
}

/// What became of a request's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The string that was to be signed, without the key.
    pub string_to_sign: String,
    /// What the merchant sent.
    pub found: String,
    /// What it should have been.
    pub wanted: String,
    /// Whether they are the same.
    pub holds: bool,
}

/// Opens a request: method, syntax, and the fields without which it cannot be answered.
pub fn open(request: &HttpRequest) -> Result<Opened, Refusal> {
    let no = |message: &str| Err(Refusal::Communication(message.to_owned()));
    if request.method != Method::Post {
        return no("请使用post方法");
    }
    let fields = match Fields::parse(&request.body) {
        Ok(fields) => fields,
        Err(XmlError::Empty) => return no("post数据为空"),
        Err(XmlError::NotUtf8) => return no("编码格式错误，请使用UTF-8"),
        Err(_) => return no("XML格式错误"),
    };
    const COMMON: [(&str, usize); 4] =
        [("appid", 32), ("mch_id", 32), ("nonce_str", 32), ("sign", 64)];
    for (name, max) in COMMON {
        match fields.text(name) {
            None => return no(&format!("缺少参数{name}")),
            Some(text) if text.len() > max => return no(&format!("{name}参数长度有误")),
            Some(_) => {}
        }
    }
    let Ok(sign_type) = fields.text("sign_type").unwrap_or("MD5").parse() else {
        return no("sign_type参数错误，请使用MD5或HMAC-SHA256");
    };
    let text = |name| fields.text(name).map(str::to_owned);
    let merchant = Merchant {
        app_id: text("appid").unwrap_or_default(),
        mch_id: text("mch_id").unwrap_or_default(),
        sub_app_id: text("sub_appid"),
        sub_mch_id: text("sub_mch_id"),
    };
    Ok(Opened { merchant, sign_type, fields })
}

impl Opened {
    /// Checks the signature with the merchant's key.
    pub fn verify(&self, key: &Secret<String>) -> Verdict {
        let found = self.fields.text("sign").unwrap_or("").to_owned();
        let wanted = sign(&self.fields, key, self.sign_type);
        let holds = digest::same(found.as_bytes(), wanted.as_bytes());
        Verdict { string_to_sign: string_to_sign(&self.fields), found, wanted, holds }
    }

    /// Checks the request's parameters against the rules of its operation.
    pub(super) fn check(&self, rules: &[Rule]) -> Result<(), Refusal> {
        for rule in rules {
            let checked = check_text(self.fields.text(rule.name), rule, "/body/xml");
            checked.map_err(|broken| Refusal::Communication(broken.message))?;
        }
        Ok(())
    }

    /// An optional text of the request.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.fields.text(name).map(str::to_owned)
    }

    /// A count of fen that the rules have already found to be there and whole.
    pub(super) fn fen(&self, name: &str) -> Fen {
        self.fields.text(name).and_then(read_integer).map(Fen).unwrap_or_default()
    }

    /// With what the replies are signed.
    pub fn replier<'a>(&'a self, key: &'a Secret<String>, nonce: &'a str) -> Replier<'a> {
        Replier { opened: self, key, nonce }
    }
}

/// Signs replies to one request.
#[derive(Debug, Clone, Copy)]
pub struct Replier<'a> {
    opened: &'a Opened,
    key: &'a Secret<String>,
    nonce: &'a str,
}

impl Replier<'_> {
    /// `result_code=SUCCESS` with the operation's own fields.
    pub(super) fn done(&self, own: Fields) -> HttpResponse {
        self.reply("SUCCESS", None, own)
    }

    /// The provider's no.
    pub fn refuse(&self, refusal: &Refusal) -> HttpResponse {
        match refusal {
            Refusal::Communication(message) => communication_failure(message),
            Refusal::Business { code, message } => {
                self.reply("FAIL", Some((code, message)), Fields::new())
            }
        }
    }

    /// The order of the fields is that of captured replies of production.
    fn reply(&self, result: &str, error: Option<(&str, &str)>, own: Fields) -> HttpResponse {
        let merchant = &self.opened.merchant;
        let mut fields = Fields::new();
        fields.set("return_code", "SUCCESS");
        fields.set("return_msg", "OK");
        fields.set("result_code", result);
        if let Some((code, message)) = error {
            fields.set("err_code", code);
            fields.set("err_code_des", message);
        }
        fields.set("mch_id", &merchant.mch_id);
        fields.set("appid", &merchant.app_id);
        fields.set_some("sub_mch_id", merchant.sub_mch_id.as_deref());
        fields.set_some("sub_appid", merchant.sub_app_id.as_deref());
        fields.set_some("device_info", self.opened.fields.text("device_info"));
        fields.set("nonce_str", self.nonce);
        fields.set("sign", "");
        for (name, text) in own.iter() {
            fields.set(name, text);
        }
        fields.set("sign", sign(&fields, self.key, self.opened.sign_type));
        HttpResponse::new(200, CONTENT_TYPE, fields.to_xml())
    }
}

/// `return_code=FAIL`: unsigned, with nothing else, and HTTP status 200 all the same.
pub fn communication_failure(message: &str) -> HttpResponse {
    let mut fields = Fields::new();
    fields.set("return_code", "FAIL");
    fields.set("return_msg", message);
    HttpResponse::new(200, CONTENT_TYPE, fields.to_xml())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sign::tests::KEY;
    use super::*;
    use crate::error::SignatureError;

    pub(in crate::v2) fn credentials(sign_type: SignType) -> V2Credentials {
        let merchant = Merchant::direct("wxd930ea5d5a258f4f", "10000100");
        V2Credentials::new(merchant, Secret::new(KEY.to_owned()), sign_type).unwrap()
    }

    /// A request's way to the provider, with the signature found good there.
    pub(in crate::v2) fn opened(request: &HttpRequest, credentials: &V2Credentials) -> Opened {
        let opened = open(request).unwrap();
        let verdict = opened.verify(credentials.key());
        assert!(verdict.holds, "{verdict:?}");
        assert_eq!(&opened.merchant, credentials.merchant());
        opened
    }

    #[test]
    fn money_back_and_fund_flows_need_the_certificate() {
        use super::super::*;
        for path in [REFUND_PATH, REVERSE_PATH, FUND_FLOW_PATH] {
            assert!(needs_certificate(path), "{path}");
        }
        for path in [ORDER_PATH, REFUND_QUERY_PATH, MICROPAY_PATH, TRADE_BILL_PATH] {
            assert!(!needs_certificate(path), "{path}");
        }
        assert!(!needs_certificate(&sandbox_path(REFUND_PATH)));
    }

    fn exchange(change: impl Fn(&mut Fields)) -> Result<Answer<Fields>, ReplyError> {
        let credentials = credentials(SignType::HmacSha256);
        let sent = request("/pay/x", Fields::new(), &credentials, "n1");
        let opened = opened(&sent, &credentials);
        let mut own = Fields::new();
        own.set("new", "1");
        let mut response = opened.replier(credentials.key(), "n2").done(own);
        let mut fields = Fields::parse(&response.body).unwrap();
        change(&mut fields);
        response.body = fields.to_xml().into();
        read_reply(&credentials, &response)
    }

    #[test]
    fn a_service_providers_messages_name_the_sub_merchant() {
        let mut merchant = Merchant::direct("wxd930ea5d5a258f4f", "10000100");
        merchant.sub_mch_id = Some("10000101".to_owned());
        let mut fields = Fields::new();
        fields.set("appid", "wxd930ea5d5a258f4f");
        fields.set("mch_id", "10000100");
        let named = |fields: &Fields| check_identity(fields, &merchant).map_err(|m| m.field);
        assert_eq!(named(&fields), Err("sub_mch_id"));
        fields.set("sub_mch_id", "10000101");
        assert_eq!(named(&fields), Ok(()));
        fields.set("sub_appid", "wx1");
        assert_eq!(named(&fields), Err("sub_appid"));
    }

    fn resign(fields: &mut Fields) {
        let key = Secret::new(KEY.to_owned());
        fields.set("sign", sign(fields, &key, SignType::HmacSha256));
    }

    #[test]
    fn a_reply_is_believed_only_if_signed_and_ours() {
        assert!(matches!(exchange(|_| ()), Ok(Answer::Done(_))));
        let altered = exchange(|f| f.set("new", "2"));
        assert_eq!(altered, Err(SignatureError::Mismatch.into()));
        let unsigned = exchange(|f| f.set("sign", ""));
        assert_eq!(unsigned, Err(SignatureError::Missing("sign").into()));
        for name in ["appid", "mch_id", "sub_mch_id"] {
            let other = exchange(|f| {
                f.set(name, "wx2");
                resign(f);
            });
            assert!(matches!(other, Err(ReplyError::Mismatch(m)) if m.field == name));
        }
        let strange = exchange(|f| {
            f.set("result_code", "PERHAPS");
            resign(f);
        });
        assert!(matches!(strange, Err(ReplyError::Field(_))));
    }

    #[test]
    fn refusals_of_both_levels_arrive() {
        let credentials = credentials(SignType::Md5);
        let sent = request("/pay/x", Fields::new(), &credentials, "n1");
        let opened = opened(&sent, &credentials);
        let replier = opened.replier(credentials.key(), "n2");
        let business = replier.refuse(&Refusal::business("ORDERPAID", "order paid"));
        let Ok(Answer::Refused(error)) = read_reply(&credentials, &business) else { panic!() };
        assert!(error.is_paid() && error.level == Level::Business);
        let low = replier.refuse(&Refusal::Communication("签名错误".to_owned()));
        assert!(!low.body.windows(4).any(|w| w == b"sign"), "communication failures are unsigned");
        let Ok(Answer::Refused(error)) = read_reply(&credentials, &low) else { panic!() };
        assert!(error.is_signature() && error.level == Level::Communication);
    }

    #[test]
    fn anything_that_is_not_wechats_form_leaves_the_outcome_unknown() {
        let credentials = credentials(SignType::Md5);
        let read = |status, body: &str| {
            read_reply(&credentials, &HttpResponse::new(status, "text/html", body.to_owned()))
        };
        assert_eq!(read(502, "<html>"), Err(ReplyError::Status(502)));
        assert!(matches!(read(200, "<html><hr></html>"), Err(ReplyError::Malformed(_))));
        assert!(matches!(read(200, "<xml></xml>"), Err(ReplyError::Field(_))));
        assert_eq!(read(200, &"x".repeat(70_000)), Err(ReplyError::TooLarge));
    }

    #[test]
    fn the_provider_says_what_a_request_lacks() {
        let check = |body: &str, wanted: &str| {
            let mut sent = post("/pay/x", &Fields::new());
            sent.body = body.to_owned().into();
            assert_eq!(open(&sent), Err(Refusal::Communication(wanted.to_owned())));
        };
        check("", "post数据为空");
        check("<xml>", "XML格式错误");
        check("<!DOCTYPE a><xml/>", "XML格式错误");
        check("<xml/>", "缺少参数appid");
        check(
            "<xml><appid>wx1</appid><mch_id>1</mch_id><nonce_str>1</nonce_str></xml>",
            "缺少参数sign",
        );
        let long = "1".repeat(33);
        check(&format!("<xml><appid>{long}</appid></xml>"), "appid参数长度有误");
        check(
            "<xml><appid>wx1</appid><mch_id>1</mch_id><nonce_str>1</nonce_str><sign>1</sign>\
             <sign_type>RSA</sign_type></xml>",
            "sign_type参数错误，请使用MD5或HMAC-SHA256",
        );
        let mut get = post("/pay/x", &Fields::new());
        get.method = Method::Get;
        assert_eq!(open(&get), Err(Refusal::Communication("请使用post方法".to_owned())));
    }

    #[test]
    fn the_providers_verdict_shows_both_signatures() {
        let credentials = credentials(SignType::Md5);
        let sent = request("/pay/x", Fields::new(), &credentials, "n1");
        let other = Secret::new("0".repeat(32));
        let verdict = open(&sent).unwrap().verify(&other);
        assert!(!verdict.holds && verdict.found != verdict.wanted);
        let wanted = "appid=wxd930ea5d5a258f4f&mch_id=10000100&nonce_str=n1&sign_type=MD5";
        assert_eq!(verdict.string_to_sign, wanted);
    }
}

//! The provider's own test system (微信支付 API v2, 仿真系统): its paths, and the key that all calls
//! there are signed with (获取验签密钥).
//!
//! The call for the key is signed with the account's real key and MD5, bears no app id, and its
//! reply no signature.

use super::envelope::{CONTENT_TYPE, Refusal, field, need, post, same};
use super::refund::REFUND_PATH;
use super::reverse::REVERSE_PATH;
use super::sign::{sign, verify};
use crate::account::{SignType, V2Credentials};
use crate::error::{Answer, Level, ReplyError, WechatError};
use crate::xml::Fields;
use tongbao_types::{HttpRequest, HttpResponse, Method, Secret};

/// What stands before every path there.
pub const SANDBOX_PREFIX: &str = "/sandboxnew";

/// Where the key is had.
pub const SANDBOX_KEY_PATH: &str = "/sandboxnew/pay/getsignkey";

/// The path of an operation there, as the documentation has it: without `secapi`.
pub fn sandbox_path(path: &str) -> String {
    format!("{SANDBOX_PREFIX}{}", path.strip_prefix("/secapi").unwrap_or(path))
}

/// Which operation a path there means; SDKs write the refund with and without `secapi`. `None` for
/// paths elsewhere.
pub fn from_sandbox_path(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(SANDBOX_PREFIX).filter(|rest| rest.starts_with('/'))?;
    let full = [REFUND_PATH, REVERSE_PATH];
    Some(full.into_iter().find(|full| full.strip_prefix("/secapi") == Some(rest)).unwrap_or(rest))
}

/// A request for the key, as the provider opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxKey {
    /// Who asks. Find the real key by it, then [`verify`](SandboxKey::verify).
    pub mch_id: String,
    fields: Fields,
}

impl SandboxKey {
    /// The merchant's request, signed with MD5 whatever the account uses.
    pub fn encode(credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        fields.set("mch_id", &credentials.merchant().mch_id);
        fields.set("nonce_str", nonce);
        fields.set("sign", sign(&fields, credentials.key(), SignType::Md5));
        post(SANDBOX_KEY_PATH, &fields)
    }

    /// The provider reads a request; its signature is still to be checked.
    pub fn decode(request: &HttpRequest) -> Result<SandboxKey, Refusal> {
        let no = |message: &str| Refusal::Communication(message.to_owned());
        if request.method != Method::Post {
            return Err(no("请使用post方法"));
        }
        let fields = Fields::parse(&request.body).map_err(|_| no("XML格式错误"))?;
        for name in ["mch_id", "nonce_str", "sign"] {
            if fields.text(name).is_none() {
                return Err(no(&format!("缺少参数{name}")));
            }
        }
        Ok(SandboxKey { mch_id: fields.text("mch_id").unwrap_or_default().to_owned(), fields })
    }

    /// The provider checks the signature with the merchant's real key.
    pub fn verify(&self, key: &Secret<String>) -> Result<(), Refusal> {
        let checked = verify(&self.fields, key, SignType::Md5);
        checked.map_err(|_| Refusal::Communication("签名错误".to_owned()))
    }

    /// The provider's reply: unsigned, with `ok` in small letters.
    pub fn encode_reply(&self, sandbox_key: &Secret<String>) -> HttpResponse {
        let mut fields = Fields::new();
        fields.set("return_code", "SUCCESS");
        fields.set("return_msg", "ok");
        fields.set("mch_id", &self.mch_id);
        fields.set("sandbox_signkey", sandbox_key.expose());
        HttpResponse::new(200, CONTENT_TYPE, fields.to_xml())
    }

    /// The merchant reads the reply: the key for everything else below [`SANDBOX_PREFIX`]. Nothing
    /// vouches for it but the connection.
    pub fn decode_reply(
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<Secret<String>>, ReplyError> {
        if response.status != 200 {
            return Err(ReplyError::Status(response.status));
        }
        let fields = Fields::parse(&response.body)?;
        match fields.text("return_code") {
            Some("SUCCESS") => {}
            Some("FAIL") => {
                let message = fields.text("return_msg").or(fields.text("retmsg")).unwrap_or("");
                let (code, message) = ("FAIL".to_owned(), message.to_owned());
                let level = Level::Communication;
                return Ok(Answer::Refused(WechatError { level, code, message }));
            }
            _ => return Err(field("return_code", "is neither SUCCESS nor FAIL").into()),
        }
        if fields.text("mch_id").is_some() {
            same(&fields, "mch_id", &credentials.merchant().mch_id)?;
        }
        let key = need(&fields, "sandbox_signkey")?;
        if key.len() != 32 || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(field("sandbox_signkey", "is not a key of 32 characters").into());
        }
        Ok(Answer::Done(Secret::new(key.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{communication_failure, tests::credentials};
    use super::super::*;
    use super::*;

    const SANDBOX_KEY: &str = "013467007045764e1f1f84a1ff3b0c9e";

    fn asked() -> SandboxKey {
        let credentials = credentials(SignType::HmacSha256);
        let request = SandboxKey::encode(&credentials, "n1");
        assert_eq!(request.path(), SANDBOX_KEY_PATH);
        SandboxKey::decode(&request).unwrap()
    }

    fn read(response: &HttpResponse) -> Result<Answer<Secret<String>>, ReplyError> {
        SandboxKey::decode_reply(&credentials(SignType::Md5), response)
    }

    #[test]
    fn the_key_goes_there_and_back_unsigned() {
        let credentials = credentials(SignType::Md5);
        let asked = asked();
        assert_eq!(asked.mch_id, "10000100");
        assert_eq!(asked.verify(credentials.key()), Ok(()));
        assert!(asked.verify(&Secret::new("0".repeat(32))).is_err());
        let names: Vec<&str> = asked.fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["mch_id", "nonce_str", "sign"]);
        let response = asked.encode_reply(&Secret::new(SANDBOX_KEY.to_owned()));
        let Ok(Answer::Done(key)) = read(&response) else { panic!("no key") };
        assert_eq!(key.expose(), SANDBOX_KEY);
        let text = String::from_utf8(response.body.to_vec()).unwrap();
        assert!(!text.contains("<sign>") && text.contains("<![CDATA[ok]]>"), "{text}");
    }

    #[test]
    fn replies_without_a_usable_key_are_errors_or_refusals() {
        let other = SandboxKey { mch_id: "10000101".to_owned(), ..asked() };
        let good = Secret::new(SANDBOX_KEY.to_owned());
        let error = read(&other.encode_reply(&good)).unwrap_err();
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "mch_id"));
        let anonymous = SandboxKey { mch_id: String::new(), ..asked() };
        assert!(read(&anonymous.encode_reply(&good)).is_ok(), "mch_id may be absent");
        for text in ["", "short", "013467007045764e1f1f84a1ff3b 9e "] {
            let error = read(&asked().encode_reply(&Secret::new(text.to_owned()))).unwrap_err();
            assert!(matches!(error, ReplyError::Field(f) if f.name == "sandbox_signkey"));
        }
        let refused = read(&communication_failure("签名错误"));
        assert!(matches!(refused, Ok(Answer::Refused(e)) if e.is_signature()));
        let old = "<xml><return_code>FAIL</return_code><retmsg>无此商户</retmsg>\
                   <retcode>1</retcode></xml>";
        let refused = read(&HttpResponse::new(200, "text/xml", old));
        assert!(matches!(refused, Ok(Answer::Refused(e)) if e.message == "无此商户"));
        assert!(matches!(read(&HttpResponse::new(502, "", "x")), Err(ReplyError::Status(502))));
        assert!(read(&HttpResponse::new(200, "", "<xml/>")).is_err());
    }

    #[test]
    fn the_provider_says_what_a_request_lacks() {
        let check = |body: &str, wanted: &str| {
            let request = HttpRequest {
                body: body.to_owned().into(),
                ..SandboxKey::encode(&credentials(SignType::Md5), "n1")
            };
            let found = SandboxKey::decode(&request);
            assert_eq!(found, Err(Refusal::Communication(wanted.to_owned())));
        };
        check("", "XML格式错误");
        check("<xml/>", "缺少参数mch_id");
        check("<xml><mch_id>1</mch_id></xml>", "缺少参数nonce_str");
        let get = HttpRequest {
            method: Method::Get,
            ..SandboxKey::encode(&credentials(SignType::Md5), "n1")
        };
        assert!(SandboxKey::decode(&get).is_err());
    }

    #[test]
    fn paths_of_the_sandbox_mean_their_operations() {
        assert_eq!(sandbox_path(ORDER_PATH), "/sandboxnew/pay/unifiedorder");
        assert_eq!(sandbox_path(REFUND_PATH), "/sandboxnew/pay/refund");
        for path in [ORDER_PATH, QUERY_PATH, CLOSE_PATH, REFUND_QUERY_PATH, TRADE_BILL_PATH] {
            assert_eq!(from_sandbox_path(&sandbox_path(path)), Some(path));
        }
        for path in [REFUND_PATH, REVERSE_PATH] {
            assert_eq!(from_sandbox_path(&sandbox_path(path)), Some(path), "without secapi");
            assert_eq!(from_sandbox_path(&format!("/sandboxnew{path}")), Some(path), "with it");
        }
        for path in [ORDER_PATH, "/sandboxnewer/pay/refund", "/sandboxnew", ""] {
            assert_eq!(from_sandbox_path(path), None, "{path}");
        }
    }
}

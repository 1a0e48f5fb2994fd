//! The old gateway's side of a request: which service it asks for, and whether it is the partner's.

use super::error::Refusal;
use super::sign::{self, SIGN_TYPE};
use crate::params::{charset_named, raw_pairs};
use crate::{Charset, Params, ParamsError};
use tongbao_types::{HttpRequest, Secret};

/// A request as it arrived, its parameters merged from query and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyRequest {
    /// All parameters, decoded.
    pub params: Params,
    /// Whether `_input_charset` named one that the gateway has; if not, UTF-8 was taken.
    charset_known: bool,
}

impl LegacyRequest {
    /// Whether a request to `/gateway.do` is for the old gateway: it has a `service` and no
    /// `method`.
    pub fn is_one(params: &Params) -> bool {
        params.filled("service").is_some() && params.filled("method").is_none()
    }

    /// Merges the parameters of query and body by name; the query's count first.
    pub fn read(request: &HttpRequest) -> Result<LegacyRequest, ParamsError> {
        let (query, body) = (raw_pairs(request.query().as_bytes())?, raw_pairs(&request.body)?);
        let mut named = query.iter().chain(&body).filter(|(name, _)| name == b"_input_charset");
        let charset = named.next().map(|(_, value)| charset_named(value));
        let charset_known = !matches!(charset, Some(Err(_)));
        let mut params = Params::new(charset.and_then(Result::ok).unwrap_or(Charset::Utf8));
        params.merge(query)?;
        params.merge(body)?;
        Ok(LegacyRequest { params, charset_known })
    }

    /// The service, if there is one.
    pub fn service(&self) -> Option<String> {
        self.params.filled("service").map(|text| text.into_owned())
    }

    /// The partner; refused if service or partner is missing.
    pub fn partner(&self) -> Result<String, Refusal> {
        self.service().ok_or(Refusal::ILLEGAL_SERVICE)?;
        let partner = self.params.filled("partner");
        partner.map(|text| text.into_owned()).ok_or(Refusal::ILLEGAL_PARTNER)
    }

    /// What is checked once the partner is known: character set, kind of signature, signature.
    pub fn check(&self, key: &Secret<String>) -> Result<(), Refusal> {
        if !self.charset_known {
            return Err(Refusal::ILLEGAL_CHARSET);
        }
        if self.params.filled("sign_type").as_deref() != Some(SIGN_TYPE) {
            return Err(Refusal::ILLEGAL_SIGN_TYPE);
        }
        let signature = self.params.filled("sign").unwrap_or_default();
        if !sign::verify(key, &sign::string(&self.params), &signature) {
            return Err(Refusal::ILLEGAL_SIGN);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tongbao_types::Method;

    const KEY: &str = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6";

    fn request(query: &str, body: impl Into<bytes::Bytes>) -> HttpRequest {
        let target = format!("/gateway.do?{query}");
        HttpRequest { method: Method::Post, target, headers: Vec::new(), body: body.into() }
    }

    #[test]
    fn the_published_request_passes_in_query_or_body() {
        let string = include_str!("../../vectors/mapi.request.string");
        let more = "sign=035ace2217bfed803649f3f36f9ad05e&sign_type=MD5&body=";
        let key = Secret::new(KEY.to_owned());
        let whole = format!("{string}&{more}");
        for sent in [request(&whole, ""), request("_input_charset=utf-8", whole.clone())] {
            let received = LegacyRequest::read(&sent).unwrap();
            assert!(LegacyRequest::is_one(&received.params));
            assert_eq!(received.service().as_deref(), Some("create_direct_pay_by_user"));
            assert_eq!(received.partner().as_deref(), Ok("2088000000000001"));
            assert_eq!(received.check(&key), Ok(()));
            assert_eq!(received.check(&Secret::new("x".into())), Err(Refusal::ILLEGAL_SIGN));
        }
        let verdict = |text: String| LegacyRequest::read(&request(&text, "")).unwrap().check(&key);
        assert_eq!(verdict(whole.replace("fee=1.00", "fee=0.01")), Err(Refusal::ILLEGAL_SIGN));
        assert_eq!(verdict(whole.replace("=MD5", "=RSA")), Err(Refusal::ILLEGAL_SIGN_TYPE));
        assert_eq!(verdict(whole.replace("=utf-8", "=big5")), Err(Refusal::ILLEGAL_CHARSET));
    }

    #[test]
    fn bytes_of_gbk_are_signed_as_they_are() {
        let mut params = Params::new(Charset::Gbk);
        params.set("_input_charset", "gbk");
        params.set("subject", "测试");
        let key = Secret::new(KEY.to_owned());
        let signature = sign::sign(&key, &sign::string(&params));
        let query = format!("{}&sign_type=MD5&sign={signature}", params.to_form());
        let received = LegacyRequest::read(&request(&query, "")).unwrap();
        assert_eq!(received.params.text("subject").as_deref(), Some("测试"));
        assert_eq!(received.check(&key), Ok(()));
    }

    #[test]
    fn what_is_missing_is_named() {
        let read = |query: &str| LegacyRequest::read(&request(query, "")).unwrap();
        assert_eq!(read("partner=1").partner(), Err(Refusal::ILLEGAL_SERVICE));
        assert_eq!(read("service=x").partner(), Err(Refusal::ILLEGAL_PARTNER));
        assert!(!LegacyRequest::is_one(&read("service=x&method=y").params));
        assert!(!LegacyRequest::is_one(&read("partner=1").params));
    }

    proptest! {
        #[test]
        fn hostile_requests_never_panic(target: String, body: Vec<u8>) {
            if let Ok(received) = LegacyRequest::read(&request(&target, body)) {
                let _ = (received.partner(), received.check(&Secret::new(KEY.to_owned())));
            }
        }
    }
}

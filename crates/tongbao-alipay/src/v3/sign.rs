//! What is signed in v3. Alipay, V3 协议 自行实现签名 and 自行实现验签.
//!
//! Strings are built first and signed second. Whether a timestamp is recent and a nonce new is the
//! caller's to judge.

use std::fmt;
use tongbao_crypt::{RsaPrivateKey, RsaPublicKey, base64};
use tongbao_types::HttpRequest;

/// The scheme in the `authorization` header.
pub const SCHEME: &str = "ALIPAY-SHA256withRSA";

/// What the client says about itself, in the order in which Alipay's libraries say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthString<'a> {
    /// The app.
    pub app_id: &'a str,
    /// In certificate mode.
    pub app_cert_sn: Option<&'a str>,
    /// Unique per request.
    pub nonce: &'a str,
    /// Milliseconds since 1970 UTC.
    pub timestamp_millis: i64,
}

impl fmt::Display for AuthString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app_id={}", self.app_id)?;
        if let Some(sn) = self.app_cert_sn {
            write!(f, ",app_cert_sn={sn}")?;
        }
        write!(f, ",nonce={},timestamp={}", self.nonce, self.timestamp_millis)
    }
}

/// The bytes of a request; the token only for calls on another merchant's behalf.
pub fn request_string(auth: &str, request: &HttpRequest, app_auth_token: Option<&str>) -> Vec<u8> {
    let head = format!("{auth}\n{}\n{}\n", request.method.as_str(), request.target);
    let mut string = head.into_bytes();
    string.extend_from_slice(&request.body);
    string.push(b'\n');
    if let Some(token) = app_auth_token {
        string.extend_from_slice(token.as_bytes());
        string.push(b'\n');
    }
    string
}

/// The value of the `authorization` header.
pub fn authorization(
    key: &RsaPrivateKey,
    auth: &str,
    request: &HttpRequest,
    app_auth_token: Option<&str>,
) -> String {
    let string = request_string(auth, request, app_auth_token);
    format!("{SCHEME} {auth},sign={}", key.sign_sha256(&string))
}

/// Takes an `authorization` header apart: the auth string as sent, whatever its order, and the
/// signature.
pub fn read_authorization(header: &str) -> Option<(&str, &str)> {
    let rest = header.strip_prefix(SCHEME)?.strip_prefix(' ')?;
    rest.trim_start().rsplit_once(",sign=")
}

/// The bytes of a reply, by its headers `alipay-timestamp` and `alipay-nonce`.
pub fn reply_string(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut string = format!("{timestamp}\n{nonce}\n").into_bytes();
    string.extend_from_slice(body);
    string.push(b'\n');
    string
}

/// Whether `signature` (base64) is over `string`.
pub fn verify(key: &RsaPublicKey, string: &[u8], signature: &str) -> bool {
    base64::decode(signature).is_some_and(|signature| key.verify_sha256(string, &signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::K1;
    use tongbao_types::Method;

    const AUTH: AuthString<'_> = AuthString {
        app_id: "2021000000000001",
        app_cert_sn: None,
        nonce: "5f9fba93-bbb2-40f0-b328-04d5ead3e131",
        timestamp_millis: 1_795_242_600_000,
    };

    fn request(method: Method, target: &str, body: &'static str) -> HttpRequest {
        let body = bytes::Bytes::from_static(body.as_bytes());
        HttpRequest { method, target: target.to_owned(), headers: Vec::new(), body }
    }

    fn query() -> HttpRequest {
        let body = r#"{"out_trade_no":"TB20261121000001"}"#;
        request(Method::Post, "/v3/alipay/trade/query", body)
    }

    #[test]
    fn the_published_requests_sign_alike() {
        let key = RsaPrivateKey::read(K1).unwrap();
        let auth = AUTH.to_string();
        let bill = "/v3/alipay/data/dataservice/bill/downloadurl/query\
                    ?bill_type=trade&bill_date=2026-11-20";
        let token = Some("202212BB_D64b2be8afd4b6c8468cf585bd05E50");
        let cases = [
            (query(), None, 155, include_str!("../../vectors/v3.post.rsa2")),
            (query(), token, 196, include_str!("../../vectors/v3.token.rsa2")),
            (request(Method::Get, bill, ""), None, 184, include_str!("../../vectors/v3.get.rsa2")),
        ];
        for (request, token, length, signature) in cases {
            let string = request_string(&auth, &request, token);
            assert_eq!(string.len(), length);
            let header = authorization(&key, &auth, &request, token);
            assert_eq!(header, format!("ALIPAY-SHA256withRSA {auth},sign={signature}"));
            assert_eq!(read_authorization(&header), Some((auth.as_str(), signature)));
            assert!(verify(&key.public(), &string, signature));
        }
    }

    #[test]
    fn the_published_reply_verifies() {
        let body = concat!(
            r#"{"trade_no":"2026112122001400000500000001","trade_status":"TRADE_SUCCESS","#,
            r#""total_amount":"88.88"}"#,
        )
        .as_bytes();
        let string = reply_string("1795242600123", "8a0e7b3f5c1d4e2f9a6b", body);
        assert_eq!(string.len(), 133);
        let signature = include_str!("../../vectors/v3.reply.rsa2");
        let key = RsaPrivateKey::read(K1).unwrap().public();
        assert!(verify(&key, &string, signature));
        let other = reply_string("1795242600124", "8a0e7b3f5c1d4e2f9a6b", body);
        assert!(!verify(&key, &other, signature));
        assert!(!verify(&key, &string, ""));
    }

    #[test]
    fn the_auth_string_is_taken_as_sent() {
        let sent = "app_id=1,timestamp=2,nonce=3,expired_seconds=600";
        let header = format!("{SCHEME} {sent},sign=YQ==");
        assert_eq!(read_authorization(&header), Some((sent, "YQ==")));
        assert_eq!(read_authorization("Bearer x"), None);
        assert_eq!(read_authorization(&format!("{SCHEME} app_id=1")), None);
        let certified = AuthString { app_cert_sn: Some("sn"), ..AUTH };
        assert!(certified.to_string().starts_with("app_id=2021000000000001,app_cert_sn=sn,nonce="));
    }
}

//! What is signed in OpenAPI 2.0. Alipay, 自行实现签名 and 自行实现验签.
//!
//! Each rule builds the exact bytes first; signing and verifying take those bytes. The three rules
//! differ: a request keeps `sign_type` and drops what is empty, a notification drops `sign_type`,
//! a reply is signed as it stands.

use crate::Params;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use tongbao_crypt::{RsaPrivateKey, RsaPublicKey, base64};

/// The only kind of signature that is made and believed here: SHA-256 with RSA.
pub const SIGN_TYPE: &str = "RSA2";

/// What a notification's empty values count as; Alipay's libraries disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// They stand in the string as `name=`.
    Kept,
    /// They are left out.
    Dropped,
}

/// The bytes of a request: all parameters but `sign` that are not blank, by name.
pub fn request_string(params: &Params) -> Vec<u8> {
    let signed = |(name, value): &(&str, &[u8])| *name != "sign" && !value.trim_ascii().is_empty();
    joined(params.iter().filter(signed))
}

/// The bytes of a notification or of a return: without `sign` and `sign_type`.
pub fn message_string(params: &Params, empty: Empty) -> Vec<u8> {
    let signed = |(name, value): &(&str, &[u8])| {
        *name != "sign" && *name != "sign_type" && (empty == Empty::Kept || !value.is_empty())
    };
    joined(params.iter().filter(signed))
}

/// The signature of such bytes, as it stands in `sign`.
pub fn sign(key: &RsaPrivateKey, string: &[u8]) -> String {
    key.sign_sha256(string)
}

/// Whether `signature` is over `string`, by one of `keys`. One with blanks in it was decoded twice
/// on the way and does not count.
pub fn verify(keys: &[&RsaPublicKey], string: &[u8], signature: &str) -> bool {
    let Some(signature) = base64::decode(signature) else { return false };
    keys.iter().any(|key| key.verify_sha256(string, &signature))
}

/// Whether a notification's or a return's signature fits, with empty values kept or else dropped.
pub fn verify_message(keys: &[&RsaPublicKey], params: &Params, signature: &str) -> bool {
    let kept = message_string(params, Empty::Kept);
    if verify(keys, &kept, signature) {
        return true;
    }
    let dropped = message_string(params, Empty::Dropped);
    dropped != kept && verify(keys, &dropped, signature)
}

/// The top members of a reply with their exact text, in order. The values of objects and strings
/// are what is signed, so they are never written anew.
pub struct RawMembers<'a>(Vec<(String, &'a str)>);

/// Why a text is not one JSON object with each member once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawMembersError {
    /// Not JSON, not an object, or something follows it.
    NotJson,
    /// A member came twice.
    Duplicate(String),
}

impl<'a> RawMembers<'a> {
    /// Finds the members with a JSON parser that knows strings and nesting, so that braces or
    /// member names inside of texts mislead nobody.
    pub fn read(text: &'a str) -> Result<RawMembers<'a>, RawMembersError> {
        let read: Result<RawMembers<'a>, _> = serde_json::from_str(text);
        let members = read.map_err(|_| RawMembersError::NotJson)?;
        let mut names: Vec<&str> = members.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(RawMembersError::Duplicate(pair[0].chars().take(80).collect())),
            None => Ok(members),
        }
    }

    /// The exact text of a member's value, a string's with its quotes.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, raw)| *raw)
    }

    /// A member that is a string.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?).ok()
    }
}

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = RawMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, raw.get()));
                }
                Ok(RawMembers(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

fn joined<'a>(pairs: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    // A notification has about a kilobyte.
    let mut string = Vec::with_capacity(1024);
    for (name, value) in pairs {
        if !string.is_empty() {
            string.push(b'&');
        }
        string.extend_from_slice(name.as_bytes());
        string.push(b'=');
        string.extend_from_slice(value);
    }
    string
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Charset;
    use crate::open::testing::{K1, K1_PUBLIC};
    use proptest::prelude::*;
    use tongbao_crypt::digest::sha256_hex;

    const STRING: &str = include_str!("../../vectors/request.string");

    fn key() -> RsaPrivateKey {
        RsaPrivateKey::read(K1).unwrap()
    }

    /// The published request, with an empty parameter that must vanish.
    fn request(charset: Charset, charset_name: &str, sign_type: &str) -> Params {
        let biz_content = concat!(
            r#"{"out_trade_no":"TB20261121000001","total_amount":"88.88","#,
            r#""subject":"测试 a+b%26&c","product_code":"QR_CODE_OFFLINE"}"#,
        );
        let form = [
            ("version", "1.0"),
            ("app_id", "2021000000000001"),
            ("app_auth_token", ""),
            ("biz_content", biz_content),
            ("charset", charset_name),
            ("format", "JSON"),
            ("method", "alipay.trade.precreate"),
            ("notify_url", "https://pay.example.com/notify/alipay/1?x=1"),
            ("sign_type", sign_type),
            ("timestamp", "2026-11-21 14:30:00"),
            ("sign", "whatever"),
        ]
        .map(|(name, value)| (name, charset.encode(value)));
        let form = crate::params::form(form.iter().map(|(n, v)| (*n, v.as_slice())));
        Params::read(form.as_bytes()).unwrap()
    }

    #[test]
    fn the_published_request_signs_alike() {
        let string = request_string(&request(Charset::Utf8, "utf-8", "RSA2"));
        assert_eq!(String::from_utf8(string.clone()).unwrap(), STRING);
        assert_eq!(string.len(), 323);
        let signature = include_str!("../../vectors/request.rsa2");
        assert_eq!(sign(&key(), &string), signature);
        assert!(verify(&[&key().public()], &string, signature));
    }

    #[test]
    fn the_published_request_in_gbk_signs_alike() {
        let string = request_string(&request(Charset::Gbk, "GBK", "RSA2"));
        assert_eq!(string.len(), 319);
        let digest = "59fb6f189bf948d4f1463f06bb7dd032ef2c48c221c41e528a84602d9aa69885";
        assert_eq!(sha256_hex(&string), digest);
        assert_eq!(sign(&key(), &string), include_str!("../../vectors/request.gbk.rsa2"));
    }

    #[test]
    fn the_published_sha1_signature_is_right_and_not_taken() {
        let string = request_string(&request(Charset::Utf8, "utf-8", "RSA"));
        assert_eq!(string.len(), 322);
        let signature = include_str!("../../vectors/request.rsa1");
        let public = RsaPublicKey::read(K1_PUBLIC).unwrap();
        assert!(public.verify_sha1(&string, &base64::decode(signature).unwrap()));
        assert!(!verify(&[&public], &string, signature));
    }

    #[test]
    fn the_published_reply_is_taken_apart_and_verifies() {
        let object = include_str!("../../vectors/reply.object");
        let signature = include_str!("../../vectors/reply.rsa2");
        assert_eq!(object.len(), 128);
        assert_eq!(sign(&key(), object.as_bytes()), signature);
        let body =
            format!(r#"{{"alipay_trade_precreate_response":{object},"sign":"{signature}"}}"#);
        let members = RawMembers::read(&body).unwrap();
        assert_eq!(members.raw("alipay_trade_precreate_response"), Some(object));
        assert_eq!(members.text("sign").as_deref(), Some(signature));
    }

    #[test]
    fn the_reply_from_production_verifies() {
        let key = RsaPublicKey::read(include_str!("../../vectors/production.reply.key")).unwrap();
        let object = include_str!("../../vectors/production.reply.object");
        let signature = include_str!("../../vectors/production.reply.rsa2");
        assert!(verify(&[&key], object.as_bytes(), signature));
        assert!(!verify(&[&key], object.replace("0.01", "0.10").as_bytes(), signature));
    }

    #[test]
    fn the_published_notification_verifies_and_signs_alike() {
        let form = include_str!("../../vectors/notification.form");
        let params = Params::read(form.as_bytes()).unwrap();
        let string = message_string(&params, Empty::Kept);
        let wanted = include_str!("../../vectors/notification.string");
        assert_eq!(String::from_utf8(string.clone()).unwrap(), wanted);
        assert_eq!(string.len(), 588);
        let signature = params.text("sign").unwrap();
        assert_eq!(sign(&key(), &string), signature);
        assert!(verify_message(&[&key().public()], &params, &signature));
    }

    #[test]
    fn the_notification_from_production_verifies() {
        let key = include_str!("../../vectors/production.notification.key");
        let key = RsaPublicKey::read(key).unwrap();
        let string = include_str!("../../vectors/production.notification.string");
        let signature = include_str!("../../vectors/production.notification.rsa2");
        assert!(verify(&[&key], string.as_bytes(), signature));
        // The same taken apart and put together again.
        let pairs = string.split('&').map(|pair| pair.split_once('=').unwrap());
        let form = crate::params::form(pairs.map(|(name, value)| (name, value.as_bytes())));
        let params = Params::read(format!("{form}&sign_type=RSA2").as_bytes()).unwrap();
        assert!(verify_message(&[&key], &params, signature));
    }

    #[test]
    fn empty_values_may_be_signed_or_not() {
        let params = Params::read(b"a=1&b=&c=%20&sign_type=RSA2&sign=x").unwrap();
        assert_eq!(message_string(&params, Empty::Kept), b"a=1&b=&c= ");
        assert_eq!(message_string(&params, Empty::Dropped), b"a=1&c= ");
        assert_eq!(request_string(&params), b"a=1&sign_type=RSA2");
        let public = key().public();
        for string in ["a=1&b=&c= ", "a=1&c= "] {
            let signature = sign(&key(), string.as_bytes());
            assert!(verify_message(&[&public], &params, &signature), "{string}");
        }
        let requests_rule = sign(&key(), b"a=1&c= &sign_type=RSA2");
        assert!(!verify_message(&[&public], &params, &requests_rule));
    }

    #[test]
    fn texts_inside_of_a_reply_mislead_nobody() {
        let object = r#"{"subject":"}\",\"sign\":\"x\",\"r\":{","list":[{"a":"]"}]}"#;
        let body = format!(r#" {{ "r" : {object} , "sign":"s" }} "#);
        let members = RawMembers::read(&body).unwrap();
        assert_eq!(members.raw("r"), Some(object));
        assert_eq!(members.text("sign").as_deref(), Some("s"));
        let sealed = RawMembers::read(r#"{"r":"a\/b","sign":"s"}"#).unwrap();
        assert_eq!(sealed.raw("r"), Some(r#""a\/b""#));
    }

    #[test]
    fn replies_with_two_meanings_are_refused() {
        let duplicate = |name: &str| Some(RawMembersError::Duplicate(name.to_owned()));
        let error = |text: &str| RawMembers::read(text).err();
        assert_eq!(error(r#"{"r":{},"r":{},"sign":"s"}"#), duplicate("r"));
        assert_eq!(error(r#"{"r":{},"sign":"s","si\u0067n":"t"}"#), duplicate("sign"));
        for text in ["", "[]", "{", r#"{"r":{}} x"#, r#"{"r":{}}{"r":{}}"#, r#"{"r":{]}"#, "null"] {
            assert_eq!(error(text), Some(RawMembersError::NotJson), "{text}");
        }
        let deep = format!(r#"{{"r":{}}}"#, "[".repeat(200_000));
        assert_eq!(error(&deep), Some(RawMembersError::NotJson));
    }

    proptest! {
        #[test]
        fn hostile_replies_never_panic(text in "(\\{|\\}|\"|:|,|\\[|\\]|a|\\\\|[0-9]|.){0,40}") {
            if let Ok(members) = RawMembers::read(&text) {
                let _ = (members.raw("a"), members.text("a"));
            }
        }

        #[test]
        fn what_is_found_is_what_stood_there(subject: String, before: bool) {
            let object = serde_json::json!({ "subject": subject }).to_string();
            let other = r#""sign":"s""#;
            let body = if before {
                format!(r#"{{{other},"r":{object}}}"#)
            } else {
                format!(r#"{{"r":{object},{other}}}"#)
            };
            prop_assert_eq!(RawMembers::read(&body).unwrap().raw("r"), Some(object.as_str()));
        }
    }
}

//! The MD5 rule of the old gateway. Alipay, 即时到账 签名机制.
//!
//! One rule for requests, notifications and returns: without `sign`, `sign_type` and empty values,
//! with the key right after the string. It proves that who signed knows the key, no more.

use crate::Params;
use crate::open::sign::{Empty, message_string};
use tongbao_crypt::digest;
use tongbao_types::Secret;

/// The only kind of signature here.
pub const SIGN_TYPE: &str = "MD5";

/// The bytes that are signed, in the message's character set, without the key.
pub fn string(params: &Params) -> Vec<u8> {
    message_string(params, Empty::Dropped)
}

/// The signature, as 32 lower-case hex digits.
pub fn sign(key: &Secret<String>, string: &[u8]) -> String {
    let mut keyed = string.to_vec();
    keyed.extend_from_slice(key.expose().as_bytes());
    digest::md5_hex(&keyed)
}

/// Whether `signature` is over `string`.
pub fn verify(key: &Secret<String>, string: &[u8], signature: &str) -> bool {
    digest::same(sign(key, string).as_bytes(), signature.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, signature: &str, more: &str) {
        let key = Secret::new("a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6".to_owned());
        let pairs = wanted.split('&').map(|pair| pair.split_once('=').unwrap());
        let form = crate::params::form(pairs.map(|(name, value)| (name, value.as_bytes())));
        let params = Params::read(format!("{more}&{form}").as_bytes()).unwrap();
        let string = string(&params);
        assert_eq!(String::from_utf8(string.clone()).unwrap(), wanted);
        assert_eq!(sign(&key, &string), signature);
        assert!(verify(&key, &string, signature));
        assert!(!verify(&key, &string, &signature.to_uppercase()));
        assert!(!verify(&key, &string, ""));
        let other = Secret::new("other".to_owned());
        assert!(!verify(&other, &string, signature));
    }

    #[test]
    fn the_published_request_and_notification_sign_alike() {
        let request = include_str!("../../vectors/mapi.request.string");
        check(request, "035ace2217bfed803649f3f36f9ad05e", "body=&sign=x&sign_type=MD5");
        let notification = include_str!("../../vectors/mapi.notification.string");
        check(notification, "335214a0c0c246ead7fdd61c33ea8925", "sign=x&sign_type=MD5");
    }
}

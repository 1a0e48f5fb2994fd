//! Signatures of API v3 (微信支付 API v3, 签名生成 and 签名验证): the exact string first, then RSA.
//!
//! A merchant signs requests in `Authorization`; WeChat signs answers and notifications in
//! `Wechatpay-*` headers. Bytes are signed as they travel, never as they would be written again.

use crate::account::{PlatformKeys, V3Credentials};
use crate::error::SignatureError;
use std::fmt;
use std::str::FromStr;
use tongbao_crypt::{RsaPrivateKey, RsaPublicKey, base64};
use tongbao_types::{HttpRequest, Timestamp, header};

/// The only scheme here; the national one (SM2) is for those who ask WeChat for it.
pub(super) const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// Messages this far from now, in seconds, are too old (or too new).
const AGE_LIMIT_SECONDS: u64 = 300;

/// What WeChat's probes (签名探测) begin with in place of a signature.
const PROBE: &str = "WECHATPAY/SIGNTEST/";

/// The string that a request's signature is over: five lines, each with its line feed.
pub fn request_string(request: &HttpRequest, timestamp: &str, nonce: &str) -> Vec<u8> {
    let (method, target) = (request.method.as_str(), &request.target);
    let mut string = format!("{method}\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
    string.extend_from_slice(&request.body);
    string.push(b'\n');
    string
}

/// The string that an answer's or notification's signature is over: three lines, each with its
/// line feed, also when the body is empty.
pub fn response_string(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut string = format!("{timestamp}\n{nonce}\n").into_bytes();
    string.extend_from_slice(body);
    string.push(b'\n');
    string
}

/// The header `Authorization` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The merchant number.
    pub mchid: String,
    /// The serial number of the merchant's certificate.
    pub serial_no: String,
    /// Random text.
    pub nonce_str: String,
    /// Seconds since 1970, as text.
    pub timestamp: String,
    /// Base64.
    pub signature: String,
}

/// Why a header `Authorization` cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// Another scheme, or none.
    #[error("the scheme is not WECHATPAY2-SHA256-RSA2048")]
    Scheme,
    /// Not `name="value"` pairs divided by commas.
    #[error("it is not made of name=\"value\" pairs divided by commas")]
    Pairs,
    /// A pair that does not belong there, or comes twice.
    #[error("it has a pair too many")]
    Extra,
    /// A pair is absent.
    #[error("it lacks {0}")]
    Missing(&'static str),
}

impl Authorization {
    /// Signs a request with the merchant's key.
    pub(super) fn sign(
        request: &HttpRequest,
        credentials: &V3Credentials,
        now: Timestamp,
        nonce: &str,
    ) -> Authorization {
        let timestamp = now.as_seconds().to_string();
        let string = request_string(request, &timestamp, nonce);
        Authorization {
            mchid: credentials.merchant().mch_id.clone(),
            serial_no: credentials.merchant_serial().to_owned(),
            nonce_str: nonce.to_owned(),
            signature: credentials.merchant_key().sign_sha256(&string),
            timestamp,
        }
    }

    /// The provider checks a request. The string is part of the verdict, for the merchant to see.
    pub fn verify(
        &self,
        request: &HttpRequest,
        key: &RsaPublicKey,
        serial: &str,
        now: Timestamp,
    ) -> Verdict {
        let string = request_string(request, &self.timestamp, &self.nonce_str);
        let signed =
            || base64::decode(&self.signature).is_some_and(|s| key.verify_sha256(&string, &s));
        let problem = if !self.serial_no.eq_ignore_ascii_case(serial) {
            Some(VerdictProblem::Serial)
        } else if age_seconds(&self.timestamp, now).is_none_or(|age| age > AGE_LIMIT_SECONDS) {
            Some(VerdictProblem::Age)
        } else if !signed() {
            Some(VerdictProblem::Signature)
        } else {
            None
        };
        Verdict { string_to_sign: String::from_utf8_lossy(&string).into_owned(), problem }
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Authorization { mchid, serial_no, nonce_str, timestamp, signature } = self;
        write!(
            f,
            "{SCHEME} mchid=\"{mchid}\",nonce_str=\"{nonce_str}\",timestamp=\"{timestamp}\","
        )?;
        write!(f, "serial_no=\"{serial_no}\",signature=\"{signature}\"")
    }
}

impl FromStr for Authorization {
    type Err = AuthorizationError;

    /// Reads the five pairs in any order, as SDKs differ in it.
    fn from_str(text: &str) -> Result<Authorization, AuthorizationError> {
        const NAMES: [&str; 5] = ["mchid", "serial_no", "nonce_str", "timestamp", "signature"];
        let rest = text.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(' '));
        let rest = rest.ok_or(AuthorizationError::Scheme)?;
        let mut values: [Option<&str>; 5] = [None; 5];
        for pair in rest.split(',') {
            let (name, quoted) =
                pair.trim_ascii().split_once('=').ok_or(AuthorizationError::Pairs)?;
            let value = quoted.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = value.filter(|v| !v.contains('"')).ok_or(AuthorizationError::Pairs)?;
            let place = NAMES.iter().position(|known| *known == name);
            let slot = &mut values[place.ok_or(AuthorizationError::Extra)?];
            if slot.replace(value).is_some() {
                return Err(AuthorizationError::Extra);
            }
        }
        let value = |i: usize| match values[i] {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => Err(AuthorizationError::Missing(NAMES[i])),
        };
        Ok(Authorization {
            mchid: value(0)?,
            serial_no: value(1)?,
            nonce_str: value(2)?,
            timestamp: value(3)?,
            signature: value(4)?,
        })
    }
}

/// What became of a request's signature at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The string that was to be signed, as the provider built it.
    pub string_to_sign: String,
    /// What is wrong, if anything.
    pub problem: Option<VerdictProblem>,
}

/// Why the provider does not take a request's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictProblem {
    /// `serial_no` is not that of the merchant's certificate.
    Serial,
    /// The timestamp is more than five minutes away.
    Age,
    /// The signature does not fit the string and the key.
    Signature,
}

impl Verdict {
    /// Whether the signature is taken.
    pub fn holds(&self) -> bool {
        self.problem.is_none()
    }
}

/// Verifies an answer or a notification: headers, key, signature, age, in this order.
pub fn verify_message(
    keys: &PlatformKeys,
    headers: &[(String, String)],
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let need = |name: &'static str| {
        header(headers, name).filter(|text| !text.is_empty()).ok_or(SignatureError::Missing(name))
    };
    let timestamp = need("Wechatpay-Timestamp")?;
    let nonce = need("Wechatpay-Nonce")?;
    let signature = need("Wechatpay-Signature")?;
    let serial = need("Wechatpay-Serial")?;
    let age = age_seconds(timestamp, now).ok_or(SignatureError::Missing("Wechatpay-Timestamp"))?;
    if let Some(scheme) = header(headers, "Wechatpay-Signature-Type")
        && scheme != SCHEME
    {
        let found = scheme.chars().take(60).collect();
        return Err(SignatureError::Downgraded { wanted: SCHEME, found });
    }
    // Before the key is looked for, since a probe may name an unknown one.
    if signature.starts_with(PROBE) {
        return Err(SignatureError::Probe);
    }
    let unknown = || SignatureError::KeyUnknown(serial.chars().take(80).collect());
    let key = keys.find(serial).ok_or_else(unknown)?;
    let string = response_string(timestamp, nonce, body);
    let bytes = base64::decode(signature).ok_or(SignatureError::Mismatch)?;
    if !key.key().verify_sha256(&string, &bytes) {
        return Err(SignatureError::Mismatch);
    }
    if age >= AGE_LIMIT_SECONDS {
        return Err(SignatureError::Stale(i64::try_from(age).unwrap_or(i64::MAX)));
    }
    Ok(())
}

/// The provider's headers that sign a body, spelt as WeChat spells them: some SDKs look them up
/// with regard to case.
pub fn signature_headers(
    key: &RsaPrivateKey,
    serial: &str,
    (now, nonce): (Timestamp, &str),
    body: &[u8],
) -> Vec<(String, String)> {
    let timestamp = now.as_seconds().to_string();
    let signature = key.sign_sha256(&response_string(&timestamp, nonce, body));
    let pairs = [
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", serial),
        ("Wechatpay-Signature", &signature),
        ("Wechatpay-Signature-Type", SCHEME),
        ("Wechatpay-Timestamp", &timestamp),
    ];
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// How far a timestamp is from now, either way. `None` unless it is digits alone.
fn age_seconds(timestamp: &str, now: Timestamp) -> Option<u64> {
    let digits = timestamp.len() <= 12 && timestamp.bytes().all(|b| b.is_ascii_digit());
    let seconds: i64 = if digits { timestamp.parse().ok()? } else { return None };
    Some(seconds.abs_diff(now.as_seconds()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use tongbao_crypt::digest::sha256_hex;
    use tongbao_types::Method;

    pub(crate) const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvhZnmYA7hd1jA8HbGdfM
l1YscA1LbyscSK+8DqXbF/DHRuyXKYqpB20hsAXOqr0RDy4m3oOIqOcoMkWQaoHj
lPld0X9pm/4nRZ4Ku9C6yRQxU+uavFtfWMFZuK4/EOLzuche+P35Ai1LinYioCYV
i9KjCaJH1+LlvK30MyXIO5nOwXnnOJLrvP9f7RlNVCcMW7BXhKGdUQ31PP2qsJSx
Av2HantiOCjCDCqTfCbjNiBpeFdPDoM1vkvXgW8Vb6kf9Ghr96Bu/LCYiYw6vFLG
HE40MBUw6h7onieX+RMdnpriw8YNo/xWJ/X5R1gAVyaRgM2wAoXjgiTI8pgIjklw
EwIDAQAB
-----END PUBLIC KEY-----";
    const NONCE_A: &str = "593BEC0C930BF1AFEB40B4A08C8FB242";
    const NONCE_E: &str = "c5ac7061fccab6bf3e254dcf98995b8c";
    const V3_A: &str = "hInARW8xBzX2RxaREtuT72fbzZDRXODPsCyV1zOCdsP9PO1IZ7X2hOPi5R9tPNzyEPPQ0a69+48slfEnfHVYkhYuGWk17zzc03xPEUomWkQZL8QPoTuM8HW23gstjTh5I65cxlPgJN/J4BdgEIhsHC3cJblpZ4m0FN+jNMIff0T8layxY3tN785OZBdjLoAYJ1osLP6JDo/YDtA4n4MimD1EhBkuvrYkU75Ie/gWozAmuHstI+x4ivS5Wzp7TNlLCoUAvBBDkaKIQIXUxHENDlzRJhFmHuRvWfH3pnDBnhSxtAGF5kRFYAWwU3Q31jM4xunDu4tBJbScUJQsYh2dFQ==";
    const V3_B: &str = "SYtEK0ha/7wSWoqOqUcZbVLgqgSBZx+Yycleq3WI8IExRhdNtwTD5Oh8qrd4aYZ/PiBTAOb8HICYAWcUlweGJtxMiVELky5MgOsH1zC4qfoZHSPsV2ehT+SHcirSUaZN2/lDl1LH4bSzzc/56+ov228R367eE2j5+oChiTAWeVCdan5fExtmU9Sj2QLhAyYAd6rtZ/99W5i83tkvo3xXRBkhnMfUPbvuQNQVjP0PyWyq4pPXGR9pvKa7gmGH+Om0FdbFEj2oA2tcjmbX//h3BrU2LmcjWoCjr6MdOKMKjdA/6DbloFseZlYPirwpSTrEoaFk1Y+BykYolqI0LLLyig==";
    const V3_E: &str = "Gi+dMjQZlN4BN1gh2NJ8Pob00J1YzlmbJ8rFUct8BX7tG5ZocUC4J8RTOkuIAfs3Dh9IReGofydesdN87GQPjFT0hAZvmln2gUQ8yuWnLvXFstUmxuCTVYxMsNV1us4iAizG1eOPtKqeNqWV1abFslKYc+2SFMiaUDmk7/voCNahZeTsQ5pR3Re27HKSMa6OPidfHWcw3+Ua+D/WKO4oZ8OwcXD8Dj4vj3QzguN+dLZ3FIkVY2F0MywlwElLteY1HzsYVPoegx8yncg62ejCuPbVnQAgK1O6yU87CitcXmUH6irOsKlIc5BdZ2Ub+rEQ++Dd8qXERhEmnKAZriXNZw==";
    const V3_F: &str = "ldJYl1ftNBc+OFcmUWYwAsHpsBd0P2rI5OQ/wOZ4tr5HCaRaAYqQEl404oFDoCNNfwnHvC8xPhuIyKCAyRn6GSlBsc2sa8kv0x7Bc7wMHNI0JIriVeQmetED2fT0P4aaFPFf81Cz8hVXzHjJrNFYLT2q6U18NjJh6rx9iLQKOAFX14MUG1pFB5yaAzuzzE3yoQ9pV42zjV55FN9EDpmYsRP3NY8YXoJ2wCuq9M89KDb6gDVyWrVE6oUx81/2C3KL/saYTelk2G2ccvWNDgae3oQOSDkXiH0yeJXEjZz30QZQigFNbzUlXJbNNQse1gTTQ4rsTs0J7ETdae2hxGoUlw==";
    const SERIAL: &str = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";

    fn public_key() -> RsaPublicKey {
        RsaPublicKey::read(PUBLIC_KEY).unwrap()
    }

    fn request(method: Method, target: &str, body: &'static str) -> HttpRequest {
        let body = Bytes::from_static(body.as_bytes());
        HttpRequest { method, target: target.to_owned(), headers: Vec::new(), body }
    }

    fn authorization(signature: &str) -> Authorization {
        Authorization {
            mchid: "1900000109".to_owned(),
            serial_no: SERIAL.to_ascii_lowercase(),
            nonce_str: NONCE_A.to_owned(),
            timestamp: "1554208460".to_owned(),
            signature: signature.to_owned(),
        }
    }

    fn verdict(request: &HttpRequest, signature: &str, now: i64) -> Verdict {
        let now = Timestamp::from_seconds(now);
        authorization(signature).verify(request, &public_key(), SERIAL, now)
    }

    #[test]
    fn vectors_v3_a_and_b() {
        let get = request(Method::Get, "/v3/certificates", "");
        let string = request_string(&get, "1554208460", NONCE_A);
        let digest = "fab5c8a222049f386cb01453c7dc712c7997e756271557b0ef6e2e5060575373";
        assert_eq!(sha256_hex(&string), digest);
        assert!(verdict(&get, V3_A, 1_554_208_460).holds());
        let body = r#"{"mchid":"1900000109","description":"测试"}"#;
        let post = request(Method::Post, "/v3/pay/transactions/native", body);
        let string = request_string(&post, "1554208460", NONCE_A);
        let digest = "b06e99e55c3f25ccfd19a6af8d72c954e6f0ddddd38ca9c398f33bb6a01b932e";
        assert_eq!(sha256_hex(&string), digest);
        assert!(verdict(&post, V3_B, 1_554_208_460).holds());
    }

    #[test]
    fn the_providers_verdict_says_what_is_wrong() {
        let get = request(Method::Get, "/v3/certificates", "");
        assert!(verdict(&get, V3_A, 1_554_208_760).holds(), "five minutes are tolerated");
        assert_eq!(verdict(&get, V3_A, 1_554_208_761).problem, Some(VerdictProblem::Age));
        assert_eq!(verdict(&get, V3_A, 1_554_208_159).problem, Some(VerdictProblem::Age));
        let other = request(Method::Get, "/v3/certificates?algorithm_type=RSA", "");
        let found = verdict(&other, V3_A, 1_554_208_460);
        assert_eq!(found.problem, Some(VerdictProblem::Signature));
        assert!(found.string_to_sign.starts_with("GET\n/v3/certificates?algorithm_type=RSA\n"));
        let now = Timestamp::from_seconds(1_554_208_460);
        let verdict = authorization(V3_A).verify(&get, &public_key(), "0123", now);
        assert_eq!(verdict.problem, Some(VerdictProblem::Serial));
    }

    #[test]
    fn authorization_is_read_in_any_order_and_printed_again() {
        let printed = authorization(V3_A).to_string();
        assert_eq!(printed.parse(), Ok(authorization(V3_A)));
        let turned = "WECHATPAY2-SHA256-RSA2048 signature=\"a=b==\", timestamp=\"1\",\
                      serial_no=\"2\",nonce_str=\"3\",mchid=\"4\"";
        let read: Authorization = turned.parse().unwrap();
        assert_eq!((read.signature.as_str(), read.mchid.as_str()), ("a=b==", "4"));
    }

    #[test]
    fn a_broken_authorization_is_told_why() {
        let check = |text: &str, wanted| {
            assert_eq!(text.parse::<Authorization>(), Err(wanted), "{text}");
        };
        let rsa = "WECHATPAY2-SHA256-RSA2048";
        let whole = "mchid=\"1\",nonce_str=\"2\",timestamp=\"3\",serial_no=\"4\",signature=\"5\"";
        check("", AuthorizationError::Scheme);
        check(&format!("WECHATPAY2-SM2-WITH-SM3 {whole}"), AuthorizationError::Scheme);
        check(&format!("{rsa}{whole}"), AuthorizationError::Scheme);
        check(&format!("{rsa} "), AuthorizationError::Pairs);
        check(&format!("{rsa} {whole},"), AuthorizationError::Pairs);
        check(&format!("{rsa} mchid=1"), AuthorizationError::Pairs);
        check(&format!("{rsa} mchid=\"1\"2\""), AuthorizationError::Pairs);
        check(&format!("{rsa} {whole},mchid=\"1\""), AuthorizationError::Extra);
        check(&format!("{rsa} {whole},x=\"1\""), AuthorizationError::Extra);
        check(&format!("{rsa} mchid=\"1\""), AuthorizationError::Missing("serial_no"));
    }

    fn keys() -> PlatformKeys {
        PlatformKeys::none().with_public_key("PUB_KEY_ID_0116", PUBLIC_KEY).unwrap()
    }

    fn headers(signature: &str) -> Vec<(String, String)> {
        let pairs = [
            ("wechatpay-timestamp", "1554209980"),
            ("Wechatpay-Nonce", NONCE_E),
            ("WECHATPAY-SIGNATURE", signature),
            ("Wechatpay-Serial", "pub_key_id_0116"),
        ];
        pairs.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect()
    }

    const SIGNED_AT: i64 = 1_554_209_980;

    fn verify_at(now: i64, headers: &[(String, String)], body: &str) -> Result<(), SignatureError> {
        verify_message(&keys(), headers, body.as_bytes(), Timestamp::from_seconds(now))
    }

    #[test]
    fn vectors_v3_e_and_f() {
        assert_eq!(verify_at(SIGNED_AT, &headers(V3_E), r#"{"data":[]}"#), Ok(()));
        assert_eq!(verify_at(SIGNED_AT, &headers(V3_F), ""), Ok(()));
        let string = response_string("1554209980", NONCE_E, br#"{"data":[]}"#);
        let digest = "4448e4e820f07471032293c50e3f126dceb166b6cbc1935ded81b31ebe4e2ce7";
        assert_eq!(sha256_hex(&string), digest);
        let digest = "b1cab5cc6396ec26ebb5e9a88541418a3a85febbf50e2974879049e928c54373";
        assert_eq!(sha256_hex(&response_string("1554209980", NONCE_E, b"")), digest);
    }

    #[test]
    fn what_is_altered_or_old_is_refused() {
        let body = r#"{"data":[]}"#;
        let mismatch = Err(SignatureError::Mismatch);
        assert_eq!(verify_at(SIGNED_AT, &headers(V3_E), r#"{"data":[] }"#), mismatch);
        assert_eq!(verify_at(SIGNED_AT, &headers(V3_F), body), mismatch);
        assert_eq!(verify_at(SIGNED_AT, &headers("%%%"), body), mismatch);
        assert_eq!(verify_at(SIGNED_AT, &headers(&V3_E[..100]), body), mismatch);
        assert_eq!(verify_at(SIGNED_AT + 299, &headers(V3_E), body), Ok(()));
        assert_eq!(verify_at(SIGNED_AT - 299, &headers(V3_E), body), Ok(()));
        let stale = Err(SignatureError::Stale(300));
        assert_eq!(verify_at(SIGNED_AT + 300, &headers(V3_E), body), stale);
        assert_eq!(verify_at(SIGNED_AT - 300, &headers(V3_E), body), stale);
    }

    #[test]
    fn headers_must_be_there_and_name_a_known_key() {
        for (i, name) in
            ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial"]
                .into_iter()
                .enumerate()
        {
            let mut few = headers(V3_F);
            few.remove(i);
            assert_eq!(verify_at(SIGNED_AT, &few, ""), Err(SignatureError::Missing(name)));
        }
        for text in ["", "-1554209980", "1554209980.0", "99999999999999999999"] {
            let mut wrong = headers(V3_F);
            wrong[0].1 = text.to_owned();
            let missing = Err(SignatureError::Missing("Wechatpay-Timestamp"));
            assert_eq!(verify_at(SIGNED_AT, &wrong, ""), missing);
        }
        let mut other = headers(V3_F);
        other[3].1 = SERIAL.to_owned();
        let unknown = Err(SignatureError::KeyUnknown(SERIAL.to_owned()));
        assert_eq!(verify_at(SIGNED_AT, &other, ""), unknown);
        let mut scheme = headers(V3_F);
        scheme.push(("Wechatpay-Signature-Type".to_owned(), "WECHATPAY2-SM2-WITH-SM3".to_owned()));
        let error = verify_at(SIGNED_AT, &scheme, "");
        assert!(matches!(error, Err(SignatureError::Downgraded { .. })));
    }

    #[test]
    fn a_probe_is_told_apart_even_with_an_unknown_key() {
        let mut probe = headers("WECHATPAY/SIGNTEST/abc+/==");
        assert_eq!(verify_at(SIGNED_AT, &probe, ""), Err(SignatureError::Probe));
        probe[3].1 = SERIAL.to_owned();
        assert_eq!(verify_at(SIGNED_AT, &probe, ""), Err(SignatureError::Probe));
    }

    #[test]
    fn the_providers_headers_are_verified_here() {
        let key = RsaPrivateKey::generate();
        let pem = key.public().to_spki_pem();
        let keys = PlatformKeys::none().with_public_key("PUB_KEY_ID_1", &pem).unwrap();
        let now = Timestamp::from_seconds(SIGNED_AT);
        let headers = signature_headers(&key, "PUB_KEY_ID_1", (now, "n1"), b"{}");
        assert_eq!(verify_message(&keys, &headers, b"{}", now), Ok(()));
        assert!(headers.iter().any(|(name, _)| name == "Wechatpay-Signature-Type"));
    }

    proptest! {
        #[test]
        fn hostile_authorization_never_panics(text in "(WECHATPAY2-SHA256-RSA2048 )?.{0,80}") {
            let _ = text.parse::<Authorization>();
        }

        #[test]
        fn hostile_headers_never_panic(
            timestamp in ".{0,30}", signature in ".{0,40}", body in any::<Vec<u8>>()
        ) {
            let mut headers = headers(&signature);
            headers[0].1 = timestamp;
            let now = Timestamp::from_seconds(SIGNED_AT);
            prop_assert!(verify_message(&keys(), &headers, &body, now).is_err());
        }
    }
}

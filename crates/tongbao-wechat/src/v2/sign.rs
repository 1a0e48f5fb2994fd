//! The signature of API v2 (微信支付 API v2, 签名算法): the string first, then the digest.
//!
//! The account says which digest, never the message; otherwise a forger could choose the weaker.

use crate::account::SignType;
use crate::error::SignatureError;
use crate::xml::Fields;
use tongbao_crypt::digest;
use tongbao_types::Secret;

/// The string that is signed, up to but without `&key=` and the key, so that it may be shown. All
/// fields take part except `sign` and empty ones, sorted by name as bytes.
pub fn string_to_sign(fields: &Fields) -> String {
    let signed = |(name, text): &(&str, &str)| *name != "sign" && !text.is_empty();
    let mut pairs: Vec<(&str, &str)> = fields.iter().filter(signed).collect();
    pairs.sort_unstable();
    let parts: Vec<String> =
        pairs.into_iter().map(|(name, text)| format!("{name}={text}")).collect();
    parts.join("&")
}

/// The signature in upper-case hex: 32 digits for MD5, 64 for HMAC-SHA256.
pub fn sign(fields: &Fields, key: &Secret<String>, sign_type: SignType) -> String {
    let whole = Secret::new(format!("{}&key={}", string_to_sign(fields), key.expose()));
    let bytes = whole.expose().as_bytes();
    match sign_type {
        SignType::Md5 => digest::md5_hex(bytes).to_ascii_uppercase(),
        SignType::HmacSha256 => upper_hex(&digest::hmac_sha256(key.expose().as_bytes(), bytes)),
    }
}

/// Checks the field `sign` over all other fields, unknown ones included.
pub fn verify(
    fields: &Fields,
    key: &Secret<String>,
    sign_type: SignType,
) -> Result<(), SignatureError> {
    let found = fields.text("sign").ok_or(SignatureError::Missing("sign"))?;
    if sign_type == SignType::HmacSha256 {
        let named_md5 = fields.text("sign_type") == Some(SignType::Md5.as_str());
        if found.len() == 32 || named_md5 {
            return Err(SignatureError::Downgraded {
                wanted: sign_type.as_str(),
                found: SignType::Md5.as_str().to_owned(),
            });
        }
    }
    let wanted = sign(fields, key, sign_type);
    if digest::same(wanted.as_bytes(), found.as_bytes()) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

/// The field that may be two: a plain text with `&` in it, or a free one that holds the beginning
/// of a field that decides, `&total_fee=` for example.
///
/// Names and texts are joined without any mark of where a text ends, so that such a message has
/// the same string to sign, and so the same signature, as others in which the fields begin and end
/// elsewhere. Nobody can tell which of them was signed.
pub fn ambiguous_field(fields: &Fields) -> Option<&str> {
    let is_two = |(name, text): &(&str, &str)| match DECIDING.contains(name) || PLAIN.contains(name)
    {
        true => text.contains('&'),
        false => *name != "sign" && holds_deciding(text),
    };
    fields.iter().find(is_two).map(|(name, _)| name)
}

/// The fields of a notification by which it is believed, or not, to pay an order.
const DECIDING: [&str; 10] = [
    "appid",
    "fee_type",
    "mch_id",
    "out_trade_no",
    "result_code",
    "return_code",
    "sub_appid",
    "sub_mch_id",
    "total_fee",
    "transaction_id",
];

/// More fields that nobody writes freely; an `&` in one of them is the beginning of another.
const PLAIN: [&str; 12] = [
    "bank_type",
    "cash_fee",
    "cash_fee_type",
    "is_subscribe",
    "nonce_str",
    "openid",
    "settlement_total_fee",
    "sign_type",
    "sub_is_subscribe",
    "sub_openid",
    "time_end",
    "trade_type",
];

fn holds_deciding(text: &str) -> bool {
    let deciding =
        |part: &str| part.split_once('=').is_some_and(|(name, _)| DECIDING.contains(&name));
    text.split('&').skip(1).any(deciding)
}

fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const KEY: &str = "192006250b4c09247ec02edce69f6a2d";

    fn key() -> Secret<String> {
        Secret::new(KEY.to_owned())
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn first() -> Fields {
        fields(&[
            ("mch_id", "10000100"),
            ("appid", "wxd930ea5d5a258f4f"),
            ("body", "test"),
            ("nonce_str", "ibuaiVcKdpRxkhJA"),
            ("device_info", "1000"),
        ])
    }

    fn fourth(sign_type: &str) -> Fields {
        fields(&[
            ("appid", "wx2421b1c4370ec43b"),
            ("attach", "支付测试"),
            ("body", "JSAPI支付测试"),
            ("detail", ""),
            ("mch_id", "10000100"),
            ("nonce_str", "1add1a30ac87aa2db72f57a2375d8fec"),
            ("notify_url", "https://pay.example.com/notify"),
            ("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
            ("out_trade_no", "1415659990"),
            ("sign_type", sign_type),
            ("spbill_create_ip", "14.23.150.211"),
            ("total_fee", "1"),
            ("trade_type", "JSAPI"),
        ])
    }

    #[test]
    fn the_string_is_sorted_and_without_empty_fields_and_the_sign() {
        let wanted = "appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100\
                      &nonce_str=ibuaiVcKdpRxkhJA";
        assert_eq!(string_to_sign(&first()), wanted);
        let mut more = first();
        more.set("sign", "X");
        more.set("attach", "");
        assert_eq!(string_to_sign(&more), wanted);
        more.set("zero", "0");
        assert_eq!(string_to_sign(&more), format!("{wanted}&zero=0"), "a zero is not empty");
        let cased = fields(&[("timeStamp", "1"), ("appId", "2"), ("a", "3"), ("package", "4")]);
        assert_eq!(string_to_sign(&cased), "a=3&appId=2&package=4&timeStamp=1");
    }

    #[test]
    fn vectors_v2_1_2_4_and_5() {
        let check = |fields: &Fields, sign_type, wanted: &str| {
            assert_eq!(sign(fields, &key(), sign_type), wanted);
        };
        check(&first(), SignType::Md5, "9A0A8659F005D6984697E2CA0A9CF3B7");
        check(
            &first(),
            SignType::HmacSha256,
            "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6",
        );
        check(&fourth("MD5"), SignType::Md5, "9BC37687CF6E8A0F323FB86FDFBEDEED");
        check(
            &fourth("HMAC-SHA256"),
            SignType::HmacSha256,
            "7D68CA69F3F809A2F39C9DF61CD2E2E5821EA2F2050136FB287319CA5995A519",
        );
    }

    #[test]
    fn verification_covers_unknown_fields_and_every_digit() {
        let mut good = first();
        good.set("sign", sign(&first(), &key(), SignType::Md5));
        assert_eq!(verify(&good, &key(), SignType::Md5), Ok(()));
        let mut more = good.clone();
        more.set("a_new_field", "1");
        assert_eq!(verify(&more, &key(), SignType::Md5), Err(SignatureError::Mismatch));
        let mut cut = good.clone();
        cut.set("sign", "9A0A8659F005D6984697E2CA0A9CF3B");
        assert_eq!(verify(&cut, &key(), SignType::Md5), Err(SignatureError::Mismatch));
        let mut lower = good.clone();
        lower.set("sign", "9a0a8659f005d6984697e2ca0a9cf3b7");
        assert_eq!(verify(&lower, &key(), SignType::Md5), Err(SignatureError::Mismatch));
        let none = Err(SignatureError::Missing("sign"));
        assert_eq!(verify(&first(), &key(), SignType::Md5), none);
        let other = Secret::new("0".repeat(32));
        assert_eq!(verify(&good, &other, SignType::Md5), Err(SignatureError::Mismatch));
    }

    #[test]
    fn an_hmac_account_takes_no_md5() {
        let downgraded = |fields: &Fields| {
            let error = verify(fields, &key(), SignType::HmacSha256);
            assert!(matches!(error, Err(SignatureError::Downgraded { .. })), "{error:?}");
        };
        let mut fields = first();
        fields.set("sign", sign(&first(), &key(), SignType::Md5));
        downgraded(&fields);
        fields.set("sign_type", "MD5");
        fields.set("sign", sign(&fields, &key(), SignType::HmacSha256));
        downgraded(&fields);
    }
}

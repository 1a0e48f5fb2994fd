//! Refund notification (微信支付 API v2, 退款结果通知): decryption alone.
//!
//! It is encrypted with the account's key but not authenticated, block by block. What it says must
//! be asked for again with a query before anything is believed; so no `Verified` comes from here.

use crate::error::FieldError;
use crate::xml::{Fields, XmlError};
use tongbao_crypt::{aes, base64, digest};
use tongbao_types::Secret;

/// What a refund notification claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundNews {
    /// The merchant's number of the order.
    pub out_trade_no: String,
    /// The merchant's number of the refund.
    pub out_refund_no: Option<String>,
    /// SUCCESS, CHANGE or REFUNDCLOSE.
    pub refund_status: String,
    /// Everything it has.
    pub fields: Fields,
}

/// Why a refund notification cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefundNoticeError {
    /// Not Base64, or not encrypted with this account's key.
    #[error("req_info cannot be decrypted with the account's APIv2 key")]
    Undecryptable,
    /// The plaintext is not in its form.
    #[error("req_info is not in WeChat's form: {0}")]
    Malformed(#[from] XmlError),
    /// A field.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// Decrypts `req_info`: AES-256-ECB under the 32 characters of the key's MD5 in lower-case hex.
pub fn decrypt_refund_notice(
    req_info: &str,
    key: &Secret<String>,
) -> Result<RefundNews, RefundNoticeError> {
    let hex = Secret::new(digest::md5_hex(key.expose().as_bytes()));
    let bytes: [u8; 32] =
        hex.expose().as_bytes().try_into().expect("an MD5 in hex has 32 characters");
    let aes_key = Secret::new(bytes);
    let sealed = base64::decode(req_info).ok_or(RefundNoticeError::Undecryptable)?;
    let plain =
        aes::ecb256_decrypt(aes_key.expose(), &sealed).ok_or(RefundNoticeError::Undecryptable)?;
    let fields = Fields::parse_rooted(&plain, "root")?;
    let missing = |name| FieldError { name, problem: "is missing" };
    let need = |name| fields.text(name).map(str::to_owned).ok_or(missing(name));
    Ok(RefundNews {
        out_trade_no: need("out_trade_no")?,
        out_refund_no: fields.text("out_refund_no").map(str::to_owned),
        refund_status: need("refund_status")?,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::super::sign::tests::KEY;
    use super::*;

    const REQ_INFO: &str = "Df1zEhkaQRcJZp87pZvZWfff79vA3uaIFrSXvdhFxogpGAuIJ4/M5OS7u7e2kGwlQpvBaLCeIIuxBGNHBB4+Q5pZ0GcFXRiLqzDr2JeJ56SPcuk0XIOQ+7vHxtwravwW";

    #[test]
    fn the_vector_is_read() {
        let news = decrypt_refund_notice(REQ_INFO, &Secret::new(KEY.to_owned())).unwrap();
        assert_eq!(news.out_trade_no, "20180821665587");
        assert_eq!(news.refund_status, "SUCCESS");
        assert_eq!(news.out_refund_no, None);
    }

    #[test]
    fn a_wrong_key_or_a_broken_text_is_refused() {
        let other = Secret::new("0".repeat(32));
        assert!(decrypt_refund_notice(REQ_INFO, &other).is_err());
        let key = Secret::new(KEY.to_owned());
        for text in ["", "====", "Df1z", &REQ_INFO[..64], &REQ_INFO[4..]] {
            assert!(decrypt_refund_notice(text, &key).is_err(), "{text}");
        }
    }
}

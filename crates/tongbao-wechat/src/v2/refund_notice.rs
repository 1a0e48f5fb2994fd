//! Refund notification (微信支付 API v2, 退款结果通知).
//!
//! It is encrypted with the account's key but bears no signature, and what is encrypted can be
//! altered block by block. What it says must be asked for again with a refund query before anything
//! is believed; so no `Verified` comes from here.

use super::envelope::{check_identity, field, post};
use crate::account::{Merchant, V2Credentials};
use crate::china::spaced_time;
use crate::error::{FieldError, Mismatch};
use crate::refund::{Refund, RefundState};
use crate::xml::{Fields, XmlError};
use tongbao_crypt::{aes, base64, digest};
use tongbao_types::{Code, HttpRequest, Secret};

/// What a refund notification claims. It proves nothing: query the refund.
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

impl RefundNews {
    /// How the refund is said to stand.
    pub fn state(&self) -> RefundState {
        RefundState::read_v2(&self.refund_status)
    }
}

/// Why a refund notification cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefundNoticeError {
    /// Not Base64, or not encrypted with this account's key.
    #[error("req_info cannot be decrypted with the account's APIv2 key")]
    Undecryptable,
    /// The message or its plaintext is not in its form.
    #[error("the refund notification is not in WeChat's form: {0}")]
    Malformed(#[from] XmlError),
    /// It names another account.
    #[error(transparent)]
    Account(#[from] Mismatch),
    /// A field.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl RefundNoticeError {
    /// The stable code to keep.
    pub const fn code(&self) -> Code {
        match self {
            RefundNoticeError::Undecryptable => Code::NoticeUndecryptable,
            RefundNoticeError::Malformed(XmlError::TooLarge) => Code::BodyTooLarge,
            RefundNoticeError::Malformed(_) | RefundNoticeError::Field(_) => Code::NoticeMalformed,
            RefundNoticeError::Account(_) => Code::AccountMismatch,
        }
    }
}

/// Whether a message to a merchant is a refund notification and not one of a payment, before
/// anything else is known of it.
pub fn is_refund_notice(request: &HttpRequest) -> bool {
    Fields::parse(&request.body).is_ok_and(|fields| fields.text("req_info").is_some())
}

/// Reads a refund notification for this account: size, syntax, merchant number and app id,
/// decryption.
pub fn read_refund_notice(
    credentials: &V2Credentials,
    request: &HttpRequest,
) -> Result<RefundNews, RefundNoticeError> {
    let fields = Fields::parse(&request.body)?;
    let req_info = fields.text("req_info").ok_or(field("req_info", "is missing"))?;
    check_identity(&fields, credentials.merchant())?;
    decrypt_refund_notice(req_info, credentials.key())
}

/// Decrypts `req_info`: AES-256-ECB under the 32 characters of the key's MD5 in lower-case hex.
pub fn decrypt_refund_notice(
    req_info: &str,
    key: &Secret<String>,
) -> Result<RefundNews, RefundNoticeError> {
    let sealed = base64::decode(req_info).ok_or(RefundNoticeError::Undecryptable)?;
    let plain = aes::ecb256_decrypt(aes_key(key).expose(), &sealed);
    let plain = plain.ok_or(RefundNoticeError::Undecryptable)?;
    let fields = Fields::parse_rooted(&plain, "root")?;
    let need = |name| fields.text(name).map(str::to_owned).ok_or(field(name, "is missing"));
    Ok(RefundNews {
        out_trade_no: need("out_trade_no")?,
        out_refund_no: fields.text("out_refund_no").map(str::to_owned),
        refund_status: need("refund_status")?,
        fields,
    })
}

/// Encrypts the plaintext of a refund notification to `req_info`.
pub fn encrypt_refund_notice(plain: &[u8], key: &Secret<String>) -> String {
    base64::encode(&aes::ecb256_encrypt(aes_key(key).expose(), plain))
}

/// What the provider sends: a refund's news to its merchant.
#[derive(Debug, Clone, Copy)]
pub struct RefundNotice<'a> {
    /// Whose refund it is.
    pub merchant: &'a Merchant,
    /// The refund; those that are still processing are not notified.
    pub refund: &'a Refund,
    /// Fresh randomness.
    pub nonce: &'a str,
}

/// The provider's request to `target`, the path and query of the refund's `notify_url`.
pub fn encode_refund_notice(
    notice: &RefundNotice<'_>,
    target: &str,
    key: &Secret<String>,
) -> HttpRequest {
    let plain = plaintext(notice.refund).to_xml_rooted("root");
    let merchant = notice.merchant;
    let mut fields = Fields::new();
    fields.set("return_code", "SUCCESS");
    fields.set("appid", &merchant.app_id);
    fields.set("mch_id", &merchant.mch_id);
    fields.set_some("sub_appid", merchant.sub_app_id.as_deref());
    fields.set_some("sub_mch_id", merchant.sub_mch_id.as_deref());
    fields.set("nonce_str", notice.nonce);
    fields.set("req_info", encrypt_refund_notice(plain.as_bytes(), key));
    post(target, &fields)
}

/// There are no coupons here, so what is settled is what was asked for.
fn plaintext(refund: &Refund) -> Fields {
    let (total, amount) = (refund.total_fen.0.to_string(), refund.refund_fen.0.to_string());
    let mut fields = Fields::new();
    fields.set("transaction_id", &refund.transaction_id);
    fields.set("out_trade_no", &refund.out_trade_no);
    fields.set("refund_id", &refund.refund_id);
    fields.set("out_refund_no", &refund.out_refund_no);
    fields.set("total_fee", &total);
    fields.set("settlement_total_fee", &total);
    fields.set("refund_fee", &amount);
    fields.set("settlement_refund_fee", &amount);
    fields.set("cash_refund_fee", &amount);
    fields.set("refund_status", refund.state.as_v2_str());
    fields.set_some("success_time", refund.success_time.map(spaced_time));
    // The misspelling is the protocol's.
    fields.set("refund_recv_accout", refund.user_received_account.as_deref().unwrap_or(""));
    fields.set("refund_account", "REFUND_SOURCE_UNSETTLED_FUNDS");
    fields.set("refund_request_source", "API");
    fields
}

fn aes_key(key: &Secret<String>) -> Secret<[u8; 32]> {
    let hex = Secret::new(digest::md5_hex(key.expose().as_bytes()));
    let bytes: [u8; 32] =
        hex.expose().as_bytes().try_into().expect("an MD5 in hex has 32 characters");
    Secret::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::credentials;
    use super::super::notify::receive;
    use super::super::refund::tests::refund;
    use super::super::sign::tests::KEY;
    use super::*;
    use crate::account::SignType;
    use crate::china::read_spaced_time;

    const REQ_INFO: &str = "Df1zEhkaQRcJZp87pZvZWfff79vA3uaIFrSXvdhFxogpGAuIJ4/M5OS7u7e2kGwlQpvBaLCeIIuxBGNHBB4+Q5pZ0GcFXRiLqzDr2JeJ56SPcuk0XIOQ+7vHxtwravwW";

    fn notice(refund: &Refund) -> HttpRequest {
        let credentials = credentials(SignType::Md5);
        let notice = RefundNotice { merchant: credentials.merchant(), refund, nonce: "n" };
        encode_refund_notice(&notice, "/notify/refund?x=1", credentials.key())
    }

    fn altered(name: &str, text: &str) -> Result<RefundNews, RefundNoticeError> {
        let mut request = notice(&refund("678", RefundState::Success));
        let mut fields = Fields::parse(&request.body).unwrap();
        fields.set(name, text);
        request.body = fields.to_xml().into();
        read_refund_notice(&credentials(SignType::Md5), &request)
    }

    #[test]
    fn the_vector_is_read_and_written() {
        let key = Secret::new(KEY.to_owned());
        let news = decrypt_refund_notice(REQ_INFO, &key).unwrap();
        assert_eq!(news.out_trade_no, "20180821665587");
        assert_eq!(news.refund_status, "SUCCESS");
        assert_eq!(news.out_refund_no, None);
        let plain = "<root><out_trade_no>20180821665587</out_trade_no>\
                     <refund_status>SUCCESS</refund_status></root>";
        assert_eq!(plain.len(), 94);
        assert_eq!(encrypt_refund_notice(plain.as_bytes(), &key), REQ_INFO);
        assert_eq!(aes_key(&key).expose(), b"d96eb16afdd491fa1e705096edbc2205");
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

    #[test]
    fn a_notification_goes_there_in_every_state() {
        for state in [RefundState::Success, RefundState::Abnormal, RefundState::Closed] {
            let done = Refund {
                success_time: read_spaced_time("2018-08-21 17:07:33"),
                user_received_account: Some("招商银行信用卡0403".to_owned()),
                ..refund("678", state.clone())
            };
            let request = notice(&done);
            assert!(is_refund_notice(&request));
            assert_eq!(request.target, "/notify/refund?x=1");
            let news = read_refund_notice(&credentials(SignType::Md5), &request).unwrap();
            assert_eq!((news.state(), news.out_refund_no.as_deref()), (state, Some("678")));
            let text = |name: &str| news.fields.text(name).unwrap_or("-").to_owned();
            assert_eq!((text("refund_fee").as_str(), text("total_fee").as_str()), ("1", "3"));
            assert_eq!(text("success_time"), "2018-08-21 17:07:33");
            assert_eq!(text("refund_recv_accout"), "招商银行信用卡0403");
            assert_eq!(text("refund_id"), done.refund_id);
        }
    }

    #[test]
    fn it_bears_no_signature_and_is_no_news_of_a_payment() {
        let request = notice(&refund("678", RefundState::Success));
        let fields = Fields::parse(&request.body).unwrap();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["return_code", "appid", "mch_id", "nonce_str", "req_info"]);
        assert!(receive(&credentials(SignType::Md5), &request).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_code() {
        let code = |name, text| altered(name, text).unwrap_err().code();
        assert_eq!(code("appid", "wx1"), Code::AccountMismatch);
        assert_eq!(code("mch_id", "1"), Code::AccountMismatch);
        assert_eq!(code("sub_mch_id", "1"), Code::AccountMismatch);
        assert_eq!(code("req_info", ""), Code::NoticeMalformed);
        assert_eq!(code("req_info", "AAAA"), Code::NoticeUndecryptable);
        assert_eq!(code("nonce_str", &"n".repeat(70_000)), Code::BodyTooLarge);
        let bomb = "<!DOCTYPE root SYSTEM \"http://127.0.0.1/x\"><root/>";
        let sealed = encrypt_refund_notice(bomb.as_bytes(), &Secret::new(KEY.to_owned()));
        assert_eq!(altered("req_info", &sealed), Err(XmlError::Doctype.into()));
        assert!(altered("nonce_str", "another").is_ok(), "nothing outside is protected");
    }
}

//! Answers that are refusals, replies that cannot be believed, and notifications that cannot.
//!
//! A refusal ([`WechatError`]) is WeChat's own clear answer. A [`ReplyError`] means that the answer
//! is not known. A [`NoticeError`] is why a notification changes nothing.

use crate::xml::XmlError;
use tongbao_types::Code;

/// What WeChat answered: it did it, or it said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Done, and the reply was verified.
    Done(T),
    /// Refused. Ask [`WechatError::is_unknown`] before believing that nothing happened.
    Refused(WechatError),
}

impl<T> Answer<T> {
    /// The same answer about something else.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Answer::Done(value) => Answer::Done(f(value)),
            Answer::Refused(error) => Answer::Refused(error),
        }
    }

    /// Reads on in what was done.
    pub(crate) fn then<U>(
        self,
        f: impl FnOnce(T) -> Result<U, ReplyError>,
    ) -> Result<Answer<U>, ReplyError> {
        match self {
            Answer::Done(value) => f(value).map(Answer::Done),
            Answer::Refused(error) => Ok(Answer::Refused(error)),
        }
    }
}

/// Where a refusal was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// API v2, `return_code=FAIL`: signature, format or presence. Unsigned.
    Communication,
    /// API v2, `result_code=FAIL`. Signed.
    Business,
    /// API v3, with this HTTP status. Not verified, as WeChat's own SDKs do not.
    Http(u16),
}

/// A refusal in WeChat's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct WechatError {
    /// Where it was said.
    pub level: Level,
    /// `err_code` or `code`; `FAIL` at the communication level, which has no codes.
    pub code: String,
    /// `err_code_des`, `return_msg` or `message`.
    pub message: String,
}

impl WechatError {
    /// Whether the code is this one. Both APIs and all ages spell codes with and without
    /// underscores, so those do not count.
    pub fn is(&self, code: &str) -> bool {
        let bare = |text: &str| text.bytes().filter(|b| *b != b'_').collect::<Vec<u8>>();
        bare(&self.code).eq_ignore_ascii_case(&bare(code))
    }

    /// Whether it says nothing about what happened: ask again, or query.
    pub fn is_unknown(&self) -> bool {
        const CODES: [&str; 9] = [
            "SYSTEMERROR",
            "BANKERROR",
            "USERPAYING",
            "BIZERR_NEED_RETRY",
            "FREQUENCY_LIMITED",
            "RATELIMIT_EXCEEDED",
            "RATE_LIMITED",
            "INVALID_REQ_TOO_MUCH",
            "SERVICE_UNAVAILABLE",
        ];
        // Two codes come with status 500 although the caller is at fault (API v3, 错误码).
        let callers_fault = self.is("INVALID_TRANSACTIONID") || self.is("OPENID_MISMATCH");
        let by_level = match self.level {
            Level::Http(status) => (status >= 500 && !callers_fault) || status == 429,
            Level::Communication => ["SYSTEMERROR", "系统繁忙", "系统错误", "系统异常", "频率"]
                .iter()
                .any(|hint| self.message.contains(hint)),
            Level::Business => false,
        };
        by_level || CODES.iter().any(|code| self.is(code))
    }

    /// Whether there is no such order.
    pub fn is_not_found(&self) -> bool {
        self.is("ORDERNOTEXIST") || self.is("RESOURCE_NOT_EXISTS")
    }

    /// Whether the order is paid: not a failure but news.
    pub fn is_paid(&self) -> bool {
        self.is("ORDERPAID")
    }

    /// Whether the order is closed.
    pub fn is_closed(&self) -> bool {
        self.is("ORDERCLOSED")
    }

    /// Whether the number belongs to an order with other parameters.
    pub fn is_number_used(&self) -> bool {
        self.is("OUT_TRADE_NO_USED")
            || (self.is("INVALID_REQUEST")
                && (self.message.contains("商户订单号重复") || self.message.contains("请求重入")))
    }

    /// Whether WeChat does not take our signature: a wrong key, serial number or clock.
    pub fn is_signature(&self) -> bool {
        // Bills say it in English.
        let says = ["签名", "SIGN ERROR"].iter().any(|words| self.message.contains(words));
        self.is("SIGNERROR") || (self.level == Level::Communication && says)
    }
}

/// Why a signature is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A field or header of the signature is absent or not in its form.
    #[error("{0} is missing or not in its form, so the message bears no usable signature")]
    Missing(&'static str),
    /// Signed by another method than the account's.
    #[error("the message is signed with {found}, but the account uses {wanted}")]
    Downgraded {
        /// What the account uses.
        wanted: &'static str,
        /// What the message shows.
        found: String,
    },
    /// A platform certificate or public key that is not known; certificates can be fetched.
    #[error(
        "the message names the platform key {0}, which is not known; fetch the platform \
         certificates, or configure this public key"
    )]
    KeyUnknown(String),
    /// WeChat's own test of our verification (签名探测): the genuine message follows.
    #[error("this is WeChat's probe with a wrong signature on purpose; the genuine one follows")]
    Probe,
    /// The signature does not fit.
    #[error("the signature does not fit the message and the key: a forgery, or a wrong key")]
    Mismatch,
    /// Too old or too new.
    #[error(
        "the message was signed {0} seconds away from now; 300 are too many: check this \
         machine's clock"
    )]
    Stale(i64),
}

/// A number or name in a message that should be another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found:?} in the message and {wanted:?} in the account or request")]
pub struct Mismatch {
    /// The provider's name of the field.
    pub field: &'static str,
    /// Ours.
    pub wanted: String,
    /// The message's.
    pub found: String,
}

/// A field that is absent or not in its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field {name} {problem}")]
pub struct FieldError {
    /// The provider's name of the field.
    pub name: &'static str,
    /// What is wrong, to stand after the name.
    pub problem: &'static str,
}

/// Why a reply cannot be believed. What WeChat did is not known then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A status without an answer of WeChat's own; a proxy's page, for example.
    #[error("HTTP status {0} without an answer in WeChat's form")]
    Status(u16),
    /// More than 64 KiB.
    #[error("the reply is larger than 64 KiB")]
    TooLarge,
    /// Not in the form of the API.
    #[error("the reply is not in WeChat's form: {0}")]
    Malformed(String),
    /// The signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// What should decrypt does not.
    #[error("the reply cannot be decrypted with the account's APIv3 key")]
    Undecryptable,
    /// It speaks of another account or order.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A field.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl ReplyError {
    /// The platform key that is not known, if that is the reason: fetch certificates and try once
    /// more.
    pub fn unknown_key(&self) -> Option<&str> {
        match self {
            ReplyError::Signature(SignatureError::KeyUnknown(id)) => Some(id),
            _ => None,
        }
    }
}

impl From<XmlError> for ReplyError {
    fn from(error: XmlError) -> ReplyError {
        match error {
            XmlError::TooLarge => ReplyError::TooLarge,
            other => ReplyError::Malformed(other.to_string()),
        }
    }
}

/// Why a notification is refused. Nothing changes by it; WeChat will send it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// More than 64 KiB.
    #[error("the notification is larger than 64 KiB")]
    TooLarge,
    /// Not in the form of the API.
    #[error("the notification is not in WeChat's form: {0}")]
    Malformed(String),
    /// The signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Signed, but the signature is one of other messages as well.
    #[error(
        "the field {0:?} of the notification holds the name of another field, so that its \
         signature fits other messages as well; the order will be asked for instead"
    )]
    Ambiguous(String),
    /// What should decrypt does not.
    #[error(
        "the notification cannot be decrypted: the APIv3 key here differs from the merchant \
         platform's"
    )]
    Undecryptable,
    /// Genuine, but for another account.
    #[error("{mismatch}")]
    Account {
        /// What differs.
        mismatch: Mismatch,
        /// The order that it speaks of.
        out_trade_no: String,
    },
    /// Genuine, but neither about a payment nor about a refund.
    #[error("the notification is of the kind {0:?}, neither about a payment nor about a refund")]
    EventUnknown(String),
    /// Genuine, but a field is absent or not in its form.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl NoticeError {
    /// The stable code to keep beside the charge.
    pub fn code(&self) -> Code {
        match self {
            NoticeError::TooLarge => Code::BodyTooLarge,
            NoticeError::Malformed(_)
            | NoticeError::Field(_)
            | NoticeError::EventUnknown(_)
            | NoticeError::Ambiguous(_) => Code::NoticeMalformed,
            NoticeError::Signature(error) => match error {
                SignatureError::Missing(_) => Code::SignatureMissing,
                SignatureError::Downgraded { .. } => Code::SignatureDowngraded,
                SignatureError::KeyUnknown(_) => Code::SignatureKeyUnknown,
                SignatureError::Probe | SignatureError::Mismatch => Code::SignatureMismatch,
                SignatureError::Stale(_) => Code::NoticeStale,
            },
            NoticeError::Undecryptable => Code::NoticeUndecryptable,
            NoticeError::Account { .. } => Code::AccountMismatch,
        }
    }

    /// The platform key that is not known, if that is the reason: fetch certificates and try once
    /// more.
    pub fn unknown_key(&self) -> Option<&str> {
        match self {
            NoticeError::Signature(SignatureError::KeyUnknown(id)) => Some(id),
            _ => None,
        }
    }

    /// Whether it is WeChat's probe, to be refused without alarm.
    pub fn is_probe(&self) -> bool {
        matches!(self, NoticeError::Signature(SignatureError::Probe))
    }

    /// The order that a genuine notification speaks of.
    pub fn out_trade_no(&self) -> Option<&str> {
        match self {
            NoticeError::Account { out_trade_no, .. } => Some(out_trade_no),
            _ => None,
        }
    }
}

impl From<XmlError> for NoticeError {
    fn from(error: XmlError) -> NoticeError {
        match error {
            XmlError::TooLarge => NoticeError::TooLarge,
            other => NoticeError::Malformed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(level: Level, code: &str, message: &str) -> WechatError {
        WechatError { level, code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn underscores_in_codes_do_not_count() {
        assert!(refusal(Level::Business, "ORDERPAID", "").is_paid());
        assert!(refusal(Level::Http(400), "ORDER_PAID", "").is_paid());
        assert!(refusal(Level::Http(404), "ORDER_NOT_EXIST", "").is_not_found());
        assert!(refusal(Level::Http(400), "ORDER_CLOSED", "").is_closed());
        assert!(!refusal(Level::Business, "ORDERPAIDX", "").is_paid());
    }

    #[test]
    fn what_may_have_happened_is_unknown_and_what_did_not_is_not() {
        let unknown = [
            refusal(Level::Business, "SYSTEMERROR", ""),
            refusal(Level::Http(500), "SYSTEM_ERROR", ""),
            refusal(Level::Http(500), "BANK_ERROR", ""),
            refusal(Level::Http(502), "BAD_GATEWAY", ""),
            refusal(Level::Http(429), "ANYTHING", ""),
            refusal(Level::Business, "FREQUENCY_LIMITED", ""),
            refusal(Level::Communication, "FAIL", "系统繁忙，请稍后再试"),
        ];
        for error in unknown {
            assert!(error.is_unknown(), "{error:?}");
        }
        let clear = [
            refusal(Level::Business, "ORDERPAID", ""),
            refusal(Level::Http(400), "PARAM_ERROR", ""),
            refusal(Level::Http(500), "INVALID_TRANSACTIONID", ""),
            refusal(Level::Http(404), "ORDER_NOT_EXIST", ""),
            refusal(Level::Communication, "FAIL", "签名错误"),
        ];
        for error in clear {
            assert!(!error.is_unknown(), "{error:?}");
        }
    }

    #[test]
    fn wrong_signatures_are_told_in_both_languages() {
        assert!(refusal(Level::Communication, "FAIL", "签名失败").is_signature());
        assert!(refusal(Level::Communication, "20003", "SIGN ERROR").is_signature());
        assert!(refusal(Level::Http(401), "SIGN_ERROR", "").is_signature());
        assert!(!refusal(Level::Business, "PARAM_ERROR", "签名").is_signature());
    }

    #[test]
    fn a_used_number_is_told_from_other_invalid_requests() {
        let says = |m: &str| refusal(Level::Business, "INVALID_REQUEST", m);
        assert!(says("201 商户订单号重复").is_number_used());
        assert!(says("请求重入时，参数与首次请求时不一致").is_number_used());
        assert!(!says("其他").is_number_used());
        assert!(refusal(Level::Http(403), "OUT_TRADE_NO_USED", "").is_number_used());
    }
}

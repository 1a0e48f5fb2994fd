//! What notifications and returns of both gateways have in common: how they are checked before
//! anything of them is read, and why they may not be believed.

use crate::{Params, ParamsError, beijing};
use tongbao_types::{Code, Fen, Timestamp};

/// No notification of a trade comes near this many bytes.
pub const SIZE_MAX: usize = 64 * 1024;

/// Why a notification or a return is not believed. The sentences are for the merchant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// Larger than [`SIZE_MAX`].
    #[error("The message is larger than 64 KiB; Alipay sends none of that size.")]
    TooLarge,
    /// Not a form as Alipay sends it.
    #[error("The message is not a form as Alipay sends it: {0}.")]
    NotAForm(#[source] ParamsError),
    /// Not posted.
    #[error("The message was not posted; Alipay posts its notifications.")]
    NotPosted,
    /// A member is missing or has a form that it must not have.
    #[error("The message is signed, but its {0} is missing or malformed.")]
    Malformed(&'static str),
    /// No `sign`.
    #[error("The message bears no signature.")]
    SignatureMissing,
    /// `sign_type` is not the one that the account is configured for: RSA2, or MD5 for the old
    /// gateway.
    #[error("The sign_type of the message is {sign_type}; this account does not accept that.")]
    SignatureDowngraded {
        /// What it says.
        sign_type: String,
    },
    /// Rightly signed, but so are other messages with the same signature.
    #[error(
        "The signature of the message fits other messages as well, since its {member} holds the \
         name of another member; the order will be asked for instead."
    )]
    Ambiguous {
        /// The member that could end earlier, or the name that could be two.
        member: String,
    },
    /// What the shop itself signed for a browser to carry, and not Alipay's word.
    #[error(
        "The message holds the parameters of an order, which this account signed itself; Alipay \
         did not send it."
    )]
    OwnRequest,
    /// Not by a key that is believed, or changed on the way.
    #[error(
        "The signature does not fit the message and the account's key: it is forged, was changed \
         on the way, or 支付宝公钥 of another app is configured."
    )]
    SignatureMismatch,
    /// Rightly signed, but for another app or merchant.
    #[error("The message is for another account: its {field} is not the configured one.")]
    AccountMismatch {
        /// The member that differs.
        field: &'static str,
    },
}

impl NoticeError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            NoticeError::TooLarge
            | NoticeError::NotAForm(_)
            | NoticeError::NotPosted
            | NoticeError::Ambiguous { .. }
            | NoticeError::Malformed(_) => Code::NoticeMalformed,
            NoticeError::SignatureMissing => Code::SignatureMissing,
            NoticeError::SignatureDowngraded { .. } => Code::SignatureDowngraded,
            NoticeError::SignatureMismatch | NoticeError::OwnRequest => Code::SignatureMismatch,
            NoticeError::AccountMismatch { .. } => Code::AccountMismatch,
        }
    }
}

/// Size, syntax, kind of signature, signature, and that it is of this message alone, in this
/// order; `fits` tells whether the signature is one over these parameters.
pub(crate) fn checked(
    form: &[u8],
    wanted: &str,
    fits: impl FnOnce(&Params, &str) -> bool,
) -> Result<Params, NoticeError> {
    if form.len() > SIZE_MAX {
        return Err(NoticeError::TooLarge);
    }
    let params = Params::read(form).map_err(NoticeError::NotAForm)?;
    let signature = params.filled("sign").ok_or(NoticeError::SignatureMissing)?;
    let sign_type = params.filled("sign_type").unwrap_or_default();
    if sign_type != wanted {
        let sign_type = match sign_type.as_ref() {
            "" => "missing".to_owned(),
            named => named.chars().take(20).collect(),
        };
        return Err(NoticeError::SignatureDowngraded { sign_type });
    }
    if !fits(&params, &signature) {
        return Err(NoticeError::SignatureMismatch);
    }
    drop(signature);
    match ambiguous_member(&params) {
        Some(member) => Err(NoticeError::Ambiguous { member }),
        None => Ok(params),
    }
}

/// The members by which a message is believed, or not, to pay an order, and by whom.
const DECIDING: [&str; 16] = [
    "app_id",
    "auth_app_id",
    "buyer_id",
    "buyer_open_id",
    "gmt_payment",
    "gmt_refund",
    "notify_id",
    "out_biz_no",
    "out_trade_no",
    "refund_fee",
    "refund_status",
    "seller_id",
    "total_amount",
    "total_fee",
    "trade_no",
    "trade_status",
];

/// More members that nobody writes freely; an `&` in one of them is the beginning of another.
const PLAIN: [&str; 19] = [
    "buyer_email",
    "buyer_logon_id",
    "buyer_pay_amount",
    "charset",
    "discount",
    "gmt_close",
    "gmt_create",
    "invoice_amount",
    "is_total_fee_adjust",
    "notify_time",
    "notify_type",
    "payment_type",
    "point_amount",
    "price",
    "quantity",
    "receipt_amount",
    "seller_email",
    "use_coupon",
    "version",
];

/// The member that may be two: a name with `&` or `=` in it, a plain value with `&`, and a free
/// text that holds the beginning of a member that decides, `&trade_status=` for example.
///
/// Names and values are joined without any mark of where a value ends, so that such a message has
/// the same string to sign, and so the same signature, as others in which the members begin and
/// end elsewhere. Nobody can tell which of them was signed.
fn ambiguous_member(params: &Params) -> Option<String> {
    let is_two = |name: &str, value: &[u8]| {
        let is_plain = DECIDING.contains(&name) || PLAIN.contains(&name);
        let holds = if is_plain { value.contains(&b'&') } else { holds_deciding(value) };
        name.contains(['&', '=']) || holds
    };
    let found = params.iter().find(|(name, value)| *name != "sign" && is_two(name, value));
    found.map(|(name, _)| name.chars().take(80).collect())
}

fn holds_deciding(value: &[u8]) -> bool {
    let deciding = |part: &[u8]| {
        let end = part.iter().position(|byte| *byte == b'=');
        end.is_some_and(|end| DECIDING.iter().any(|name| name.as_bytes() == &part[..end]))
    };
    value.split(|byte| *byte == b'&').skip(1).any(deciding)
}

/// An amount; `Ok(None)` if it is absent.
pub(crate) fn fen(params: &Params, name: &'static str) -> Result<Option<Fen>, NoticeError> {
    let Some(text) = params.filled(name) else { return Ok(None) };
    Fen::from_yuan(&text).map(Some).map_err(|_| NoticeError::Malformed(name))
}

/// A moment; `Ok(None)` if it is absent.
pub(crate) fn time(params: &Params, name: &'static str) -> Result<Option<Timestamp>, NoticeError> {
    let Some(text) = params.filled(name) else { return Ok(None) };
    beijing::parse(&text).map(Some).ok_or(NoticeError::Malformed(name))
}

//! A payment notification, and the proof that it was verified.
//!
//! The two APIs bring the same news in two forms; both end in [`Verified<Notification>`].

use crate::trade::Trade;

/// Something that came from WeChat and was checked: signature, age, decryption, merchant number and
/// app id. Only this crate's verification makes one.
///
/// ```compile_fail
/// // The field is private: what was not verified cannot pretend to be.
/// let forged = tongbao_wechat::Verified("paid");
/// ```
///
/// ```compile_fail
/// // Nor is there a constructor.
/// let forged = tongbao_wechat::Verified::new("paid");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(crate) const fn new(value: T) -> Verified<T> {
        Verified(value)
    }

    /// What was verified.
    pub const fn value(&self) -> &T {
        &self.0
    }

    /// What was verified, without the proof.
    pub fn into_value(self) -> T {
        self.0
    }
}

/// A payment notification (支付通知).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What makes it the same notification when it comes again: API v3's `id`, API v2's
    /// `transaction_id` (v2 gives notifications no id).
    pub id: String,
    /// API v3's `event_type`; API v2 has none.
    pub event_type: Option<String>,
    /// The trade.
    pub trade: Trade,
}

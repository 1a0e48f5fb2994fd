//! Numbers and names that people and providers give things; each checks itself once, when made.
//!
//! [`OrderNo`] is what the merchant calls it, [`OutTradeNo`] what we tell the provider,
//! [`TradeNo`] what the provider calls it.

use std::fmt;

/// Which rule a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NumberError(pub &'static str);

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident: $check:expr, $rule:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the rule that the error names.
            pub fn new(text: impl Into<String>) -> Result<Self, NumberError> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(NumberError($rule)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

text! {
    /// The name of an app in the configuration; it is also how `/v1` shows the app.
    AppName: |s| slug(s, 40),
        "an app's name is 1 to 40 lower-case letters, digits, - or _";
    /// The name of a channel account; part of its notification address.
    AccountName: |s| slug(s, 80),
        "an account's name is 1 to 80 lower-case letters, digits, - or _";
    /// The merchant's own number of a charge, unique per app and mode.
    OrderNo: |s| printable(s, 64),
        "an order number is 1 to 64 printable ASCII characters without blanks";
    /// The number under which an attempt is known at the provider.
    OutTradeNo: |s| printable(s, 64),
        "an out_trade_no is 1 to 64 printable ASCII characters without blanks";
    /// The merchant's own number of a refund, unique per app and mode.
    RefundNo: |s| printable(s, 64),
        "a refund number is 1 to 64 printable ASCII characters without blanks";
    /// The number under which a refund is known at the provider (WeChat's out_refund_no, Alipay's
    /// out_request_no).
    OutRefundNo: |s| printable(s, 64),
        "an out_refund_no is 1 to 64 printable ASCII characters without blanks";
    /// The provider's own number of a trade (WeChat's transaction_id, Alipay's trade_no).
    TradeNo: |s| printable(s, 64),
        "a provider's trade number is 1 to 64 printable ASCII characters without blanks";
}

fn slug(text: &str, max: usize) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !text.is_empty() && text.len() <= max && text.bytes().all(fits)
}

fn printable(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_graphic())
}

impl OutTradeNo {
    /// WeChat takes 6 to 32 of digits, letters, `_`, `-`, `|` and `*`.
    pub fn fits_wechat(text: &str) -> bool {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-|*".contains(&b);
        (6..=32).contains(&text.len()) && text.bytes().all(fits)
    }

    /// Alipay takes 1 to 64 of letters, digits and `_`.
    pub fn fits_alipay(text: &str) -> bool {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (1..=64).contains(&text.len()) && text.bytes().all(fits)
    }
}

impl OutRefundNo {
    /// WeChat takes 1 to 64 of digits, letters, `_`, `-`, `|`, `*` and `@`.
    pub fn fits_wechat(text: &str) -> bool {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-|*@".contains(&b);
        (1..=64).contains(&text.len()) && text.bytes().all(fits)
    }

    /// Alipay takes 1 to 64 of letters, digits and `_`.
    pub fn fits_alipay(text: &str) -> bool {
        OutTradeNo::fits_alipay(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_keeps_its_rule() {
        assert!(AppName::new("shop-1_a").is_ok());
        assert!(AppName::new("Shop").is_err());
        assert!(AppName::new("").is_err());
        assert!(OrderNo::new("A/2026#1").is_ok());
        assert!(OrderNo::new("has blank").is_err());
        assert!(OrderNo::new("订单").is_err());
        assert!(OrderNo::new("x".repeat(65)).is_err());
    }

    #[test]
    fn providers_take_different_alphabets() {
        assert!(OutTradeNo::fits_wechat("20180821-665|*"));
        assert!(!OutTradeNo::fits_wechat("12345"));
        assert!(!OutTradeNo::fits_wechat(&"1".repeat(33)));
        assert!(!OutTradeNo::fits_alipay("2018-0821"));
        assert!(OutRefundNo::fits_wechat("R-1@2"));
        assert!(!OutRefundNo::fits_alipay("R-1@2"));
        assert!(OutTradeNo::fits_alipay("a"));
    }
}

//! Money is an integer count of fen (1 yuan = 100 fen), never a float.
//!
//! [`Fen`] is any amount, a sum or a difference included; [`Amount`] is one that may be asked for.
//! Yuan exist only as text at the providers' doors ([`Fen::from_yuan`], [`Fen::to_yuan`]).

use std::fmt;

/// A count of fen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fen(pub i64);

/// Why a text or a number is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The sum does not fit 64 bits.
    #[error("the sum is too large")]
    Overflow,
    /// The text is not a plain decimal number of yuan.
    #[error("an amount of yuan is digits, and at most two more after a point, such as 12.30")]
    NotYuan,
    /// An amount to pay is at least one fen.
    #[error("an amount is at least 1 fen")]
    TooSmall,
    /// More than the providers take.
    #[error("an amount is at most {} fen (100,000,000.00 yuan)", Amount::MAX.fen().0)]
    TooLarge,
}

impl Fen {
    /// Nothing.
    pub const ZERO: Fen = Fen(0);

    /// The sum, or [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Fen) -> Result<Fen, MoneyError> {
        self.0.checked_add(other.0).map(Fen).ok_or(MoneyError::Overflow)
    }

    /// The difference, or [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Fen) -> Result<Fen, MoneyError> {
        self.0.checked_sub(other.0).map(Fen).ok_or(MoneyError::Overflow)
    }

    /// Reads yuan as the providers write them: `12`, `12.3`, `12.30`. A sign, a space, an exponent
    /// or a third decimal is refused, never rounded.
    pub fn from_yuan(text: &str) -> Result<Fen, MoneyError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 2 || whole.len() > 15 {
            return Err(MoneyError::NotYuan);
        }
        let number = |s: &str| s.parse::<i64>().map_err(|_| MoneyError::NotYuan);
        let tenth = if part.len() == 1 { 10 } else { 1 };
        Ok(Fen(number(whole)? * 100 + number(part)? * tenth))
    }

    /// Writes yuan with exactly two decimals, as the providers want them.
    pub fn to_yuan(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        format!("{sign}{}.{:02}", all / 100, all % 100)
    }
}

impl fmt::Debug for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fen", self.0)
    }
}

/// An amount that may be asked for: from 1 fen to [`Amount::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Fen);

impl Amount {
    /// 100,000,000.00 yuan, Alipay's limit (`alipay.trade.*`, `total_amount`); WeChat states none.
    pub const MAX: Amount = Amount(Fen(10_000_000_000));

    /// Checks the limits.
    pub fn new(fen: Fen) -> Result<Amount, MoneyError> {
        if fen < Fen(1) {
            return Err(MoneyError::TooSmall);
        }
        if fen > Self::MAX.0 {
            return Err(MoneyError::TooLarge);
        }
        Ok(Amount(fen))
    }

    /// The count of fen.
    pub const fn fen(self) -> Fen {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_text_is_read_exactly_or_refused() {
        let cases = [
            ("0.01", Ok(1)),
            ("19.9", Ok(1990)),
            ("0.03", Ok(3)),
            ("10", Ok(1000)),
            ("100000000.00", Ok(10_000_000_000)),
            ("0.010", Err(MoneyError::NotYuan)),
            ("-1.00", Err(MoneyError::NotYuan)),
            ("+1.00", Err(MoneyError::NotYuan)),
            (" 1.00", Err(MoneyError::NotYuan)),
            ("1e2", Err(MoneyError::NotYuan)),
            (".5", Err(MoneyError::NotYuan)),
            ("5.", Err(MoneyError::NotYuan)),
            ("", Err(MoneyError::NotYuan)),
            ("1.2.3", Err(MoneyError::NotYuan)),
            ("9999999999999999", Err(MoneyError::NotYuan)),
            ("１.00", Err(MoneyError::NotYuan)),
        ];
        for (text, wanted) in cases {
            assert_eq!(Fen::from_yuan(text), wanted.map(Fen), "{text:?}");
        }
    }

    #[test]
    fn printing_after_reading_is_identity() {
        for fen in [0, 1, 9, 10, 99, 100, 101, 1990, 123_456_789, -1, -150] {
            let text = Fen(fen).to_yuan();
            if fen >= 0 {
                assert_eq!(Fen::from_yuan(&text), Ok(Fen(fen)));
            } else {
                assert!(text.starts_with('-'));
            }
        }
    }

    #[test]
    fn an_amount_keeps_its_limits() {
        assert_eq!(Amount::new(Fen(0)), Err(MoneyError::TooSmall));
        assert_eq!(Amount::new(Fen(-5)), Err(MoneyError::TooSmall));
        assert!(Amount::new(Fen(1)).is_ok());
        assert_eq!(Amount::new(Amount::MAX.fen()), Ok(Amount::MAX));
        assert_eq!(Amount::new(Fen(10_000_000_001)), Err(MoneyError::TooLarge));
        assert_eq!(Fen(i64::MAX).checked_add(Fen(1)), Err(MoneyError::Overflow));
    }
}

//! The limits of what older callers send. A charge made here keeps the limits of `/v1`, whatever
//! the older service let pass; a message is for that service's callers.

use tongbao_types::{Amount, Fen, MoneyError};

/// The longest subject of a charge, in characters.
const SUBJECT_MAX: usize = 127;

/// An amount in yuan, such as `19.9`: a decimal from its digits, never by way of a float.
pub(crate) fn yuan(name: &str, text: &str) -> Result<Amount, String> {
    let fen = Fen::from_yuan(text);
    let fen = fen.map_err(|_| format!("{name} 须是以元为单位的数字，最多两位小数，例如 19.9"))?;
    within_limits(name, fen)
}

/// An amount in fen, such as `1990`.
pub(crate) fn fen(name: &str, text: &str) -> Result<Amount, String> {
    let is_whole = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let fen = text.parse().ok().filter(|_| is_whole);
    let fen = fen.ok_or_else(|| format!("{name} 须是以分为单位的整数，例如 1990"))?;
    within_limits(name, Fen(fen))
}

fn within_limits(name: &str, fen: Fen) -> Result<Amount, String> {
    Amount::new(fen).map_err(|error| match error {
        MoneyError::TooSmall => format!("{name} 至少为 1 分"),
        _ => format!("{name} 不能超过 {} 元", Amount::MAX.fen().to_yuan()),
    })
}

/// What the payer reads: one line. A longer one is cut, as WeChat's own limit is shorter still.
pub(crate) fn subject(name: &str, text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(is_shown) {
        return Err(format!("{name} 须是一行可显示的文字"));
    }
    Ok(text.chars().take(SUBJECT_MAX).collect())
}

/// Not what XML 1.0 cannot carry, nor line breaks.
fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(read: Result<Amount, String>) -> Option<i64> {
        read.ok().map(|amount| amount.fen().0)
    }

    #[test]
    fn yuan_as_floating_point() {
        // As a double each of these times 100 is a little more or less than its fen.
        for (text, wanted) in [
            ("19.9", 1990),
            ("0.03", 3),
            ("0.29", 29),
            ("1.15", 115),
            ("4.35", 435),
            ("8.2", 820),
            ("1.1", 110),
            ("64.1", 6410),
            ("12345678.91", 1_234_567_891),
        ] {
            assert_eq!(amount(yuan("price", text)), Some(wanted), "{text}");
        }
        for text in ["19.999", "0.30000000000000004", "1e2", "-1", "+1", "0", "0.00", "", "NaN"] {
            assert_eq!(amount(yuan("price", text)), None, "{text}");
        }
        assert_eq!(amount(yuan("price", "100000000.00")), Some(10_000_000_000));
        assert_eq!(amount(yuan("price", "100000000.01")), None);
    }

    #[test]
    fn fen_are_whole() {
        assert_eq!(amount(fen("total_fee", "1")), Some(1));
        for text in ["0", "1.0", "1.5", "-1", "+1", " 1", "", "1e2", "99999999999999999999"] {
            assert_eq!(amount(fen("total_fee", text)), None, "{text:?}");
        }
    }

    #[test]
    fn a_subject_is_one_line_and_a_long_one_is_cut() {
        assert_eq!(subject("body", "测试").as_deref(), Ok("测试"));
        assert_eq!(subject("body", &"长".repeat(200)), Ok("长".repeat(127)));
        for text in ["", "a\nb", "a\u{0}b", "\u{ffff}"] {
            assert!(subject("body", text).is_err(), "{text:?}");
        }
    }
}

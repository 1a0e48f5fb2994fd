//! Times as Alipay writes them: `yyyy-MM-dd HH:mm:ss` in Beijing time, eight hours ahead of UTC all
//! year.

use jiff::civil::DateTime;
use jiff::tz::{Offset, offset};
use tongbao_types::Timestamp;

const BEIJING: Offset = offset(8);

/// Writes a moment; the fraction of a second is dropped.
pub fn print(moment: Timestamp) -> String {
    BEIJING.to_datetime(moment.jiff()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The same with milliseconds, as `gmt_refund` of a notification has them.
pub(crate) fn print_millis(moment: Timestamp) -> String {
    BEIJING.to_datetime(moment.jiff()).strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
}

/// Reads a moment; a fraction of a second may follow (`gmt_refund` has one).
pub fn parse(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_at_checked(19)?;
    let digits = fraction.strip_prefix('.').unwrap_or("0");
    let is_fraction = fraction.is_empty() || fraction.starts_with('.');
    let fits = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_fraction || !fits {
        return None;
    }
    let local = DateTime::strptime("%Y-%m-%d %H:%M:%S", whole).ok()?;
    let seconds = BEIJING.to_timestamp(local).ok()?;
    let micros: i64 = format!("{digits:0<6}").parse().ok()?;
    Some(Timestamp::from_micros(seconds.as_microsecond() + micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beijing_is_eight_hours_ahead() {
        let moment: Timestamp = "2026-11-21T06:30:00Z".parse().unwrap();
        assert_eq!(print(moment), "2026-11-21 14:30:00");
        assert_eq!(parse("2026-11-21 14:30:00"), Some(moment));
        let fraction: Timestamp = "2026-11-21T06:30:00.12Z".parse().unwrap();
        assert_eq!(parse("2026-11-21 14:30:00.120"), Some(fraction));
        assert_eq!(print_millis(fraction), "2026-11-21 14:30:00.120");
        assert_eq!(print_millis(moment), "2026-11-21 14:30:00.000");
        let midnight: Timestamp = "2026-11-20T16:00:00Z".parse().unwrap();
        assert_eq!(print(midnight), "2026-11-21 00:00:00");
    }

    #[test]
    fn other_forms_are_no_times() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T14:30:00",
            "2026-11-21 14:30",
            "2026-13-21 14:30:00",
            "2026-02-30 14:30:00",
            "2026-11-21 24:30:00",
            "2026-11-21 14:30:00Z",
            "2026-11-21 14:30:00.",
            "2026-11-21 14:30:00.1234567",
            "2026-11-21 14:30:0",
            "二〇二六年十一月二十一日",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_undoes_printing(seconds in 0i64..4_000_000_000) {
            let moment = Timestamp::from_seconds(seconds);
            prop_assert_eq!(parse(&print(moment)), Some(moment));
        }
    }
}

//! China time (UTC+8, without summer time) as the provider's messages write it.
//!
//! v2 writes `yyyyMMddHHmmss` without a zone, v3 RFC 3339 with `+08:00`. Nothing else in this crate
//! speaks of a time of day.

use jiff::civil::DateTime;
use jiff::tz::{self, Offset};
use tongbao_types::Timestamp;

const CHINA: Offset = tz::offset(8);

/// Writes `yyyyMMddHHmmss` in China time; a fraction of a second is dropped.
pub fn compact_time(moment: Timestamp) -> String {
    let t = CHINA.to_datetime(moment.jiff());
    let (date, time) = (t.date(), t.time());
    let (year, month, day) = (date.year(), date.month(), date.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// Reads `yyyyMMddHHmmss` in China time. `None` unless it is 14 digits and a real moment.
pub fn read_compact_time(text: &str) -> Option<Timestamp> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text[from..to].parse::<i8>().ok();
    let year = text[..4].parse::<i16>().ok()?;
    let (month, day) = (part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let moment = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    CHINA.to_timestamp(moment).ok().map(Timestamp::from)
}

/// Writes RFC 3339 with `+08:00`; a fraction of a second is dropped.
pub fn rfc3339_time(moment: Timestamp) -> String {
    let t = compact_time(moment);
    let date = format!("{}-{}-{}", &t[..4], &t[4..6], &t[6..8]);
    format!("{date}T{}:{}:{}+08:00", &t[8..10], &t[10..12], &t[12..14])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_in_china_is_four_in_the_afternoon_of_the_day_before() {
        let moment: Timestamp = "2026-11-20T16:00:00Z".parse().unwrap();
        assert_eq!(compact_time(moment), "20261121000000");
        assert_eq!(rfc3339_time(moment), "2026-11-21T00:00:00+08:00");
        assert_eq!(read_compact_time("20261121000000"), Some(moment));
        assert_eq!(rfc3339_time(moment).parse(), Ok(moment));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for wrong in [
            "",
            "2026112100000",
            "20261301000000",
            "20260230000000",
            "20261121250000",
            "2026-1121000000",
            "+0261121000000",
            "二〇二六",
        ] {
            assert_eq!(read_compact_time(wrong), None, "{wrong:?}");
        }
    }
}

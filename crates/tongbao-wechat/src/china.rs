//! China time (UTC+8, without summer time) as the provider's messages write it.
//!
//! v2 writes `yyyyMMddHHmmss` without a zone, v3 RFC 3339 with `+08:00`; refunds of v2 and bills
//! write `yyyy-MM-dd HH:mm:ss`. Nothing else in this crate speaks of a time of day.

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

/// Writes `yyyy-MM-dd HH:mm:ss` in China time; a fraction of a second is dropped.
pub fn spaced_time(moment: Timestamp) -> String {
    let t = compact_time(moment);
    let date = format!("{}-{}-{}", &t[..4], &t[4..6], &t[6..8]);
    format!("{date} {}:{}:{}", &t[8..10], &t[10..12], &t[12..14])
}

/// Reads `yyyy-MM-dd HH:mm:ss` in China time. `None` unless it is in that form and a real moment.
pub fn read_spaced_time(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if marks.iter().any(|(place, mark)| bytes[*place] != *mark) {
        return None;
    }
    let mut digits = [0; 14];
    let parts = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19];
    for (slot, byte) in digits.iter_mut().zip(parts.into_iter().flatten()) {
        *slot = bytes[byte];
    }
    read_compact_time(std::str::from_utf8(&digits).ok()?)
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
    fn the_form_with_a_space_reads_back_and_nothing_else_does() {
        let moment: Timestamp = "2018-08-21T09:07:33Z".parse().unwrap();
        assert_eq!(spaced_time(moment), "2018-08-21 17:07:33");
        assert_eq!(read_spaced_time("2018-08-21 17:07:33"), Some(moment));
        for wrong in [
            "",
            "2018-08-21",
            "2018-08-21T17:07:33",
            "2018-08-21 17:07:33.0",
            "2018/08/21 17:07:33",
            "2018-02-30 17:07:33",
            "2018-08-21 17:07:3 ",
            "二〇一八-八-二一",
        ] {
            assert_eq!(read_spaced_time(wrong), None, "{wrong:?}");
        }
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

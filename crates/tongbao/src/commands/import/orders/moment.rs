//! Moments as older services and spreadsheets write them. Without an offset they are China time.

use tongbao_types::Timestamp;

/// What is understood, for messages.
pub(super) const FORMS: &str =
    "write 2026-11-21 14:30:00 (China time) or 2026-11-21T14:30:00+08:00";

/// Reads RFC 3339, `2026-11-21 14:30:00`, `2026/1/5 9:03` as spreadsheets have it, or the 14
/// digits of WeChat Pay's `time_end`.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let parts: Vec<&str> = match text.len() {
        14 if text.bytes().all(|b| b.is_ascii_digit()) => {
            [0..4, 4..6, 6..8, 8..10, 10..12, 12..14].map(|part| &text[part]).to_vec()
        }
        _ => split(text)?,
    };
    let mut numbers = [0_i16; 6];
    for (number, part) in numbers.iter_mut().zip(&parts) {
        let is_plain = part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_plain)?;
    }
    let [year, month, day, hour, minute, second] = numbers;
    let small = |number: i16| i8::try_from(number).ok();
    let date = jiff::civil::Date::new(year, small(month)?, small(day)?).ok()?;
    let time = jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    // China has had no daylight saving time since before either provider.
    let china = jiff::tz::Offset::constant(8);
    (year >= 2000).then_some(())?;
    Some(china.to_timestamp(date.to_datetime(time)).ok()?.into())
}

/// Year, month and day; hour and minute; perhaps the second.
fn split(text: &str) -> Option<Vec<&str>> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let date: Vec<&str> = date.split(['-', '/']).collect();
    let time: Vec<&str> = time.trim().split(':').collect();
    let fits = date.len() == 3 && matches!(time.len(), 2 | 3);
    fits.then(|| date.into_iter().chain(time).collect())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn moments_are_china_time_unless_they_say_otherwise() {
        let cases = [
            ("2026-11-21T06:30:00Z", "2026-11-21T06:30:00Z"),
            ("2026-11-21T14:30:00+08:00", "2026-11-21T06:30:00Z"),
            ("2026-11-21 14:30:00", "2026-11-21T06:30:00Z"),
            ("2026-11-21T14:30", "2026-11-21T06:30:00Z"),
            ("2026/1/5 9:03", "2026-01-05T01:03:00Z"),
            ("20261121143000", "2026-11-21T06:30:00Z"),
            ("2026-11-21 00:00:59", "2026-11-20T16:00:59Z"),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text).map(|at| at.to_string()).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        let wrong = [
            "",
            "2026-11-21",
            "14:30",
            "2026-02-30 10:00",
            "2026-11-21 24:00",
            "21.11.2026 10:00",
            "1795242600",
            "2026-11-21 1O:00",
            "２０２６-11-21 10:00",
            "0026-11-21 10:00",
            "2026-11-21 10:00:00:00",
            "99999999999999",
            "+026-11-21 10:00",
        ];
        for text in wrong {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

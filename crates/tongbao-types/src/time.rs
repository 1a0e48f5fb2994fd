//! A moment, in microseconds since 1970 UTC, as the database keeps it; and a length of time.
//!
//! Only formatting happens here. Asking a clock is the engine's; China time is the protocol
//! crates' (they go through [`Timestamp::jiff`]).

use std::fmt;
use std::str::FromStr;

/// A text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TimeError(pub &'static str);

/// A moment with the precision of a microsecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// From whole seconds since 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment as jiff has it, for formats of other zones. Moments outside the years that jiff
    /// knows become the nearest one.
    pub fn jiff(self) -> jiff::Timestamp {
        let nearest = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(nearest)
    }

    /// The span from `earlier` to this, zero if it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span::from_micros(self.0.saturating_sub(earlier.0).max(0))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(moment: jiff::Timestamp) -> Timestamp {
        Timestamp(moment.as_microsecond())
    }
}

impl std::ops::Add<Span> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub<Span> for Timestamp {
    type Output = Timestamp;

    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

/// RFC 3339 in UTC, with a fraction only if there is one.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads RFC 3339 with any offset.
    fn from_str(text: &str) -> Result<Timestamp, TimeError> {
        let moment: Result<jiff::Timestamp, _> = text.parse();
        let wrong = TimeError("a time is RFC 3339, such as 2026-11-21T14:30:00Z");
        moment.map(Timestamp::from).map_err(|_| wrong)
    }
}

/// A length of time, never negative, with the precision of a microsecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Span {
    /// No time.
    pub const ZERO: Span = Span(0);

    /// Negative counts become zero.
    pub const fn from_micros(micros: i64) -> Span {
        Span(if micros < 0 { 0 } else { micros })
    }

    /// Negative counts become zero.
    pub const fn from_millis(millis: i64) -> Span {
        Span::from_micros(millis.saturating_mul(1000))
    }

    /// Negative counts become zero.
    pub const fn from_seconds(seconds: i64) -> Span {
        Span::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// The count of microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0 / 1_000_000
    }

    /// As the standard library has it.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.unsigned_abs())
    }

    /// Several times this.
    pub const fn times(self, factor: i64) -> Span {
        Span::from_micros(self.0.saturating_mul(factor))
    }
}

impl std::ops::Add for Span {
    type Output = Span;

    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.std())
    }
}

impl FromStr for Span {
    type Err = TimeError;

    /// Reads one number with a unit: `500ms`, `5s`, `10m`, `2h`, `3d`.
    fn from_str(text: &str) -> Result<Span, TimeError> {
        let wrong =
            TimeError("a length of time is a whole number and ms, s, m, h or d, such as 90s");
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(wrong.clone())?;
        let (count, unit) = text.split_at(split);
        let count: i64 = count.parse().map_err(|_| wrong.clone())?;
        let micros = match unit {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return Err(wrong),
        };
        count.checked_mul(micros).map(Span).ok_or(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_in_utc() {
        let moment: Timestamp = "2026-11-21T14:30:00+08:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-21T06:30:00Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
        assert!("2026-11-21".parse::<Timestamp>().is_err());
        assert!("".parse::<Timestamp>().is_err());
    }

    #[test]
    fn spans_need_a_unit() {
        assert_eq!("90s".parse(), Ok(Span::from_seconds(90)));
        assert_eq!("2h".parse(), Ok(Span::from_seconds(7200)));
        assert_eq!("250ms".parse(), Ok(Span::from_millis(250)));
        for wrong in ["90", "", "s", "-5s", "1.5h", "5 s", "99999999999999d", "五s"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn time_never_runs_backwards_into_a_negative_span() {
        let early = Timestamp::from_seconds(10);
        assert_eq!(early.since(Timestamp::from_seconds(20)), Span::ZERO);
        assert_eq!(early + Span::from_seconds(5), Timestamp::from_seconds(15));
    }
}

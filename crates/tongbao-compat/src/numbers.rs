//! The numbers that the older services gave their orders: a moment, and random digits, because the
//! moment alone is the same for two at once. Whether another order has a number already is told by
//! making the charge (`orders::under_a_new_number`).

use jiff::tz::Offset;
use tongbao_engine::Engine;
use tongbao_types::{OrderNo, Timestamp};

/// Date and time in China, then so many digits: like 2020042916162340888 with five.
pub(crate) fn dated(engine: &Engine, count: usize) -> OrderNo {
    order_no(after(&in_china(engine.now()), engine, count))
}

/// Milliseconds since 1970 and three digits: below 2^53 until the year 2255.
pub(crate) fn counted(engine: &Engine) -> OrderNo {
    order_no(millis("", engine, 3))
}

/// `begin`, the milliseconds since 1970, and so many digits.
pub(crate) fn millis(begin: &str, engine: &Engine, count: usize) -> String {
    after(&format!("{begin}{}", engine.now().as_micros() / 1000), engine, count)
}

fn after(moment: &str, engine: &Engine, count: usize) -> String {
    format!("{moment}{}", engine.random_digits(count))
}

fn in_china(now: Timestamp) -> String {
    now.jiff().to_zoned(Offset::constant(8).to_time_zone()).strftime("%Y%m%d%H%M%S").to_string()
}

fn order_no(text: String) -> OrderNo {
    OrderNo::new(text).expect("a few dozen digits are an order number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_is_chinas() {
        let now: Timestamp = "2020-04-29T08:16:23.999Z".parse().unwrap();
        assert_eq!(in_china(now), "20200429161623");
        let now: Timestamp = "2020-04-29T16:00:00Z".parse().unwrap();
        assert_eq!(in_china(now), "20200430000000");
    }
}

//! The numbers that providers give things, in the shapes that were seen in production.
//!
//! Uniqueness comes from randomness; only the leading part tells something (a day, a time).

use crate::dice;
use jiff::tz::{Offset, TimeZone};
use tongbao_types::{Provider, Timestamp};

/// China time without a zone, by one of jiff's formats.
pub(crate) fn china(moment: Timestamp, format: &str) -> String {
    let zoned = moment.jiff().to_zoned(china_zone());
    zoned.strftime(format).to_string()
}

fn china_zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

/// WeChat's `transaction_id`: 28 digits beginning with `42000`, the day in the middle.
pub(crate) fn transaction_id(now: Timestamp) -> String {
    format!("42000{}{}{}", digits(5), china(now, "%Y%m%d"), digits(10))
}

/// WeChat's `refund_id`: 29 digits beginning with `50`, the day in the middle.
pub(crate) fn refund_id(now: Timestamp) -> String {
    format!("50{}{}{}", digits(8), china(now, "%Y%m%d"), digits(11))
}

/// The code on a payer's phone: 18 digits that begin with 10 to 15 (WeChat) or 25 to 30 (Alipay).
pub(crate) fn auth_code(provider: Provider) -> String {
    let first = match provider {
        Provider::Wechat => 10,
        Provider::Alipay => 25,
    };
    format!("{}{}", first + dice::below(6), digits(16))
}

/// WeChat's `prepay_id`: `wx`, the time of the day, 36 characters in all.
pub(crate) fn prepay_id(now: Timestamp) -> String {
    format!("wx{}{}0000", china(now, "%d%H%M%S"), hex(22))
}

/// WeChat's `code_url` of an order by QR code.
pub(crate) fn code_url() -> String {
    format!("weixin://wxpay/bizpayurl?pr={}", letters(9))
}

/// Alipay's `trade_no`: the day and 20 digits.
pub(crate) fn trade_no(now: Timestamp) -> String {
    format!("{}{}", china(now, "%Y%m%d"), digits(20))
}

/// Alipay's `qr_code` of a precreated order.
pub(crate) fn qr_code() -> String {
    format!("https://qr.alipay.com/bax{}", letters(21).to_lowercase())
}

/// The id of a WeChat v3 notification.
pub(crate) fn wechat_notice_id(now: Timestamp) -> String {
    format!("EV-{}{}", china(now, "%Y%m%d%H%M%S"), digits(10))
}

/// Alipay's `notify_id`.
pub(crate) fn alipay_notify_id(now: Timestamp) -> String {
    format!("{}{}", china(now, "%Y%m%d00222%H%M%S"), digits(15))
}

/// A `nonce_str` of 32 letters and digits.
pub(crate) fn nonce() -> String {
    letters(32)
}

/// `count` random decimal digits.
pub(crate) fn digits(count: usize) -> String {
    draw(b"0123456789", count)
}

/// `count` random lower-case hexadecimal digits.
pub(crate) fn hex(count: usize) -> String {
    draw(b"0123456789abcdef", count)
}

/// `count` random letters and digits.
pub(crate) fn letters(count: usize) -> String {
    draw(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count)
}

fn draw(alphabet: &[u8], count: usize) -> String {
    let one = |_| char::from(alphabet[dice::below(alphabet.len())]);
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_lengths_of_production() {
        let now = Timestamp::from_seconds(1_795_242_600);
        assert_eq!(china(now, "%Y-%m-%d %H:%M:%S"), "2026-11-21 14:30:00");
        let id = transaction_id(now);
        assert!(id.len() == 28 && id.starts_with("42000") && id[10..].starts_with("20261121"));
        let id = refund_id(now);
        assert!(id.len() == 29 && id.starts_with("50") && id[10..].starts_with("20261121"));
        for (provider, from, to) in [(Provider::Wechat, "10", "15"), (Provider::Alipay, "25", "30")]
        {
            let code = auth_code(provider);
            assert!(code.len() == 18 && &code[..2] >= from && &code[..2] <= to, "{code}");
        }
        assert_eq!(prepay_id(now).len(), 36);
        assert_eq!(trade_no(now).len(), 28);
        assert_eq!(code_url().len(), "weixin://wxpay/bizpayurl?pr=".len() + 9);
        assert!(qr_code().starts_with("https://qr.alipay.com/bax"));
        assert_ne!(code_url(), code_url());
    }
}

//! Limits of texts that merchants send. A message names the limit; the parameter's name goes with
//! it as `param`.

use tongbao_engine::Error;
use tongbao_types::Code;

/// How long a text may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// From 1 to so many characters.
    Characters(usize),
    /// From 1 to so many bytes in UTF-8.
    Bytes(usize),
}

/// A text on one line.
pub(crate) fn line(param: &str, text: String, length: Length) -> Result<String, Error> {
    checked(param, text, length, is_line)
}

/// A text that may have several lines.
pub(crate) fn lines(param: &str, text: String, length: Length) -> Result<String, Error> {
    checked(param, text, length, |c| is_line(c) || matches!(c, '\n' | '\r' | '\t'))
}

/// An address of a page, `http://…` or `https://…`.
pub(crate) fn page_address(param: &str, text: String) -> Result<String, Error> {
    let text = line(param, text, Length::Bytes(500))?;
    let is_web = is_web_address(&text);
    if is_web { Ok(text) } else { Err(wrong(param, "An address begins with https:// or http://.")) }
}

/// Whether a browser may be sent there: an absolute address of the web, in plain characters.
pub(crate) fn is_web_address(text: &str) -> bool {
    let uri: Result<http::Uri, _> = text.parse();
    let scheme_fits = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    let host_fits = |uri: &http::Uri| uri.host().is_some_and(|host| !host.is_empty());
    text.is_ascii() && uri.is_ok_and(|uri| scheme_fits(&uri) && host_fits(&uri))
}

/// The error that a value breaks a rule.
pub(crate) fn wrong(param: &str, message: impl Into<String>) -> Error {
    Error::new(Code::InvalidParameter, message).param(param)
}

fn checked(
    param: &str,
    text: String,
    length: Length,
    fits: impl Fn(char) -> bool,
) -> Result<String, Error> {
    let (count, max, unit) = match length {
        Length::Characters(max) => (text.chars().count(), max, "characters"),
        Length::Bytes(max) => (text.len(), max, "bytes"),
    };
    if !(1..=max).contains(&count) {
        return Err(wrong(param, format!("This is a text of 1 to {max} {unit}.")));
    }
    if !text.chars().all(fits) {
        return Err(wrong(param, "This text has characters that cannot be shown."));
    }
    Ok(text)
}

/// Not what XML 1.0 cannot carry (WeChat Pay's v2 messages are XML), nor line breaks.
fn is_line(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_limits() {
        let line = |text: &str| line("subject", text.to_owned(), Length::Characters(3)).is_ok();
        assert!(line("通宝💰"));
        assert!(!line("通宝通宝"));
        assert!(!line(""));
        assert!(!line("a\nb"));
        assert!(!line("a\u{0}"));
        assert!(!line("\u{ffff}"));
        assert!(!line("\u{85}"));
        let lines = |text: &str| lines("body", text.to_owned(), Length::Bytes(4)).is_ok();
        assert!(lines("a\nb"));
        assert!(!lines("通宝"));
        assert!(!lines("\u{7}"));
    }

    #[test]
    fn a_browser_is_only_sent_to_the_web() {
        let good = ["https://shop.example/done?order=1#top", "http://127.0.0.1:3000"];
        let bad = ["javascript:alert(1)", "//evil.example", "/done", "ftp://x.example", "https://"];
        let odd =
            ["https://例子.example/", "https://shop.example/\r\nSet-Cookie: a=b", "https:// x"];
        assert!(good.iter().all(|text| is_web_address(text)));
        for text in bad.iter().chain(&odd) {
            assert!(!is_web_address(text), "{text}");
        }
    }
}

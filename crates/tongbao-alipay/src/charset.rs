//! The two character sets of Alipay's messages. A signature is over the bytes, so both directions
//! must be exact.

use encoding_rs::GBK;
use std::borrow::Cow;

/// How text became bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8; what we always ask for.
    Utf8,
    /// GBK, which also stands for its part GB2312.
    Gbk,
}

impl Charset {
    /// By the name that the `charset` parameter has, in any case.
    pub fn from_name(name: &str) -> Option<Charset> {
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Some(Charset::Utf8),
            "gbk" | "gb2312" | "gb18030" => Some(Charset::Gbk),
            _ => None,
        }
    }

    /// The name in a `Content-Type` and in the `charset` parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Charset::Utf8 => "utf-8",
            Charset::Gbk => "GBK",
        }
    }

    /// The bytes of a text. Letters that GBK lacks become `?`.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Charset::Utf8 => text.as_bytes().to_vec(),
            Charset::Gbk => encode_gbk(text),
        }
    }

    /// The text of bytes; `None` if they are not of this character set.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Charset::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Charset::Gbk => GBK.decode_without_bom_handling_and_without_replacement(bytes),
        }
    }
}

fn encode_gbk(text: &str) -> Vec<u8> {
    let (bytes, _, lossy) = GBK.encode(text);
    if !lossy {
        return bytes.into_owned();
    }
    let mut bytes = Vec::new();
    let mut letter = [0; 4];
    for c in text.chars() {
        match GBK.encode(c.encode_utf8(&mut letter)) {
            (_, _, true) => bytes.push(b'?'),
            (one, _, false) => bytes.extend_from_slice(&one),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gbk_bytes_are_those_of_the_standard() {
        assert_eq!(Charset::Gbk.encode("测试"), b"\xB2\xE2\xCA\xD4");
        assert_eq!(Charset::Gbk.decode(b"\xB2\xE2\xCA\xD4").as_deref(), Some("测试"));
        assert_eq!(Charset::Gbk.encode("a😀b"), b"a?b");
    }

    #[test]
    fn bytes_of_another_character_set_are_refused() {
        assert_eq!(Charset::Utf8.decode(b"\xB2\xE2"), None);
        assert_eq!(Charset::Gbk.decode(b"\xFF\xFF"), None);
        assert_eq!(Charset::Gbk.decode(b"a\xB2"), None);
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Charset::from_name("UTF-8"), Some(Charset::Utf8));
        assert_eq!(Charset::from_name("gb2312"), Some(Charset::Gbk));
        assert_eq!(Charset::from_name("latin1"), None);
    }
}

//! Base64 in the one form that the providers write: standard alphabet, padded, on one line.
//!
//! Reading is as strict as writing, so that one value has one text.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;

/// Writes bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads text; `None` if it has another alphabet, blanks, line ends or wrong padding.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_form_is_read() {
        assert_eq!(encode(b"\xfb\xff\x00"), "+/8A");
        assert_eq!(decode("+/8A"), Some(b"\xfb\xff\x00".to_vec()));
        assert_eq!(decode("aQ=="), Some(b"i".to_vec()));
        for wrong in ["aQ", "aQ=", "-_8A", "+/8A\n", " +/8A", "aR==", "a"] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}

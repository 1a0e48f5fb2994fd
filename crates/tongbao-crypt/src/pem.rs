//! PEM and bare base64, as keys are found in consoles, files and environment variables.
//!
//! More forgiving than RFC 7468, because people paste keys: lines of any length, `\r\n`, blanks,
//! the two letters `\n` for a line end, text around the blocks. What is inside a block is not
//! judged here.

use crate::base64;
use zeroize::Zeroizing;

/// One PEM block. Its bytes are wiped when dropped, since they may be a private key.
pub(crate) struct Block {
    /// The words after `BEGIN`.
    pub(crate) label: String,
    /// The decoded content.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// All blocks of a text in order; `None` if one has no end or is not base64. A text without any
/// block gives an empty list.
pub(crate) fn blocks(text: &str) -> Option<Vec<Block>> {
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----")?;
        let (content, after) = after.split_once("-----END ")?;
        let (end_label, after) = after.split_once("-----")?;
        if label != end_label {
            return None;
        }
        found.push(Block { label: label.to_owned(), der: bare(content)? });
        rest = after;
    }
    Some(found)
}

/// Base64 without armour, blanks and line ends allowed anywhere.
pub(crate) fn bare(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let compact = Zeroizing::new(compact);
    if compact.is_empty() {
        return None;
    }
    base64::decode(&compact).map(Zeroizing::new)
}

/// Writes one block with lines of 64 letters and a line end after the last.
pub(crate) fn write(label: &str, der: &[u8]) -> String {
    let content = base64::encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = content.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Option<Vec<(String, Vec<u8>)>> {
        blocks(text).map(|all| all.into_iter().map(|b| (b.label, b.der.to_vec())).collect())
    }

    #[test]
    fn blocks_are_found_among_other_text() {
        let one = vec![("X Y".to_owned(), b"abc".to_vec())];
        for text in [
            "-----BEGIN X Y-----\nYWJj\n-----END X Y-----\n",
            "-----BEGIN X Y-----\r\nYW\r\nJj\r\n-----END X Y-----",
            "Bag Attributes\n-----BEGIN X Y-----\n  YWJj  \n-----END X Y-----\ntail",
            "-----BEGIN X Y-----\\nYWJj\\n-----END X Y-----\\n",
        ] {
            assert_eq!(found(text), Some(one.clone()), "{text:?}");
        }
        let two = write("A", b"1") + &write("B", b"2");
        assert_eq!(found(&two).map(|all| all.len()), Some(2));
    }

    #[test]
    fn broken_blocks_are_no_blocks() {
        assert_eq!(found("no key here"), Some(vec![]));
        assert_eq!(found("-----BEGIN X-----\nYWJj\n"), None);
        assert_eq!(found("-----BEGIN X-----\nYWJj\n-----END Y-----"), None);
        assert_eq!(found("-----BEGIN X-----\n!!\n-----END X-----"), None);
        assert_eq!(found("-----BEGIN X-----\n-----END X-----"), None);
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(der in proptest::collection::vec(any::<u8>(), 1..200)) {
            prop_assert_eq!(found(&write("L", &der)), Some(vec![("L".to_owned(), der)]));
        }

        #[test]
        fn hostile_text_never_panics(text in "(-----BEGIN |-----END |-----|X|\n|.){0,20}") {
            let _ = blocks(&text);
        }
    }
}

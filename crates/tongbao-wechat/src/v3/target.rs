//! Numbers in paths and parameters in queries: written so that they survive, and read with care.

use super::envelope::Refusal;
use crate::rules::{Rule, check_text};

/// A number as one segment of a path, or as a value in a query.
pub(super) fn path_segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

/// What a segment of a path or a value of a query stands for. `None` if it is not UTF-8 or cut.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

/// A number out of a path, checked by the rule of its name.
pub(super) fn checked_segment(segment: &str, rule: &Rule) -> Result<String, Refusal> {
    let number = unescape(segment).unwrap_or_default();
    let checked = check_text(Some(&number), rule, "/uri_template");
    checked.map_err(|broken| Refusal::param(broken, "uri_template"))?;
    Ok(number)
}

/// The parameters of a query, in their order.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query. `None` if a name or value is not UTF-8 or cut, or if a name comes twice.
    pub(super) fn read(query: &str) -> Option<Parameters> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let (name, value) = (unescape(name)?, unescape(value)?);
            if pairs.iter().any(|(known, _)| *known == name) {
                return None;
            }
            pairs.push((name, value));
        }
        Some(Parameters(pairs))
    }

    /// Reads a query and checks each parameter that a rule names; others do not count.
    pub(super) fn checked(query: &str, rules: &[Rule]) -> Result<Parameters, Refusal> {
        let unreadable = || Refusal::new(400, "PARAM_ERROR", "URL中的查询参数格式错误");
        let parameters = Parameters::read(query).ok_or_else(unreadable)?;
        for rule in rules {
            let checked = check_text(parameters.text(rule.name), rule, "/query");
            checked.map_err(|broken| Refusal::param(broken, "query"))?;
        }
        Ok(parameters)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Kind, may, must};
    use proptest::prelude::*;

    #[test]
    fn numbers_travel_in_paths_unharmed() {
        for number in ["abc_DEF-123*", "a|b", "中 %/?", ""] {
            assert_eq!(unescape(&path_segment(number)).as_deref(), Some(number));
        }
        assert_eq!(path_segment("a|b*"), "a%7Cb*");
        for wrong in ["%", "%4", "%zz", "%+1", "%ff"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parameters_are_read_in_any_order_and_checked() {
        let rules = [must("a", "甲", Kind::Text(1, 3)), may("b", "乙", Kind::Word(&["GZIP"]))];
        let check = |query: &str, wanted: Option<&str>| {
            let found = Parameters::checked(query, &rules).err().map(|refusal| refusal.message);
            assert_eq!(found.is_some(), wanted.is_some(), "{query}: {found:?}");
            assert!(found.unwrap_or_default().contains(wanted.unwrap_or("")), "{query}");
        };
        check("b=GZIP&x=1&&a=%61", None);
        check("", Some("“/query/a”"));
        check("a", Some("字节数 0，小于最小值 1"));
        check("a=1234", Some("字节数 4"));
        check("a=1&b=ZIP", Some("“/query/b”"));
        check("a=1&a=2", Some("格式错误"));
        check("a=%f", Some("格式错误"));
        let read = Parameters::checked("b=GZIP&a=%61", &rules).unwrap();
        assert_eq!(
            (read.text("a"), read.text("b"), read.text("c")),
            (Some("a"), Some("GZIP"), None)
        );
    }

    proptest! {
        #[test]
        fn hostile_queries_never_panic(query in "[a=&%0-9é]{0,40}") {
            let _ = Parameters::read(&query);
        }
    }
}

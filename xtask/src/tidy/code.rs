//! Reads Rust just far enough to tell code from comments, strings and tests, and the rule about the
//! length of functions. It is no parser: macros that unbalance braces would fool it, and there are
//! none.

use super::{Finding, Source};

/// A screen.
const FUNCTION_MAX: usize = 70;
/// The rule is a ratchet: what is far above stays as it is, what is small cannot creep upwards.
const FUNCTION_BAND: usize = 110;

/// A source text with comments, strings and characters blanked, line for line.
pub(crate) struct Code {
    /// The blanked lines.
    pub(super) lines: Vec<String>,
    /// Whether each line belongs to a `#[cfg(test)]` item.
    pub(super) in_tests: Vec<bool>,
}

impl Code {
    pub(super) fn read(text: &str) -> Self {
        let blanked = blank(text);
        let lines: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let mut in_tests = vec![false; lines.len()];
        for (index, line) in lines.iter().enumerate() {
            if !in_tests[index] && line.trim_start().starts_with("#[cfg(test)]") {
                let end = item_end(&lines, index).unwrap_or(index);
                in_tests[index..=end].fill(true);
            }
        }
        Self { lines, in_tests }
    }
}

pub(super) fn findings(source: &Source, code: &Code) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in code.lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let Some(end) = item_end(&code.lines, index) else { continue };
        let length = end - index + 1;
        if (FUNCTION_MAX + 1..=FUNCTION_BAND).contains(&length) {
            let why = format!("{name} has {length} lines; {FUNCTION_MAX} fit on a screen");
            found.push(Finding::new(&source.at(index + 1), "function length", why));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let rest = match line.trim_start().strip_prefix("fn ") {
        Some(rest) => rest,
        None => line.split_once(" fn ")?.1,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| &rest[..end])
}

/// The line that closes the item beginning at `start`: at its brace, or at a semicolon before any.
fn item_end(lines: &[String], start: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (index, line) in lines.iter().enumerate().skip(start) {
        for c in line.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                '{' => braces += 1,
                '}' if braces == 1 && brackets == 0 => return Some(index),
                '}' => braces = braces.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return Some(index),
                _ => {}
            }
        }
    }
    None
}

/// Replaces what is not code by blanks and keeps the line breaks.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = not_code(rest, out.chars().next_back());
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    out
}

/// How many bytes of comment, string or character `rest` begins with.
fn not_code(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('r') && !in_word {
        return raw_string(rest);
    }
    if rest.starts_with('\'') { character(rest) } else { 0 }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return index + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len())
}

/// A character literal; a lifetime has no closing quote and is code.
fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => quoted(rest, '\''),
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::count;

    fn function(lines: usize) -> String {
        format!("//! A.\nfn long() {{\n{}}}\n", "    x();\n".repeat(lines - 2))
    }

    #[test]
    fn functions_in_the_band_are_found_and_giants_left_alone() {
        for (lines, findings) in [(70, 0), (71, 1), (110, 1), (111, 0)] {
            assert_eq!(count("function length", "a.rs", &function(lines)), findings, "{lines}");
        }
    }

    #[test]
    fn braces_in_strings_characters_and_comments_do_not_count() {
        let text = "fn f() { let a = '{'; let b = \"}\\\"{\"; let c = r#\"{\"#; } // }\nfn g() {}";
        let code = Code::read(text);
        assert_eq!(item_end(&code.lines, 0), Some(0));
        assert!(!code.lines[0].contains('\''));
        assert_eq!(item_end(&code.lines, 1), Some(1));
    }

    #[test]
    fn lifetimes_and_words_ending_in_r_are_code() {
        let code = Code::read("fn f<'a>(var: &'a str) -> &'a str { for\"x\" }");
        assert!(code.lines[0].starts_with("fn f<'a>(var: &'a str)"));
    }

    #[test]
    fn a_declaration_ends_at_its_semicolon() {
        let code = Code::read("fn f(x: [u8; 4]) -> u8;\nfn g() {}");
        assert_eq!(item_end(&code.lines, 0), Some(0));
    }

    #[test]
    fn test_items_are_told_from_the_rest() {
        let code = Code::read("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}");
        assert_eq!(code.in_tests, [false, true, true, true, true, false]);
    }
}

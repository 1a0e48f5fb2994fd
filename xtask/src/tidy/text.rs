//! Rules about lines, in code and documents alike: width, marks left behind, and words that only
//! one machine understands.

use super::{Finding, Source};

const COLUMNS_MAX: usize = 100;

/// A line with a longer run of letters without a blank (a key, an address, a vector) cannot be
/// broken.
const UNBREAKABLE: usize = 60;

pub(super) fn findings(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let place = source.at(index + 1);
        found.extend(width(source, line).map(|why| Finding::new(&place, "columns", why)));
        found.extend(marks(source, line).map(|why| Finding::new(&place, "marks", why)));
        found.extend(machine(source, line).map(|why| Finding::new(&place, "machine", why)));
    }
    found
}

fn width(source: &Source, line: &str) -> Option<String> {
    let kept =
        ["rs", "mjs", "js", "py", "c"].iter().any(|k| source.path.ends_with(&format!(".{k}")));
    let columns = line.chars().count();
    let breakable = line.split_whitespace().all(|word| word.chars().count() <= UNBREAKABLE);
    (kept && columns > COLUMNS_MAX && breakable)
        .then(|| format!("{columns} columns; two panes hold {COLUMNS_MAX} each"))
}

/// Notes to oneself. The words are put together here, or this file would find itself.
fn marks(source: &Source, line: &str) -> Option<String> {
    for word in [concat!("FIX", "ME"), concat!("dbg", "!("), concat!("to", "do!(")] {
        if line.contains(word) {
            return Some(format!("{word} is a note to oneself; finish it or open an issue"));
        }
    }
    let mark = concat!("TO", "DO");
    let after = line.split(mark).nth(1)?;
    let comment = line.contains("//") || line.contains('#') || source.path.ends_with(".md");
    let numbered = after.trim_start_matches(['(', ' ']).starts_with('#')
        && after.chars().any(|c| c.is_ascii_digit());
    (comment && !numbered).then(|| format!("{mark} needs the number of its issue: {mark}(#12)"))
}

fn machine(source: &Source, line: &str) -> Option<String> {
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let in_docs = [concat!("/t", "mp/")];
    let document = source.path.ends_with(".md");
    let found =
        paths.iter().chain(in_docs.iter().filter(|_| document)).find(|p| line.contains(**p));
    found.map(|path| format!("{path} exists on one machine; write a path from the root"))
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::count;

    #[test]
    fn wide_lines_are_found_unless_they_cannot_be_broken() {
        let wide = format!("//! A.\n// {}\n", "word ".repeat(20));
        assert_eq!(count("columns", "a.rs", &wide), 1);
        assert_eq!(count("columns", "a.py", &wide), 1);
        assert_eq!(count("columns", "a.md", &wide), 0);
        let key = format!("//! A.\nconst KEY: &str = \"{}\";\n", "A".repeat(120));
        assert_eq!(count("columns", "a.rs", &key), 0);
        let chinese = format!("//! A.\n// {}\n", "支付".repeat(30));
        assert_eq!(count("columns", "a.rs", &chinese), 0);
    }

    #[test]
    fn marks_left_behind_are_found() {
        let found = |line: &str| count("marks", "a.rs", &format!("//! A.\n{line}\n"));
        assert_eq!(found(concat!("// FIX", "ME later")), 1);
        assert_eq!(found(concat!("    dbg", "!(x);")), 1);
        assert_eq!(found(concat!("    to", "do!()")), 1);
        assert_eq!(found(concat!("// TO", "DO: later")), 1);
        assert_eq!(found(concat!("// TO", "DO(#12): when the provider answers")), 0);
        assert_eq!(found("// done"), 0);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let found = |path: &str, line: &str| count("machine", path, &format!("//! A.\n{line}\n"));
        assert_eq!(found("a.rs", concat!("// see /wo", "rk/shared")), 1);
        assert_eq!(found("a.md", concat!("see /t", "mp/x")), 1);
        assert_eq!(found("a.rs", concat!("// see /t", "mp/x")), 0);
        assert_eq!(found("a.md", "see docs/guide"), 0);
    }
}

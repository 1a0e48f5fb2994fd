//! Rules about a file as a whole: its name, its length, and the module doc that says what it is
//! for.

use super::{Finding, Source};

const LINES_MAX: usize = 800;

/// Names that say nothing about what is inside, so that anything may be put there.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "manager", "service", "services"];

pub(super) fn findings(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(name(source));
    if source.is_rust() {
        found.extend(module_doc(source));
        found.extend(length(source));
    }
    found
}

fn name(source: &Source) -> Option<Finding> {
    let bad = source.path.split('/').find(|part| {
        let stem = part.split('.').next().unwrap_or(part);
        EMPTY_NAMES.contains(&stem)
    })?;
    let why = format!("{bad} says nothing; name the file after the noun it is about");
    Some(Finding::new(&source.at(1), "names", why))
}

fn module_doc(source: &Source) -> Option<Finding> {
    let mut lines = source.text.lines();
    let first = lines.find(|l| !l.trim().is_empty() && !l.starts_with("#!["))?;
    let why = "begin with a paragraph of //! that says what the file is for";
    (!first.starts_with("//! ")).then(|| Finding::new(&source.at(1), "module doc", why))
}

fn length(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    if lines <= LINES_MAX || explains_itself(&source.text) {
        return None;
    }
    let why = format!(
        "{lines} lines; above {LINES_MAX} the first sentence must say why it is one thing \
         (with the word \"because\")"
    );
    Some(Finding::new(&source.at(1), "file length", why))
}

/// Whether the first sentence of the module doc gives a reason.
fn explains_itself(text: &str) -> bool {
    let doc: Vec<_> = text.lines().map_while(|l| l.strip_prefix("//!")).collect();
    let doc = doc.join(" ");
    let first = doc.split(". ").next().unwrap_or("");
    first.contains("because")
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::count;

    #[test]
    fn empty_names_are_found_in_files_and_folders() {
        for path in ["crates/x/src/utils.rs", "crates/x/src/common/a.rs", "a/helpers.mjs"] {
            assert_eq!(count("names", path, "//! A.\n"), 1, "{path}");
        }
        assert_eq!(count("names", "crates/x/src/commit.rs", "//! A.\n"), 0);
    }

    #[test]
    fn a_file_without_module_doc_is_found() {
        assert_eq!(count("module doc", "a.rs", "fn f() {}\n"), 1);
        assert_eq!(count("module doc", "a.rs", "// not a doc\nfn f() {}\n"), 1);
        assert_eq!(count("module doc", "a.rs", "#![expect(x)]\n//! A doc.\n"), 0);
        assert_eq!(count("module doc", "a.py", "print()\n"), 0);
    }

    #[test]
    fn a_long_file_must_say_why() {
        let body = "fn f() {}\n".repeat(800);
        assert_eq!(count("file length", "a.rs", &format!("//! A table.\n{body}")), 1);
        let reason = "//! One table, because its rows are read together. More.\n";
        assert_eq!(count("file length", "a.rs", &format!("{reason}{body}")), 0);
        let late = "//! A table. It is long because nobody cut it.\n";
        assert_eq!(count("file length", "a.rs", &format!("{late}{body}")), 1);
    }
}

//! The page of attacks names files and tests; each of them must be there, or the page promises what
//! nothing keeps.

use super::{Finding, Source};

const PAGE: &str = "docs/reference/threats.md";

pub(super) fn findings(sources: &[Source]) -> Vec<Finding> {
    let Some(page) = sources.iter().find(|source| source.path == PAGE) else {
        let why = "the page of attacks is gone; SECURITY.md leads to it";
        return vec![Finding::new(PAGE, "threats", why)];
    };
    let lines = page.text.lines().enumerate();
    lines.flat_map(|(at, line)| row(line, &page.at(at + 1), sources)).collect()
}

/// A row: attack, what stops it, files, tests.
fn row(line: &str, place: &str, sources: &[Source]) -> Vec<Finding> {
    let found = |why: String| Finding::new(place, "threats", why);
    let Some(inner) = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |")) else {
        return Vec::new();
    };
    if inner.starts_with("attack |") || inner.starts_with("--- |") {
        return Vec::new();
    }
    let cells: Vec<&str> = inner.split(" | ").collect();
    let [attack, _, files, tests] = cells.as_slice() else {
        return vec![found("a row has four cells: attack, what stops it, files, tests".into())];
    };
    let (files, tests) = (quoted(files), quoted(tests));
    let mut wrong = Vec::new();
    if files.is_empty() || tests.is_empty() {
        wrong.push(found(format!("«{attack}» names no file, or no test that would go red")));
    }
    let gone = files.iter().filter(|file| !sources.iter().any(|one| one.path == full(file)));
    wrong.extend(gone.map(|file| found(format!("{file} is not there: {}", full(file)))));
    let untested = tests.iter().filter(|test| !sources.iter().any(|one| has_test(one, test)));
    wrong.extend(untested.map(|test| found(format!("there is no test {test}"))));
    wrong
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// `engine/src/egress.rs` is short for `crates/tongbao-engine/src/egress.rs`.
fn full(file: &str) -> String {
    match file.split_once('/') {
        Some(("xtask", _)) => file.to_owned(),
        Some(("tongbao", _)) => format!("crates/{file}"),
        _ => format!("crates/tongbao-{file}"),
    }
}

/// Whether a Rust file has a test of this name: its attribute is among those above it.
fn has_test(source: &Source, name: &str) -> bool {
    let is_rust = source.is_rust() && source.text.contains(name);
    if !is_rust {
        return false;
    }
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        line.contains(&head) && above.any(|line| line.contains("test]") || line.contains("::test("))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &str, wanted: &[&str]) {
        let source =
            |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let tests = "#[test]\nfn red() {}\n#[tokio::test(a)]\nasync fn redder() {}\nfn other() {}";
        let all = [
            source("crates/tongbao-web/src/serve.rs", tests),
            source("crates/tongbao/src/main.rs", ""),
            source(
                PAGE,
                &format!("| attack | what | file | test |\n| --- | --- | --- | --- |\n{rows}"),
            ),
        ];
        let found: Vec<String> = findings(&all).into_iter().map(|one| one.reason).collect();
        assert_eq!(found, wanted, "{rows}");
    }

    #[test]
    fn files_and_tests_of_the_page_are_there() {
        check("| a | b | `web/src/serve.rs` `tongbao/src/main.rs` | `red` and `redder` |", &[]);
        check(
            "| a | b | `web/src/gone.rs` | `red` |",
            &["web/src/gone.rs is not there: crates/tongbao-web/src/gone.rs"],
        );
        check("| a | b | `web/src/serve.rs` | `blue` |", &["there is no test blue"]);
        check("| a | b | `web/src/serve.rs` | `other` |", &["there is no test other"]);
        let why = "«a» names no file, or no test that would go red";
        check("| a | b | `web/src/serve.rs` | none |", &[why]);
        check("| a | b | c | `red` |", &[why]);
        let cells = "a row has four cells: attack, what stops it, files, tests";
        check("| a | b | `web/src/serve.rs` |", &[cells]);
        let gone = findings(&[]);
        assert_eq!(gone.len(), 1, "{gone:?}");
    }
}

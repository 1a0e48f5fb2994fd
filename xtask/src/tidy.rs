//! `cargo xtask tidy`: the rules of the house that compilers do not know, read off the sources as
//! text. Each finding names the place, the rule and the reason. The rules are in the modules below
//! (and in `floors` and `policy`); every one has a test on a small sample, so that losing a rule
//! turns the tests red.

mod code;
mod files;
mod manifests;
mod sans_io;
mod text;
mod threats;

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{floors, policy, steps};

/// One breach of one rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    rule: &'static str,
    reason: String,
}

impl Finding {
    /// A breach at `place` (`file:line`).
    pub(crate) fn new(place: &str, rule: &'static str, reason: impl Into<String>) -> Self {
        Self { place: place.to_owned(), rule, reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule, self.reason)
    }
}

/// A file of the repository, its path with slashes and relative to the root.
pub(crate) struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

const KINDS: &[&str] =
    &["rs", "toml", "md", "mjs", "js", "py", "html", "css", "sql", "c", "yml", "yaml", "run"];

/// The command: prints every finding; an error if there is one.
pub(crate) fn run(root: &Path) -> Result<()> {
    let sources = sources(root)?;
    let mut found: Vec<Finding> = sources.iter().flat_map(findings).collect();
    found.extend(threats::findings(&sources));
    found.extend(floors::findings()?);
    found.extend(policy::findings()?);
    for finding in &found {
        println!("{finding}");
    }
    if !found.is_empty() {
        bail!("tidy found {} breaches in {} files looked at", found.len(), sources.len());
    }
    println!("tidy: {} files, nothing to say", sources.len());
    Ok(())
}

fn findings(source: &Source) -> Vec<Finding> {
    let mut found = files::findings(source);
    found.extend(text::findings(source));
    found.extend(manifests::findings(source));
    if source.is_rust() {
        let code = code::Code::read(&source.text);
        found.extend(code::findings(source, &code));
        found.extend(sans_io::findings(source, &code));
    }
    found
}

/// What git knows or would take: tracked files and new ones that no rule ignores.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(root);
    let listed = steps::output(&mut git)?;
    let wanted = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let kind = name.rsplit('.').next().unwrap_or(name);
        KINDS.contains(&kind) && root.join(path).is_file()
    };
    let read = |path: &str| {
        let text = std::fs::read_to_string(root.join(path));
        Ok(Source { path: path.to_owned(), text: text.with_context(|| path.to_owned())? })
    };
    listed.split('\0').filter(wanted).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often `rule` is broken by `text` in a file called `path`.
    pub(crate) fn count(rule: &str, path: &str, text: &str) -> usize {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        findings(&source).iter().filter(|f| f.rule == rule).count()
    }

    #[test]
    fn a_finding_names_place_rule_and_reason() {
        let finding = Finding::new("a.rs:7", "columns", "too wide");
        assert_eq!(finding.to_string(), "a.rs:7: columns: too wide");
    }

    #[test]
    fn a_clean_file_has_no_finding() {
        let source = Source {
            path: "crates/tongbao-core/src/charge.rs".into(),
            text: "//! What a charge is.\n\nfn f() {}\n".into(),
        };
        assert_eq!(findings(&source), []);
    }
}

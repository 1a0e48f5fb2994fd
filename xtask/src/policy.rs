//! What may be linked: `deny.toml` compared with what cargo would build. This reads the licences,
//! the sources and the bans of that file without cargo-deny, whose own build takes minutes, so that
//! every run of the tests has them; `cargo xtask deny` asks cargo-deny itself, and the advisories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use spdx::{Expression, ParseMode};
use toml::{Table, Value};
use tongbao_servers::find;

use crate::root;
use crate::steps::{Steps, cargo, output, run};
use crate::tidy::Finding;

const FILE: &str = "deny.toml";
/// Built with it: the policy's words mean what this version says they mean.
const CARGO_DENY: &str = "0.20.2";

/// Compares what is linked, here and in the benchmarks, with the policy.
pub(crate) fn findings() -> Result<Vec<Finding>> {
    let policy = Policy::read(&fs::read_to_string(root().join(FILE)).context(FILE)?)?;
    let mut found = Vec::new();
    for manifest in ["Cargo.toml", "bench/Cargo.toml"] {
        // The lock file also names what no feature of ours switches on, so the tree is asked.
        let tree = ["tree", "--workspace", "--locked", "--prefix", "none", "--target", "all"];
        let mut tree = cargo(&tree);
        tree.args(["--edges", "normal,build,dev", "--format", "{p}\t{l}"]);
        let tree = output(tree.args(["--manifest-path", manifest]))?;
        let packages = packages(&tree);
        ensure!(packages.len() > 50, "cargo tree names {} packages of {manifest}", packages.len());
        let lock = manifest.replace("toml", "lock:1");
        let why = policy.breaches(&packages, &root().display().to_string());
        found.extend(why.into_iter().map(|why| Finding::new(&lock, "dependencies", why)));
    }
    Ok(found)
}

/// The command `deny`: cargo-deny itself, installed if it is not there.
pub(crate) fn run_deny() -> Result<()> {
    let mut steps = Steps::new();
    let folder = root().join("target/tools");
    let deny = || match find("cargo-deny") {
        Some(program) => Command::new(program),
        None => Command::new(folder.join("bin/cargo-deny")),
    };
    if find("cargo-deny").is_none() && !folder.join("bin/cargo-deny").exists() {
        steps.take("cargo-deny", || {
            let install = ["install", "cargo-deny", "--locked", "--debug", "--version", CARGO_DENY];
            run(cargo(&install).arg("--root").arg(&folder))
        });
    }
    let inside = |mut command: Command| {
        command.current_dir(root());
        command
    };
    steps.take("bans, licences, sources", || {
        run(inside(deny()).args(["check", "bans", "licenses", "sources"]))
    });
    if output(inside(deny()).args(["fetch", "db"])).is_ok() {
        steps.take("advisories", || run(inside(deny()).args(["check", "advisories"])));
    } else {
        let why = "the database of advisories cannot be fetched from github.com; nothing is known";
        steps.skip("advisories", why);
    }
    steps.finish()
}

/// A package as `cargo tree` shows it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// Where it comes from, if not from crates.io.
    place: Option<String>,
    licence: String,
}

/// What `deny.toml` says, as far as it is read here.
struct Policy {
    licences: Vec<String>,
    /// A name, why, and whether it is the second version alone that is banned.
    banned: Vec<(String, String, bool)>,
}

impl Policy {
    /// Fails if the file says something that would be passed over here in silence.
    fn read(text: &str) -> Result<Policy> {
        let file: Table = text.parse().context(FILE)?;
        let section = |name: &str| file.get(name).and_then(Value::as_table);
        let (licences, sources, bans) = (section("licenses"), section("sources"), section("bans"));
        let (Some(licences), Some(sources), Some(bans)) = (licences, sources, bans) else {
            bail!("{FILE} needs [licenses], [sources] and [bans]");
        };
        only(licences, "licenses", &["allow"])?;
        let known = ["unknown-registry", "unknown-git", "allow-registry", "allow-git"];
        only(sources, "sources", &known)?;
        only(bans, "bans", &["multiple-versions", "wildcards", "allow-wildcard-paths", "deny"])?;
        for key in ["unknown-registry", "unknown-git"] {
            let denied = sources.get(key).and_then(Value::as_str) == Some("deny");
            ensure!(denied, "{FILE}: {key} must be \"deny\"");
        }
        let git = sources.get("allow-git").and_then(Value::as_array);
        ensure!(git.is_none_or(Vec::is_empty), "{FILE}: allow-git is not read here; add it");
        let banned = list(bans, "deny").iter().map(ban).collect::<Result<_>>()?;
        let allowed = list(licences, "allow").iter().filter_map(Value::as_str);
        Ok(Policy { licences: allowed.map(str::to_owned).collect(), banned })
    }

    /// What breaks the policy; `root` is where packages of our own are.
    fn breaches(&self, packages: &BTreeSet<Package>, root: &str) -> Vec<String> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut found = Vec::new();
        for package in packages {
            versions.entry(&package.name).or_default().insert(&package.version);
            let Package { name, version, place, licence } = package;
            if place.as_deref().is_some_and(|place| !place.starts_with(root)) {
                let place = place.as_deref().unwrap_or_default();
                found.push(format!("{name} {version} comes from {place}, not from crates.io"));
            }
            if !self.permits(licence) {
                let licence = if licence.is_empty() { "no licence" } else { licence };
                found.push(format!("{name} {version} has {licence}, which {FILE} does not allow"));
            }
        }
        for (name, why, second_alone) in &self.banned {
            let count = versions.get(name.as_str()).map_or(0, BTreeSet::len);
            if count > usize::from(*second_alone) {
                let times = if *second_alone { " in two versions" } else { "" };
                found.push(format!("{name} is linked{times}, but {why}"));
            }
        }
        found
    }

    fn permits(&self, licence: &str) -> bool {
        // Old packages write a slash for OR.
        let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else { return false };
        expression.evaluate(|asked| self.licences.iter().any(|known| asked.to_string() == *known))
    }
}

fn only(table: &Table, name: &str, known: &[&str]) -> Result<()> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => bail!("{FILE}: [{name}] {key} is not read by xtask/src/policy.rs; add it"),
    }
}

fn list<'a>(table: &'a Table, key: &str) -> &'a [Value] {
    table.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn ban(value: &Value) -> Result<(String, String, bool)> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(name), Some(reason)) = (text("name"), text("reason")) else {
        bail!("{FILE}: each of [bans] deny needs a name and a reason: {value}");
    };
    let second = value.get("deny-multiple-versions").and_then(Value::as_bool).unwrap_or(false);
    Ok((name, reason, second))
}

/// Lines of `name vVERSION (place) (proc-macro)`, a tab, the licence, and perhaps a mark.
fn packages(tree: &str) -> BTreeSet<Package> {
    let read = |line: &str| {
        let (package, licence) = line.split_once('\t')?;
        let (name, rest) = package.split_once(" v")?;
        let (version, marks) = rest.split_once(' ').unwrap_or((rest, ""));
        let marks = marks.trim_matches(['(', ')']).split(") (");
        let place = marks.filter(|mark| !mark.is_empty() && *mark != "proc-macro").last();
        let licence = licence.trim_end_matches(" (*)");
        let owned = str::to_owned;
        let place = place.map(owned);
        Some(Package { name: owned(name), version: owned(version), place, licence: owned(licence) })
    };
    tree.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::read(&fs::read_to_string(root().join(FILE)).unwrap()).unwrap()
    }

    fn check(tree: &str, wanted: &[&str]) {
        assert_eq!(policy().breaches(&packages(tree), "/here"), wanted, "{tree}");
    }

    #[test]
    fn licences_are_expressions_of_what_is_allowed() {
        check("a v1.0.0\tMIT OR GPL-3.0-only", &[]);
        check("a v1.0.0\tMIT/Apache-2.0 (*)", &[]);
        check("a v1.0.0\tApache-2.0 WITH LLVM-exception OR MIT", &[]);
        check("a v1.0.0\tISC AND (Apache-2.0 OR OpenSSL)", &[]);
        let wrong = |licence: &str| {
            let why = format!("a 1.0.0 has {licence}, which deny.toml does not allow");
            check(&format!("a v1.0.0\t{licence}"), &[&why]);
        };
        wrong("GPL-3.0-only");
        wrong("MIT AND OpenSSL");
        wrong("LGPL-2.1-or-later");
        wrong("Apache-2.0 WITH LLVM-exception");
        wrong("Proprietary words");
        check("a v1.0.0\t", &["a 1.0.0 has no licence, which deny.toml does not allow"]);
    }

    #[test]
    fn packages_come_from_here_or_from_crates_io() {
        check("a v1.0.0 (/here/crates/a)\tMIT\nb v0.1.0 (proc-macro)\tMIT", &[]);
        let git = "https://example.com/a#0123";
        check(
            &format!("a v1.0.0 ({git})\tMIT\nb v1.0.0 (/there/b) (proc-macro)\tMIT"),
            &[
                &format!("a 1.0.0 comes from {git}, not from crates.io"),
                "b 1.0.0 comes from /there/b, not from crates.io",
            ],
        );
    }

    #[test]
    fn banned_and_doubled_packages_are_found() {
        check("libsqlite3-sys v0.37.0\tMIT\nlibsqlite3-sys v0.37.0\tMIT (*)", &[]);
        for (name, why, second_alone) in policy().banned {
            let once = format!("{name} v1.0.0\tMIT");
            if second_alone {
                let twice = format!("{once}\n{name} v2.0.0\tMIT");
                check(&twice, &[&format!("{name} is linked in two versions, but {why}")]);
            } else {
                check(&once, &[&format!("{name} is linked, but {why}")]);
            }
        }
    }

    #[test]
    fn what_would_be_passed_over_is_an_error() {
        let text = fs::read_to_string(root().join(FILE)).unwrap();
        for (from, to) in [
            ("[sources]", "exceptions = []\n[sources]"),
            ("unknown-git = \"deny\"", "unknown-git = \"warn\""),
            ("allow-git = []", "allow-git = [\"https://example.com/a\"]"),
            ("wildcards =", "skip = []\nwildcards ="),
            (", reason = \"rustls is the one TLS\"", ""),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(Policy::read(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}

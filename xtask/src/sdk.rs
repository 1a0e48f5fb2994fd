//! The browser SDK in `sdk/js`: its types, its unit tests, and whether the compiled files, which
//! are kept in the repository since the binary serves them, are those of the sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::clients::environment;
use crate::packages::node_modules;
use crate::root;
use crate::steps::{Steps, run};
use tongbao_servers::find;

/// Takes the steps, unless there is no Node.
pub(crate) fn run_all(steps: &mut Steps) {
    take(steps, "sdk: types", types);
    take(steps, "sdk: dist", compiled);
    take(steps, "sdk: tests", tests);
}

fn take(steps: &mut Steps, name: &str, step: fn() -> Result<()>) {
    if find("node").is_some() {
        steps.take(name, step);
    } else {
        steps.skip(name, "node is not installed");
    }
}

fn types() -> Result<()> {
    run(compiler()?.arg("-p").arg(folder().join("test")))
}

/// Compiles into another folder and compares.
fn compiled() -> Result<()> {
    let fresh = root().join("target/clients/sdk-dist");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    run(compiler()?.arg("-p").arg(folder()).arg("--outDir").arg(&fresh))?;
    let (compiled, kept) = (files(&fresh)?, files(&folder().join("dist"))?);
    let differing = differing(&compiled, &kept);
    ensure!(
        differing.is_empty(),
        "sdk/js/dist is not what sdk/js/src compiles to ({}); run `npm run build` in sdk/js",
        differing.join(", ")
    );
    Ok(())
}

fn tests() -> Result<()> {
    let mut command = node()?;
    command.arg("--test").current_dir(folder());
    let names = files(&folder().join("test"))?;
    let tests = names.keys().filter(|name| name.ends_with(".test.mjs"));
    command.args(tests.map(|name| format!("test/{name}")));
    environment(&mut command);
    run(&mut command)
}

fn compiler() -> Result<Command> {
    let mut command = node()?;
    command.arg(node_modules().join("typescript/bin/tsc"));
    Ok(command)
}

fn node() -> Result<Command> {
    Ok(Command::new(find("node").context("node is not installed")?))
}

fn folder() -> PathBuf {
    root().join("sdk/js")
}

/// The names and contents of the files of a folder.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(found)
}

/// The names that only one of them has, or that have other contents.
fn differing<'a>(
    one: &'a BTreeMap<String, Vec<u8>>,
    other: &'a BTreeMap<String, Vec<u8>>,
) -> Vec<&'a str> {
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    names.filter(|name| one.get(*name) != other.get(*name)).map(String::as_str).collect()
}

#[cfg(test)]
mod differences {
    use super::*;

    #[test]
    fn a_missing_a_changed_and_a_left_over_file_are_told() {
        let folder = |files: &[(&str, &str)]| -> BTreeMap<String, Vec<u8>> {
            let pairs = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes()));
            pairs.map(|(name, text)| (name, text.to_vec())).collect()
        };
        let fresh = folder(&[("same.js", "1"), ("changed.js", "1"), ("new.js", "1")]);
        let kept = folder(&[("same.js", "1"), ("changed.js", "2"), ("old.js", "1")]);
        assert_eq!(differing(&fresh, &kept), ["changed.js", "new.js", "old.js"]);
        assert!(differing(&fresh, &fresh).is_empty());
    }
}

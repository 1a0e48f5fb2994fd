//! The floors: which crate of ours may import which, compared with `cargo metadata`. A new edge
//! needs an edit of this table, which is a visible decision. What comes from outside is in
//! `policy.rs`.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::{cargo, output};
use crate::tidy::Finding;

const EDGES: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("crypt", &[]),
    ("wechat", &["types", "crypt"]),
    ("alipay", &["types", "crypt"]),
    ("core", &["types"]),
    ("channels", &["types", "crypt", "wechat", "alipay", "core"]),
    ("engine", &["types", "crypt", "core", "channels"]),
    ("store", &["types", "core", "engine"]),
    ("web", &["types", "engine"]),
    ("sandbox", &["types", "crypt", "wechat", "alipay"]),
    ("api", &["types", "core", "engine", "web"]),
    ("compat", &["types", "core", "engine", "web"]),
    // Never shipped. The memory store is its model of a store.
    ("sim", &["types", "core", "channels", "engine", "store", "sandbox", "compat"]),
    ("evidence", &[]),
    ("servers", &[]),
];

/// Edges that only tests have: a real store under the engine and the faces, providers' answers to
/// feed them. The binary's tests see everything, as the binary does.
const TEST_EDGES: &[(&str, &[&str])] =
    &[("engine", &["store", "wechat", "alipay"]), ("api", &["store", "channels"])];

/// Never shipped; the tests of every crate may leave records and start database servers with them.
const FOR_TESTS: &[&str] = &["evidence", "servers"];

/// The crate that may import every other one.
const TOP: &str = "tongbao";

/// Compares the workspace with the tables.
pub(crate) fn findings() -> Result<Vec<Finding>> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let text = output(&mut cargo(&arguments))?;
    let metadata = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    Ok(edges(&metadata))
}

fn edges(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    packages.iter().flat_map(package_edges).collect()
}

fn package_edges(package: &Value) -> Vec<Finding> {
    let name = text(&package["name"]);
    let own = own_name(name);
    if name == TOP || (own.is_none() && name != "xtask") {
        return Vec::new();
    }
    let folder = if own.is_some() { "crates/" } else { "" };
    let file = format!("{folder}{name}/Cargo.toml:1");
    let Some(allowed) = allowed(own) else {
        let why = format!("{name} stands on no floor: give it a line in xtask/src/floors.rs");
        return vec![Finding::new(&file, "floors", why)];
    };
    let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
    let wrong = dependencies.iter().filter_map(|dependency| {
        let other = text(&dependency["name"]);
        let imported = if other == TOP { Some(other) } else { own_name(other) }?;
        let for_tests = dependency["kind"] == "dev";
        let tests = if for_tests { test_edges(own) } else { &[] };
        let fine = allowed.contains(&imported)
            || tests.contains(&imported)
            || (for_tests && FOR_TESTS.contains(&imported))
            || other == name;
        (!fine).then(|| {
            let why = format!("{name} must not import {other} (ARCHITECTURE.md, floors)");
            Finding::new(&file, "floors", why)
        })
    });
    wrong.collect()
}

/// What a crate may import; the servers for xtask, `None` for a crate that the table does not know.
fn allowed(own: Option<&str>) -> Option<&'static [&'static str]> {
    let Some(own) = own else { return Some(&["servers"]) };
    EDGES.iter().find(|(name, _)| *name == own).map(|(_, allowed)| *allowed)
}

fn test_edges(own: Option<&str>) -> &'static [&'static str] {
    let found = TEST_EDGES.iter().find(|(name, _)| Some(*name) == own);
    found.map_or(&[], |(_, allowed)| allowed)
}

fn own_name(package: &str) -> Option<&str> {
    package.strip_prefix("tongbao-")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_edge(name: &str, dependency: &str, kind: Option<&str>, findings: usize) {
        let package = json!({"name": name, "dependencies": [{"name": dependency, "kind": kind}]});
        let found = edges(&json!({"packages": [package]}));
        assert_eq!(found.len(), findings, "{name} -> {dependency}: {found:?}");
    }

    #[test]
    fn imports_only_go_down() {
        check_edge("tongbao-core", "tongbao-types", None, 0);
        check_edge("tongbao-core", "tongbao-crypt", None, 1);
        check_edge("tongbao-types", "tongbao-core", None, 1);
        check_edge("tongbao-wechat", "tongbao-alipay", None, 1);
        check_edge("tongbao-sandbox", "tongbao-core", None, 1);
        check_edge("tongbao-engine", "tongbao-store", None, 1);
        check_edge("tongbao-engine", "tongbao-store", Some("dev"), 0);
        check_edge("tongbao-engine", "tongbao-api", Some("dev"), 1);
        check_edge("tongbao-core", "tongbao-store", Some("dev"), 1);
        check_edge("tongbao-engine", "tongbao-store", Some("build"), 1);
        check_edge("tongbao-api", "tongbao", None, 1);
        check_edge("tongbao-store", "sea-orm", None, 0);
        check_edge("tongbao", "tongbao-sandbox", None, 0);
        check_edge("xtask", "tongbao-types", None, 1);
        check_edge("xtask", "tongbao-servers", None, 0);
        check_edge("tongbao-core", "tongbao-evidence", Some("dev"), 0);
        check_edge("tongbao-core", "tongbao-evidence", None, 1);
        check_edge("tongbao-store", "tongbao-servers", Some("dev"), 0);
        check_edge("tongbao-store", "tongbao-servers", None, 1);
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        check_edge("tongbao-attic", "anyhow", None, 1);
    }
}

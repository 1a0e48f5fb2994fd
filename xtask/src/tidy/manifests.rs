//! Rules about `Cargo.toml`: no crate escapes the lints of the workspace, which forbid unsafe code
//! everywhere, and no dependency takes whatever version comes.

use super::{Finding, Source};
use toml::{Table, Value};

pub(super) fn findings(source: &Source) -> Vec<Finding> {
    let found = |rule, why: String| Finding::new(&source.at(1), rule, why);
    if source.path.ends_with(".cargo/config.toml") && source.text.contains("cap-lints") {
        return vec![found("lints", "cap-lints would silence what the workspace forbids".into())];
    }
    if source.path.rsplit('/').next() != Some("Cargo.toml") {
        return Vec::new();
    }
    let table: Table = match source.text.parse() {
        Ok(table) => table,
        Err(error) => return vec![found("lints", format!("it is no TOML: {error}"))],
    };
    let lints = lints(&table).map(|why| found("lints", why.to_owned()));
    let any = any_version(&table).into_iter();
    let any = any.map(|name| found("versions", format!("{name} = \"*\" takes whatever comes")));
    lints.into_iter().chain(any).collect()
}

/// A workspace forbids unsafe code for its members, and a package takes its workspace's lints or,
/// if it is one itself, its own. `forbid` cannot be taken back in a source file.
fn lints(manifest: &Table) -> Option<&'static str> {
    let at = |path: &[&str]| {
        let first = manifest.get(path[0])?;
        path[1..].iter().try_fold(first, |table, key| table.get(key))
    };
    let forbids = |path: &[&str]| at(path).and_then(Value::as_str) == Some("forbid");
    let members = at(&["workspace", "members"]).is_some();
    if members && !forbids(&["workspace", "lints", "rust", "unsafe_code"]) {
        return Some("[workspace.lints.rust] says unsafe_code = \"forbid\" for all of ours");
    }
    let inherits = at(&["lints", "workspace"]).and_then(Value::as_bool) == Some(true);
    let alone = at(&["workspace"]).is_some() && forbids(&["lints", "rust", "unsafe_code"]);
    (at(&["package"]).is_some() && !inherits && !alone)
        .then_some("write [lints] workspace = true, or the crate may have unsafe code")
}

fn any_version(manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        if !key.ends_with("dependencies") {
            found.extend(any_version(table));
            continue;
        }
        let any = table.iter().filter(|(_, wanted)| {
            wanted.as_str().or(wanted.get("version").and_then(Value::as_str)) == Some("*")
        });
        found.extend(any.map(|(name, _)| name.clone()));
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::count;

    #[test]
    fn every_crate_takes_the_lints_that_forbid_unsafe_code() {
        let found = |text: &str| count("lints", "crates/x/Cargo.toml", text);
        let package = "[package]\nname = \"x\"\n";
        assert_eq!(found(&format!("{package}[lints]\nworkspace = true\n")), 0);
        assert_eq!(found(package), 1);
        assert_eq!(found(&format!("{package}[lints]\nworkspace = false\n")), 1);
        assert_eq!(found(&format!("{package}[lints.rust]\nunsafe_code = \"forbid\"\n")), 1);
        let alone = format!("[workspace]\n{package}[lints.rust]\nunsafe_code = ");
        assert_eq!(found(&format!("{alone}\"forbid\"\n")), 0);
        assert_eq!(found(&format!("{alone}\"deny\"\n")), 1);
        let all = "[workspace]\nmembers = [\"crates/*\"]\n[workspace.lints.rust]\nunsafe_code = ";
        assert_eq!(found(&format!("{all}\"forbid\"\n")), 0);
        assert_eq!(found(&format!("{all}\"allow\"\n")), 1);
        assert_eq!(found("not toml"), 1);
        let flags = "[build]\nrustflags = [\"--cap-lints=allow\"]\n";
        assert_eq!(count("lints", ".cargo/config.toml", flags), 1);
        assert_eq!(count("lints", "deny.toml", "[licenses]\n"), 0);
    }

    #[test]
    fn a_dependency_has_a_version() {
        let found = |text: &str| count("versions", "Cargo.toml", text);
        assert_eq!(found("[dependencies]\na = \"1\"\nb = { path = \"b\" }\n"), 0);
        assert_eq!(found("[dependencies]\na = \"*\"\n"), 1);
        assert_eq!(found("[target.'cfg(unix)'.dev-dependencies]\na = { version = \"*\" }\n"), 1);
        assert_eq!(found("[workspace.dependencies]\na = \"*\"\n"), 1);
    }
}

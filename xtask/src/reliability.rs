//! `cargo xtask reliability`: the long form of every run that breaks tongbao, and the page that
//! says what came of it, `docs/reference/reliability.md`. A row is written only by a run that
//! passed; runs that were not asked for keep the row of their last time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::steps::{Steps, cargo, output, run};
use crate::test::Databases;
use tongbao_servers::find;

const PAGE: &str = "docs/reference/reliability.md";
const HEAD: &str = "\
# Reliability

What was done to tongbao to break it, how often, and what came of it. `cargo xtask reliability`
writes this page: a row stands here only if its run passed, with the day and the commit of that
run (a `+` behind it: with changes that were not committed yet). The short form of each run is
part of every `cargo xtask test`.

| run | what was done | counts | day (UTC) | commit |
| --- | --- | --- | --- | --- |
";

/// A run: the test of this name, in this package, built with these arguments for cargo. `shipped`:
/// it starts the release binary.
struct Run {
    name: &'static str,
    package: &'static str,
    build: &'static [&'static str],
    shipped: bool,
}

const RUNS: &[Run] = &[
    quick("addresses_inside_are_never_reached", "tongbao"),
    quick("forged_notices", "tongbao-channels"),
    Run { build: &["--release"], ..quick("bombs", "tongbao-channels") },
    shipped("every_route_with_every_credential"),
    shipped("no_secret_is_ever_shown"),
    shipped("slow_callers_harm_nobody"),
    shipped("notices_come_first_under_overload"),
    shipped("kills_on_sqlite"),
    shipped("kills_on_postgres"),
    shipped("disk_full"),
    shipped("a_stopped_instance_wakes_late_on_postgres"),
    shipped("a_stopped_instance_wakes_late_on_mariadb"),
    shipped("rolling_restarts_fail_no_request_on_postgres"),
    shipped("rolling_restarts_fail_no_request_on_mariadb"),
    shipped("watchers_hear_the_other_instance_on_postgres"),
    shipped("watchers_hear_the_other_instance_on_mariadb"),
    shipped("the_database_restarts_postgres"),
    shipped("the_database_restarts_mariadb"),
    shipped("commits_are_cut_on_postgres"),
    shipped("commits_are_cut_on_mariadb"),
    quick("whole_lives", "tongbao-sim"),
    quick("fault_points", "tongbao-sim"),
    Run {
        build: &["--features", "planted"],
        ..quick("every_planted_bug_is_caught", "tongbao-sim")
    },
];

/// A run of the binary's own tests.
const fn shipped(name: &'static str) -> Run {
    Run { shipped: true, ..quick(name, "tongbao") }
}

/// A run that needs no binary.
const fn quick(name: &'static str, package: &'static str) -> Run {
    Run { name, package, build: &[], shipped: false }
}

/// The command; with names, only these runs.
pub(crate) fn run_reliability(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !RUNS.iter().any(|run| run.name == **name)) {
        let known: Vec<_> = RUNS.iter().map(|run| run.name).collect();
        bail!("there is no run {unknown:?}; the runs are: {}", known.join(", "));
    }
    let wanted = |run: &&Run| names.is_empty() || names.iter().any(|name| name == run.name);
    let chosen: Vec<&Run> = RUNS.iter().filter(wanted).collect();
    let evidence = crate::root().join("target/evidence");
    let _none_before = fs::remove_dir_all(&evidence);
    let mut steps = Steps::new();
    if chosen.iter().any(|run| run.shipped) {
        steps.take("release build", || run(&mut cargo(&["build", "--release", "--quiet"])));
    }
    let databases = Databases::start(&mut steps);
    for chosen in &chosen {
        steps.take(chosen.name, || one(chosen, &databases, &evidence));
    }
    drop(databases);
    write_page(&evidence)?;
    steps.finish()
}

fn one(chosen: &Run, databases: &Databases, evidence: &Path) -> Result<()> {
    let mut command = if find("cargo-nextest").is_some() {
        let mut command = cargo(&["nextest", "run", "--no-capture"]);
        command.args(chosen.build).args(["--package", chosen.package, "-E"]);
        command.arg(format!("test(/(^|::){}$/)", chosen.name));
        command
    } else {
        let mut command = cargo(&["test", "--tests", "--package", chosen.package]);
        command.args(chosen.build).args([chosen.name, "--", "--nocapture"]);
        command
    };
    command.env("TONGBAO_LONG", "1").env("TONGBAO_EVIDENCE", evidence);
    command.env("TONGBAO_BINARY", crate::root().join("target/release/tongbao"));
    run(databases.tell(&mut command))
}

fn write_page(evidence: &Path) -> Result<()> {
    let page = crate::root().join(PAGE);
    let mut rows = rows(&fs::read_to_string(&page).unwrap_or_default());
    let stamp = format!("{} | {}", today()?, commit()?);
    for entry in fs::read_dir(evidence).into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let row = format!("| `{name}` | {} | {stamp} |", cells(&text));
        rows.insert(name, row);
    }
    let body: String = rows.values().map(|row| format!("{row}\n")).collect();
    fs::write(&page, format!("{HEAD}{body}"))?;
    println!("{PAGE} is written");
    Ok(())
}

/// The rows that the page has, by run.
fn rows(page: &str) -> BTreeMap<String, String> {
    let of = |line: &str| {
        Some((line.strip_prefix("| `")?.split_once('`')?.0.to_owned(), line.to_owned()))
    };
    page.lines().filter_map(of).collect()
}

/// A record as two cells: what was done, and the counts.
fn cells(record: &str) -> String {
    let mut lines = record.lines();
    let broken = lines.next().unwrap_or_default();
    let counts: Vec<_> = lines.map(|line| line.replacen('\t', ": ", 1)).collect();
    format!("{broken} | {}", counts.join("<br>"))
}

fn today() -> Result<String> {
    let mut date = std::process::Command::new("date");
    Ok(output(date.args(["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}

fn commit() -> Result<String> {
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        output(command.args(arguments).current_dir(crate::root()))
    };
    let name = git(&["rev-parse", "--short", "HEAD"])?;
    // The page itself changes with each run.
    let changed = git(&["status", "--porcelain", "--", ":!docs/reference/reliability.md"])?;
    Ok(format!("{}{}", name.trim(), if changed.is_empty() { "" } else { "+" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_replaced_by_its_own_run_only() {
        let page = format!("{HEAD}| `b` | B | n: 1 | day | c |\n| `a` | A | n: 2 | day | c |\n");
        let rows = rows(&page);
        assert_eq!(rows.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(rows["b"], "| `b` | B | n: 1 | day | c |");
    }

    #[test]
    fn a_record_becomes_two_cells() {
        assert_eq!(
            cells("It was hit.\nrounds\t20\nlost\t0\n"),
            "It was hit. | rounds: 20<br>lost: 0"
        );
    }

    #[test]
    fn each_run_has_one_name() {
        let names: std::collections::BTreeSet<_> = RUNS.iter().map(|run| run.name).collect();
        assert_eq!(names.len(), RUNS.len());
    }
}

//! `cargo xtask contract`: schemathesis against a running gateway. It makes requests from
//! `/openapi.json`, valid ones and wrong ones, alone and in chains, and compares the replies with
//! what is declared there. What it checks is in `crates/tongbao/tests/clients/schemathesis`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::clients::environment;
use crate::packages;
use crate::root;
use crate::steps::{Steps, cargo, run};
use tongbao_servers::{find, tongbao_dev};

/// At least so many requests must be made, or the run shows too little.
const CASES_MIN: u64 = 2000;

/// How many requests for each operation and phase; with the chains that is above [`CASES_MIN`].
const EXAMPLES: u64 = 25;

/// Everybody's run of all tests makes the same requests; only the command looks for new ones.
const SEED: u64 = 1;

/// What a run is made from.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    seed: u64,
    examples: u64,
}

/// The command: `--seed N` repeats a run, `--examples N` makes it longer.
pub(crate) fn run_contract(arguments: &[String]) -> Result<()> {
    let wanted = Wanted::read(arguments)?;
    let mut steps = Steps::new();
    steps.take("PyPI packages", packages::pypi);
    if steps.take("build", || run(&mut cargo(&["build", "--package", "tongbao", "--quiet"]))) {
        take(&mut steps, &wanted);
    }
    steps.finish()
}

/// The step in the run of all tests.
pub(crate) fn run_all(steps: &mut Steps) {
    take(steps, &Wanted { seed: SEED, examples: EXAMPLES });
}

fn take(steps: &mut Steps, wanted: &Wanted) {
    let name = "schemathesis";
    match find("python3") {
        None => steps.skip(name, "python3 is not installed"),
        Some(python) => {
            steps.take(name, || explore(&python, wanted));
        }
    }
}

fn explore(python: &Path, wanted: &Wanted) -> Result<()> {
    let Wanted { seed, examples } = wanted;
    let again = format!("cargo xtask contract --seed {seed} --examples {examples}");
    println!("the same again: {again}");
    let server = tongbao_dev(&root().join("target/debug/tongbao"))?;
    let report = root().join("target/clients/schemathesis.json");
    let mut command = Command::new(python);
    command.arg(root().join("crates/tongbao/tests/clients/schemathesis/run.py"));
    command.args([&server.address, &seed.to_string(), &examples.to_string()]);
    environment(&mut command);
    let done = run(command.arg(&report));
    done.with_context(|| format!("to see the same again: {again}"))?;
    let report = fs::read_to_string(&report).context("schemathesis left no report")?;
    enough(&serde_json::from_str(&report).context("the report is not JSON")?)
}

/// Whether the run showed anything: every operation was asked, and often enough.
fn enough(report: &Value) -> Result<()> {
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64);
    let cases = count("/test_cases/generated").context("the report counts no cases")?;
    ensure!(cases >= CASES_MIN, "only {cases} requests were made, not {CASES_MIN}");
    let (total, tested) = (count("/operations/total"), count("/operations/tested"));
    ensure!(total.is_some() && total == tested, "{tested:?} of {total:?} operations were asked");
    Ok(())
}

impl Wanted {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut wanted = Self { seed: seed(), examples: EXAMPLES };
        for pair in arguments.chunks(2) {
            let value = pair.get(1).and_then(|text| text.parse().ok());
            match (&*pair[0], value) {
                ("--seed", Some(value)) => wanted.seed = value,
                ("--examples", Some(value)) => wanted.examples = value,
                _ => bail!("contract takes --seed N and --examples N, not {pair:?}"),
            }
        }
        Ok(wanted)
    }
}

/// Another one each time, so that runs add up.
fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_can_be_repeated() {
        let read = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            Wanted::read(&words)
        };
        let wanted = Wanted { seed: 7, examples: 100 };
        assert_eq!(read("--seed 7 --examples 100").unwrap(), wanted);
        assert_eq!(read("").unwrap().examples, EXAMPLES);
        for wrong in ["--seed", "--seed x", "--cases 7", "7"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_that_asked_too_little_is_no_evidence() {
        let report = |cases: u64, tested: u64| {
            let operations = json!({"total": 36, "tested": tested});
            enough(&json!({"test_cases": {"generated": cases}, "operations": operations})).is_ok()
        };
        assert!(report(CASES_MIN, 36));
        assert!(!report(CASES_MIN - 1, 36));
        assert!(!report(CASES_MIN, 35));
        assert!(enough(&json!({})).is_err());
    }
}

//! Chores of the workspace, so that a fresh machine needs cargo and nothing else. Each subcommand
//! is one module; `steps` runs and times what they are made of. Nothing here is shipped.

#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

mod bench;
mod check;
mod clients;
mod contract;
mod floors;
mod packages;
mod policy;
mod reliability;
mod sdk;
mod soak;
mod steps;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
cargo xtask <command>

  check            format, lints, tidy and the quick tests; run it before each commit
  test [FILTER…]   everything: installs what is missing, starts throw-away database servers, runs
                   all tests, lints, other people's clients and a browser. With a filter only the
                   Rust tests whose names contain it, with the servers running
  clients          other people's SDKs, the webhook verifiers against the sandbox, a browser, and
                   the SDK for browsers
  contract [--seed N] [--examples N]
                   requests that schemathesis makes from the OpenAPI document, compared with what
                   is declared there; the seed of an earlier run repeats it
  soak --seeds N   lives so many whole lives by seed, from a first seed that changes with the time
                   (--from SEED for another), and says how long it took
  reliability [RUN…]
                   the long form of every run that breaks tongbao (or of these): an hour or more,
                   after which docs/reference/reliability.md is written
  deny             cargo-deny over deny.toml, and the known advisories, whose database is fetched
                   from github.com; builds cargo-deny if it is not installed (minutes)
  tidy             the rules of the house that compilers do not know
  bench [--quick] [--strict]
                   speed, size and memory beside an ideal; --quick takes under a minute once
                   built, --strict fails when a bar is missed";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match command.as_deref() {
        None | Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some("check") => check::check(),
        Some("test") => test::run_tests(&rest),
        Some("clients") => test::run_clients(),
        Some("contract") => contract::run_contract(&rest),
        Some("soak") => soak::run_soak(&rest),
        Some("reliability") => reliability::run_reliability(&rest),
        Some("deny") => policy::run_deny(),
        Some("tidy") => tidy::run(&root()),
        Some("bench") => bench::run_bench(&rest),
        Some(other) => {
            eprintln!("xtask has no command {other:?}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    exit(done)
}

fn exit(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or_else(|| own.to_path_buf(), Path::to_path_buf)
}

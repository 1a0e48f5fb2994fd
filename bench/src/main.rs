//! `tongbao-bench run` measures tongbao beside an ideal on this machine; `cargo xtask bench` builds
//! both and calls it. `tongbao-bench ideal SETTINGS` is the ideal server as a process of its own,
//! so that its CPU time can be told from the load generator's. `docs/performance.md` of the main
//! workspace says what holds tongbao below the ideal.

mod ideal;
mod keys;
mod ledger;
mod load;
mod messages;
mod process;
mod product;
mod report;
mod run;
mod stub;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: tongbao-bench run --folder DIR [--product FILE] [--quick] [--strict]
       tongbao-bench ideal SETTINGS
  --folder   where keys, databases and logs of the run go
  --product  the tongbao binary; without it only the ideal is measured
  --quick    fewer messages, under a minute
  --strict   exit code 1 when a bar is missed";

fn main() -> ExitCode {
    match start() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<bool> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("ideal") => {
            let settings = arguments.next().context(USAGE)?;
            ideal::serve(&PathBuf::from(settings)).map(|()| true)
        }
        Some("run") => run::run(&options(arguments)?),
        _ => bail!("{USAGE}"),
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<run::Options> {
    let (mut folder, mut product, mut quick, mut strict) = (None, None, false, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--folder" => folder = arguments.next().map(PathBuf::from),
            "--product" => product = arguments.next().map(PathBuf::from),
            "--quick" => quick = true,
            "--strict" => strict = true,
            other => bail!("{other} is not an option\n{USAGE}"),
        }
    }
    Ok(run::Options { folder: folder.context(USAGE)?, product, quick, strict })
}

//! `cargo xtask bench`: builds tongbao and the small workspace `bench/` in release, and lets the
//! latter measure. It is apart from the main workspace, so that the ideal shares nothing with it.

use std::process::Command;

use anyhow::{Result, bail};

use crate::root;
use crate::steps::{cargo, run};

/// The command.
pub(crate) fn run_bench(arguments: &[String]) -> Result<()> {
    if let Some(other) = arguments.iter().find(|a| !["--quick", "--strict"].contains(&a.as_str())) {
        bail!("bench has no option {other:?}; it knows --quick and --strict");
    }
    run(&mut cargo(&["build", "--release", "--locked", "--package", "tongbao"]))?;
    let ideal = ["build", "--release", "--locked", "--manifest-path", "bench/Cargo.toml"];
    run(&mut cargo(&ideal))?;
    let mut bench = Command::new(root().join("bench/target/release/tongbao-bench"));
    bench.arg("run").arg("--folder").arg(root().join("target/bench/run"));
    bench.arg("--product").arg(root().join("target/release/tongbao"));
    run(bench.args(arguments))
}

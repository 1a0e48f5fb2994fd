//! `cargo xtask check`: what takes under two minutes on a warm machine and finds most mistakes. It
//! starts no servers and no browser; `cargo xtask test` does.

use anyhow::Result;

use crate::steps::{Steps, cargo, run};
use crate::{root, tidy};

/// Format, tidy and lints, as `cargo xtask test` takes them too.
pub(crate) fn inspect(steps: &mut Steps) {
    steps.take("format", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))?;
        run(&mut cargo(&["fmt", "--manifest-path", "bench/Cargo.toml", "--check"]))?;
        run(&mut cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    });
    steps.take("tidy", || tidy::run(&root()));
    steps.take("lints", || {
        let all = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        run(&mut cargo(&all))
    });
}

/// The command.
pub(crate) fn check() -> Result<()> {
    let mut steps = Steps::new();
    inspect(&mut steps);
    steps.take("quick tests", || {
        run(&mut cargo(&["test", "--workspace", "--lib", "--bins", "--quiet"]))
    });
    steps.finish()
}

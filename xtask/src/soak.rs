//! `cargo xtask soak`: many whole lives by seed, for a night or a lunch break; see
//! `docs/changing/a-seed-failed.md`.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::steps::{cargo, run};

/// The command: `--seeds N`, and `--from SEED` for a first seed that does not follow from the time.
pub(crate) fn run_soak(arguments: &[String]) -> Result<()> {
    let pairs: Vec<&[String]> = arguments.chunks(2).collect();
    let known = |pair: &&[String]| pair.len() == 2 && ["--seeds", "--from"].contains(&&*pair[0]);
    if let Some(other) = pairs.iter().find(|pair| !known(pair)) {
        bail!("soak takes --seeds N and --from SEED, not {other:?}");
    }
    let mut lives = cargo(&["run", "--quiet", "--package", "tongbao-sim", "--"]);
    if !arguments.iter().any(|word| word == "--from") {
        lives.args(["--from", &seconds().to_string()]);
    }
    let began = Instant::now();
    let done = run(lives.args(arguments));
    println!("the soak took {} s", began.elapsed().as_secs());
    done
}

/// Another first seed each time, so that nights add up.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs().saturating_mul(1_000_000))
}

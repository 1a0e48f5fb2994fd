//! Running a list of steps: each has a name and a time, a failure does not keep the others from
//! running, what was skipped is said at the end, and under `CI=true` a skip is a failure.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

pub(crate) use tongbao_servers::{output, run};

/// How a step ended.
enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

/// The steps taken so far.
pub(crate) struct Steps {
    taken: Vec<(String, Duration, End)>,
    skip_is_failure: bool,
}

impl Steps {
    /// No steps yet; `CI=true` in the environment forbids skipping.
    pub(crate) fn new() -> Self {
        let skip_is_failure = std::env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1");
        Self { taken: Vec::new(), skip_is_failure }
    }

    /// Takes a step; true if it passed.
    pub(crate) fn take(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n== {name}");
        let started = Instant::now();
        let end = match step() {
            Ok(()) => End::Passed,
            Err(error) => {
                let text = format!("{error:#}");
                println!("{text}");
                End::Failed(text)
            }
        };
        let passed = matches!(end, End::Passed);
        self.taken.push((name.to_owned(), started.elapsed(), end));
        passed
    }

    /// Notes that a step could not be taken.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        println!("\n== {name}: skipped, {reason}");
        self.taken.push((name.to_owned(), Duration::ZERO, End::Skipped(reason.to_owned())));
    }

    /// Prints the table; an error if a step failed or, in CI, was skipped.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n{}", self.table());
        let (passed, failed, skipped) = self.counts();
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        ensure!(failed == 0, "not everything passed");
        if self.skip_is_failure && skipped > 0 {
            bail!("something was skipped, and CI=true allows no skipping");
        }
        Ok(())
    }

    fn table(&self) -> String {
        let line = |(name, time, end): &(String, Duration, End)| {
            let (word, reason) = match end {
                End::Passed => ("passed", ""),
                End::Failed(reason) => ("FAILED", reason.lines().next().unwrap_or("")),
                End::Skipped(reason) => ("skipped", reason.as_str()),
            };
            format!("{word:<8}{:>5} s  {name:<28} {reason}", time.as_secs()).trim_end().to_owned()
        };
        self.taken.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn counts(&self) -> (usize, usize, usize) {
        let count = |test: fn(&End) -> bool| self.taken.iter().filter(|(.., e)| test(e)).count();
        (
            count(|e| matches!(e, End::Passed)),
            count(|e| matches!(e, End::Failed(_))),
            count(|e| matches!(e, End::Skipped(_))),
        )
    }
}

/// cargo at the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(crate::root());
    command
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn steps(skip_is_failure: bool) -> Steps {
        Steps { taken: Vec::new(), skip_is_failure }
    }

    #[test]
    fn a_failed_step_fails_the_whole_and_the_others_still_run() {
        let mut steps = steps(false);
        assert!(!steps.take("first", || Err(anyhow!("broken"))));
        assert!(steps.take("second", || Ok(())));
        assert!(steps.table().contains("FAILED") && steps.table().contains("broken"));
        assert!(steps.finish().is_err());
    }

    #[test]
    fn a_skip_is_a_failure_in_ci_only() {
        for (ci, good) in [(false, true), (true, false)] {
            let mut steps = steps(ci);
            steps.skip("browser", "no chromium");
            assert_eq!(steps.finish().is_ok(), good);
        }
    }
}

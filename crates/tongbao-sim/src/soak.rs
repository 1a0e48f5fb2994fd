//! Many seeds on every core, and what is told of one that fails.

use crate::coverage::Coverage;
use crate::life::{Outcome, live};
use crate::plan::Plan;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use tongbao_types::Bug;

/// What became of many lives.
#[derive(Debug)]
pub struct Soaked {
    /// The seeds that failed, smallest first, with what became of them.
    pub failed: Vec<(u64, Outcome)>,
    /// How many lives were lived.
    pub lives: usize,
    /// How often each thing has happened in them.
    pub coverage: Coverage,
}

/// Lives all these seeds, with a planted bug or without, one thread for each core, until
/// `failures_max` have failed.
pub fn soak(seeds: &[u64], bug: Option<Bug>, failures_max: usize) -> Soaked {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let coverage = Coverage::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    let outcome = live(&Plan { bug, ..Plan::of(*seed) });
                    coverage.add(&outcome.coverage);
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    if !outcome.violations.is_empty() {
                        failed.push((*seed, outcome));
                    }
                    if failed.len() >= failures_max {
                        return;
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|(seed, _)| *seed);
    Soaked { failed, lives: next.load(Ordering::Relaxed).min(seeds.len()), coverage }
}

/// What somebody reads who has to find out why a life failed.
pub fn tell(plan: &Plan, outcome: &Outcome) -> String {
    let mut text =
        format!("seed {} with {} processes, shops {:?}\n", plan.seed, plan.processes, plan.shops);
    let _ = writeln!(text, "repeat it: cargo run -p tongbao-sim -- --seed {}", plan.seed);
    for step in &plan.steps {
        let _ = writeln!(text, "  step  {:?} {:?}", step.at, step.deed);
    }
    for fault in &plan.faults {
        let _ = writeln!(text, "  fault {fault}");
    }
    for down in &plan.downs {
        let _ = writeln!(text, "  down  {down:?}");
    }
    for line in &outcome.trace {
        let _ = writeln!(text, "{line}");
    }
    for violation in &outcome.violations {
        let _ = writeln!(text, "VIOLATION {}: {}", violation.rule, violation.what);
    }
    text
}

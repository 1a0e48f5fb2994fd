//! A simulation that finds nothing proves something only if it finds what is planted. Each bug must
//! be caught within so many seeds.

use std::time::Instant;
use tongbao_evidence::record;
use tongbao_sim::{Plan, live, soak};
use tongbao_types::Bug;

/// Each of them is caught within so many lives.
const WITHIN: u64 = 400;

#[test]
fn every_planted_bug_is_caught() {
    let began = Instant::now();
    let seeds: Vec<u64> = (1..=WITHIN).collect();
    assert_eq!(Bug::ALL.len(), 27);
    let (mut missed, mut last) = (Vec::new(), (0, None));
    for bug in Bug::ALL {
        let since = Instant::now();
        let soaked = soak(&seeds, Some(*bug), 1);
        match soaked.failed.first() {
            None => missed.push(bug),
            Some((seed, outcome)) => {
                let alone = live(&Plan::of(*seed));
                assert!(alone.violations.is_empty(), "seed {seed} fails without {bug:?}");
                let violation = &outcome.violations[0];
                let millis = since.elapsed().as_millis();
                println!(
                    "{bug:?}: seed {seed}, {millis} ms, {}: {}",
                    violation.rule, violation.what
                );
                last = last.max((*seed, Some(format!("{bug:?}"))));
            }
        }
    }
    assert!(missed.is_empty(), "not caught within {WITHIN} lives: {missed:?}");
    let (seed, bug) = last;
    record(
        "every_planted_bug_is_caught",
        "Bugs that a payment service must never have were planted one at a time, and the \
         simulation was asked to find each.",
        &[
            ("bugs", Bug::ALL.len().to_string()),
            ("not found", "0".to_owned()),
            ("the longest search, lives", format!("{seed} ({})", bug.unwrap_or_default())),
            ("seconds", began.elapsed().as_secs().to_string()),
        ],
    );
}

//! A simulation that finds nothing proves something only if it finds what is planted. Each bug must
//! be caught within so many seeds.

use tongbao_sim::soak;
use tongbao_types::Bug;

/// Each of them is caught within so many lives.
const WITHIN: u64 = 400;

#[test]
fn every_planted_bug_is_caught() {
    let seeds: Vec<u64> = (1..=WITHIN).collect();
    assert_eq!(Bug::ALL.len(), 20);
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let soaked = soak(&seeds, Some(*bug), 1);
        match soaked.failed.first() {
            None => missed.push(bug),
            Some((seed, outcome)) => {
                let violation = &outcome.violations[0];
                println!("{bug:?}: seed {seed}, {}: {}", violation.rule, violation.what);
            }
        }
    }
    assert!(missed.is_empty(), "not caught within {WITHIN} lives: {missed:?}");
}

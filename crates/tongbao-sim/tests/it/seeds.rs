//! Many lives with faults of every kind; in the end everything is as it should be.

use tongbao_sim::{Plan, shrink, soak, tell};

/// Lives these seeds, and tells the shortest story of the first one that fails.
fn check(seeds: &[u64]) {
    let soaked = soak(seeds, None, 1);
    if let Some((seed, outcome)) = soaked.failed.into_iter().next() {
        let (plan, outcome) = shrink(&Plan::of(seed), outcome);
        panic!("{}", tell(&plan, &outcome));
    }
    assert_eq!(soaked.lives, seeds.len());
}

#[test]
fn seeds_that_once_failed() {
    let lines = include_str!("../../seeds.txt").lines();
    let words = lines.filter_map(|line| line.split('#').next()).map(str::trim);
    let seeds: Vec<u64> = words.filter(|w| !w.is_empty()).map(|w| w.parse().unwrap()).collect();
    assert!(!seeds.is_empty());
    check(&seeds);
}

#[test]
fn two_thousand_lives() {
    let seeds: Vec<u64> = (1..=2000).collect();
    check(&seeds);
}

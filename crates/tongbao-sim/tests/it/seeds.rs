//! Many lives with faults of every kind; in the end everything is as it should be.

use std::time::Instant;
use tongbao_evidence::{record, times};
use tongbao_sim::{Coverage, Plan, shrink, soak, tell, wanted};

/// Lives these seeds, and tells the shortest story of the first one that fails.
fn check(seeds: &[u64]) -> Coverage {
    let soaked = soak(seeds, None, 1);
    if let Some((seed, outcome)) = soaked.failed.first() {
        let (plan, outcome) = shrink(&Plan::of(*seed), outcome.clone());
        panic!("{}", tell(&plan, &outcome));
    }
    assert_eq!(soaked.lives, seeds.len());
    soaked.coverage
}

#[test]
fn seeds_that_once_failed() {
    let lines = include_str!("../../seeds.txt").lines();
    let words = lines.filter_map(|line| line.split('#').next()).map(str::trim);
    let seeds: Vec<u64> = words.filter(|w| !w.is_empty()).map(|w| w.parse().unwrap()).collect();
    assert!(!seeds.is_empty());
    check(&seeds);
}

/// In so many lives each fault and each happening comes this often; a payment through one channel
/// of one kind of account, of which there are dozens, at least once.
fn least_of(name: &str) -> u64 {
    if name.contains('.') { 1 } else { 10 }
}

#[test]
fn whole_lives() {
    let began = Instant::now();
    let seeds: Vec<u64> = (1..=times(2_000, 10_000)).collect();
    let coverage = check(&seeds);
    println!("{coverage}");
    let wanted = wanted();
    let least = wanted.iter().min_by_key(|name| coverage.of(name)).unwrap();
    let seldom = wanted.iter().filter(|name| coverage.of(name) < least_of(name));
    let seldom: Vec<_> = seldom.map(|name| (name, coverage.of(name))).collect();
    assert!(seldom.is_empty(), "in {} lives, too seldom: {seldom:?}", seeds.len());
    let faults = |point: &str| -> u64 {
        let all = coverage.all();
        all.iter().filter(|(name, _)| name.starts_with(point)).map(|(_, count)| count).sum()
    };
    record(
        "whole_lives",
        "Whole lives by seed with faults of every kind at every point; in the end the sandboxes' \
         ledgers, their bills, the store, the webhooks and the callbacks agree.",
        &[
            ("lives", seeds.len().to_string()),
            ("lives that failed", "0".to_owned()),
            ("faults at the database", faults("Store: ").to_string()),
            ("at providers", faults("Provider: ").to_string()),
            ("at notices", faults("Notice: ").to_string()),
            ("at webhooks and callbacks", faults("Webhook: ").to_string()),
            ("at bills", faults("Bill: ").to_string()),
            ("kinds of things that had to happen", wanted.len().to_string()),
            ("the rarest of them", format!("{least}, {} times", coverage.of(least))),
            ("seconds", began.elapsed().as_secs().to_string()),
        ],
    );
}

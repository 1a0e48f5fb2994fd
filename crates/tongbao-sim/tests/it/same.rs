//! The same seed is the same life, bit by bit, or a failure could not be looked at twice.

use tongbao_sim::{Plan, live};

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1..=12 {
        let lived = || {
            let life = std::thread::spawn(move || live(&Plan::of(seed)));
            life.join().unwrap()
        };
        let (first, second) = (lived(), lived());
        assert!(first.trace.len() > 10, "seed {seed} is no life");
        for (one, other) in first.trace.iter().zip(&second.trace) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!((first.trace.len(), first.calls), (second.trace.len(), second.calls));
    }
}

#[test]
fn different_seeds_are_different_lives() {
    assert_ne!(live(&Plan::of(1)).trace, live(&Plan::of(2)).trace);
}

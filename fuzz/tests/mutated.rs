//! Every target over seeded mutations of its corpus: what a machine without libFuzzer can do.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::Path;

#[test]
fn every_target_comes_back_from_mutated_corpora() {
    let times = tongbao_evidence::times(150, 5_000);
    for (name, target) in tongbao_fuzz::TARGETS {
        let files = files(name);
        let mut dice = StdRng::seed_from_u64(7);
        for round in 0..times {
            let mut bytes = files[dice.random_range(0..files.len())].clone();
            let other = &files[dice.random_range(0..files.len())];
            for _ in 0..dice.random_range(1..4) {
                mutate(&mut bytes, other, &mut dice);
            }
            // A failure's message names the round, which the seed repeats.
            println!("{name} #{round}: {:?}", String::from_utf8_lossy(&bytes));
            target(&bytes);
        }
    }
}

fn files(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut StdRng) {
    let mut place = |length: usize| dice.random_range(0..=length);
    let (a, b) = (place(bytes.len()), place(bytes.len()));
    let (a, b) = (a.min(b), a.max(b).min(a.min(b) + 40));
    let (from, to) = (place(other.len()), place(other.len()));
    let theirs = &other[from.min(to)..from.max(to)];
    match dice.random_range(0..6) {
        0 if a < bytes.len() => bytes[a] ^= 1 << dice.random_range(0..8),
        1 if a < bytes.len() => bytes[a] = dice.random(),
        2 => bytes.truncate(a),
        3 => {
            bytes.drain(a..b);
        }
        4 => {
            let again = bytes[a..b].to_vec();
            bytes.splice(a..a, again);
        }
        _ => {
            bytes.splice(a..b, theirs.iter().copied());
        }
    }
}

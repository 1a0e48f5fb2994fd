//! Randomness that follows from a seed, and numbers that follow from a seed and a place, so that
//! taking one thing out of a life does not change the luck of all the others.

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::sync::{Mutex, PoisonError};
use tongbao_engine::Dice;

/// One gateway's dice.
pub(crate) struct SeededDice(Mutex<StdRng>);

impl SeededDice {
    pub(crate) fn new(seed: u64) -> SeededDice {
        SeededDice(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Dice for SeededDice {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

/// A number that looks random and depends on these alone (splitmix64).
pub(crate) fn mixed(seed: u64, place: &str, count: u64) -> u64 {
    let text = place.bytes().fold(seed ^ 0x9e37_79b9_7f4a_7c15, |sum, byte| step(sum, byte.into()));
    step(text, count)
}

fn step(sum: u64, next: u64) -> u64 {
    let mut mixed = sum.wrapping_add(next).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

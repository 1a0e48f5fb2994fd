//! Randomness. It comes from the operating system, unless a simulation has given this thread a
//! seed: then everything that the thread draws here follows from the seed.

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use std::cell::RefCell;

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// Lets everything that this thread draws from now on follow from a seed. Never for keys.
pub(crate) fn seed_thread(seed: u64) {
    SEEDED.set(Some(StdRng::seed_from_u64(seed)));
}

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    with(|dice| dice.fill_bytes(&mut bytes));
    bytes
}

/// A number below `end`, which is not 0.
pub(crate) fn below(end: usize) -> usize {
    with(|dice| dice.random_range(0..end))
}

fn with<T>(draw: impl FnOnce(&mut dyn RngCore) -> T) -> T {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(dice) => draw(dice),
        None => draw(&mut rand::rng()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_what_its_thread_draws_and_no_other_thread() {
        let drawn = |seed| {
            let thread = std::thread::spawn(move || {
                seed_thread(seed);
                (bytes::<16>(), below(1_000_000))
            });
            thread.join().unwrap()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_ne!(bytes::<16>(), bytes::<16>());
        assert_ne!(bytes::<16>(), drawn(7).0);
    }
}

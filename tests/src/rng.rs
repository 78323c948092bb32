//! Pseudo-random numbers that a seed reproduces.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64: a small generator whose numbers follow from the seed.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Takes the seed from `CHAIN_SEED`, or else from the clock, and prints it so that a run can be repeated.
    pub fn new() -> Self {
        let given = env::var("CHAIN_SEED").ok().map(|seed| seed.parse().expect("CHAIN_SEED is a number"));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        let seed = given.unwrap_or_else(clock);
        println!("CHAIN_SEED={seed}");
        Self::seeded(seed)
    }

    /// The sequence of a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next_u64() % end.max(1) as u64).unwrap_or_default()
    }

    /// True in one of this many cases, on average.
    pub fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is nothing to choose from.
    #[track_caller]
    pub fn choose<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        choices.get(self.below(choices.len())).expect("something to choose from")
    }

    /// A time up to this one.
    pub fn duration_up_to(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.next_u64() % u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1))
    }
}

impl Default for Rng {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_all_numbers() {
        let numbers = |seed| {
            let mut rng = Rng::seeded(seed);
            [rng.next_u64(), rng.next_u64(), rng.below(10) as u64]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }
}

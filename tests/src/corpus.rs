//! A fuzz corpus, replayed without a fuzzer: each seed as it is, cut, and with bytes changed.

use std::fs;
use std::path::Path;

use crate::Rng;

/// Runs every seed in a directory, and this many changes of each, always the same ones. A changed byte
/// becomes a meaningful one for the parser, or has one bit flipped.
///
/// # Panics
/// If there is no seed, because then nothing is tested.
#[track_caller]
pub fn replay(directory: &Path, changes: usize, meaningful: [u8; 7], run: fn(&[u8])) {
    let seeds = fs::read_dir(directory).expect("a directory of seeds");
    let seeds: Vec<Vec<u8>> =
        seeds.map(|entry| fs::read(entry.expect("a seed").path()).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "{} has no seeds", directory.display());
    for seed in seeds {
        run(&seed);
        let mut rng = Rng::seeded(0);
        for round in 0..changes {
            let mut data = seed.clone();
            if round % 4 == 0 {
                data.truncate(rng.below(data.len()));
            }
            for _ in 0..=rng.below(4) {
                let at = rng.below(data.len());
                if let Some(byte) = data.get_mut(at) {
                    *byte = meaningful.get(rng.below(8)).copied().unwrap_or(*byte ^ 1 << (round % 8));
                }
            }
            run(&data);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Scratch;

    #[test]
    fn a_seed_runs_as_it_is_shorter_and_changed() {
        static RUN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
        let scratch = Scratch::new();
        fs::write(scratch.path("seed"), "abcdefgh").unwrap();
        replay(&scratch.path(""), 100, *b"0123456", |data| RUN.lock().unwrap().push(data.to_vec()));
        let run = RUN.lock().unwrap();
        assert_eq!((run.len(), run[0].as_slice()), (101, b"abcdefgh".as_slice()));
        assert!(run.iter().any(|data| data.len() < 8));
        assert!(run.iter().any(|data| data.len() == 8 && data.contains(&b'3')));
    }
}

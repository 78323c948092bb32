// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzz corpus, replayed: each seed as it is, cut, and with bytes changed.

// all of this file is test code, also what clippy takes for helpers
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cgexec_rs::fuzzed;

/// Changes made to each seed; always the same ones.
const CHANGES: usize = 3000;

fn replay(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        seeds += 1;
        run(&seed);
        let mut state = 0x2545_f491_u32;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as usize % below.max(1)
        };
        for round in 0..CHANGES {
            let mut data = seed.clone();
            if round % 4 == 0 {
                data.truncate(random(data.len()));
            }
            for _ in 0..=random(4) {
                let at = random(data.len());
                if let Some(byte) = data.get_mut(at) {
                    *byte = [0, 0xff, 4, 8, b'/', b'.', b'\n', *byte ^ 1 << (round % 8)][random(8)];
                }
            }
            run(&data);
        }
    }
    assert!(seeds > 0, "{target} has no seeds");
}

mod in_tree {
    use super::*;

    #[test]
    fn no_message_of_the_corpus_makes_the_reader_panic() {
        replay("message", fuzzed::message);
    }

    #[test]
    fn no_answer_of_the_corpus_makes_the_client_wait_or_panic() {
        replay("conversation", fuzzed::conversation);
    }

    #[test]
    fn no_mount_table_of_the_corpus_leads_out_of_its_mount() {
        replay("hierarchies", fuzzed::hierarchies);
    }
}

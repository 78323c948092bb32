// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzz corpus, replayed: each seed as it is, cut, and with bytes changed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails may say so in the shortest way"
)]

use std::path::Path;

use rootfs_fetch::fuzzed;

/// Changes made to each seed; always the same ones.
const CHANGES: usize = 300;

fn replay(target: &str, run: fn(&[u8]), changes: usize) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in std::fs::read_dir(&directory).expect("the corpus is there") {
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
        for round in 0..changes {
            let mut data = seed.clone();
            if round % 4 == 0 {
                data.truncate(random(data.len()));
            }
            for _ in 0..=random(4) {
                let at = random(data.len());
                if let Some(byte) = data.get_mut(at) {
                    *byte = [0, 0xff, b'0', b'7', b'9', b'/', b'.', *byte ^ 1 << (round % 8)][random(8)];
                }
            }
            run(&data);
        }
    }
    assert!(seeds > 0, "{target} has no seeds");
}

#[test]
fn no_header_of_the_corpus_makes_the_reader_panic() {
    replay("tar", fuzzed::tar, CHANGES);
}

#[test]
fn no_archive_of_the_corpus_is_written_outside() {
    replay("tar", fuzzed::unpack, 60);
}

#[test]
fn no_pax_record_of_the_corpus_makes_the_reader_panic() {
    replay("pax", fuzzed::pax, 3000);
}

#[test]
fn no_elf_file_of_the_corpus_makes_the_reader_panic() {
    replay("elf", fuzzed::elf, 3000);
}

#[test]
fn no_loader_cache_of_the_corpus_makes_the_reader_panic() {
    replay("ld_cache", fuzzed::ld_cache, 3000);
}

#[test]
fn no_manifest_of_the_corpus_makes_the_reader_panic() {
    replay("manifest", fuzzed::manifest, 1000);
}

#[test]
fn no_name_of_the_corpus_is_understood_in_two_ways() {
    replay("reference", fuzzed::reference, 3000);
}

#[test]
fn no_answer_of_the_corpus_makes_the_reader_panic() {
    replay("answer", fuzzed::answer, 3000);
}

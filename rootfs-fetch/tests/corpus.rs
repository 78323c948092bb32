//! The fuzz corpus, replayed: each seed unchanged, truncated, and with changed bytes.
#![cfg(test)]

mod fuzz_entry;

use std::path::Path;

/// The number of changes to each seed, the same in each run.
const CHANGING_CALLS: usize = 300;

fn replay(target: &str, run: fn(&[u8]), changes: usize) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    tests::corpus::replay(&directory, changes, [0, 0xff, b'0', b'7', b'9', b'/', b'.'], run);
}

#[test]
fn no_header_of_the_corpus_makes_the_reader_panic() {
    replay("tar", fuzz_entry::tar, CHANGING_CALLS);
}

#[test]
fn no_archive_of_the_corpus_is_written_outside() {
    replay("tar", fuzz_entry::unpack, 60);
}

#[test]
fn no_pax_record_of_the_corpus_makes_the_reader_panic() {
    replay("pax", fuzz_entry::pax, 3000);
}

#[test]
fn no_elf_file_of_the_corpus_makes_the_reader_panic() {
    replay("elf", fuzz_entry::elf, 3000);
}

#[test]
fn no_loader_cache_of_the_corpus_makes_the_reader_panic() {
    replay("ld_cache", fuzz_entry::ld_cache, 3000);
}

#[test]
fn no_manifest_of_the_corpus_makes_the_reader_panic() {
    replay("manifest", fuzz_entry::manifest, 1000);
}

#[test]
fn no_name_of_the_corpus_is_understood_in_two_ways() {
    replay("reference", fuzz_entry::reference, 3000);
}

#[test]
fn no_answer_of_the_corpus_makes_the_reader_panic() {
    replay("dns", fuzz_entry::dns, 3000);
}

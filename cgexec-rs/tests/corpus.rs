//! The fuzz corpus, replayed: each seed unchanged, truncated, and with changed bytes.
#![cfg(test)]

mod fuzzed;

use std::path::Path;

/// The number of changes to each seed, the same in each run.
const CHANGING_CALLS: usize = 3000;

fn replay(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    tests::corpus::replay(&directory, CHANGING_CALLS, [0, 0xff, 4, 8, b'/', b'.', b'\n'], run);
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

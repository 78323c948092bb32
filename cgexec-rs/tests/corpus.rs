//! The fuzz corpus, replayed: each seed as it is, cut, and with bytes changed.
#![cfg(test)]

mod fuzzed;

use std::path::Path;

/// Changes made to each seed; always the same ones.
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

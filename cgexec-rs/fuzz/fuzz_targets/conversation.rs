#![no_main]

// each target runs one of them
#[allow(dead_code)]
#[path = "../../tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::conversation(data));

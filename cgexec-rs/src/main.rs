//! The entry point of cgexec-rs. The code is in the library.
#![no_main]

system::main!(cgexec_rs::run);

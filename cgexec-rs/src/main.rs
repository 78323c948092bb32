//! The door of cgexec-rs: what is behind it is in the library.
#![no_main]

system::main!(cgexec_rs::run);

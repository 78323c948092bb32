//! The entry point of unshare-rs. The code is in the library.
#![no_main]

system::main!(unshare_rs::run);

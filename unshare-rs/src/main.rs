//! The door of unshare-rs: what is behind it is in the library.
#![no_main]

system::main!(unshare_rs::run);

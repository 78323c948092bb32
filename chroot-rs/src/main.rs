//! The entry point of chroot-rs. The code is in the library, where tests can call it.
#![no_main]

system::main!(chroot_rs::run);

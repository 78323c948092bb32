//! The entry point of chroot-rs. The program itself is the library, which tests can call.
#![no_main]

system::main!(chroot_rs::run);

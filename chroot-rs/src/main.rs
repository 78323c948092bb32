// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entry point of chroot-rs. The program itself is the library, which tests can call.
#![no_main]

system::main!(chroot_rs::run);

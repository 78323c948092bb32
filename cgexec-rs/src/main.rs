// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door of cgexec-rs: what is behind it is in the library.
#![no_main]

system::main!(cgexec_rs::run);

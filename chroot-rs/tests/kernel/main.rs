// SPDX-License-Identifier: MIT OR Apache-2.0
//! chroot-rs against a real kernel: what it promises, tried from inside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod command;
mod credentials;
mod descriptors;
mod escapes;
mod house;
mod links;
mod machine;
mod masks;
mod mounts;
mod places;
mod programs;
mod rights;
mod street;

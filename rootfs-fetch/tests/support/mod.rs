// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests share: archives made byte by byte, scratch directories, fingerprints.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails may say so in the shortest way"
)]

pub mod layout;
pub mod scratch;
pub mod server;
pub mod tar;
pub mod tree;

pub use scratch::{As, Outcome, Scratch, is_root};
pub use server::{Server, answer};
pub use tar::{Head, Tar, pax_record};
pub use tree::{differences, tree};

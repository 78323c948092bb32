// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two versions of control groups.

/// The version of a hierarchy: cgroups(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or for a few.
    V1,
    /// One hierarchy for all controllers.
    V2,
}

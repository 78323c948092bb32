//! The two versions of control groups.

/// The version of a hierarchy: cgroups(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

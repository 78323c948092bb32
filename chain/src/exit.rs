//! The exit statuses that every link of a chain shares.

/// The tool failed before its command ran.
pub const FAILED: i32 = 125;
/// The command was found and cannot be run.
pub const NOT_RUNNABLE: i32 = 126;
/// The command was not found.
pub const NOT_FOUND: i32 = 127;

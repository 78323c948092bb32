//! The names in the directory of `--changes`.

/// The file whose time shows when the changes began.
pub const SINCE: &str = "since";
/// The written files, as overlayfs stores them.
pub const UPPER: &str = "upper";
/// The file that exists if their overlay marks them with `user.overlay.*`: the mount option of the same name.
pub const USERXATTR: &str = "userxattr";
/// The overlay's own directory.
pub const WORK: &str = "work";

//! The names in the directory of `--changes`.

/// The file whose time shows when the changes began.
pub const SINCE: &str = "since";
/// The written files, as overlayfs stores them.
pub const UPPER: &str = "upper";
/// A file that exists if the overlay marks files with `user.overlay.*`. It has the name of overlayfs's mount option.
pub const USERXATTR: &str = "userxattr";
/// The overlay's own directory.
pub const WORK: &str = "work";

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parts of strace(1)'s notation, and paths as a shell reads them.

use std::fmt::{self, Display};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use nix::sys::signal::Signal;

use crate::reporter::quoted;

/// A string argument that may be NULL.
pub(super) struct OrNull<'a>(pub(super) Option<&'a Path>);

impl Display for OrNull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => quoted(text).fmt(f),
            None => f.write_str("NULL"),
        }
    }
}

/// A part of a device number.
pub(super) struct Hex(pub(super) u64);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("0") } else { write!(f, "{:#x}", self.0) }
    }
}

pub(super) fn signal_name(signo: i32) -> String {
    Signal::try_from(signo).map_or_else(|_| signo.to_string(), |signal| signal.as_str().to_string())
}

/// A path below the working directory as a shell word, without its `.` parts.
pub(super) fn shell_word_at(cwd: &Path, path: &Path) -> String {
    let path = cwd.join(path);
    shell_word(&path.components().filter(|part| *part != Component::CurDir).collect::<std::path::PathBuf>())
}

/// A path as a shell word.
pub fn shell_word(path: &Path) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    match path.to_str() {
        Some(text) if path.as_os_str().as_bytes().iter().all(is_plain) => text.to_string(),
        _ => quoted(path).to_string(),
    }
}

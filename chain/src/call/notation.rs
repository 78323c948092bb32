//! Parts of strace(1)'s notation, and paths as a shell reads them.

use std::fmt::{self, Display};
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

/// A part of a device number, in hexadecimal.
pub(super) struct Hex(pub(super) u64);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("0") } else { write!(f, "{:#x}", self.0) }
    }
}

pub(super) fn signal_name(signo: i32) -> String {
    Signal::try_from(signo).map_or_else(|_| signo.to_string(), |signal| signal.as_str().to_string())
}

/// A path below the working directory as a shell word, without its `.` components.
pub(super) fn shell_word_at(cwd: &Path, path: &Path) -> String {
    let path = cwd.join(path);
    shell_word(&path.components().filter(|part| *part != Component::CurDir).collect::<std::path::PathBuf>())
}

/// A path as a shell word: in single quotes unless it is plain, because a shell expands `$` and backticks in
/// double quotes.
pub fn shell_word(path: &Path) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|byte| is_plain(&byte)) => text.to_string(),
        _ => format!("'{}'", path.to_string_lossy().replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_word_is_expanded_by_no_shell() {
        for (path, word) in [
            ("/etc/os-release", "/etc/os-release"),
            ("/a b", "'/a b'"),
            ("/$(id)`id`", "'/$(id)`id`'"),
            ("/it's", r"'/it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}

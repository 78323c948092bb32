//! Reads the files of a group: a text, a number, a limit; and the groups in it.

use std::fs;
use std::path::{Path, PathBuf};

/// A limit in a file: `Some(None)` means no limit, `None` means unknown.
pub type LimitValue = Option<Option<u64>>;

/// A complete file; empty if it does not exist.
pub fn text(group: &Path, file: &str) -> String {
    fs::read_to_string(group.join(file)).unwrap_or_default()
}

/// The only number in a file.
pub fn number(group: &Path, file: &str) -> Option<u64> {
    text(group, file).trim().parse().ok()
}

/// A limit, which is a number or `max`.
pub fn limit(group: &Path, file: &str) -> LimitValue {
    match text(group, file).trim() {
        "max" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

/// The groups in a group.
pub fn groups_in(group: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    groups.map(|entry| entry.path())
}

//! The files of a group as they read: a text, a number, a limit; and the groups in it.

use std::fs;
use std::path::{Path, PathBuf};

/// A limit as its file shows it: `Some(None)` is no limit, `None` is not known.
pub type LimitValue = Option<Option<u64>>;

/// All of a file; nothing of one that is not there.
pub fn text(group: &Path, file: &str) -> String {
    fs::read_to_string(group.join(file)).unwrap_or_default()
}

/// The number that is alone in a file.
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

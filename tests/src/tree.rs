// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory tree as text, a line for each file, to be compared with another.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::layout::hex;

/// The lines of a tree, by their paths in it.
///
/// A line has type and mode, owner, time, the number of names, and a digest or where a link leads.
/// A directory's time is left out: each tool has its own way to touch it again with a later layer.
#[track_caller]
pub fn tree(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut todo = vec![top.to_path_buf()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).expect("what was listed is there");
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory that can be read");
            todo.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        let inside = path.strip_prefix(top).expect("below the top").to_path_buf();
        seen.insert(inside, line(&path, &meta));
    }
    seen
}

fn line(path: &Path, meta: &Metadata) -> String {
    let owner = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
    if meta.is_dir() {
        return owner;
    }
    let content = if meta.is_symlink() {
        format!("-> {}", fs::read_link(path).expect("a link").display())
    } else if meta.is_file() {
        let data = fs::read(path).expect("a file that can be read");
        format!("{} bytes, {}", data.len(), hex(&data))
    } else {
        format!("device {}", meta.rdev())
    };
    format!("{owner} {}.{:09} {} {content}", meta.mtime(), meta.mtime_nsec(), meta.nlink())
}

/// Fails with the lines that differ.
#[track_caller]
pub fn assert_same(found: &Path, wanted: &Path) {
    let (found, wanted) = (tree(found), tree(wanted));
    let only = |some: &BTreeMap<PathBuf, String>, others: &BTreeMap<PathBuf, String>, sign| {
        let lines = some.iter().filter(|(path, line)| others.get(*path) != Some(line));
        lines.map(|(path, line)| format!("{sign} {} {line}\n", path.display())).collect::<String>()
    };
    let different = only(&wanted, &found, '-') + &only(&found, &wanted, '+');
    assert!(different.is_empty(), "wanted -, found +\n{different}");
}

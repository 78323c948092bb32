// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tree as a line for each name, and two of them side by side.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

/// What is below a directory, a line each: mode, owner, time, links, attributes, contents.
pub fn tree(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut names = Vec::new();
    let mut todo = vec![top.to_path_buf()];
    while let Some(path) = todo.pop() {
        if std::fs::symlink_metadata(&path).expect("what was listed is there").is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory that can be read");
            todo.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        names.push(path);
    }
    names.sort();
    let mut first = HashMap::new();
    let mut seen = BTreeMap::new();
    for path in names {
        let name = path.strip_prefix(top).expect("below the top").to_path_buf();
        let line = line(&path, &name, &mut first);
        seen.insert(name, line);
    }
    seen
}

fn line(path: &Path, name: &Path, first: &mut HashMap<u64, PathBuf>) -> String {
    let meta = std::fs::symlink_metadata(path).expect("what was listed is there");
    let kind = meta.file_type();
    let content = if kind.is_file() {
        contents(path).unwrap_or_default()
    } else if kind.is_symlink() {
        format!("{:?}", std::fs::read_link(path).expect("a link"))
    } else if kind.is_char_device() || kind.is_block_device() {
        format!("device {:x}", meta.rdev())
    } else {
        String::new()
    };
    let also = match first.get(&meta.ino()) {
        Some(other) if !kind.is_dir() => format!(" = {other:?}"),
        _ => String::new(),
    };
    first.entry(meta.ino()).or_insert_with(|| name.to_path_buf());
    let owner = format!("{}:{}", meta.uid(), meta.gid());
    let time = format!("{}.{:09}", meta.mtime(), meta.mtime_nsec());
    let links = if kind.is_dir() { 0 } else { meta.nlink() };
    format!("{:o} {owner} {time} {links}{also} {content}{}", meta.mode(), attributes(path))
}

/// Enough to tell contents apart, and readable where they are short; a hole of a terabyte is not read.
fn contents(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let length = path.metadata()?.len();
    let mut hasher = DefaultHasher::new();
    let mut start = Vec::new();
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut rest = 1_u64 << 26;
    while rest > 0 {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let part = buffer.get(..count).unwrap_or_default();
        if start.is_empty() {
            start.extend_from_slice(part.get(..40).unwrap_or(part));
        }
        hasher.write(part);
        rest = rest.saturating_sub(count as u64);
    }
    Ok(format!("{length} bytes, {:016x}, {:?}", hasher.finish(), String::from_utf8_lossy(&start)))
}

/// Extended attributes, but for labels that the machine gives.
fn attributes(path: &Path) -> String {
    let mut names = vec![0; 1 << 16];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut all: Vec<String> = names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty() && *name != b"security.selinux")
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = lgetxattr(path, name, &mut value[..]).unwrap_or(0);
            format!(" {}={:02x?}", String::from_utf8_lossy(name), &value[..length])
        })
        .collect();
    all.sort();
    all.concat()
}

/// Each name that is not the same in both: `OURS | THEIRS`. A time that no archive gave is one.
pub fn differences(ours: &Path, theirs: &Path) -> Vec<(PathBuf, String)> {
    let (ours, theirs) = (timeless(tree(ours)), timeless(tree(theirs)));
    let mut names: Vec<&PathBuf> = ours.keys().chain(theirs.keys()).collect();
    names.sort();
    names.dedup();
    let short = |line: Option<&String>| {
        line.map_or("nothing".into(), |line| line.chars().take(300).collect::<String>())
    };
    names
        .into_iter()
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| (name.clone(), format!("{} | {}", short(ours.get(name)), short(theirs.get(name)))))
        .collect()
}

/// Puts `now` for a time of the last ten minutes.
fn timeless(mut tree: BTreeMap<PathBuf, String>) -> BTreeMap<PathBuf, String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("it is after 1970").as_secs();
    for line in tree.values_mut() {
        let time = line.split(' ').nth(2).unwrap_or_default().to_owned();
        let seconds = time.split('.').next().and_then(|seconds| seconds.parse::<u64>().ok());
        if seconds.is_some_and(|seconds| seconds <= now && seconds + 600 > now) {
            *line = line.replacen(&time, "now", 1);
        }
    }
    tree
}

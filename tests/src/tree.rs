//! A directory tree, with an entry for each file, to be compared with another tree.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{lgetxattr, llistxattr};

/// The entries of a tree by their paths in it.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// A file without a time in the archive gets the time of unpacking; times this close to now count as such.
const RECENT: Duration = Duration::from_secs(600);

/// How much of a file is read, because a hole can have a terabyte.
const MAX_READ: u64 = 64 << 20;

/// A file; its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Type and mode.
    pub mode: u32,
    owner: (u32, u32),
    /// Seconds and nanoseconds; None if the time does not matter.
    time: Option<(i64, i64)>,
    /// The number of names; 0 for a directory.
    links: u64,
    /// The first name of the same file.
    same_as: Option<PathBuf>,
    content: String,
    attributes: String,
}

impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o} {}:{}", self.mode, self.owner.0, self.owner.1)?;
        match self.time {
            Some((seconds, nanoseconds)) => write!(f, " {seconds}.{nanoseconds:09}")?,
            None => f.write_str(" now")?,
        }
        write!(f, " {}", self.links)?;
        if let Some(other) = &self.same_as {
            write!(f, " = {other:?}")?;
        }
        write!(f, " {}{}", self.content, self.attributes)
    }
}

/// Reads a tree.
#[track_caller]
pub fn tree(top: &Path) -> Tree {
    let mut names = Vec::new();
    let mut todo = vec![top.to_path_buf()];
    while let Some(path) = todo.pop() {
        if fs::symlink_metadata(&path).expect("what was listed is there").is_dir() {
            match fs::read_dir(&path) {
                Ok(entries) => todo.extend(entries.map(|entry| entry.expect("an entry").path())),
                // an ordinary user cannot read a directory of mode 0, which some foreign archives have
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{path:?}"),
            }
        }
        names.push(path);
    }
    names.sort();
    let mut first_names = HashMap::new();
    let mut entries = Tree::new();
    for path in names {
        let name = path.strip_prefix(top).expect("below the top").to_path_buf();
        let entry = entry(&path, &name, &mut first_names);
        entries.insert(name, entry);
    }
    entries
}

fn entry(path: &Path, name: &Path, first_names: &mut HashMap<u64, PathBuf>) -> Entry {
    let meta = fs::symlink_metadata(path).expect("what was listed is there");
    let kind = meta.file_type();
    let content = if kind.is_file() {
        contents(path).unwrap_or_default()
    } else if kind.is_symlink() {
        format!("{:?}", fs::read_link(path).expect("a link"))
    } else if kind.is_char_device() || kind.is_block_device() {
        format!("device {:x}", meta.rdev())
    } else {
        String::new()
    };
    let same_as = first_names.get(&meta.ino()).filter(|_| !kind.is_dir()).cloned();
    first_names.entry(meta.ino()).or_insert_with(|| name.to_path_buf());
    Entry {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        time: Some((meta.mtime(), meta.mtime_nsec())),
        links: if kind.is_dir() { 0 } else { meta.nlink() },
        same_as,
        content,
        attributes: attributes(path),
    }
}

/// Enough to tell contents apart, and readable if they are short.
fn contents(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut hasher = DefaultHasher::new();
    let mut start = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    let mut rest = MAX_READ;
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

/// Extended attributes, except labels that the machine adds.
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

/// Each path whose entries differ: `OURS | THEIRS`. Times of the last ten minutes count as equal, because
/// they come from no archive.
pub fn differences(ours: &Path, theirs: &Path) -> Vec<(PathBuf, String)> {
    let recent = SystemTime::now() - RECENT;
    let since = recent.duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs().cast_signed();
    let without_recent_times = |mut entry: Entry| {
        entry.time = entry.time.filter(|(seconds, _)| *seconds < since);
        entry
    };
    compare(ours, theirs, without_recent_times)
}

/// Fails with the entries of two unpacked images that differ, as `FOUND | WANTED`.
///
/// Does not compare what unpackers may choose: the time of a directory that a later layer touches again, the
/// attributes in which some keep owners, and, for an ordinary user, the set-ID bits.
#[track_caller]
pub fn assert_same(found: &Path, wanted: &Path) {
    let root = nix::unistd::geteuid().is_root();
    let different = compare(found, wanted, |mut entry| {
        match entry.mode & libc::S_IFMT {
            libc::S_IFDIR => entry.time = None,
            libc::S_IFREG if !root => entry.mode &= !0o6000,
            _ => {}
        }
        entry.attributes.clear();
        entry
    });
    let lines: String =
        different.iter().map(|(name, lines)| format!("{}: {lines}\n", name.display())).collect();
    assert!(lines.is_empty(), "found | wanted\n{lines}");
}

fn compare(left: &Path, right: &Path, relevant: impl Fn(Entry) -> Entry) -> Vec<(PathBuf, String)> {
    let [mut left, mut right] = [left, right]
        .map(|top| tree(top).into_iter().map(|(name, entry)| (name, relevant(entry))).collect::<Tree>());
    left.retain(|name, entry| {
        let same = right.get(name) == Some(&*entry);
        if same {
            right.remove(name);
        }
        !same
    });
    let short = |entry: Option<&Entry>| {
        entry.map_or("nothing".into(), |entry| entry.to_string().chars().take(300).collect::<String>())
    };
    let mut names: Vec<PathBuf> = left.keys().chain(right.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let lines = |name: &PathBuf| format!("{} | {}", short(left.get(name)), short(right.get(name)));
    names.iter().map(|name| (name.clone(), lines(name))).collect()
}

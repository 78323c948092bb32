//! Paths of groups in options: they start at the root of a hierarchy.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use crate::hierarchy::{Hierarchy, join};

/// `--parent`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// The group of this process.
    Current,
    /// A path from the root of the hierarchy; empty for the root itself.
    Path(PathBuf),
}

impl TryFrom<OsString> for Parent {
    type Error = &'static str;

    fn try_from(path: OsString) -> Result<Self, Self::Error> {
        if path == "." {
            return Ok(Self::Current);
        }
        if path.is_empty() {
            return Err("the path is empty; / is the top of the hierarchy, . the current group");
        }
        below_root(&path).map(Self::Path)
    }
}

impl Parent {
    /// The group's directory in a hierarchy.
    pub fn directory(&self, hierarchy: &Hierarchy) -> PathBuf {
        match self {
            Self::Current => hierarchy.own.clone(),
            Self::Path(path) => join(&hierarchy.mount, path),
        }
    }
}

/// A group's directory for messages. A group that no mount shows is reached through a descriptor of this
/// process, which no other process can open. Its path then starts at the root of the cgroup namespace.
pub fn shown(group: &Path) -> PathBuf {
    match group.strip_prefix("/proc/self/fd") {
        Ok(below) => Path::new("/").join(below.components().skip(1).collect::<PathBuf>()),
        Err(_) => group.to_path_buf(),
    }
}

/// A group's directory as part of a sentence.
pub fn in_words(group: &Path) -> String {
    match is_root_of_namespace(group) {
        true => "the root of the cgroup namespace".to_string(),
        false => shown(group).display().to_string(),
    }
}

/// Whether this is the root of a cgroup namespace that no mount shows. Its limits are set from outside.
pub fn is_root_of_namespace(group: &Path) -> bool {
    !has_a_path(group) && shown(group) == Path::new("/")
}

/// Whether a mount shows the group, so that a command line can name it.
pub fn has_a_path(group: &Path) -> bool {
    shown(group) == group
}

/// A path of groups without its leading slashes.
///
/// # Errors
/// A path with `.` or `..`.
pub fn below_root(path: &OsStr) -> Result<PathBuf, &'static str> {
    let path: PathBuf = Path::new(path).components().skip_while(|part| *part == Component::RootDir).collect();
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path),
        false => Err("a group path cannot contain '.' or '..'"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_descriptor_of_ours_is_not_shown_for_a_group() {
        let shows = |group: &str| shown(Path::new(group)).display().to_string();
        assert_eq!(shows("/proc/self/fd/5/box/x"), "/box/x");
        assert_eq!(shows("/proc/self/fd/5"), "/");
        assert_eq!(shows("/sys/fs/cgroup/x"), "/sys/fs/cgroup/x");
        let says = |group: &str| in_words(Path::new(group));
        assert_eq!(says("/proc/self/fd/5"), "the root of the cgroup namespace");
        assert_eq!(says("/proc/self/fd/5/box"), "/box");
        assert_eq!(says("/sys/fs/cgroup"), "/sys/fs/cgroup");
    }

    #[test]
    fn a_parent_lies_below_the_root_of_its_hierarchy() {
        let parent = |text: &[u8]| Parent::try_from(OsStr::from_bytes(text).to_os_string());
        let path = |text: &[u8]| Ok(Parent::Path(OsStr::from_bytes(text).into()));
        assert_eq!(parent(b"/a/b"), path(b"a/b"));
        assert_eq!(parent(b"."), Ok(Parent::Current));
        assert_eq!(parent(b"/"), path(b""));
        assert_eq!(parent(b"\xff"), path(b"\xff"));
        for text in ["", "..", "a/../b"] {
            assert!(parent(text.as_bytes()).is_err(), "{text}");
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A group of one run: its directory, what is limited in it, and what it is called.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use chain::cgroup;
use system::sys;

use crate::control_file::ControlFile;
use crate::hierarchy::{Hierarchy, Version};
use crate::limits::{self, Limit};

/// What every group that is not named by the user is called, before sixteen hexadecimal digits.
/// A run that stays kills what a killed run left in a group of this name; behind these words
/// it does not.
const PREFIX: &str = "cgexec-";
/// Of a run that became its command: removed by a later run once it is empty.
const OF_EXEC: &str = "cgexec-exec-";
/// Of a run with --keep: never removed.
const KEPT: &str = "cgexec-kept-";

/// A group to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its hierarchy's version.
    pub version: Version,
    /// Its directory.
    pub path: PathBuf,
    /// What is limited in it.
    pub limits: Vec<Limit>,
    /// What is written for that, each with the limit it is for.
    pub settings: Vec<(String, ControlFile)>,
}

impl Group {
    /// A group without limits.
    pub fn new(version: Version, path: PathBuf) -> Self {
        Self { version, path, limits: Vec::new(), settings: Vec::new() }
    }

    /// Adds a limit.
    ///
    /// # Errors
    /// What this version has no file for.
    pub fn limit(&mut self, limit: &Limit) -> Result<(), String> {
        let parent = self.path.parent().unwrap_or(&self.path).to_path_buf();
        for setting in limit.settings(self.version, &parent)? {
            self.settings.push((format!("limit {limit}"), setting));
        }
        self.limits.push(limit.clone());
        Ok(())
    }

    /// A version 1 cpuset takes no process before it has processors and memory nodes, and
    /// a new one has none: what was not asked for, or may fail, is as in the group above. cpuset(7)
    pub fn fill_cpuset(&mut self, attempt: bool) {
        let Some(parent) = self.path.parent().map(Path::to_path_buf) else { return };
        for (name, what) in [("mems", "memory nodes"), ("cpus", "processors")] {
            let empty = limits::cpuset(&parent, name, String::new());
            let asked = self.settings.iter().any(|(_, setting)| setting.file == empty.file);
            let above = fs::read_to_string(parent.join(&empty.file)).unwrap_or_default();
            if (attempt || !asked) && !above.trim().is_empty() {
                let setting = limits::cpuset(&parent, name, above.trim().to_string());
                self.settings.insert(0, (format!("take the {what} of the group above"), setting));
            }
        }
    }
}

/// What becomes of a group after the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// The run that made it removes it.
    #[default]
    ByUs,
    /// The run became its command: a later one removes it.
    ByLaterRun,
    /// It stays.
    Never,
}

impl Cleanup {
    /// A new name that says so.
    pub fn name(self) -> String {
        let prefix = match self {
            Self::ByUs => PREFIX,
            Self::ByLaterRun => OF_EXEC,
            Self::Never => KEPT,
        };
        format!("{prefix}{:016x}", RandomState::new().build_hasher().finish())
    }
}

/// Groups beside ours that killed runs left, and those whose command has ended since.
pub fn stale(parent: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut left = Vec::new();
    let mut empty = Vec::new();
    // a parent that cannot be listed shows none
    let _ = sys::for_each_entry(parent, &mut |name| {
        let path = parent.join(name);
        let named =
            |prefix| name.to_str().is_some_and(|name| is_name(name, prefix)) && sys::is_writable(&path);
        if named(PREFIX) && cgroup::is_stale(&path) {
            left.push(path);
        } else if named(OF_EXEC) && is_unused(&path) {
            empty.push(path);
        }
        ControlFlow::Continue(())
    });
    (left, empty)
}

/// Whether nothing runs in a group, nothing is below it, and nobody is about to use it.
pub fn is_unused(path: &Path) -> bool {
    let processes = fs::read_to_string(path.join("cgroup.procs"));
    let below = fs::read_dir(path).map(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())))
    });
    processes.is_ok_and(|text| text.is_empty()) && below.is_ok_and(|below| !below) && cgroup::is_stale(path)
}

/// Whether a directory is called as a run calls its own.
pub fn is_ours(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| is_name(name, PREFIX))
}

fn is_name(name: &str, prefix: &str) -> bool {
    let digits = name.strip_prefix(prefix).and_then(|name| name.get(..16));
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `--name`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub OsString);

impl TryFrom<OsString> for Name {
    type Error = &'static str;

    fn try_from(name: OsString) -> Result<Self, Self::Error> {
        match Path::new(&name).components().collect::<Vec<_>>().as_slice() {
            [Component::Normal(part)] if part.len() == name.len() => {}
            _ => return Err("a group's name is one part of a path"),
        }
        if name.as_bytes().contains(&b'\n') {
            return Err("the kernel takes no group with a line break in its name");
        }
        if [PREFIX, "cgroup."].iter().any(|taken| name.as_bytes().starts_with(taken.as_bytes())) {
            return Err("names that begin with cgexec- or cgroup. are taken");
        }
        Ok(Self(name))
    }
}

/// `--parent`: from the top of the hierarchy; nothing for the own group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent(Option<PathBuf>);

impl TryFrom<OsString> for Parent {
    type Error = &'static str;

    fn try_from(path: OsString) -> Result<Self, Self::Error> {
        if path == "." {
            return Ok(Self(None));
        }
        if path.is_empty() {
            return Err("a path of groups is not empty: / is the top, . the own group");
        }
        below_the_top(&path).map(|path| Self(Some(path)))
    }
}

/// A path of groups, without the slashes that lead to the top.
///
/// # Errors
/// For one that leads elsewhere.
pub fn below_the_top(path: &OsStr) -> Result<PathBuf, &'static str> {
    let path: PathBuf = Path::new(path).components().skip_while(|part| *part == Component::RootDir).collect();
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path),
        false => Err("a path of groups has no '.' and no '..'"),
    }
}

impl Parent {
    /// The own group.
    pub fn own() -> Self {
        Self(None)
    }

    /// The group in a hierarchy.
    pub fn of(&self, hierarchy: &Hierarchy) -> PathBuf {
        match &self.0 {
            None => hierarchy.own.clone(),
            Some(path) if path.as_os_str().as_bytes().is_empty() => hierarchy.mount.clone(),
            Some(path) => hierarchy.mount.join(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_becomes_of_a_group() {
        assert!(is_name(&Cleanup::ByUs.name(), PREFIX));
        for kind in [Cleanup::ByLaterRun, Cleanup::Never] {
            assert!(!is_name(&kind.name(), PREFIX), "{kind:?}");
        }
        assert!(is_name(&Cleanup::ByLaterRun.name(), OF_EXEC));
        assert!(is_name(&format!("{}-aside", Cleanup::ByUs.name()), PREFIX));
    }

    #[test]
    fn a_name_is_one_part_of_a_path_and_none_of_ours() {
        let name = |text: &[u8]| Name::try_from(OsStr::from_bytes(text).to_os_string());
        for good in [&b"job"[..], b"-x", b" ", b"a\tb:\"c\"", b"\xff\xfe"] {
            assert_eq!(name(good), Ok(Name(OsStr::from_bytes(good).to_os_string())));
        }
        for bad in ["", ".", "..", "a/b", "/a", "a/", "a\nb", "cgexec-x", "cgroup.procs"] {
            assert!(name(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_parent_lies_below_the_top_of_its_hierarchy() {
        let parent = |text: &[u8]| Parent::try_from(OsStr::from_bytes(text).to_os_string());
        assert_eq!(parent(b"/a/b"), Ok(Parent(Some("a/b".into()))));
        assert_eq!(parent(b"."), Ok(Parent(None)));
        assert_eq!(parent(b"/"), Ok(Parent(Some("".into()))));
        assert_eq!(parent(b"\xff"), Ok(Parent(Some(OsStr::from_bytes(b"\xff").into()))));
        for text in ["", "..", "a/../b"] {
            assert!(parent(text.as_bytes()).is_err(), "{text}");
        }
    }
}

//! The names of groups: without `--name`, a group's name shows which run removes it.

use std::ffi::OsString;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

/// The prefix of all our names, before sixteen hexadecimal digits. With only this prefix, a later run kills
/// what a killed run has left in a group; with those below it does not.
const PREFIX: &str = "cgexec-";
/// The prefix if a run became its command.
const EXEC_PREFIX: &str = "cgexec-exec-";
/// The prefix for a run with `--keep`.
const KEPT_PREFIX: &str = "cgexec-kept-";

/// Which run removes a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cleanup {
    #[default]
    ByUs,
    /// A later run, when the group is empty: this run becomes its command.
    ByLaterRun,
    Never,
}

impl Cleanup {
    pub fn new_name(self) -> String {
        let prefix = match self {
            Self::ByUs => PREFIX,
            Self::ByLaterRun => EXEC_PREFIX,
            Self::Never => KEPT_PREFIX,
        };
        format!("{prefix}{:016x}", RandomState::new().build_hasher().finish())
    }

    /// Which run removes the group at `path`, if the name is one of ours.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let has = |prefix: &str| {
            let digits = name.strip_prefix(prefix).and_then(|name| name.get(..16));
            digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        let kinds = [(PREFIX, Self::ByUs), (EXEC_PREFIX, Self::ByLaterRun), (KEPT_PREFIX, Self::Never)];
        kinds.into_iter().find(|(prefix, _)| has(prefix)).map(|(_, cleanup)| cleanup)
    }
}

/// `--name`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(pub OsString);

impl TryFrom<OsString> for GroupName {
    type Error = &'static str;

    fn try_from(name: OsString) -> Result<Self, Self::Error> {
        match Path::new(&name).components().collect::<Vec<_>>().as_slice() {
            [Component::Normal(part)] if part.len() == name.len() => {}
            _ => return Err("a group name must be a single path component"),
        }
        if name.as_bytes().contains(&b'\n') {
            return Err("a group name cannot contain a line break");
        }
        if [PREFIX, "cgroup."].iter().any(|taken| name.as_bytes().starts_with(taken.as_bytes())) {
            return Err("names that begin with cgexec- or cgroup. are reserved");
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_name_says_who_removes_the_group() {
        for cleanup in [Cleanup::ByUs, Cleanup::ByLaterRun, Cleanup::Never] {
            assert_eq!(Cleanup::of(Path::new(&cleanup.new_name())), Some(cleanup));
        }
        let sibling = format!("/cg/{}-aside", Cleanup::ByUs.new_name());
        assert_eq!(Cleanup::of(Path::new(&sibling)), Some(Cleanup::ByUs));
        assert_eq!(Cleanup::of(Path::new("/cg/cgexec-job")), None);
    }

    #[test]
    fn a_name_is_one_part_of_a_path_and_none_of_ours() {
        let name = |text: &[u8]| GroupName::try_from(OsStr::from_bytes(text).to_os_string());
        for good in [&b"job"[..], b"-x", b" ", b"a\tb:\"c\"", b"\xff\xfe"] {
            assert_eq!(name(good), Ok(GroupName(OsStr::from_bytes(good).to_os_string())));
        }
        for bad in ["", ".", "..", "a/b", "/a", "a/", "a\nb", "cgexec-x", "cgroup.procs"] {
            assert!(name(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

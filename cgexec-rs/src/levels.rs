//! The groups below the one with the limits: the command runs in a leaf.
//!
//! In version 2 a group with processes cannot enable controllers. If the command ran in the group with the
//! limits, no limited group could be created beside it, and another cgexec-rs would have to leave the limits.
//! With the command in a leaf below, the group with the limits holds no process, so others can be created in
//! it. That group is the root of the command's cgroup namespace; nsdelegate then forbids writes to its limits
//! from inside. Without nsdelegate, there is one more group in between, and the limits are not visible:
//! cgroup_namespaces(7).

use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::group_files::groups_in;

/// The command's group.
const LEAF: &str = "cmd";
/// The root of its cgroup namespace, if that is not the group with the limits.
const ROOT: &str = "ns";

/// The groups below a group with limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// The root of the command's cgroup namespace, if it has one.
    pub root: PathBuf,
    /// The command's group.
    pub leaf: PathBuf,
    /// The controllers that the group with the limits enables for the groups below it.
    pub enabled: Vec<String>,
}

impl Levels {
    /// The levels of a group that has `controllers`; none without controllers, because then nothing can be
    /// limited.
    pub fn below(group: &Path, controllers: Vec<String>, hides_limits: bool) -> Option<Self> {
        if controllers.is_empty() {
            return None;
        }
        let root = if hides_limits { group.join(ROOT) } else { group.to_path_buf() };
        let leaf = root.join(LEAF);
        Some(Self { root, leaf, enabled: if hides_limits { controllers } else { Vec::new() } })
    }

    /// Whether the root of the namespace is a separate group.
    pub fn has_own_root(&self) -> bool {
        !self.enabled.is_empty()
    }
}

/// Whether a group is the leaf below a group without processes, which can have further groups.
pub fn is_leaf(group: &Path) -> bool {
    group.ends_with(LEAF) && group.parent().is_some_and(cgroup::holds_no_process)
}

/// Whether a group has the name of a level.
pub fn is_named_as_one(group: &Path) -> bool {
    group.ends_with(LEAF) || group.ends_with(ROOT)
}

/// The group for a process that joins a group: its leaf, if it has one.
pub fn joined(group: PathBuf) -> PathBuf {
    match existing(&group).into_iter().next() {
        Some(leaf) if leaf.ends_with(LEAF) && cgroup::holds_no_process(&group) => leaf,
        _ => group,
    }
}

/// The existing levels of a group, the deepest first.
pub fn existing(group: &Path) -> Vec<PathBuf> {
    let root = group.join(ROOT);
    let levels = [root.join(LEAF), root, group.join(LEAF)];
    levels.into_iter().filter(|level| level.join("cgroup.procs").exists()).collect()
}

/// Whether a group contains nothing but its levels, and they are empty.
pub fn are_all_below(group: &Path) -> bool {
    let levels = existing(group);
    std::iter::once(group)
        .chain(levels.iter().map(PathBuf::as_path))
        .all(|group| cgroup::holds_no_process(group) && groups_in(group).all(|group| levels.contains(&group)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Groups are directories with a file, so any file system can stand in.
    fn group(path: &Path) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("cgroup.procs"), "").unwrap();
    }

    #[test]
    fn a_process_that_joins_a_group_with_levels_runs_in_its_leaf() {
        let top = std::env::temp_dir().join(format!("cgexec-levels-{}", std::process::id()));
        for part in ["flat", "one/cmd", "two/ns/cmd", "theirs/cmd"] {
            Path::new(part)
                .ancestors()
                .filter(|part| !part.as_os_str().is_empty())
                .for_each(|part| group(&top.join(part)));
        }
        // a group of another program, with a subgroup of the same name
        fs::write(top.join("theirs/cgroup.procs"), "7\n").unwrap();
        for (name, leaf) in
            [("flat", "flat"), ("one", "one/cmd"), ("two", "two/ns/cmd"), ("theirs", "theirs")]
        {
            assert_eq!(joined(top.join(name)), top.join(leaf));
        }
        assert!(
            is_leaf(&top.join("two/ns/cmd"))
                && !is_leaf(&top.join("theirs/cmd"))
                && !is_leaf(&top.join("flat"))
        );
        assert!(are_all_below(&top.join("one")) && are_all_below(&top.join("two")));
        group(&top.join("one/cmd/more"));
        assert!(!are_all_below(&top.join("one")));
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn limits_that_could_be_written_from_inside_are_out_of_sight() {
        let below = |hides| Levels::below(Path::new("/cg/x"), vec!["memory".into()], hides).unwrap();
        assert_eq!((below(false).root, below(false).leaf), ("/cg/x".into(), "/cg/x/cmd".into()));
        assert_eq!((below(true).root, below(true).leaf), ("/cg/x/ns".into(), "/cg/x/ns/cmd".into()));
        assert_eq!(Levels::below(Path::new("/cg/x"), Vec::new(), true), None);
    }
}

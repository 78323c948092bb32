//! The groups below the one with the limits: the command runs in a leaf.
//!
//! In version 2 a group with processes cannot enable controllers. If the command ran in the group with the
//! limits, no limited group could be created beside it, and another cgexec-rs would have to leave the limits.
//! In a leaf below there is room: the group with the limits holds no process. That group is the root of the
//! command's cgroup namespace, where nsdelegate forbids writes to its limits from inside; without nsdelegate
//! one more group lies between, and the limits are not visible: cgroup_namespaces(7).

use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::group_files::groups_in;

/// The group of the command.
const LEAF: &str = "cmd";
/// The root of its cgroup namespace, where that is not the group with the limits.
const ROOT: &str = "ns";

/// The groups below a group with limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// The root of the command's cgroup namespace, if it has one.
    pub root: PathBuf,
    /// Where the command runs.
    pub leaf: PathBuf,
    /// The controllers that the group with the limits enables for the root below it.
    pub hand_on: Vec<String>,
}

impl Levels {
    /// The levels of a group that has `controllers`; none without controllers, where there is nothing to limit.
    pub fn below(group: &Path, controllers: Vec<String>, hides_limits: bool) -> Option<Self> {
        if controllers.is_empty() {
            return None;
        }
        let root = if hides_limits { group.join(ROOT) } else { group.to_path_buf() };
        let leaf = root.join(LEAF);
        Some(Self { root, leaf, hand_on: if hides_limits { controllers } else { Vec::new() } })
    }

    /// Whether the root is a group of its own.
    pub fn has_own_root(&self) -> bool {
        !self.hand_on.is_empty()
    }
}

/// Whether a group is the leaf of a group that holds no process: there is room beside it.
pub fn is_leaf(group: &Path) -> bool {
    group.ends_with(LEAF) && group.parent().is_some_and(cgroup::holds_no_process)
}

/// Whether a group has the name of a level.
pub fn is_named_as_one(group: &Path) -> bool {
    group.ends_with(LEAF) || group.ends_with(ROOT)
}

/// Where a process runs that joins a group: in its leaf, if it has one.
pub fn joined(group: PathBuf) -> PathBuf {
    match existing(&group).into_iter().next() {
        Some(leaf) if leaf.ends_with(LEAF) && cgroup::holds_no_process(&group) => leaf,
        _ => group,
    }
}

/// The levels that a group has, the deepest first.
pub fn existing(group: &Path) -> Vec<PathBuf> {
    let root = group.join(ROOT);
    let levels = [root.join(LEAF), root, group.join(LEAF)];
    levels.into_iter().filter(|level| level.join("cgroup.procs").exists()).collect()
}

/// Whether a group is empty but for its levels, which are empty too.
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

    /// Groups are directories with a file; any file system will do.
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
        // a group of another program, with a group of the same name
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

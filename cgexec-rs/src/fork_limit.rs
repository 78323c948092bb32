//! Which group's process limit refused a fork.
//!
//! The kernel version decides which group counts a refusal. Since Linux 6.12 it is the group whose limit was
//! hit; pids.events.local counts for this group alone. Before, and in version 1, it is the group of the
//! process that forked; there, pids.peak shows that a limit was reached.
//!
//! # Source
//! Documentation/admin-guide/cgroup-v2.rst, "PID Interface Files".

use std::path::{Path, PathBuf};

use crate::counters::Counters;
use crate::group_files::{groups_in, limit, number};

/// The group whose limit was hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    #[default]
    Own,
    /// A group that the command created.
    Below,
    Above,
}

/// How many forks were refused in a group and below it, and at whose limit.
pub fn refused(group: &Path) -> Option<(u64, Whose)> {
    let all = count(group, "pids.events")?;
    if let Some(own) = count(group, "pids.events.local") {
        return Some((all, if own > 0 || all == 0 { Whose::Own } else { Whose::Below }));
    }
    let below = all_below(group);
    let all = below.iter().filter_map(|group| count(group, "pids.events")).fold(all, u64::saturating_add);
    let whose = match () {
        () if all == 0 || is_full(group) => Whose::Own,
        () if below.iter().any(|group| is_full(group)) => Whose::Below,
        () => Whose::Above,
    };
    Some((all, whose))
}

/// The outer groups of a group, and how often each of their process limits had been hit before the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsAbove {
    pub above: Vec<PathBuf>,
    pub hit_before: Vec<Option<u64>>,
}

impl LimitsAbove {
    /// Reads the counters of every outer group.
    pub fn of(group: &Path) -> Self {
        let above = group.ancestors().skip(1).take_while(|group| group.join("cgroup.procs").exists());
        let above: Vec<PathBuf> = above.map(Path::to_path_buf).collect();
        let hit_before = above.iter().map(|group| count(group, "pids.events.local")).collect();
        Self { above, hit_before }
    }

    /// The nearest outer group whose limit was hit since, and how often, if it counts that.
    pub fn hit(&self) -> Option<(&Path, Option<u64>)> {
        self.above.iter().zip(&self.hit_before).find_map(|(group, before)| match before {
            Some(before) => {
                let more =
                    count(group, "pids.events.local")?.checked_sub(*before).filter(|more| *more > 0)?;
                Some((group.as_path(), Some(more)))
            }
            None => is_full(group).then_some((group.as_path(), None)),
        })
    }
}

fn count(group: &Path, file: &str) -> Option<u64> {
    Counters::read(&group.join(file)).get("max")
}

/// Whether a group reached its process limit. Before Linux 6.1 there is no peak, and this assumes it did.
fn is_full(group: &Path) -> bool {
    let most = limit(group, "pids.max").flatten();
    most.is_some_and(|most| number(group, "pids.peak").is_none_or(|peak| peak >= most))
}

fn all_below(group: &Path) -> Vec<PathBuf> {
    groups_in(group).flat_map(|group| all_below(&group).into_iter().chain([group])).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Groups are directories with files, so any file system can stand in.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("cgexec-forks-{name}-{}", std::process::id())))
        }

        /// A group with a limit, a peak, and its two counters.
        fn group(&self, path: &str, most: &str, peak: u64, all: u64, own: Option<u64>) -> PathBuf {
            let group = self.0.join(path);
            fs::create_dir_all(&group).unwrap();
            let write = |file: &str, text: String| fs::write(group.join(file), text).unwrap();
            write("cgroup.procs", String::new());
            write("pids.max", format!("{most}\n"));
            write("pids.peak", format!("{peak}\n"));
            write("pids.events", format!("max {all}\n"));
            if let Some(own) = own {
                write("pids.events.local", format!("max {own}\n"));
            }
            group
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn before_linux_6_12_the_peak_says_whose_limit_it_was() {
        let tree = Tree::new("old");
        let outer = tree.group("outer", "8", 8, 0, None);
        let inner = tree.group("outer/inner", "50", 7, 3, None);
        assert_eq!(refused(&inner), Some((3, Whose::Above)));
        assert_eq!(LimitsAbove::of(&inner).hit(), Some((outer.as_path(), None)));
        // counted where the fork was refused, in the group below
        assert_eq!(refused(&outer), Some((3, Whose::Own)));
        let full = tree.group("outer/inner", "7", 7, 3, None);
        assert_eq!(refused(&full), Some((3, Whose::Own)));
        tree.group("outer", "20", 8, 0, None);
        assert_eq!(refused(&outer), Some((3, Whose::Below)));
    }

    #[test]
    fn since_linux_6_12_the_group_with_the_limit_counts() {
        let tree = Tree::new("new");
        let outer = tree.group("outer", "8", 8, 2, Some(2));
        let inner = tree.group("outer/inner", "50", 7, 0, Some(0));
        let above = LimitsAbove::of(&inner);
        assert_eq!(above.hit(), None);
        tree.group("outer", "8", 8, 5, Some(5));
        assert_eq!(above.hit(), Some((outer.as_path(), Some(3))));
        assert_eq!(refused(&inner), Some((0, Whose::Own)));
        tree.group("outer", "8", 8, 5, Some(0));
        assert_eq!(refused(&outer), Some((5, Whose::Below)));
    }
}

//! `--cgroup`: which control groups the command sees, and whether it can change them.
//!
//! Only the view of a separate cgroup namespace is mounted, never the groups above it. Its owner can write
//! there, which affects only the command. But a limit on the namespace's root group could be raised from
//! inside, unless the hierarchy is mounted with nsdelegate: cgroup_namespaces(7), cgroups(7).

use std::path::Path;

use chain::handles::FdSlot;
use chain::{Failure, Plan, call};
use nix::mount::MsFlags;
use system::mountinfo;

use crate::root::{chdir_inside, step_inside};
use crate::root_mount::NO_SUID_DEV_EXEC;

/// The files with a group's limits, and their contents without a limit.
const LIMITS: [(&str, &str); 10] = [
    ("cpu.max", "max 100000"),
    ("cpuset.cpus", ""),
    ("cpuset.mems", ""),
    ("io.max", ""),
    ("memory.high", "max"),
    ("memory.max", "max"),
    ("memory.swap.high", "max"),
    ("memory.swap.max", "max"),
    ("memory.zswap.max", "max"),
    ("pids.max", "max"),
];

/// The value of `--cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs, reason = "the help of the option says what each does")]
pub enum CgroupView {
    Ro,
    Rw,
    None,
}

/// What was read for the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupProbe {
    /// Whether this process's user namespace owns its cgroup namespace, which is not the machine's first one.
    pub owns_namespace: bool,
    /// Whether the kernel protects the limits of a namespace's root group from processes inside. Read only if
    /// it matters.
    pub delegates: bool,
}

impl CgroupProbe {
    /// Reads it, except `owns_namespace`.
    pub fn read(owns_namespace: bool, view: Option<CgroupView>) -> Self {
        let delegates = || {
            let table = mountinfo::table().unwrap_or_default();
            mountinfo::mounts(&table).any(|mount| {
                mount.fstype == b"cgroup2"
                    && mount.super_options.split(|byte| *byte == b',').any(|option| option == b"nsdelegate")
            })
        };
        Self { owns_namespace, delegates: view == Some(CgroupView::Rw) && delegates() }
    }
}

/// A mount of the command's control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupMount {
    is_writable: bool,
    /// Whether to check that the namespace's root group has no limit.
    is_checked: bool,
}

impl CgroupMount {
    /// Decides what to show. `is_usual` says whether it is shown by default, `has_sys` whether there is a
    /// mount point.
    ///
    /// # Errors
    /// The option asks for a view that does not exist.
    pub fn resolve(
        view: Option<CgroupView>,
        probe: CgroupProbe,
        is_usual: bool,
        has_sys: bool,
    ) -> Result<Option<Self>, Failure> {
        let read_only = Self { is_writable: false, is_checked: false };
        let mount = match view {
            Some(CgroupView::None) => return Ok(None),
            None => return Ok((is_usual && probe.owns_namespace).then_some(read_only)),
            Some(CgroupView::Ro) => read_only,
            Some(CgroupView::Rw) => Self { is_writable: true, is_checked: !probe.delegates },
        };
        let cannot =
            |why: &str| Failure::new(format!("cannot show the control groups of the command: {why}"));
        if !probe.owns_namespace {
            return Err(cannot("there is no cgroup namespace for it")
                .hint("run 'unshare-rs -- cgexec-rs --' before chroot-rs; cgexec-rs makes the namespace"));
        }
        if !has_sys {
            return Err(cannot("NEWROOT has no directory sys").hint("create it, or use --ephemeral"));
        }
        Ok(Some(mount))
    }

    /// Mounts it below the new root's sysfs, if the directory exists.
    pub fn plan(self, plan: &mut Plan, new_root: FdSlot) {
        const AT: &str = "sys/fs/cgroup";
        chdir_inside(plan, new_root, AT);
        let (reason, flags) = match self.is_writable {
            true => ("let the command change its control groups", NO_SUID_DEV_EXEC),
            false => ("show the command its control group", NO_SUID_DEV_EXEC | MsFlags::MS_RDONLY),
        };
        plan.step(reason, call::Mount::new("cgroup2", ".", flags));
        if self.is_checked {
            plan.add(step_inside(new_root, AT).verify(|_| match limit_within_reach(Path::new(".")) {
                None => Ok(()),
                Some(file) => Err(format!(
                    "--cgroup rw would let the command raise its own limit, {file}: \
                     set it with cgexec-rs, or mount cgroup2 with nsdelegate"
                )),
            }));
        }
    }
}

/// A limit on the namespace's root group itself.
fn limit_within_reach(root: &Path) -> Option<&'static str> {
    let is_limit = |(file, without): &&(&str, &str)| {
        std::fs::read_to_string(root.join(file)).is_ok_and(|value| value.trim() != *without)
    };
    LIMITS.iter().find(is_limit).map(|(file, _)| *file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_what_differs_from_none() {
        let dir = ::tests::Scratch::new();
        let write = |file: &str, text: &str| std::fs::write(dir.path(file), text).unwrap();
        write("cpu.max", "max 100000\n");
        write("io.max", "");
        write("memory.max", "max\n");
        assert_eq!(limit_within_reach(&dir.path("")), None);
        write("memory.max", "1048576\n");
        assert_eq!(limit_within_reach(&dir.path("")), Some("memory.max"));
    }

    #[test]
    fn the_view_is_read_only_unless_asked_for_and_the_namespace_must_be_there() {
        let probe = CgroupProbe { owns_namespace: true, delegates: false };
        let resolve = |view, probe| CgroupMount::resolve(view, probe, true, true);
        let writable = |view| resolve(view, probe).unwrap().map(|mount| mount.is_writable);
        assert_eq!(writable(None), Some(false));
        assert_eq!(writable(Some(CgroupView::Ro)), Some(false));
        assert_eq!(writable(Some(CgroupView::Rw)), Some(true));
        assert_eq!(writable(Some(CgroupView::None)), None);
        let without = CgroupProbe::default();
        assert_eq!(resolve(None, without).unwrap(), None);
        assert!(resolve(Some(CgroupView::Rw), without).is_err());
        let checked = |delegates| {
            let probe = CgroupProbe { delegates, ..probe };
            resolve(Some(CgroupView::Rw), probe).unwrap().unwrap().is_checked
        };
        assert!(checked(false) && !checked(true));
    }
}

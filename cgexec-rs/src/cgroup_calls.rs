//! The calls of a plan that concern control groups.

use std::path::{Path, PathBuf};

use chain::call::{Call, Effect, Shown, shell_word};
use chain::handles::{FdSlot, Handles};
use chain::reporter::{Quoted, quoted};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use system::sys;

use crate::version::Version;
use crate::{cgroup, cgroup_hints};

/// One write(2) of a complete value to a file of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteCgroup {
    path: PathBuf,
    data: Vec<u8>,
}

impl WriteCgroup {
    /// A write of `data` to the file at `path`.
    pub fn new(path: impl Into<PathBuf>, data: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), data: data.into() }
    }
}

impl Call for WriteCgroup {
    fn shown(&self) -> Shown {
        let Self { path, data } = self;
        Shown::new(format!("write(<{}>, {}, {})", path.display(), Quoted(data), data.len()), "cgroups(7)")
            .inspect(format!("cat {}", shell_word(&self.path)))
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        if self.path.ends_with("cgroup.subtree_control") {
            cgroup::write_subtree_control(&self.path, &self.data)
        } else {
            sys::write_file(&self.path, &self.data)
        }
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        cgroup_hints::write(&self.path, errno)
    }

    /// A write to these files moves a process into the group: cgroups(7).
    fn effect(&self) -> Effect {
        if self.path.ends_with("cgroup.procs") || self.path.ends_with("tasks") {
            Effect::Changes(CloneFlags::CLONE_NEWCGROUP)
        } else {
            Effect::None
        }
    }
}

/// Creates a control group and holds its lock, which shows that it is in use: mkdir(2), flock(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateCgroup {
    /// Its directory.
    pub path: PathBuf,
    /// The slot for it.
    pub slot: FdSlot,
}

impl Call for CreateCgroup {
    fn shown(&self) -> Shown {
        let (path, slot) = (quoted(&self.path), self.slot);
        let call = format!(
            "mkdirat(AT_FDCWD, {path}, 0700), flock(<{slot}>, LOCK_EX|LOCK_NB), fchmod(<{slot}>, 0755)"
        );
        Shown::new(call, "cgroups(7)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        cgroup::make(&self.path).map(|fd| handles.hold(self.slot, fd))
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        cgroup_hints::make(&self.path, errno)
    }
}

/// Creates the group for the command, below the locked one: mkdir(2), open(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateLevel {
    /// Its directory.
    pub path: PathBuf,
    /// The slot for it.
    pub slot: FdSlot,
}

impl Call for CreateLevel {
    fn shown(&self) -> Shown {
        Shown::new(format!("mkdirat(AT_FDCWD, {}, 0755)", quoted(&self.path)), "cgroups(7)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        cgroup::make_level(&self.path).map(|fd| handles.hold(self.slot, fd))
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        cgroup_hints::make(&self.path, errno)
    }
}

/// Creates a cgroup namespace with a group as its root, and opens it: clone3(2).
///
/// If that is impossible, [`EnterNamespace`] has another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateNamespace {
    /// The group.
    pub root: FdSlot,
    /// The slot for the namespace.
    pub slot: FdSlot,
}

impl Call for CreateNamespace {
    fn shown(&self) -> Shown {
        let root = self.root;
        let call = format!(
            "clone3({{flags=CLONE_VM|CLONE_FILES|CLONE_VFORK|CLONE_NEWCGROUP|CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0, cgroup=<{root}>}}, 88)"
        );
        Shown::new(call, "cgroup_namespaces(7)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        match sys::cgroup_namespace(handles.get(self.root)?) {
            Ok(namespace) => handles.hold(self.slot, namespace),
            // before Linux 5.7, in containers whose seccomp filter blocks clone3(2), and without /proc
            Err(Errno::ENOSYS | Errno::E2BIG | Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }
}

/// Enters a cgroup namespace whose root is an outer group: setns(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnterNamespace {
    /// The slot with the namespace, if it could be created.
    pub namespace: FdSlot,
    /// The group that is the namespace's root.
    pub root: PathBuf,
    /// This process's group, below the root.
    pub leaf: PathBuf,
}

impl Call for EnterNamespace {
    fn shown(&self) -> Shown {
        Shown::new(format!("setns(<{}>, CLONE_NEWCGROUP)", self.namespace), "setns(2)")
            .inspect("readlink /proc/self/ns/cgroup")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        match handles.get(self.namespace) {
            Ok(namespace) => nix::sched::setns(namespace, CloneFlags::CLONE_NEWCGROUP),
            // the other way moves this process to the root and back, which takes longer
            Err(_) => {
                sys::write_file(&self.root.join("cgroup.procs"), b"0")?;
                nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)?;
                sys::write_file(&self.leaf.join("cgroup.procs"), b"0")
            }
        }
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWCGROUP)
    }
}

/// Removes the control groups of a killed run, the first one last, unless a process holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveStaleCgroups(pub Vec<PathBuf>);

impl Call for RemoveStaleCgroups {
    fn shown(&self) -> Shown {
        let mut calls: Vec<String> = self.0.iter().map(|path| lock_notation(path)).collect();
        calls.extend(self.0.first().map(|anchor| {
            let version = if anchor.join("cgroup.kill").exists() { Version::V2 } else { Version::V1 };
            kill_notation(version, anchor)
        }));
        calls.extend(self.0.iter().rev().map(|path| remove_notation(path)));
        Shown::new(calls.join(", "), "cgroups(7)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        cgroup::collect(&self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        self.0.iter().find_map(|path| cgroup_hints::remove(path, errno))
    }
}

/// Removes a control group without processes, unless a process holds its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveEmptyCgroup(pub PathBuf);

impl Call for RemoveEmptyCgroup {
    fn shown(&self) -> Shown {
        Shown::new(format!("{}, {}", lock_notation(&self.0), remove_notation(&self.0)), "cgroups(7)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        cgroup::collect_empty(&self.0)
    }
}

/// Kills every process of a control group: with cgroup.kill, or one by one if the kernel lacks it. In version
/// 1 they are frozen meanwhile, if the group is in the freezer's hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillCgroup {
    pub version: Version,
    pub path: PathBuf,
}

impl Call for KillCgroup {
    fn shown(&self) -> Shown {
        let page = if self.version == Version::V2 { "cgroups(7)" } else { "kill(2)" };
        Shown::new(kill_notation(self.version, &self.path), page)
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        cgroup::kill(&self.path)
    }
}

/// Removes a control group and the groups that the command created below it: rmdir(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveCgroup(pub PathBuf);

impl Call for RemoveCgroup {
    fn shown(&self) -> Shown {
        Shown::new(remove_notation(&self.0), "cgroups(7)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        cgroup::remove(&self.0)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        cgroup_hints::remove(&self.0, errno)
    }
}

fn lock_notation(path: &Path) -> String {
    format!("flock(<{}>, LOCK_EX|LOCK_NB)", path.display())
}

fn kill_notation(version: Version, path: &Path) -> String {
    match version {
        Version::V1 => format!("kill(<each process of {}>, SIGKILL)", path.display()),
        Version::V2 => format!("write(<{}/cgroup.kill>, \"1\", 1)", path.display()),
    }
}

fn remove_notation(path: &Path) -> String {
    format!("unlinkat(AT_FDCWD, {}, AT_REMOVEDIR)", quoted(path))
}

//! Whether the kernel gives a user namespace a new proc or sysfs.
//!
//! It does where the ones that are there show everything: what covers a part of them would be seen again
//! in a new one. A mount does not count on a directory that is kept empty to be mounted on, nor where it
//! was made in the same user namespace, and may be read-only or hidden itself: `mnt_already_visible()`
//! in fs/namespace.c. So the table of mounts is looked at first, and only what may be a cover is tried.

use std::os::fd::AsFd as _;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::mountinfo;
use crate::sys;

/// The file systems that are refused to a process in new namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// A proc, of a PID namespace that the user namespace owns.
    pub proc: bool,
    /// A sysfs, of a network namespace that it owns.
    pub sysfs: bool,
}

impl Refused {
    /// What is refused to a proc that is written to and to a read-only sysfs. Where the mounts leave a
    /// doubt it is tried, in a child that enters these namespaces and a PID namespace.
    pub fn read(namespaces: CloneFlags) -> Self {
        let table = mountinfo::table().unwrap_or_default();
        let mounts = || mountinfo::mounts(&table);
        let is_whole = |dir: &str, read_only: bool| {
            let mut at = mounts().filter(|mount| *mount.at == *Path::new(dir));
            at.any(|mount| *mount.root == *Path::new("/") && (read_only || !mount.is_read_only()))
        };
        let refused = |dir: &str, fstype, read_only| {
            let in_doubt = !is_whole(dir, read_only) || mounts().any(|mount| mount.may_cover(dir));
            in_doubt && !is_granted(fstype, read_only, namespaces)
        };
        Self { proc: refused("/proc", "proc", false), sysfs: refused("/sys", "sysfs", true) }
    }
}

/// Has a grandchild make the file system, attached nowhere: a PID namespace begins with a child.
fn is_granted(fstype: &str, read_only: bool, namespaces: CloneFlags) -> bool {
    in_child(|| {
        unshare(namespaces | CloneFlags::CLONE_NEWPID).is_ok()
            && in_child(|| {
                sys::fs_open(fstype).is_ok_and(|context| sys::is_mountable(context.as_fd(), read_only))
            })
    })
}

/// Whether `check` holds in a child. A caller that ignores SIGCHLD does not learn it, and is told no.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    match sys::fork() {
        Ok(None) => sys::exit(i32::from(!check())),
        Ok(Some(child)) => matches!(waitpid(Pid::from_raw(child), None), Ok(WaitStatus::Exited(_, 0))),
        Err(_) => false,
    }
}

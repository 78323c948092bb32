//! Whether the kernel grants a user namespace a new proc or sysfs.
//!
//! It does if the existing ones show everything, because a new one would show what a mount covers. A mount
//! does not count as a cover if it is on a directory that is kept empty for mounts, or if it was made in the
//! same user namespace. The existing proc or sysfs can itself be read-only or hidden: `mnt_already_visible()`
//! in fs/namespace.c. So the table of mounts is read first, and only a possible cover is tried out.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use crate::mountinfo;
use crate::sys;

/// The file systems that the kernel refuses to a process in new namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// A proc for a PID namespace that the user namespace owns.
    pub proc: bool,
    /// A sysfs for a network namespace that it owns.
    pub sysfs: bool,
}

impl Refused {
    /// Whether the kernel refuses a writable proc and a read-only sysfs. If the mounts leave a doubt, a child
    /// that enters these namespaces and a PID namespace tries it.
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

/// Lets a grandchild create the file system without attaching it: the first process in a PID namespace is a
/// child.
fn is_granted(fstype: &str, read_only: bool, namespaces: CloneFlags) -> bool {
    in_child(|| {
        unshare(namespaces | CloneFlags::CLONE_NEWPID).is_ok()
            && in_child(|| {
                sys::fs_open(fstype).is_ok_and(|context| sys::is_mountable(context.as_fd(), read_only))
            })
    })
}

/// Whether `check` returns true in a child. The answer comes through a pipe, because no exit status is left for a caller
/// that ignores SIGCHLD.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    let Ok((answers, answer)) = pipe2(OFlag::O_CLOEXEC) else { return false };
    match sys::fork() {
        Ok(None) => {
            drop(answers);
            let _ = check() && File::from(answer).write_all(b"y").is_ok();
            sys::exit(0)
        }
        Ok(Some(child)) => {
            drop(answer);
            let is_true = File::from(answers).read_exact(&mut [0]).is_ok();
            let _ = waitpid(Pid::from_raw(child), None);
            is_true
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_answers_also_if_the_caller_ignores_the_end_of_children() {
        let ignoring = || {
            sys::set_ignored(libc::SIGCHLD, true);
            in_child(|| true) && !in_child(|| false)
        };
        assert!(in_child(ignoring));
    }
}

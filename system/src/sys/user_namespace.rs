//! A user namespace without a process: an open file that a process enters later.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use super::process::fork;
use crate::idmap::IdKind;

/// Creates a user namespace with `ids` as the map of users and of groups, and opens it: fork(2), unshare(2),
/// user_namespaces(7). A child creates it, because the maps must be written from outside, and then ends.
///
/// # Errors
/// Those of fork(2) and unshare(2); `EPERM` without CAP_SETUID and CAP_SETGID, `ENOENT` without /proc.
pub fn user_namespace(ids: &str) -> Result<OwnedFd, Errno> {
    let (created, creates) = pipe2(OFlag::O_CLOEXEC)?;
    let (ends, end) = pipe2(OFlag::O_CLOEXEC)?;
    let Some(child) = fork()? else {
        drop((created, end));
        let answer = nix::sched::unshare(CloneFlags::CLONE_NEWUSER).and_then(|()| number_in_proc());
        let answer = answer.unwrap_or_else(|errno| -(errno as i32));
        let is_sent = File::from(creates).write_all(&answer.to_ne_bytes()).is_ok();
        // this read ends when the namespace is open, and when the parent has died
        let _ = is_sent && File::from(ends).read(&mut [0]).is_ok();
        super::exit(0)
    };
    drop((creates, ends));
    let namespace = mapped(created, ids);
    drop(end);
    // if the caller ignores SIGCHLD, the kernel has already reaped it
    let _ = waitpid(Pid::from_raw(child), None);
    namespace
}

/// Waits until the child has created the namespace, maps its ids, and opens it.
fn mapped(created: OwnedFd, ids: &str) -> Result<OwnedFd, Errno> {
    let mut answer = [0; 4];
    File::from(created).read_exact(&mut answer).map_err(|_| Errno::ESRCH)?;
    let process = match i32::from_ne_bytes(answer) {
        errno if errno < 0 => return Err(Errno::from_raw(-errno)),
        pid => format!("/proc/{pid}"),
    };
    for kind in [IdKind::User, IdKind::Group] {
        super::write_file(format!("{process}/{}", kind.map_file()).as_ref(), ids.as_bytes())?;
    }
    let namespace = format!("{process}/ns/user");
    nix::fcntl::open(namespace.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// The PID in /proc. Not getpid(2): /proc can show another PID namespace.
fn number_in_proc() -> Result<i32, Errno> {
    let link = nix::fcntl::readlink("/proc/self")?;
    link.to_str().and_then(|number| number.parse().ok()).ok_or(Errno::ENOENT)
}

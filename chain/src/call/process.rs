// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes: their children, descriptors and environment.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Call;
use super::cause::PROCESS_LIMIT;
use super::notation::{shell_word, signal_name};
use crate::exec;
use crate::exit::{NOT_FOUND, NOT_RUNNABLE};
use crate::handles::{FdSlot, Handles};
use crate::reporter::quoted;
use system::sys;

/// A fork after which the child goes on with the plan and the parent stays until it has ended:
/// fork(2), clone3(2). Only a plan can make it: see [`Plan::fork`](crate::Plan::fork).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkOptions {
    /// An open cgroup v2 directory in which the child starts.
    pub into: Option<FdSlot>,
    /// The child is PID 1 of a new PID namespace, for which the kernel drops signals it does not catch.
    pub child_is_init: bool,
}

impl Display for ForkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.into {
            Some(group) => write!(
                f,
                "clone3({{flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=<{group}>}}, 88)"
            ),
            None => f.write_str("fork()"),
        }
    }
}

impl ForkOptions {
    pub(crate) fn page(&self) -> &'static str {
        if self.into.is_some() { "clone3(2)" } else { "fork(2)" }
    }

    pub(crate) fn hint(&self, errno: Errno) -> Option<String> {
        let advice = match errno {
            Errno::EAGAIN => PROCESS_LIMIT,
            _ if self.into.is_none() => return None,
            Errno::EBUSY => "the group hands controllers on, so it takes no process",
            Errno::EACCES => {
                "moving takes the right to write cgroup.procs in the nearest group above both places, too: cgroups(7)"
            }
            Errno::EOPNOTSUPP => "the group is threaded or below a threaded one: cgroups(7)",
            _ => return None,
        };
        Some(advice.to_string())
    }

    pub(crate) fn inspection_command(&self) -> String {
        let command = if self.into.is_some() { "cat /proc/self/cgroup" } else { "ps -o pid,ppid,comm" };
        command.to_string()
    }

    pub(crate) fn changes(&self) -> CloneFlags {
        if self.into.is_some() { CloneFlags::CLONE_NEWCGROUP } else { CloneFlags::empty() }
    }
}

/// Runs a program to its end: fork(2), execve(2), waitpid(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunProgram {
    /// Its path.
    pub program: PathBuf,
    /// Its arguments, the zeroth included.
    pub argv: Vec<OsString>,
}

impl RunProgram {
    fn name(&self) -> &[u8] {
        self.program.file_name().unwrap_or_default().as_bytes()
    }
}

impl Display for RunProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&exec::notation(self.program.as_os_str(), &self.argv))
    }
}

impl Call for RunProgram {
    fn page(&self) -> &'static str {
        match self.name() {
            b"newuidmap" => "newuidmap(1)",
            b"newgidmap" => "newgidmap(1)",
            _ => "execve(2)",
        }
    }

    /// # Errors
    /// As fork(2); `ENOENT` or `EACCES` if it cannot be run, `EPERM` if it fails, after it has
    /// printed why on standard error.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let path = sys::c_string(self.program.as_os_str())?;
        let argv: Vec<_> = self.argv.iter().map(|arg| sys::c_string(arg)).collect::<Result<_, _>>()?;
        let Some(pid) = sys::fork()? else {
            sys::exit(match sys::execve(&path, &argv) {
                Errno::ENOENT => NOT_FOUND,
                _ => NOT_RUNNABLE,
            })
        };
        match waitpid(Pid::from_raw(pid), None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, NOT_FOUND) => Err(Errno::ENOENT),
            WaitStatus::Exited(_, NOT_RUNNABLE) => Err(Errno::EACCES),
            _ => Err(Errno::EPERM),
        }
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let advice = match self.name() {
            _ if errno != Errno::EPERM => return None,
            b"newuidmap" => "it maps the own user and the ids that /etc/subuid has for it, and no other",
            b"newgidmap" => {
                "it maps the own group and the ids that /etc/subgid has for the user, and no other"
            }
            _ => return None,
        };
        Some(advice.to_string())
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        match self.name() {
            b"newuidmap" => Some("cat /proc/self/uid_map".to_string()),
            b"newgidmap" => Some("cat /proc/self/gid_map".to_string()),
            _ => None,
        }
    }
}

/// Creates or empties a file and writes the number of this process into it, as the current /proc has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritePid(pub PathBuf);

impl Display for WritePid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write(<{}>, \"<pid>\\n\")", self.0.display())
    }
}

impl Call for WritePid {
    fn page(&self) -> &'static str {
        "write(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::write_pid(&self.0)
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some(format!("cat {}", shell_word(&self.0)))
    }
}

/// Chooses the signal this process gets when its parent dies, 0 for none: PR_SET_PDEATHSIG(2const).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeathSignal(pub i32);

impl Display for DeathSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prctl(PR_SET_PDEATHSIG, {})", signal_name(self.0))
    }
}

impl Call for DeathSignal {
    fn page(&self) -> &'static str {
        "PR_SET_PDEATHSIG(2const)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_death_signal(self.0)
    }
}

/// Keeps an inherited descriptor from the command: FD_CLOEXEC, fcntl(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseOnExec {
    /// Its number.
    pub fd: RawFd,
    /// What it leads to.
    pub path: PathBuf,
}

impl Display for CloseOnExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fcntl({}<{}>, F_SETFD, FD_CLOEXEC)", self.fd, self.path.display())
    }
}

impl Call for CloseOnExec {
    fn page(&self) -> &'static str {
        "fcntl(2)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::close_on_exec(self.fd)
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("ls -l /proc/self/fd".to_string())
    }
}

/// Sets PATH, for the search of the command and for the command itself: environ(7). Not a system
/// call, so strace(1) does not see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetPath(pub OsString);

impl Display for SetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setenv(\"PATH\", {}, 1)", quoted(&self.0))
    }
}

impl Call for SetPath {
    fn page(&self) -> &'static str {
        "setenv(3)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_variable("PATH", &self.0)
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("echo \"$PATH\"".to_string())
    }
}

/// Removes every variable from the environment but these: clearenv(3). Not a system call either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepEnvironment(pub Vec<OsString>);

impl Display for KeepEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clearenv()")
    }
}

impl Call for KeepEnvironment {
    fn page(&self) -> &'static str {
        "clearenv(3)"
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::keep_environment(&self.0)
    }

    fn inspection_command(&self, _: &Path) -> Option<String> {
        Some("env".to_string())
    }
}

//! Processes: their children, descriptors and environment.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::cause::{PROCESS_LIMIT, closed_for_new};
use super::notation::{shell_word, signal_name};
use super::{Call, Effect, Shown};
use crate::command;
use crate::handles::{FdSlot, Handles};
use crate::reporter::quoted;
use system::sys;

/// A fork: the child continues the plan, and the parent waits until the child has ended: fork(2), clone3(2).
/// Only a plan can do this: see [`Plan::fork`](crate::Plan::fork).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkOptions {
    /// An open cgroup v2 directory in which the child starts.
    pub into: Option<FdSlot>,
    /// The child is PID 1 of a new PID namespace: the kernel drops signals that it does not catch.
    pub child_is_init: bool,
}

impl ForkOptions {
    pub(crate) fn shown(&self) -> Shown {
        match self.into {
            Some(group) => Shown::new(
                format!(
                    "clone3({{flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=<{group}>}}, 88)"
                ),
                "clone3(2)",
            )
            .inspect("cat /proc/self/cgroup"),
            None => Shown::new("fork()", "fork(2)").inspect("ps -o pid,ppid,comm"),
        }
    }

    pub(crate) fn hint(&self, errno: Errno) -> Option<String> {
        let advice = match errno {
            Errno::EAGAIN => PROCESS_LIMIT,
            _ if self.into.is_none() => return None,
            Errno::EBUSY => {
                "the group has controllers enabled for groups below it, so it cannot hold a process"
            }
            Errno::EACCES => {
                "you also need write access to cgroup.procs in the nearest common ancestor of both groups: cgroups(7)"
            }
            Errno::EOPNOTSUPP => "the group is threaded or below a threaded one: cgroups(7)",
            _ => return None,
        };
        Some(advice.to_string())
    }

    pub(crate) fn effect(&self) -> Effect {
        if self.into.is_some() { Effect::Changes(CloneFlags::CLONE_NEWCGROUP) } else { Effect::None }
    }
}

/// Runs a program and waits for it: posix_spawn(3), waitpid(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunProgram {
    /// The program's path.
    pub program: PathBuf,
    /// The arguments, including the zeroth.
    pub argv: Vec<OsString>,
}

impl RunProgram {
    fn name(&self) -> &[u8] {
        self.program.file_name().unwrap_or_default().as_bytes()
    }

    /// Starts the program.
    ///
    /// # Errors
    /// Those of fork(2) and execve(2), with `EACCES` for `EPERM`.
    pub(crate) fn start(&self) -> Result<Pid, Errno> {
        let path = sys::c_string(self.program.as_os_str())?;
        let argv: Vec<_> = self.argv.iter().map(|arg| sys::c_string(arg)).collect::<Result<_, _>>()?;
        match sys::spawn(&path, &argv) {
            Ok(pid) => Ok(Pid::from_raw(pid)),
            // the other is the answer of a program that ran
            Err(Errno::EPERM) => Err(Errno::EACCES),
            Err(errno) => Err(errno),
        }
    }

    /// Waits until a program that was started has ended.
    ///
    /// # Errors
    /// `EPERM` if it fails, after it printed the reason on standard error.
    pub(crate) fn wait(pid: Pid) -> Result<(), Errno> {
        match waitpid(pid, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            _ => Err(Errno::EPERM),
        }
    }
}

impl Call for RunProgram {
    fn shown(&self) -> Shown {
        let notation = command::notation(self.program.as_os_str(), &self.argv);
        match self.name() {
            b"newuidmap" => Shown::new(notation, "newuidmap(1)").inspect("cat /proc/self/uid_map"),
            b"newgidmap" => Shown::new(notation, "newgidmap(1)").inspect("cat /proc/self/gid_map"),
            _ => Shown::new(notation, "execve(2)"),
        }
    }

    /// # Errors
    /// Those of [`RunProgram::start`]; `EPERM` if the program fails, after it printed the reason on standard error.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        Self::wait(self.start()?)
    }

    fn program(&self) -> Option<&RunProgram> {
        Some(self)
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let advice = match self.name() {
            _ if errno != Errno::EPERM => return None,
            b"newuidmap" => "it maps only your own id and those that /etc/subuid lists for you",
            b"newgidmap" => "it maps only your own group and those that /etc/subgid lists for you",
            _ => return None,
        };
        Some(advice.to_string())
    }
}

/// Protects a process 1 that only reaps from the processes inside: they cannot trace it or open its files in
/// /proc, ptrace(2). It gets a session of its own. Its working directory becomes the root, so that
/// pivot_root(2) moves it as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawReaper;

impl Call for WithdrawReaper {
    fn shown(&self) -> Shown {
        let calls = "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE), setsid(), chdir(\"/\")";
        Shown::new(calls, "PR_SET_DUMPABLE(2const)").inspect("ps -o pid,sid,args 1")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::sys::prctl::set_dumpable(false)?;
        nix::unistd::setsid()?;
        nix::unistd::chdir("/")
    }
}

/// Keeps other processes from tracing this one and opening its files in /proc, until it becomes the command: ptrace(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepOutOfReach;

impl Call for KeepOutOfReach {
    fn shown(&self) -> Shown {
        Shown::new("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)", "PR_SET_DUMPABLE(2const)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        nix::sys::prctl::set_dumpable(false)
    }
}

/// An open file for the number of a process, and the link `self` of the outer /proc, which has the number that is
/// written. Not /proc itself: through a directory outside the root, paths inside would lead out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidFile {
    /// The file.
    pub file: FdSlot,
    /// The directory.
    pub proc: FdSlot,
}

/// Opens and truncates a file for a PID: open(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPidFile {
    /// Its path.
    pub path: PathBuf,
    /// The slot for the descriptor.
    pub slot: FdSlot,
}

impl Call for OpenPidFile {
    fn shown(&self) -> Shown {
        let path = quoted(&self.path);
        Shown::new(format!("openat(AT_FDCWD, {path}, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644)"), "open(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
        handles.hold(self.slot, nix::fcntl::open(&self.path, flags, Mode::from_bits_truncate(0o644))?);
        Ok(())
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let path = std::path::absolute(&self.path).ok()?;
        let above = path.parent()?;
        match errno {
            Errno::ENOENT if !above.exists() => {
                Some(format!("its directory does not exist: mkdir -p {}", shell_word(above)))
            }
            Errno::EACCES => closed_for_new(&path),
            _ => None,
        }
    }
}

/// Opens `self` in the /proc that has the PID to write: open(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOwnProc(pub FdSlot);

impl Call for OpenOwnProc {
    fn shown(&self) -> Shown {
        Shown::new("openat(AT_FDCWD, \"/proc/self\", O_PATH|O_NOFOLLOW|O_CLOEXEC)", "open(2)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        handles.hold(self.0, nix::fcntl::open("/proc/self", flags, Mode::empty())?);
        Ok(())
    }
}

/// Writes the PID that a /proc shows for this process to an open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritePid(pub PidFile);

impl Call for WritePid {
    fn shown(&self) -> Shown {
        Shown::new(format!("write(<{}>, \"<pid>\\n\")", self.0.file), "write(2)")
    }

    /// # Errors
    /// `ENOENT` without /proc, else those of write(2).
    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        // getpid(2) would return the number inside
        let pid = nix::fcntl::readlinkat(handles.get(self.0.proc)?, "")?;
        let mut line = pid.into_encoded_bytes();
        line.push(b'\n');
        match nix::unistd::write(handles.get(self.0.file)?, &line)? {
            written if written == line.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }
}

/// Sets the signal that this process gets when its parent dies, 0 for none: PR_SET_PDEATHSIG(2const).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeathSignal(pub i32);

impl Call for DeathSignal {
    fn shown(&self) -> Shown {
        Shown::new(format!("prctl(PR_SET_PDEATHSIG, {})", signal_name(self.0)), "PR_SET_PDEATHSIG(2const)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_death_signal(self.0)
    }
}

/// Closes an inherited descriptor when the command starts: FD_CLOEXEC, fcntl(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseOnExec {
    /// Its number.
    pub fd: RawFd,
    /// What it refers to.
    pub path: PathBuf,
}

impl Call for CloseOnExec {
    fn shown(&self) -> Shown {
        Shown::new(format!("fcntl({}<{}>, F_SETFD, FD_CLOEXEC)", self.fd, self.path.display()), "fcntl(2)")
            .inspect("ls -l /proc/self/fd")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::close_on_exec(self.fd)
    }
}

/// Sets a variable for the command; PATH also for the search for it: environ(7). Not a system call, so
/// strace(1) does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetVariable {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: OsString,
}

impl Call for SetVariable {
    fn shown(&self) -> Shown {
        let Self { name, value } = self;
        Shown::new(format!("setenv(\"{name}\", {}, 1)", quoted(value)), "setenv(3)")
            .inspect(format!("echo \"${name}\""))
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_variable(self.name, &self.value)
    }
}

/// Removes a variable: unsetenv(3). Not a system call either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsetVariable(pub &'static str);

impl Call for UnsetVariable {
    fn shown(&self) -> Shown {
        Shown::new(format!("unsetenv(\"{}\")", self.0), "unsetenv(3)").inspect("env")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::unset_variable(self.0)
    }
}

/// Removes every variable from the environment but these: clearenv(3). Not a system call either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepEnvironment(pub Vec<OsString>);

impl Call for KeepEnvironment {
    fn shown(&self) -> Shown {
        Shown::new("clearenv()", "clearenv(3)").inspect("env")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::keep_environment(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_in_a_directory_that_does_not_exist_has_a_hint() {
        let mut handles = Handles::default();
        let slot = handles.slot("pid file");
        let call = OpenPidFile { path: "/no/such dir/pid".into(), slot };
        assert_eq!(call.make(&mut handles), Err(Errno::ENOENT));
        let hint = "its directory does not exist: mkdir -p '/no/such dir'";
        assert_eq!(call.hint(Errno::ENOENT).as_deref(), Some(hint));
        assert_eq!(call.hint(Errno::EISDIR), None);
    }
}

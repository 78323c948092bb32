//! What a link leaves to a later link, which starts the command.
//!
//! Three links would each create a PID namespace with its own process 1. One is enough, and the last link
//! decides what the command may do. So a link leaves the PID namespace and its /proc to the next link, if
//! that is one of our links that start a command; an environment variable passes this on. The last link obeys
//! the variable and removes it. A link cannot hand over an empty PID namespace: the next fork, for whatever
//! purpose, would become its process 1.
//!
//! The same holds for the mount namespace, if nothing must be mounted in it before the last link: each one
//! costs a copy of all mounts, and chroot-rs creates its own in any case.
//!
//! The user namespace of `--userns auto` is left to the last link as well: that link mounts what only the
//! machine's root may mount, and then enters the namespace.
//!
//! The file of `--pid-file` is handed over open, with the link `self` of the outer /proc, because only the
//! last link knows the command's process.

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::Plan;
use crate::call::{self, Call, Effect, PidFile, Shown};
use crate::command::Command;
use crate::handles::{FdSlot, Handles};
use crate::plan::Reason;
use crate::process_one::ProcessOne;
use crate::reporter::listed;
use crate::user_namespace::FreeIds;
use system::sys;

/// The variable. Its value: the kind of process 1, the namespaces to create, and the two descriptors for the
/// PID file.
const VARIABLE: &str = "CHAIN_PROCESS_1";
/// The word for a mount namespace in the value.
const MOUNT: &str = "mount";
/// The word for a user namespace in the value.
const USERNS: &str = "userns";

/// The links that obey the variable.
const TAKERS: [&str; 2] = ["cgexec-rs", "chroot-rs"];

/// What an earlier link has left to this one.
#[derive(Debug, Default)]
pub struct Handover {
    /// The kind of process 1, if a PID namespace is to be created.
    pub process_1: Option<ProcessOne>,
    /// Whether to create a private mount namespace: no mount propagates into it or out of it.
    pub mount: bool,
    /// Whether to create a user namespace with ids that no account has.
    pub userns: bool,
    /// The inherited descriptors of the file and of the link in /proc, with copies.
    pid_file: Option<[(RawFd, OwnedFd); 2]>,
}

/// What this link has taken over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// The kind of process 1, if a PID namespace is to be created.
    pub process_1: Option<ProcessOne>,
    mount: bool,
    /// The user namespace to enter.
    pub user_namespace: Option<FreeIds>,
    pid_file: Option<PidFile>,
}

impl Handover {
    /// What this process was left, unless its command is a link that takes it over.
    pub fn for_last_link(command: &Command) -> Option<Self> {
        let value = std::env::var(VARIABLE).ok()?;
        if is_taker(command) { None } else { Self::read(&value) }
    }

    /// What this process was left, if its command is a program in another root.
    pub fn inside() -> Option<Self> {
        Self::read(&std::env::var(VARIABLE).ok()?)
    }

    fn read(value: &str) -> Option<Self> {
        let mut words = value.split(' ').peekable();
        let process_1 = match words.next()? {
            "reaper" => Some(ProcessOne::Reaper),
            "command" => Some(ProcessOne::Command),
            "none" => None,
            _ => return None,
        };
        let mount = words.next_if_eq(&MOUNT).is_some();
        let userns = words.next_if_eq(&USERNS).is_some();
        let mut copy = || {
            let fd = words.next()?.parse().ok().filter(|fd: &RawFd| *fd >= 0)?;
            let copied = sys::with_fd(fd, |open| open.try_clone_to_owned());
            Some((fd, copied.ok()?))
        };
        let pid_file = copy().and_then(|file| Some([file, copy()?]));
        Some(Self { process_1, mount, userns, pid_file })
    }

    /// Takes over everything at once, at the end of a plan without processes of its own.
    pub fn plan_here(self, plan: &mut Plan) {
        let taken = self.plan(plan);
        taken.plan_namespace(plan);
        if let Some(user_namespace) = taken.user_namespace {
            user_namespace.plan_entry(plan);
        }
        taken.plan_pid_file(plan);
    }

    /// Whether the earlier link left this descriptor, which the command must not inherit.
    pub fn holds(&self, fd: RawFd) -> bool {
        self.pid_file.iter().flatten().any(|(left, _)| *left == fd)
    }

    /// Takes it over, and removes the variable so that the command does not find it.
    pub fn plan(self, plan: &mut Plan) -> Taken {
        let reason = match left_namespaces(self.process_1, self.mount, self.userns) {
            Some(which) => format!("create {which} that the previous tool left to this one").into(),
            None => Reason::from("write the number of the process, which the previous tool left to this one"),
        };
        plan.step(reason, Take);
        let pid_file = self.pid_file.map(|[(file_fd, file), (proc_fd, proc)]| {
            for (fd, path) in [(file_fd, "pid file"), (proc_fd, "/proc/self")] {
                let keep = call::CloseOnExec { fd, path: path.into() };
                plan.step("keep the command from inheriting what that tool left open", keep);
            }
            PidFile { file: plan.attach_fd("pid file", file), proc: plan.attach_fd("proc", proc) }
        });
        let user_namespace = self.userns.then(|| FreeIds::plan_creation(plan));
        Taken { process_1: self.process_1, mount: self.mount, user_namespace, pid_file }
    }
}

impl Taken {
    /// Creates the namespaces, and mounts the new PID namespace's proc over the outer one.
    pub fn plan_namespace(self, plan: &mut Plan) {
        let Some(process_1) = self.process_1 else { return };
        if self.mount {
            let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
            plan.step("enter new mount and PID namespaces", call::Unshare(flags));
            let private = call::Mount::propagate("/", MsFlags::MS_PRIVATE);
            plan.step("keep mounts from spreading outside", private);
        } else {
            plan.step("enter a new PID namespace", call::Unshare(CloneFlags::CLONE_NEWPID));
        }
        process_1.plan(plan, |_| {});
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let proc = call::Mount::new("proc", "/proc", flags);
        plan.step("mount a proc that shows the processes inside", proc);
    }

    /// The slots that must stay open until then.
    pub fn slots(self) -> Vec<FdSlot> {
        self.pid_file.iter().flat_map(|PidFile { file, proc }| [*file, *proc]).collect()
    }

    /// Writes the command's PID, as the last step.
    pub fn plan_pid_file(self, plan: &mut Plan) {
        plan_pid_file(plan, self.pid_file);
    }
}

/// Writes this process's PID, if there is a file for it.
pub fn plan_pid_file(plan: &mut Plan, file: Option<PidFile>) {
    plan.step_if_some("write the number of this process", file.map(call::WritePid));
}

/// "the mount and PID namespaces", or those that are left to the next link; None if there are none.
pub fn left_namespaces(process_1: Option<ProcessOne>, mount: bool, userns: bool) -> Option<String> {
    let kinds = [(userns, "user"), (mount, "mount"), (process_1.is_some(), "PID")];
    let left: Vec<&str> = kinds.into_iter().filter_map(|(left, kind)| left.then_some(kind)).collect();
    Some(match left.as_slice() {
        [] => return None,
        [one] => format!("the {one} namespace"),
        more => format!("the {} namespaces", listed(more)),
    })
}

/// Whether the command is a link of ours that can take over: the file beside this program, not another
/// program of the same name.
pub fn is_taker(command: &Command) -> bool {
    let name = Path::new(&command.program).file_name().unwrap_or_default();
    if !TAKERS.iter().any(|taker| name == *taker) {
        return false;
    }
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let sibling = fs::read_link(sys::OWN_PROGRAM).ok().map(|own| own.with_file_name(name));
    let sibling = sibling.and_then(|sibling| identity(&sibling));
    sibling.is_some() && command.resolve().and_then(|place| identity(&place)) == sibling
}

/// Leaves the PID namespace, the PID file, or both to the next link: setenv(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The kind of process 1, if a PID namespace is to be created.
    pub process_1: Option<ProcessOne>,
    /// Whether to create a mount namespace, too.
    pub mount: bool,
    /// Whether the next link creates a user namespace with ids that no account has.
    pub userns: bool,
    /// The open descriptors for the next link.
    pub pid_file: Option<PidFile>,
}

impl HandOver {
    fn words(self) -> String {
        let process_1 = match self.process_1 {
            Some(ProcessOne::Reaper) => "reaper",
            Some(ProcessOne::Command) => "command",
            None => "none",
        };
        let words = [(self.mount, MOUNT), (self.userns, USERNS)].into_iter().filter(|(left, _)| *left);
        words.fold(process_1.to_string(), |words, (_, word)| format!("{words} {word}"))
    }
}

impl Call for HandOver {
    fn shown(&self) -> Shown {
        let open = self.pid_file.map(|PidFile { file, proc }| format!(" <{file}> <{proc}>"));
        let value = format!("{}{}", self.words(), open.unwrap_or_default());
        Shown::new(format!("setenv(\"{VARIABLE}\", \"{value}\", 1)"), "setenv(3)")
    }

    fn make(&self, handles: &mut Handles) -> Result<(), Errno> {
        let mut value = self.words();
        for slot in self.pid_file.iter().flat_map(|PidFile { file, proc }| [*file, *proc]) {
            let fd = handles.get(slot)?;
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
            value.push_str(&format!(" {}", fd.as_raw_fd()));
        }
        sys::set_variable(VARIABLE, value)
    }

    /// A dry run opens nothing.
    fn effect(&self) -> Effect {
        Effect::Variable(VARIABLE, OsString::from(self.words()))
    }
}

/// Removes the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Take;

impl Call for Take {
    fn shown(&self) -> Shown {
        Shown::new(format!("unsetenv(\"{VARIABLE}\")"), "unsetenv(3)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::unset_variable(VARIABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_as_it_is_written() {
        for process_1 in [Some(ProcessOne::Reaper), Some(ProcessOne::Command), None] {
            for (mount, userns) in [(false, false), (true, false), (false, true), (true, true)] {
                let left = HandOver { process_1, mount, userns, pid_file: None };
                let read = Handover::read(&left.words()).unwrap();
                assert_eq!((read.process_1, read.mount, read.userns), (process_1, mount, userns));
            }
        }
        assert!(Handover::read("").is_none());
        assert!(Handover::read("yes").is_none());
        // descriptors that are not open are ignored
        assert!(Handover::read("reaper 1000000 1000001").unwrap().pid_file.is_none());
    }

    #[test]
    fn a_program_of_the_name_elsewhere_takes_nothing() {
        assert!(!is_taker(&Command::shell("sh".into())));
        assert!(!is_taker(&Command::shell("/no/such/chroot-rs".into())));
    }
}

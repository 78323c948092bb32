//! A copy of this program that cannot be written to.
//!
//! Process 1 is this program, and a command with CAP_SYS_PTRACE reaches its file by /proc/1/exe: it could write to the
//! file as soon as no process runs it. So for such a command the tool begins again as a copy in memory. A dynamic
//! build always does.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chain::Plan;
use chain::call::{Call, Shown};
use chain::handles::Handles;
use chain::handover::Handover;
use nix::errno::Errno;
use system::idmap::OVERFLOW_ID;
use system::namespace::{NamespaceKind, capability};
use system::sys;

use crate::capabilities::CAP_SYS_PTRACE;
use crate::cli::{Options, TOOL};

/// Whether libraries run in this process before `main()`. Where COMMAND is a link to /proc/self/exe, they are NEWROOT's,
/// and reach this program's file.
const IS_DYNAMIC: bool = cfg!(not(target_feature = "crt-static"));

/// Whether to begin again as the copy. The options alone decide: nothing that can be read only once has been read.
pub fn is_needed(options: &Options) -> bool {
    !options.plain && (runs_libraries() || reaches_process_1(options)) && can_be_written()
}

fn runs_libraries() -> bool {
    // without /proc there is no such link
    IS_DYNAMIC && Path::new(sys::OWN_PROGRAM).exists()
}

/// Whether the command may trace process 1, which is in its user namespace, and has no other way to the program.
fn reaches_process_1(options: &Options) -> bool {
    let rights = &options.rights;
    if !rights.keep(CAP_SYS_PTRACE) || !stays_as_process_1(options) {
        return false;
    }
    let has_it = |bits: sys::CapabilityBits| bits.permitted & (1 << CAP_SYS_PTRACE) != 0;
    let mounts_here = sys::has_capability(capability::CAP_SYS_ADMIN) && sys::capabilities().is_ok_and(has_it);
    // the command gets a user namespace of its own, where it may not trace process 1
    let gets_free_ids = || options.userns.is_some() || Handover::inside().is_some_and(|left| left.userns);
    // root of the machine with every right needs no such way
    let is_in_reach = || !NamespaceKind::USER.is_initial() || !(rights.privileged || gets_free_ids());
    mounts_here && is_in_reach()
}

/// Whether the command's process 1 runs this program: as the reaper of a PID namespace that this link or the previous
/// one creates, or, if this process already is process 1, as the supervisor that holds the lock of `--changes`. If
/// processes are shared, the command can get out through any process outside, so a copy would protect nothing.
fn stays_as_process_1(options: &Options) -> bool {
    let is_made_for_us = || Handover::inside().is_some_and(|left| left.process_1.is_some());
    let is_process_1 = nix::unistd::getpid().as_raw() == 1;
    let is_another = options.share_pid || (is_process_1 && options.changes.changes.is_none());
    !options.no_init && (!is_another || is_made_for_us())
}

/// Whether a process in this user namespace may write to the program, whose owner may have no id here.
fn can_be_written() -> bool {
    let program = std::fs::metadata(sys::OWN_PROGRAM);
    let is_foreign = |file: Metadata| file.uid() == OVERFLOW_ID && file.mode() & 0o022 == 0;
    NamespaceKind::USER.is_initial() || !program.is_ok_and(is_foreign)
}

/// Whether this process is the copy. It gets the name of the tool, which ps(1) and pgrep(1) show: in memory it has
/// another one.
pub fn is_here() -> bool {
    let is_copy = sys::is_sealed_copy();
    if is_copy {
        sys::set_process_name(TOOL.name);
    }
    is_copy
}

/// Adds the step.
pub fn plan(plan: &mut Plan) {
    let reason = "begin again as a copy in memory, because the command can reach the file of this program";
    plan.step(reason, BecomeSealedCopy);
}

/// Begins again as the copy: memfd_create(2), fcntl(2), execveat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BecomeSealedCopy;

impl Call for BecomeSealedCopy {
    fn shown(&self) -> Shown {
        let name = TOOL.name;
        Shown::new(
            format!(
                "memfd_create(\"{name}\", MFD_CLOEXEC|MFD_ALLOW_SEALING|MFD_EXEC), \
                 execveat(<copy>, \"\", argv, environ, AT_EMPTY_PATH)"
            ),
            "memfd_create(2)",
        )
        .inspect("ls -l /proc/1/exe")
    }

    /// # Errors
    /// As the calls; `EACCES` where sysctl vm.memfd_noexec forbids it, or the program cannot be read.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let copy = sys::sealed_copy(TOOL.name)?;
        Err(sys::execve_open(&copy, &sys::own_arguments()))
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        let setting = || std::fs::read_to_string("/proc/sys/vm/memfd_noexec").unwrap_or_default();
        let advice = match errno {
            Errno::EACCES if setting().trim() == "2" => "sysctl vm.memfd_noexec=1 allows programs in memory",
            _ if IS_DYNAMIC => "a program that is linked statically needs no copy",
            _ => "leave out SYS_PTRACE, which --privileged keeps as well: no copy is needed then",
        };
        Some(advice.to_string())
    }
}

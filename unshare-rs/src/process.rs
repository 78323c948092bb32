//! The processes: the child that enters the namespaces, an init above the command, the PID file.

use std::path::PathBuf;

use chain::{Failure, ProcessOne};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;

use crate::cli::ProcessOptions;
use crate::namespaces::Namespaces;

/// The processes that the options and the namespaces need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The kind of process 1, in a new PID namespace.
    pub process_1: Option<ProcessOne>,
    /// Whether a supervisor stays and waits.
    pub has_parent: bool,
    /// The signal that the child gets when its parent dies, if not SIGKILL, and the reason. 0 means no
    /// signal.
    pub death_signal: Option<(&'static str, i32)>,
    /// The file for the command's PID.
    pub pid_file: Option<PathBuf>,
}

impl Process {
    /// Combines the options with these new namespaces.
    ///
    /// # Errors
    /// `--init` or `--no-init` without a new PID namespace, or `--init` with a command that outlives its parent.
    pub fn from_options(
        options: &ProcessOptions,
        namespaces: Namespaces,
        is_container: bool,
    ) -> Result<Self, Failure> {
        let has_child = options.imply_fork() || namespaces.need_child();
        let death_signal = match options.kill_child {
            _ if options.no_kill_child => Some(("outlive the parent", 0)),
            // by default, a fork asks for SIGKILL
            None | Some(Signal::SIGKILL) => None,
            Some(signal) => Some(("choose the signal for when the parent dies", signal as i32)),
        };
        Ok(Self {
            process_1: process_1(options, namespaces, is_container, death_signal.is_some())?,
            has_parent: has_child,
            death_signal: death_signal.filter(|_| has_child),
            pid_file: options.pid_file.clone(),
        })
    }
}

/// The kind of process 1. A reaper ends with its parent, and everything inside ends with it.
fn process_1(
    options: &ProcessOptions,
    namespaces: Namespaces,
    is_container: bool,
    outlives_parent: bool,
) -> Result<Option<ProcessOne>, Failure> {
    match (namespaces.has(CloneFlags::CLONE_NEWPID), options.init) {
        (false, true) => {
            Err(Failure::new("--init needs a new PID namespace, and there is none").hint("add --pid"))
        }
        (false, false) if options.no_init => {
            Err(Failure::new("--no-init needs a new PID namespace, and there is none")
                .hint("add --pid, or leave pid out of --share"))
        }
        (false, false) => Ok(None),
        (true, true) if outlives_parent => {
            Err(Failure::new("--init cannot be combined with --no-kill-child or another --kill-child signal: the reaper always ends with its parent")
                .hint("leave out --init: the command is then process 1"))
        }
        (true, true) => Ok(Some(ProcessOne::Reaper)),
        (true, false) if !is_container || options.no_init || outlives_parent => Ok(Some(ProcessOne::Command)),
        (true, false) => Ok(Some(ProcessOne::Reaper)),
    }
}

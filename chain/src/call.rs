//! The system calls that a plan can hold, as values.
//!
//! Each call is one struct. Its notation, its code and its hint stand side by side, one file per family, so
//! that what is shown cannot drift from what is done.

mod cause;
mod credentials;
mod directory;
mod file;
mod mount;
mod mount_fd;
mod namespace;
mod notation;
mod process;
mod user_namespace;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::handles::Handles;

pub use cause::{closed_above, private_fuse};
pub use credentials::{KeepCapabilities, SetGroup, SetGroups, SetUser};
pub use directory::{Chdir, Chroot, Enter, PivotRoot, Reopen};
pub use file::{Mkdir, Mknod, Symlink, Umask, Unlink, Write};
pub use mount::{Mount, Unmount};
pub use mount_fd::{FsMount, FsOpen, FsSet, MoveMount, OpenTree, OpenTreeBelow, SetTree};
pub use namespace::{BringUp, SetHostname, Unshare};
pub use notation::shell_word;
pub use process::{
    CloseOnExec, DeathSignal, ForkOptions, KeepEnvironment, KeepOutOfReach, OpenOwnProc, OpenPidFile,
    PidFile, RunProgram, SetVariable, UnsetVariable, WithdrawReaper, WritePid,
};
pub use user_namespace::{CreateUserNamespace, EnterUserNamespace, LockFreeIds, UnlockFreeIds};

/// One change of the process or the system.
///
/// A tool implements this for calls that only this tool needs.
pub trait Call {
    /// How it is shown.
    fn shown(&self) -> Shown;

    /// Makes the call.
    ///
    /// # Errors
    /// The errno of the system call, as its manual page lists them.
    fn make(&self, handles: &mut Handles) -> Result<(), Errno>;

    /// What the user can do about a failure. A hint names a cause only if the system shows it: read the
    /// sysctl or look for the file first.
    fn hint(&self, errno: Errno) -> Option<String> {
        let _ = errno;
        None
    }

    /// The program, if the call runs one and does nothing else: the helper can run several at the same time.
    fn program(&self) -> Option<&RunProgram> {
        None
    }

    /// What is different afterwards, for later calls and tools.
    fn effect(&self) -> Effect {
        Effect::None
    }
}

/// A call as `--explain` and an error show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// In strace(1)'s notation, with `<name>` for a descriptor; several calls are separated by commas.
    pub notation: String,
    /// The manual page to read.
    pub page: &'static str,
    inspection: Option<(String, Option<PathBuf>)>,
}

impl Shown {
    /// A call that only prepares the next one, so its effect cannot be seen later.
    pub fn new(notation: impl Into<String>, page: &'static str) -> Self {
        Self { notation: notation.into(), page, inspection: None }
    }

    /// Adds a shell command that shows the effect from inside, once the command runs.
    #[must_use]
    pub fn inspect(self, command: impl Into<String>) -> Self {
        Self { inspection: Some((command.into(), None)), ..self }
    }

    /// The same, with a path as the last argument. The path can be relative to the working directory.
    #[must_use]
    pub fn inspect_path(self, command: impl Into<String>, path: &Path) -> Self {
        Self { inspection: Some((command.into(), Some(path.to_path_buf()))), ..self }
    }

    /// The command, if the call is made in this working directory.
    pub(crate) fn inspection_command(self, cwd: &Path) -> Option<String> {
        let (command, path) = self.inspection?;
        Some(match path {
            Some(path) => format!("{command} {}", notation::shell_word_at(cwd, &path)),
            None => command,
        })
    }
}

/// What is different for later calls and tools after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that they read.
    None,
    /// Whatever these kinds of namespaces isolate.
    Changes(CloneFlags),
    /// Every path, because the root directory changes.
    NewRoot,
    /// An environment variable for the next tool: a dry run can set it as well.
    Variable(&'static str, OsString),
    /// Only the working directory: a dry run can change it as well.
    Directory(PathBuf),
    /// The working directory, which has this path for the command.
    Cwd(PathBuf),
}

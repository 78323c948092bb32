//! The system calls that a plan can hold, as values.
//!
//! Each call is one struct. How it is shown, how it is made and what helps when it fails stand
//! side by side, one file a family, so that what is shown cannot drift from what is made.

mod cause;
mod credentials;
mod directory;
mod file;
mod mount;
mod namespace;
mod notation;
mod process;
mod tree;
mod user_namespace;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::handles::Handles;

pub use cause::private_fuse;
pub use credentials::{KeepCapabilities, SetGroup, SetGroups, SetUser};
pub use directory::{Chdir, Chroot, Enter, PivotRoot, Reopen};
pub use file::{Mkdir, Mknod, Symlink, Umask, Unlink, Write};
pub use mount::{Mount, Unmount};
pub use namespace::{BringUp, SetHostname, Unshare};
pub use notation::shell_word;
pub use process::{
    CloseOnExec, DeathSignal, ForkOptions, KeepEnvironment, OpenPidFile, PidFile, RunProgram, SetVariable,
    UnsetVariable, WithdrawReaper, WritePid,
};
pub use tree::{FsMount, FsOpen, FsSet, MoveMount, OpenTree, SetTree};
pub use user_namespace::{CreateUserNamespace, EnterUserNamespace, LockFreeIds, UnlockFreeIds};

/// One change of the process or the system.
///
/// A tool implements this for calls that only it makes.
pub trait Call {
    /// How it is shown.
    fn shown(&self) -> Shown;

    /// Makes the call.
    ///
    /// # Errors
    /// The errno of the system call, as its page lists them.
    fn make(&self, handles: &mut Handles) -> Result<(), Errno>;

    /// What the reader can do about a failure. A hint names a cause only when the system shows it: the
    /// sysctl is read, the file is looked for, before either is blamed.
    fn hint(&self, errno: Errno) -> Option<String> {
        let _ = errno;
        None
    }

    /// What is different for later calls and tools.
    fn effect(&self) -> Effect {
        Effect::None
    }
}

/// A call as `--explain` and an error show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// strace(1)'s notation, with `<name>` for a descriptor; of several calls, with commas between.
    pub notation: String,
    /// The manual page to read.
    pub page: &'static str,
    inspection: Option<(String, Option<PathBuf>)>,
}

impl Shown {
    /// A call that only serves the next one, so that nothing of it can be seen later.
    pub fn new(notation: impl Into<String>, page: &'static str) -> Self {
        Self { notation: notation.into(), page, inspection: None }
    }

    /// Adds a shell command that shows the effect from inside, once the command runs.
    #[must_use]
    pub fn inspect(self, command: impl Into<String>) -> Self {
        Self { inspection: Some((command.into(), None)), ..self }
    }

    /// The same with a path as its last argument, which may be relative to the working directory.
    #[must_use]
    pub fn inspect_path(self, command: impl Into<String>, path: &Path) -> Self {
        Self { inspection: Some((command.into(), Some(path.to_path_buf()))), ..self }
    }

    /// The command, for a call that is made in this working directory.
    pub(crate) fn inspection_command(self, cwd: &Path) -> Option<String> {
        let (command, path) = self.inspection?;
        Some(match path {
            Some(path) => format!("{command} {}", notation::shell_word_at(cwd, &path)),
            None => command,
        })
    }
}

/// What is different for later calls and tools once a call is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing they look at.
    None,
    /// What these kinds of namespaces isolate.
    Changes(CloneFlags),
    /// Paths, because the root directory changes.
    NewRoot,
    /// A variable of the environment, for the next tool: a dry run can set it too.
    Variable(&'static str, OsString),
    /// The working directory, and nothing else: a dry run can change it too.
    Directory(PathBuf),
    /// The working directory, to one that the command will know by this path.
    Cwd(PathBuf),
}

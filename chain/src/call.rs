// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls that a plan can hold, as values.
//!
//! Each call is one struct. Its notation, its manual page, how it is made, what helps
//! when it fails and how to see its effect stand side by side, one file a family, so that
//! what is shown cannot drift from what is made.

mod cause;
mod credentials;
mod directory;
mod file;
mod mount;
mod namespace;
mod notation;
mod process;

use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::handles::Handles;

pub use credentials::{KeepCapabilities, SetGroup, SetGroups, SetUser};
pub use directory::{Chdir, Chroot, Enter, PivotRoot, Reopen};
pub use file::{Mkdir, Mknod, Symlink, Umask, Unlink, Write};
pub use mount::{FsMount, FsOpen, Mount, MoveMount, OpenTree, ReadOnlyTree, Unmount};
pub use namespace::{BringUp, SetHostname, Unshare};
pub use notation::shell_word;
pub use process::{CloseOnExec, DeathSignal, ForkOptions, KeepEnvironment, RunProgram, SetPath, WritePid};

/// One change of the process or the system. `Display` shows it in strace(1)'s notation,
/// with `<name>` for a descriptor.
///
/// A tool implements this for calls that only it makes.
pub trait Call: Debug + Display {
    /// The manual page to read.
    fn page(&self) -> &'static str;

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

    /// A shell command that shows the effect from inside, once the command runs. `cwd` is where the
    /// relative paths of the call are found then. Nothing for a call that only serves the next one.
    fn inspection_command(&self, cwd: &Path) -> Option<String> {
        let _ = cwd;
        None
    }

    /// The working directory for the relative paths of later calls, as the command sees it.
    fn track_cwd(&self, cwd: PathBuf) -> PathBuf {
        cwd
    }

    /// What later tools of a chain see differently after the call: the kinds of namespaces that
    /// isolate it.
    fn changes(&self) -> CloneFlags {
        CloneFlags::empty()
    }

    /// Whether paths lead elsewhere after the call, because it changes the root directory.
    fn changes_root(&self) -> bool {
        false
    }

    /// The new working directory of a call that does nothing else, which a dry run can enter too.
    fn new_directory(&self) -> Option<&Path> {
        None
    }
}

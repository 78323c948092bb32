//! The options about mounts, root and working directory.

use std::ffi::OsString;
use std::path::PathBuf;

/// The mount point of the kernel's table of interpreters.
pub const BINFMT_DIR: &str = "/proc/sys/fs/binfmt_misc";

/// The options about mounts, root and working directory.
#[derive(Debug, Default, clap::Args)]
pub struct FilesystemOptions {
    /// Mount a new proc at DIR [default: /proc]; implies --mount
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/proc")]
    pub mount_proc: Option<PathBuf>,

    /// Leave /proc as it is, even in a container
    #[arg(long, conflicts_with = "mount_proc")]
    pub no_mount_proc: bool,

    /// How mounts spread to and from a new mount namespace: private, shared, slave or
    /// unchanged [default: private]
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    pub propagation: Option<Propagation>,

    /// Run COMMAND with DIR as root, using chroot(2); for a root that cannot be left, use chroot-rs
    #[arg(short = 'R', long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Run COMMAND in the working directory DIR, inside the root
    #[arg(short = 'w', long, value_name = "DIR")]
    pub wd: Option<PathBuf>,
}

/// The options about binfmt_misc.
#[derive(Debug, Default, clap::Args)]
pub struct BinfmtOptions {
    /// Mount a separate binfmt_misc at DIR [default: /proc/sys/fs/binfmt_misc]; implies
    /// --mount, --user and, without DIR, --mount-proc, which needs --pid; needs Linux 6.7
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = BINFMT_DIR)]
    pub mount_binfmt: Option<PathBuf>,

    /// Register an interpreter there, as :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS;
    /// implies --mount-binfmt
    #[arg(short = 'l', long, value_name = "ENTRY")]
    pub load_interp: Option<OsString>,
}

impl BinfmtOptions {
    /// The mount point.
    pub fn dir(&self) -> Option<PathBuf> {
        let implied = self.load_interp.is_some().then(|| BINFMT_DIR.into());
        self.mount_binfmt.clone().or(implied)
    }
}

/// How mounts propagate: mount_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// In both directions, within the peer group.
    Shared,
    /// From outside to inside only.
    Slave,
    /// As in the caller's namespace.
    Unchanged,
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of chroot-rs.

use std::path::PathBuf;

use chain::args::Tool;

use crate::credentials::CredentialOptions;
use crate::image::ImageOptions;
use crate::mount_request::MountRequests;
use crate::root_mount::WriteMode;

/// The tool's name and texts.
pub const TOOL: Tool = Tool {
    name: "chroot-rs",
    about: "Make NEWROOT the root directory, then become COMMAND.\n\n\
        Nothing inside can see out: the change is made with pivot_root(2) in an own mount \
        namespace, the old root is gone, no process outside is in sight, and proc, sys and dev \
        are mounted where NEWROOT has the directories.",
    operands: "[--] NEWROOT [COMMAND [ARG]...]",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: chain::FAILED,
    advice: hints::advice,
};

/// The options as clap parses them.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Exactly chroot(2) and chdir(2), as chroot(1) does: no mounts, and root can get out
    #[arg(long)]
    pub plain: bool,

    /// Change the root, but mount no proc, sys and dev
    #[arg(long, conflicts_with = "plain")]
    pub no_mount: bool,

    /// Keep the caller's processes in sight, although the roots of those outside lead out
    #[arg(long, conflicts_with = "plain")]
    pub share_pid: bool,

    /// As root of the machine: leave its switches in /proc and /sys writable (/proc/sys, ...)
    #[arg(long, conflicts_with_all = ["plain", "no_mount"])]
    pub unmask: bool,

    /// Let nothing be written to NEWROOT and what is mounted below it
    #[arg(long, conflicts_with_all = ["plain", "ephemeral"])]
    pub read_only: bool,

    /// Let everything be written to NEWROOT, and forget it when the command ends
    #[arg(long, conflicts_with = "plain")]
    pub ephemeral: bool,

    /// `--bind`, `--tmpfs`, `--resolv-conf`.
    #[command(flatten)]
    pub mounts: MountRequests,

    /// Leave open what the caller left open and leads out of NEWROOT: directories, namespaces, local sockets
    #[arg(long)]
    pub keep_fds: bool,

    /// Start in DIR, a directory inside, instead of "/"
    #[arg(short, long, value_name = "DIR", conflicts_with = "skip_chdir")]
    pub workdir: Option<PathBuf>,

    /// `--userspec` and `--groups`.
    #[command(flatten)]
    pub credentials: CredentialOptions,

    /// `--image-config`, `--entrypoint` and `--env`.
    #[command(flatten)]
    pub image: ImageOptions,

    /// Stay in the working directory; only where NEWROOT is "/" already
    #[arg(long)]
    pub skip_chdir: bool,
}

impl Options {
    /// Whether an option needs mounts.
    pub fn want_mounts(&self) -> bool {
        self.write_mode() != WriteMode::Persistent || !self.mounts.0.is_empty()
    }

    /// What happens to changes the command makes.
    pub const fn write_mode(&self) -> WriteMode {
        match (self.read_only, self.ephemeral) {
            (true, _) => WriteMode::ReadOnly,
            (false, true) => WriteMode::Ephemeral,
            (false, false) => WriteMode::Persistent,
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of chroot-rs.

use chain::args::Tool;

use crate::credentials::Asked;

/// What chroot-rs says of itself.
pub const TOOL: Tool = Tool {
    name: "chroot-rs",
    about: "Make NEWROOT the root directory, then become COMMAND.\n\n\
        Nothing inside can see out: the change is made with pivot_root(2) in an own mount \
        namespace, the old root is gone, and proc, sys and dev are mounted where NEWROOT has \
        the directories.",
    operands: "[--] NEWROOT [COMMAND [ARG]...]",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: chain::FAILED,
};

/// The options, read.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Exactly chroot(2) and chdir(2), as chroot(1) does: no mounts, and root can get out
    #[arg(long)]
    pub plain: bool,

    /// Change the root, but mount no proc, sys and dev
    #[arg(long, conflicts_with = "plain")]
    pub no_mount: bool,

    /// As root of the machine: leave its switches in /proc and /sys writable (/proc/sys, ...)
    #[arg(long, conflicts_with_all = ["plain", "no_mount"])]
    pub unmask: bool,

    /// Who the command runs as.
    #[command(flatten)]
    pub credentials: Asked,

    /// Stay in the working directory; only where NEWROOT is "/" already
    #[arg(long)]
    pub skip_chdir: bool,
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of unshare-rs.

use std::ffi::OsString;
use std::path::PathBuf;

use chain::args::Tool;

use crate::idmap::IdMap;
use crate::namespaces::Namespaces;

/// What unshare-rs says of itself.
pub const TOOL: Tool = Tool {
    name: "unshare-rs",
    about: "Enter new namespaces, then become COMMAND.\n\n\
        Without an option that names a namespace, it makes what a container has: new mount, \
        UTS, IPC, network and PID namespaces (and a user namespace for an ordinary user), \
        hostname 'container', lo up, its own /proc.",
    operands: "[--] [COMMAND [ARG]...]",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: chain::FAILED,
};

/// The options, read.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Exactly the namespaces that were asked for.
    #[command(flatten)]
    pub namespaces: Namespaces,

    /// Run COMMAND as a child and stay until it ends; implied by --pid and --time
    #[arg(short, long)]
    pub fork: bool,

    /// Mount a new proc at DIR [default: /proc]; implies --mount
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/proc")]
    pub mount_proc: Option<PathBuf>,

    /// Be root inside: map the own user and group to 0; implies --user
    #[arg(short = 'r', long, overrides_with = "map_current_user")]
    pub map_root_user: bool,

    /// Keep the own user and group inside; implies --user
    #[arg(short = 'c', long, overrides_with = "map_root_user")]
    pub map_current_user: bool,

    /// Set the hostname; implies --uts where namespaces are named
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<OsString>,

    /// Leave these namespaces out of the container set: net, ipc, ...
    #[arg(long, value_name = "NAMESPACE[,...]", value_parser = str::parse::<Namespaces>)]
    pub share: Option<Namespaces>,

    /// Leave lo down in a new network namespace
    #[arg(long)]
    pub no_loopback: bool,
}

impl Options {
    /// The map that was asked for.
    pub fn map(&self) -> Option<IdMap> {
        match (self.map_root_user, self.map_current_user) {
            (true, _) => Some(IdMap::Root),
            (false, true) => Some(IdMap::Current),
            (false, false) => None,
        }
    }
}

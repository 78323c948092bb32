//! The options of chroot-rs.

use std::path::PathBuf;

use chain::args::Tool;

use crate::changes::ChangeOptions;
use crate::credentials::CredentialOptions;
use crate::image::ImageOptions;
use crate::mount_request::{MountRequests, parse_size};
use crate::rights::RightsOptions;
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

    /// Let COMMAND be process 1, for which the kernel drops signals it does not catch: for
    /// systemd and other inits
    #[arg(long, conflicts_with_all = ["plain", "share_pid"])]
    pub no_init: bool,

    /// Where the machine's root exists inside: leave its switches in /proc and /sys writable (/proc/sys, ...)
    #[arg(long, conflicts_with_all = ["plain", "no_mount"])]
    pub unmask: bool,

    /// Let nothing be written to NEWROOT and what is mounted below it
    #[arg(long, conflicts_with_all = ["plain", "ephemeral"])]
    pub read_only: bool,

    /// Let everything be written to NEWROOT, at most SIZE, and forget it when the command ends
    #[arg(long, conflicts_with = "plain", value_name = "SIZE", num_args = 0..=1, require_equals = true,
          value_parser = EphemeralSize::parse, default_missing_value = "")]
    pub ephemeral: Option<EphemeralSize>,

    /// `--changes` and what is done with them.
    #[command(flatten)]
    pub changes: ChangeOptions,

    /// How mounts that are made outside later spread in: private, not at all; slave, to what is bound
    #[arg(long, value_name = "MODE", conflicts_with = "plain", hide_possible_values = true)]
    pub propagation: Option<Propagation>,

    /// `--bind`, `--tmpfs`, `--resolv-conf`.
    #[command(flatten)]
    pub mounts: MountRequests,

    /// Leave open what the caller left open and leads out of NEWROOT: directories, namespaces, sockets
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

    /// `--cap-add`, `--privileged` and the like.
    #[command(flatten)]
    pub rights: RightsOptions,

    /// Stay in the working directory; only where NEWROOT is "/" already
    #[arg(long)]
    pub skip_chdir: bool,
}

/// The most that is written to an ephemeral root, as tmpfs(5) reads it; half of the memory without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EphemeralSize(pub Option<String>);

impl EphemeralSize {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let size = parse_size(text).ok_or("a size is a number with k, m or g, or with % of the memory")?;
        Ok(Self(Some(size)))
    }
}

/// Whether mounts that are made outside later are seen inside: mount_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the help of the option says what each does")]
pub enum Propagation {
    Private,
    Slave,
}

impl Options {
    /// Whether an option needs mounts.
    pub fn want_mounts(&self) -> bool {
        self.write_mode() != WriteMode::Persistent || !self.mounts.0.is_empty() || self.propagation.is_some()
    }

    /// What happens to changes the command makes.
    pub const fn write_mode(&self) -> WriteMode {
        match (self.read_only, self.ephemeral.is_some() || self.changes.changes.is_some()) {
            (true, _) => WriteMode::ReadOnly,
            (false, true) => WriteMode::Ephemeral,
            (false, false) => WriteMode::Persistent,
        }
    }
}

//! The options of chroot-rs.

use std::path::PathBuf;

use chain::args::Tool;

use crate::cgroup_view::CgroupView;
use crate::changes::ChangeOptions;
use crate::credentials::CredentialOptions;
use crate::free_ids::Userns;
use crate::image::ImageOptions;
use crate::mount_request::{MountRequests, parse_size};
use crate::rights::RightsOptions;
use crate::root::DirState;
use crate::root_mount::WriteMode;

/// The tool's name and texts.
pub const TOOL: Tool = Tool {
    name: "chroot-rs",
    about: "Make NEWROOT the root directory, then become COMMAND.\n\n\
        Nothing inside can see out: chroot-rs enters a mount namespace of its own, calls pivot_root(2) and \
        detaches the old root; processes outside are hidden, and proc, sys and dev are mounted where \
        NEWROOT has these directories. If NEWROOT is / and no option needs a mount, it only calls \
        chroot(2), as with --plain.",
    operands: "[--] NEWROOT [COMMAND [ARG]...]",
    version: env!("CARGO_PKG_VERSION"),
    usage_error: chain::FAILED,
    write_error: chain::FAILED,
    advice: hints::advice,
};

/// The options as clap parses them.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Call only chroot(2) and chdir(2), as chroot(1) does: no mounts, and root can get out
    #[arg(long, help_heading = "Root directory")]
    pub plain: bool,

    /// Change the root, but do not mount proc, sys and dev
    #[arg(long, conflicts_with = "plain", help_heading = "Root directory")]
    pub no_mount: bool,

    /// Make NEWROOT and the mounts below it read-only
    #[arg(long, conflicts_with_all = ["plain", "ephemeral"], help_heading = "Root directory")]
    pub read_only: bool,

    /// Keep what is written to NEWROOT in memory, at most SIZE, and discard it when the command ends
    #[arg(long, conflicts_with = "plain", value_name = "SIZE", num_args = 0..=1, require_equals = true,
          value_parser = EphemeralSize::parse, default_missing_value = "", help_heading = "Root directory")]
    pub ephemeral: Option<EphemeralSize>,

    /// Start in DIR, a directory inside, instead of "/"
    #[arg(short, long, value_name = "DIR", conflicts_with = "skip_chdir", help_heading = "Root directory")]
    pub workdir: Option<PathBuf>,

    /// Stay in the working directory; only if NEWROOT is "/" already
    #[arg(long, help_heading = "Root directory")]
    pub skip_chdir: bool,

    /// `--changes` and what is done with them.
    #[command(flatten, next_help_heading = "Changes")]
    pub changes: ChangeOptions,

    /// `--bind`, `--tmpfs`, `--resolv-conf`.
    #[command(flatten, next_help_heading = "Mounts")]
    pub mounts: MountRequests,

    /// Show NEWROOT's /etc/hosts as it is, even if it does not contain the hostname
    #[arg(long, conflicts_with_all = ["plain", "no_mount"], help_heading = "Mounts")]
    pub no_hosts: bool,

    /// Mount the command's own control groups on /sys/fs/cgroup: ro, rw or none; default ro if it has a cgroup namespace
    #[arg(long, value_name = "ro|rw|none", conflicts_with_all = ["plain", "no_mount"], hide_possible_values = true, help_heading = "Mounts")]
    pub cgroup: Option<CgroupView>,

    /// Hide mounts that are made outside later (private), or show them in bound directories (slave)
    #[arg(
        long,
        value_name = "MODE",
        conflicts_with = "plain",
        hide_possible_values = true,
        help_heading = "Mounts"
    )]
    pub propagation: Option<Propagation>,

    /// Leave kernel settings in /proc and /sys writable, if the machine's root exists inside
    #[arg(long, conflicts_with_all = ["plain", "no_mount"], help_heading = "Mounts")]
    pub unmask: bool,

    /// Show the processes outside; their /proc/PID/root leads out of NEWROOT
    #[arg(long, conflicts_with = "plain", help_heading = "Processes")]
    pub share_pid: bool,

    /// Run COMMAND as process 1, for systemd and other inits; the kernel drops signals that process 1 does not
    /// catch
    #[arg(long, conflicts_with_all = ["plain", "share_pid"], help_heading = "Processes")]
    pub no_init: bool,

    /// Keep inherited descriptors open even if they lead out of NEWROOT: directories, namespaces, sockets
    #[arg(long, help_heading = "Processes")]
    pub keep_fds: bool,

    /// `--userspec` and `--groups`.
    #[command(flatten, next_help_heading = "Users and groups")]
    pub credentials: CredentialOptions,

    /// Run COMMAND as root of a user namespace whose ids no account has; files of NEWROOT keep their owners
    #[arg(long, value_name = "auto", conflicts_with_all = ["plain", "changes"], hide_possible_values = true, help_heading = "Users and groups")]
    pub userns: Option<Userns>,

    /// `--image-config`, `--entrypoint` and `--env`.
    #[command(flatten, next_help_heading = "Images and environment")]
    pub image: ImageOptions,

    /// `--cap-add`, `--privileged` and the like.
    #[command(flatten, next_help_heading = "Rights")]
    pub rights: RightsOptions,
}

/// The size limit of an ephemeral root, as in tmpfs(5); by default half of the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EphemeralSize(pub Option<String>);

impl EphemeralSize {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let size = parse_size(text)
            .ok_or("expected a number of bytes with k, m or g, or a share of the memory with %")?;
        Ok(Self(Some(size)))
    }
}

/// Whether the command sees mounts that are made outside later: mount_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the help of the option says what each does")]
pub enum Propagation {
    Private,
    Slave,
}

impl Options {
    /// Whether an option needs mounts.
    pub fn want_mounts(&self) -> bool {
        self.write_mode() != WriteMode::Persistent
            || !self.mounts.0.is_empty()
            || self.propagation.is_some()
            || self.cgroup.is_some()
            || self.userns.is_some()
    }

    /// What happens to the command's changes.
    pub const fn write_mode(&self) -> WriteMode {
        match (self.read_only, self.ephemeral.is_some() || self.changes.changes.is_some()) {
            (true, _) => WriteMode::ReadOnly,
            (false, true) => WriteMode::Ephemeral,
            (false, false) => WriteMode::Persistent,
        }
    }

    /// Whether a default is mounted on a directory of the new root: it exists, or is created in an overlay.
    pub fn mount_on(&self, dir: DirState) -> bool {
        let is_created = dir == DirState::Missing && self.write_mode() == WriteMode::Ephemeral;
        !self.no_mount && (dir == DirState::Directory || is_created)
    }
}

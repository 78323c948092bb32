// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decides everything, from the options and the probe. The plan only lists it.

use std::ffi::OsString;
use std::path::PathBuf;

use chain::Failure;
use chain::exec::Command;
use chain::reporter::ErrnoText;

use crate::cli::Options;
use crate::credentials::Credentials;
use crate::descriptors::EscapingFd;
use crate::dev::Dev;
use crate::environment::Environment;
use crate::extra_mount::ExtraMount;
use crate::mount_target::TargetResolver;
use crate::mounts::{ExistingMounts, FsProvision, KernelMounts};
use crate::probe::{MountProbe, Privilege, Probe, WhyPlain};
use crate::root::{DirState, Root};
use crate::root_mount::{RootMount, WriteMode};

/// Replaces a PATH without a directory that exists inside, as on a machine that keeps programs elsewhere.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Everything the plan does.
#[derive(Debug)]
pub struct Setup {
    pub root: Root,
    pub strategy: Strategy,
    pub credentials: Credentials,
    /// A PATH that replaces the caller's.
    pub path: Option<OsString>,
    pub workdir: Option<PathBuf>,
    /// The working directory of an image that has not got it.
    pub missing_workdir: Option<PathBuf>,
    /// Variables of the command.
    pub environment: Environment,
    pub command: Command,
    /// What a default had to leave out, a line each.
    pub notes: Vec<String>,
}

/// How the root directory is changed.
#[derive(Debug)]
pub enum Strategy {
    /// chroot(2), and chdir(2) unless `skip_chdir`: exactly what chroot(1) does.
    Plain { skip_chdir: bool },
    /// pivot_root(2) in a new mount namespace.
    Pivot(Box<PivotSetup>),
}

/// The mounts of the new root, and what keeps the command inside.
#[derive(Debug)]
pub struct PivotSetup {
    /// Descriptors to keep from the command.
    pub escaping_fds: Vec<EscapingFd>,
    /// The user and group that become root in a new user namespace, if one is needed.
    pub map_to_root: Option<(u32, u32)>,
    /// Whether the command gets a new PID namespace.
    pub new_pid: bool,
    pub root_mount: RootMount,
    pub write_mode: WriteMode,
    pub kernel_mounts: KernelMounts,
    pub dev: Option<Dev>,
    pub extra_mounts: Vec<ExtraMount>,
}

impl Setup {
    /// # Errors
    /// An option that cannot be done here.
    pub fn resolve(options: &Options, probe: Probe, command: Command) -> Result<Self, Failure> {
        if options.skip_chdir && !probe.is_current_root {
            let failure = Failure::new("option --skip-chdir only permitted if NEWROOT is old '/'");
            return Err(failure.hint("--workdir=DIR starts in a directory of the new root"));
        }
        let mut notes = Vec::new();
        let strategy = match probe.mounts {
            Ok(mounts) => {
                notes.extend(left_out(options, &mounts));
                Strategy::Pivot(Box::new(PivotSetup::resolve(options, &probe.root, mounts)?))
            }
            Err(why) => plain(options, why, &mut notes)?,
        };
        let credentials = options.credentials.resolve(&probe.accounts, &probe.ids, &mut notes)?;
        let command = if probe.is_current_root { command } else { command.inside(&probe.root.path) };
        let path = (!probe.path_works).then(|| USUAL_PATH.into());
        let workdir = options.workdir.clone();
        let (missing_workdir, environment) = (None, Environment::default());
        Ok(Self {
            root: probe.root,
            strategy,
            credentials,
            path,
            workdir,
            missing_workdir,
            environment,
            command,
            notes,
        })
    }
}

impl PivotSetup {
    fn resolve(options: &Options, root: &Root, probe: MountProbe) -> Result<Self, Failure> {
        // every process whose root is outside leads there, by /proc/PID/root and setns(2)
        let new_pid = !(probe.is_pid_1 || probe.proc_is_covered || options.share_pid);
        let kernel_mounts = kernel_mounts(options, &probe, new_pid);
        let has_dev = probe.dev_dir == DirState::Directory && !options.no_mount;
        let targets = TargetResolver::new(root, options.ephemeral, &kernel_mounts, has_dev);
        Ok(Self {
            escaping_fds: if options.keep_fds { Vec::new() } else { probe.escaping_fds },
            map_to_root: (probe.privilege == Privilege::Unprivileged).then_some(probe.caller),
            new_pid,
            root_mount: probe.root_mount,
            write_mode: options.write_mode(),
            extra_mounts: targets.resolve_all(&options.mounts)?,
            kernel_mounts,
            dev: has_dev.then_some(probe.dev),
        })
    }
}

/// The strategy without mounts.
fn plain(options: &Options, why: WhyPlain, notes: &mut Vec<String>) -> Result<Strategy, Failure> {
    if options.want_mounts() {
        let failure = Failure::new("a mount was asked for, and none can be made here");
        return Err(failure.hint(why.advice()));
    }
    // with --plain, and for the root there is, nothing is lost
    if let WhyPlain::NoAdmin | WhyPlain::InChroot = why {
        let lost = "plain chroot(2), no mounts, and root inside could get out";
        notes.push(format!("{lost}: {}", why.advice()));
    }
    Ok(Strategy::Plain { skip_chdir: options.skip_chdir })
}

fn kernel_mounts(options: &Options, probe: &MountProbe, new_pid: bool) -> KernelMounts {
    let provide = |dir: DirState, fresh: bool, bind: bool| match dir {
        DirState::Directory if options.no_mount => FsProvision::Skip,
        DirState::Directory if fresh => FsProvision::Fresh,
        DirState::Directory if bind => FsProvision::Bind,
        _ => FsProvision::Skip,
    };
    KernelMounts {
        proc: provide(probe.proc_dir, new_pid || probe.owns_pid, true),
        // a copy has to be made read-only
        sys: provide(probe.sys_dir, probe.owns_net, probe.has_mount_setattr),
        // an overlay shows the directories of the root, not what is mounted on them
        existing: if options.ephemeral { ExistingMounts::default() } else { probe.existing },
        cgroup2: probe.owns_cgroup,
        masks: if options.unmask { Vec::new() } else { probe.masks.clone() },
    }
}

/// What a default has to leave out.
fn left_out(options: &Options, probe: &MountProbe) -> Vec<String> {
    let mut notes = Vec::new();
    if probe.proc_is_covered && !options.share_pid {
        let danger = "the processes outside stay in sight, and root inside could get out";
        notes.push(format!("{danger}: a part of /proc is covered, so the kernel gives no new one"));
    }
    if options.no_mount {
        return notes;
    }
    let existing = probe.existing;
    if existing.proc_mounts > 0 && !existing.can_unmount && !options.ephemeral {
        let danger = "is covered, and root inside could uncover it and get out: umount it before";
        notes.push(format!("what is mounted on /proc in the new root already {danger}"));
    }
    for (name, dir) in [("proc", probe.proc_dir), ("sys", probe.sys_dir), ("dev", probe.dev_dir)] {
        let why = match dir {
            DirState::Symlink => "it is a symbolic link in the new root".to_string(),
            DirState::Refused(errno) => ErrnoText(errno).to_string(),
            DirState::Directory | DirState::Missing => continue,
        };
        notes.push(format!("left out /{name}: {why}"));
    }
    if probe.sys_dir == DirState::Directory && !probe.owns_net && !probe.has_mount_setattr {
        let missing = "to make it read-only here takes mount_setattr(2), Linux 5.12";
        notes.push(format!("left out /sys: {missing}"));
    }
    notes
}

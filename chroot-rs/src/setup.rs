//! Makes all decisions, from the options and the probe. The plan only lists the steps.

use std::os::fd::RawFd;
use std::path::PathBuf;

use chain::call;
use chain::command::Command;
use chain::handover::Handover;
use chain::reporter::{ErrnoText, quoted};
use chain::{Failure, ProcessOne};
use nix::errno::Errno;

use crate::broken_variables::{Mended, Variable};
use crate::cgroup_view::{CgroupMount, CgroupView};
use crate::changes;
use crate::cli::{EphemeralSize, Options, Propagation};
use crate::credentials::Credentials;
use crate::descriptors::EscapingFd;
use crate::dev::Dev;
use crate::environment::Environment;
use crate::extra_mount::ExtraMount;
use crate::hosts::Hosts;
use crate::kernel_mounts::{ExistingMounts, FsProvision, KernelMounts};
use crate::mount_target::TargetResolver;
use crate::notes;
use crate::overlay::Overlay;
use crate::probe::{MountProbe, Privilege, Probe, WhyPlain};
use crate::rights::{MountLimits, Rights};
use crate::root::{DirState, Root};
use crate::root_mount::{RootMount, WriteMode};

/// Everything the plan does.
#[derive(Debug)]
pub struct Setup {
    pub root: Root,
    pub strategy: Strategy,
    pub credentials: Credentials,
    /// The caller's variables that name no file inside, with their replacements.
    pub mended: Vec<Mended>,
    /// Standard descriptors that the command's user is to own.
    pub pipes: Vec<RawFd>,
    /// The command's rights.
    pub rights: Rights,
    pub workdir: Option<PathBuf>,
    /// The image's working directory, if it does not exist.
    pub missing_workdir: Option<PathBuf>,
    /// The command's variables.
    pub environment: Environment,
    pub command: Command,
    /// What the previous tool left to this one.
    pub handover: Option<Handover>,
    /// Skipped defaults, one line each.
    pub notes: Vec<String>,
    /// Whether a run, and not a dry one, begins again as a copy to which the command cannot write.
    pub becomes_copy: bool,
}

/// How to change the root directory.
#[derive(Debug)]
pub enum Strategy {
    /// chroot(2), and chdir(2) unless `skip_chdir`: exactly as chroot(1) does.
    Plain { skip_chdir: bool },
    /// pivot_root(2) in a new mount namespace.
    Pivot(Box<PivotSetup>),
}

/// The mounts of the new root, and what confines the command.
#[derive(Debug)]
pub struct PivotSetup {
    /// Descriptors that the command must not get.
    pub escaping_fds: Vec<EscapingFd>,
    /// The caller's user and group inside and outside a new user namespace, if one is needed.
    pub map_caller: Option<((u32, u32), (u32, u32))>,
    /// Whether the command gets ids that no account has.
    pub has_free_ids: bool,
    /// The kind of process 1 of the new PID namespace, if the command gets one.
    pub process_1: Option<ProcessOne>,
    /// Whether processes outside see the command's.
    pub is_in_sight: bool,
    pub root_mount: RootMount,
    pub limits: MountLimits,
    pub write_mode: WriteMode,
    pub overlay: Option<Overlay>,
    /// Whether the command sees mounts that are made outside later.
    pub follows_outside: bool,
    pub kernel_mounts: KernelMounts,
    pub dev: Option<Dev>,
    pub hosts: Option<Hosts>,
    pub extra_mounts: Vec<ExtraMount>,
}

impl Strategy {
    /// The user that the caller is in the new user namespace, if there is one.
    fn inner_uid(&self) -> Option<u32> {
        match self {
            Self::Pivot(pivot) => pivot.map_caller.map(|(inside, _)| inside.0),
            Self::Plain { .. } => None,
        }
    }
}

impl Setup {
    /// # Errors
    /// An option that is not possible here.
    pub fn resolve(options: &Options, probe: Probe, command: Command) -> Result<Self, Failure> {
        check_skip_chdir(options, &probe)?;
        let privilege = probe.mounts.as_ref().ok().map(|mounts| mounts.privilege);
        check_free_ids(options, privilege == Some(Privilege::FreeIds))?;
        let mut notes = Vec::new();
        let caller = probe.mounts.as_ref().ok().map(|mounts| mounts.rights.clone());
        let strategy = match probe.mounts {
            Ok(mounts) => {
                let handover = probe.handover.as_ref();
                let pivot = PivotSetup::resolve(options, &probe.root, mounts, handover, &mut notes)?;
                Strategy::Pivot(Box::new(pivot))
            }
            Err(why) => plain(options, why, &mut notes)?,
        };
        let credentials = options.credentials.resolve(&probe.accounts, &probe.ids, &mut notes)?;
        let rights = match caller {
            Some(caller) => Rights::resolve(&options.rights, &caller, &credentials, &mut notes)?,
            None => Rights::default(),
        };
        let command = if probe.is_current_root { command } else { command.inside(&probe.root.path) };
        let uid = credentials.uid.or(strategy.inner_uid()).unwrap_or(probe.uid);
        let mut broken = probe.broken_variables;
        if uid != probe.uid && probe.closed_home.is_some_and(|owner| owner != uid) {
            broken.push(Variable::Home);
        }
        let mended = Mended::all(&broken, &probe.root, &options.mounts, &probe.accounts, uid);
        let pipes = if uid == probe.uid { Vec::new() } else { probe.standard_pipes };
        // the caller's root was mounted again, and its directories have the same paths
        let stays = options.skip_chdir && matches!(strategy, Strategy::Pivot(_));
        let workdir = options.workdir.clone().or_else(|| std::env::current_dir().ok().filter(|_| stays));
        let (missing_workdir, environment) = (None, Environment::default());
        Ok(Self {
            root: probe.root,
            strategy,
            credentials,
            rights,
            mended,
            pipes,
            workdir,
            missing_workdir,
            environment,
            command,
            handover: probe.handover,
            notes,
            becomes_copy: false,
        })
    }
}

impl PivotSetup {
    fn resolve(
        options: &Options,
        root: &Root,
        probe: MountProbe,
        handover: Option<&Handover>,
        notes: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        notes.extend(notes::defaults(options, &probe, handover));
        let (no_mount, has_mount_setattr) = (options.no_mount, probe.has_mount_setattr);
        let limits = MountLimits::resolve(&options.rights, no_mount, has_mount_setattr, notes)?;
        check_searchable(root, probe.dev_dir)?;
        let process_1 = process_1(options, &probe, handover.and_then(|left| left.process_1));
        let kernel_mounts = kernel_mounts(options, &probe, process_1.is_some())?;
        notes.extend(notes::sys(options, &probe, kernel_mounts.sys));
        let has_dev = options.mount_on(probe.dev_dir);
        let overlay = overlay(options, &probe)?;
        let dev = has_dev.then_some(&probe.dev);
        let targets = TargetResolver::new(root, options.write_mode(), &kernel_mounts, dev);
        // mounts outside do not propagate to the mount namespace that the previous tool left to this one
        let is_slave = probe.is_slave && !handover.is_some_and(|left| left.mount);
        let follows_outside = options.propagation.map_or(is_slave, |mode| mode == Propagation::Slave);
        let mut escaping_fds = if options.keep_fds { Vec::new() } else { probe.escaping_fds };
        escaping_fds.retain(|open| !handover.is_some_and(|left| left.holds(open.fd)));
        Ok(Self {
            escaping_fds,
            map_caller: (probe.privilege == Privilege::Unprivileged).then_some((probe.inside, probe.caller)),
            has_free_ids: probe.privilege == Privilege::FreeIds,
            process_1,
            is_in_sight: process_1.is_none() && !probe.is_pid_1,
            root_mount: probe.root_mount,
            limits,
            write_mode: options.write_mode(),
            overlay,
            follows_outside,
            extra_mounts: targets.resolve_all(&options.mounts)?,
            kernel_mounts,
            // the file is created there
            hosts: probe.hosts.filter(|_| has_dev),
            dev: has_dev.then_some(Dev { is_limited: !options.rights.privileged, ..probe.dev }),
        })
    }
}

fn check_skip_chdir(options: &Options, probe: &Probe) -> Result<(), Failure> {
    if options.skip_chdir && !probe.is_current_root {
        let failure = Failure::new("option --skip-chdir only permitted if NEWROOT is old '/'");
        return Err(failure.hint("--workdir=DIR starts in a directory of the new root"));
    }
    Ok(())
}

/// Rejects a root that the caller cannot search: by its permissions, or because another user mounted it with FUSE.
fn check_searchable(root: &Root, dev_dir: DirState) -> Result<(), Failure> {
    if dev_dir != DirState::Refused(Errno::EACCES) {
        return Ok(());
    }
    let (path, why) = (quoted(&root.path), ErrnoText(Errno::EACCES));
    let hint = call::private_fuse(&root.path).or_else(|| call::closed_above(&root.path.join("dev")));
    Err(Failure { hint, ..Failure::new(format!("cannot change root directory to {path}: {why}")) })
}

/// The kind of process 1 of a new PID namespace. Every process whose root is outside leads there, by
/// /proc/PID/root and setns(2), so none must be visible. `left` is what the previous tool left to this one:
/// its own namespace, which `--share-pid` shares.
fn process_1(options: &Options, probe: &MountProbe, left: Option<ProcessOne>) -> Option<ProcessOne> {
    let is_needed = !(probe.is_pid_1 || probe.proc_is_covered || options.share_pid);
    let usual = left.or(is_needed.then_some(ProcessOne::Reaper))?;
    Some(if options.no_init { ProcessOne::Command } else { usual })
}

/// Rejects options that cannot be combined with `--userns auto`, here or in a previous tool, and callers that
/// have no right to it.
fn check_free_ids(options: &Options, has_them: bool) -> Result<(), Failure> {
    if !has_them {
        return match options.userns {
            None => Ok(()),
            Some(_) => {
                Err(Failure::new("--userns auto needs root of the machine, because only it can map the ids")
                    .hint("leave it out: 'unshare-rs --' before chroot-rs maps the ids in /etc/subuid"))
            }
        };
    }
    if options.changes.changes.is_some() {
        return Err(Failure::new(
            "--changes cannot keep the files of --userns auto: its ids differ each time",
        )
        .hint("use --ephemeral, which discards them"));
    }
    if let Some(CgroupView::Ro | CgroupView::Rw) = options.cgroup {
        return Err(Failure::new(
            "--cgroup cannot show control groups with --userns auto: root of the machine owns their namespace",
        )
        .hint("leave out --cgroup or --userns auto"));
    }
    Ok(())
}

/// The strategy without mounts.
fn plain(options: &Options, why: WhyPlain, notes: &mut Vec<String>) -> Result<Strategy, Failure> {
    if options.want_mounts() {
        let failure = Failure::new("an option needs a mount, and none can be made here");
        return Err(failure.hint(why.advice()));
    }
    if options.rights.are_requested() {
        let failure = Failure::new(
            "an option limits rights, and here nothing could keep the command from getting them back",
        );
        return Err(failure.hint(why.advice()));
    }
    // with --plain, and for the current root, nothing is lost
    if let WhyPlain::NoAdmin | WhyPlain::InChroot = why {
        let lost = "this is a plain chroot(2) without mounts, and root inside can get out";
        notes.push(format!("{lost}: {}", why.advice()));
    }
    Ok(Strategy::Plain { skip_chdir: options.skip_chdir })
}

fn kernel_mounts(options: &Options, probe: &MountProbe, new_pid: bool) -> Result<KernelMounts, Failure> {
    let provide = |dir: DirState, fresh: bool, bind: bool| match options.mount_on(dir) {
        true if fresh => FsProvision::Fresh,
        true if bind => FsProvision::Bind,
        _ => FsProvision::Skip,
    };
    let sys = provide(probe.sys_dir, probe.owns_net, probe.has_mount_setattr && !probe.lacks_sys);
    let is_usual = sys == FsProvision::Fresh;
    let cgroup = CgroupMount::resolve(options.cgroup, probe.cgroup, is_usual, sys != FsProvision::Skip)?;
    Ok(KernelMounts {
        proc: provide(
            probe.proc_dir,
            (new_pid || probe.owns_pid) && !probe.proc_is_covered && !probe.lacks_proc,
            !probe.lacks_proc,
        ),
        // a copy must be made read-only
        sys,
        // an overlay shows the directories of the root, not what is mounted on them
        existing: if options.write_mode() == WriteMode::Ephemeral {
            ExistingMounts::default()
        } else {
            probe.existing
        },
        cgroup,
        masks: if options.unmask || options.rights.privileged { Vec::new() } else { probe.masks.clone() },
        sys_parts: if options.rights.privileged { Vec::new() } else { probe.sys_parts.clone() },
        sys_is_writable: options.unmask,
    })
}

/// The overlay of an ephemeral root.
fn overlay(options: &Options, probe: &MountProbe) -> Result<Option<Overlay>, Failure> {
    if options.write_mode() != WriteMode::Ephemeral {
        return Ok(None);
    }
    let size = options.ephemeral.as_ref().and_then(|EphemeralSize(size)| size.clone());
    // entry by entry, everything that the caller owns can be changed
    if let (Some(owner), true) = (probe.overlay.foreign_owner, probe.overlay.pieces.is_empty()) {
        let option = if options.changes.changes.is_some() { "--changes" } else { "--ephemeral" };
        let failure = format!("{option} cannot change NEWROOT: its owner, user {owner}, has no id inside");
        return Err(Failure::new(failure).hint(
            "copy it: cp -a NEWROOT COPY; or use --read-only, with --tmpfs for the directories to write to",
        ));
    }
    if probe.overlay.has_foreign_marks {
        let failure = "--changes cannot continue changes that the machine's root began: \
            only root can read their trusted.overlay.* attributes";
        return Err(Failure::new(failure).hint(changes::AS_ROOT));
    }
    if let Some(name) = probe.overlay.network {
        let failure = format!(
            "--changes cannot keep changes on {name}: an overlay writes only to a disk of this machine"
        );
        return Err(
            Failure::new(failure).hint("name a DIR on a disk of this machine; NEWROOT can stay where it is")
        );
    }
    let dirs = [("proc", probe.proc_dir), ("sys", probe.sys_dir), ("dev", probe.dev_dir)];
    let missing = dirs.into_iter().filter(|(_, dir)| *dir == DirState::Missing && !options.no_mount);
    let made = missing.map(|(name, _)| name).collect();
    let changes = options.changes.directory();
    Ok(Some(Overlay { size, probe: probe.overlay.clone(), made, changes }))
}

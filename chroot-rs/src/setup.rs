//! Decides everything, from the options and the probe. The plan only lists it.

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use chain::call;
use chain::exec::Command;
use chain::handover::Handover;
use chain::reporter::{ErrnoText, quoted};
use chain::{Failure, ProcessOne};
use nix::errno::Errno;

use crate::broken_variables::Mended;
use crate::capabilities::CAP_SYS_ADMIN;
use crate::cgroup_view::{CgroupMount, CgroupView};
use crate::cli::{EphemeralSize, Options, Propagation};
use crate::credentials::Credentials;
use crate::descriptors::EscapingFd;
use crate::dev::Dev;
use crate::environment::Environment;
use crate::extra_mount::ExtraMount;
use crate::mount_target::TargetResolver;
use crate::mounts::{ExistingMounts, FsProvision, KernelMounts};
use crate::overlay::{Overlay, OverlayProbe, PieceKind, hidden};
use crate::probe::{MountProbe, Privilege, Probe, WhyPlain};
use crate::rights::{MountLimits, Rights};
use crate::root::{DirState, Root};
use crate::root_mount::{RootMount, WriteMode};

/// Why the caller's /proc is shown, and who can change it.
const NO_NEW_PROC: &str = "a part of /proc is covered, so the kernel gives no new one; a container lifts it with \
    --security-opt systempaths=unconfined (docker), unmask=ALL (podman), procMount: Unmasked (Kubernetes)";

/// Everything the plan does.
#[derive(Debug)]
pub struct Setup {
    pub root: Root,
    pub strategy: Strategy,
    pub credentials: Credentials,
    /// Variables of the caller's that lead nowhere inside.
    pub mended: Vec<Mended>,
    /// Standard descriptors that the user of the command is to own.
    pub pipes: Vec<RawFd>,
    /// What the command may do.
    pub rights: Rights,
    pub workdir: Option<PathBuf>,
    /// The working directory of an image that has not got it.
    pub missing_workdir: Option<PathBuf>,
    /// Variables of the command.
    pub environment: Environment,
    pub command: Command,
    /// What the tool before left to this one.
    pub handover: Option<Handover>,
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
    /// The caller's user and group inside and outside of a new user namespace, if one is needed.
    pub map_caller: Option<((u32, u32), (u32, u32))>,
    /// Whether the command gets ids that no account has.
    pub has_free_ids: bool,
    /// Who is process 1 of the new PID namespace, if the command gets one.
    pub process_1: Option<ProcessOne>,
    pub root_mount: RootMount,
    pub limits: MountLimits,
    pub write_mode: WriteMode,
    pub overlay: Option<Overlay>,
    /// Whether mounts that are made outside later are seen inside.
    pub follows_outside: bool,
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
        let privilege = probe.mounts.as_ref().ok().map(|mounts| mounts.privilege);
        check_free_ids(options, privilege == Some(Privilege::FreeIds))?;
        let mut notes = Vec::new();
        let caller = probe.mounts.as_ref().ok().map(|mounts| mounts.rights.clone());
        let strategy = match probe.mounts {
            Ok(mounts) => {
                let left = probe.handover.as_ref().is_some_and(|left| left.process_1.is_some());
                notes.extend(left_out(options, &mounts, left));
                let limits = MountLimits::resolve(
                    &options.rights,
                    options.no_mount,
                    mounts.has_mount_setattr,
                    &mut notes,
                )?;
                let mut pivot =
                    PivotSetup::resolve(options, &probe.root, mounts, limits, probe.handover.as_ref())?;
                pivot
                    .escaping_fds
                    .retain(|open| !probe.handover.as_ref().is_some_and(|it| it.holds(open.fd)));
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
        let inside = match &strategy {
            Strategy::Pivot(pivot) => pivot.map_caller.map(|(inside, _)| inside.0),
            Strategy::Plain { .. } => None,
        };
        let uid = credentials.uid.or(inside).unwrap_or(probe.uid);
        let mended = Mended::all(&probe.broken_variables, &probe.root, &probe.accounts, uid);
        let pipes = if uid == probe.uid { Vec::new() } else { probe.standard_pipes };
        // a mount was made of the root the caller has, and its directories are at the same paths
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
        })
    }
}

impl PivotSetup {
    fn resolve(
        options: &Options,
        root: &Root,
        probe: MountProbe,
        limits: MountLimits,
        handover: Option<&Handover>,
    ) -> Result<Self, Failure> {
        if probe.dev_dir == DirState::Refused(Errno::EACCES)
            && let Some(hint) = call::private_fuse(&root.path)
        {
            let why = ErrnoText(Errno::EACCES);
            let failure =
                Failure::new(format!("cannot change root directory to {}: {why}", quoted(&root.path)));
            return Err(failure.hint(hint));
        }
        let process_1 = process_1(options, &probe, handover.and_then(|left| left.process_1));
        let kernel_mounts = kernel_mounts(options, &probe, process_1.is_some())?;
        let has_dev = has_dir(options, probe.dev_dir) && !options.no_mount;
        let overlay = overlay(options, &probe)?;
        let dev = has_dev.then_some(&probe.dev);
        let targets = TargetResolver::new(root, options.write_mode(), &kernel_mounts, dev);
        // the mount namespace that the tool before left to this one follows nothing
        let is_slave = probe.is_slave && !handover.is_some_and(|left| left.mount);
        let follows_outside = options.propagation.map_or(is_slave, |mode| mode == Propagation::Slave);
        Ok(Self {
            escaping_fds: if options.keep_fds { Vec::new() } else { probe.escaping_fds },
            map_caller: (probe.privilege == Privilege::Unprivileged).then_some((probe.inside, probe.caller)),
            has_free_ids: probe.privilege == Privilege::FreeIds,
            process_1,
            root_mount: probe.root_mount,
            limits,
            write_mode: options.write_mode(),
            overlay,
            follows_outside,
            extra_mounts: targets.resolve_all(&options.mounts)?,
            kernel_mounts,
            dev: has_dev.then_some(Dev { is_limited: !options.rights.privileged, ..probe.dev }),
        })
    }
}

/// Who is process 1 of a new PID namespace. Every process whose root is outside leads there, by
/// /proc/PID/root and setns(2), so none may be in sight. `left` is what the tool before left to this one:
/// its own namespace, which `--share-pid` shares.
fn process_1(options: &Options, probe: &MountProbe, left: Option<ProcessOne>) -> Option<ProcessOne> {
    let is_needed = !(probe.is_pid_1 || probe.proc_is_covered || options.share_pid);
    let usual = left.or(is_needed.then_some(ProcessOne::Reaper))?;
    Some(if options.no_init { ProcessOne::Command } else { usual })
}

/// What `--userns auto`, here or in a tool before, cannot be combined with, and who cannot have it.
fn check_free_ids(options: &Options, has_them: bool) -> Result<(), Failure> {
    if !has_them {
        return match options.userns {
            None => Ok(()),
            Some(_) => Err(Failure::new("--userns auto takes ids that only root of the machine may map")
                .hint("leave it out; 'unshare-rs --' before chroot-rs maps those of /etc/subuid")),
        };
    }
    if options.changes.changes.is_some() {
        return Err(Failure::new(
            "--changes cannot keep the files of --userns auto: its ids are others each time",
        )
        .hint("--ephemeral forgets them"));
    }
    if let Some(CgroupView::Ro | CgroupView::Rw) = options.cgroup {
        return Err(Failure::new(
            "--cgroup cannot show control groups with --userns auto: root of the machine owns their namespace",
        )
        .hint("leave --cgroup out, or --userns auto"));
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
    // with --plain, and for the root there is, nothing is lost
    if let WhyPlain::NoAdmin | WhyPlain::InChroot = why {
        let lost = "this is a plain chroot(2) without mounts, and root inside can get out";
        notes.push(format!("{lost}: {}", why.advice()));
    }
    Ok(Strategy::Plain { skip_chdir: options.skip_chdir })
}

fn kernel_mounts(options: &Options, probe: &MountProbe, new_pid: bool) -> Result<KernelMounts, Failure> {
    let provide = |dir: DirState, fresh: bool, bind: bool| match has_dir(options, dir) && !options.no_mount {
        true if fresh => FsProvision::Fresh,
        true if bind => FsProvision::Bind,
        _ => FsProvision::Skip,
    };
    let sys = provide(probe.sys_dir, probe.owns_net, probe.has_mount_setattr);
    let is_usual = sys == FsProvision::Fresh;
    let cgroup = CgroupMount::resolve(options.cgroup, probe.cgroup, is_usual, sys != FsProvision::Skip)?;
    Ok(KernelMounts {
        proc: provide(probe.proc_dir, (new_pid || probe.owns_pid) && !probe.proc_is_covered, true),
        // a copy has to be made read-only
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

/// Whether the new root has a directory, or an overlay in which it is made.
fn has_dir(options: &Options, dir: DirState) -> bool {
    dir == DirState::Directory || (dir == DirState::Missing && options.write_mode() == WriteMode::Ephemeral)
}

/// The overlay of an ephemeral root.
fn overlay(options: &Options, probe: &MountProbe) -> Result<Option<Overlay>, Failure> {
    if options.write_mode() != WriteMode::Ephemeral {
        return Ok(None);
    }
    let size = options.ephemeral.as_ref().and_then(|EphemeralSize(size)| size.clone());
    // one by one, each entry that the caller owns can be changed
    if let (Some(owner), true) = (probe.overlay.foreign_owner, probe.overlay.pieces.is_empty()) {
        let option = if options.changes.changes.is_some() { "--changes" } else { "--ephemeral" };
        let failure = format!("{option} cannot change NEWROOT: its owner, user {owner}, has no id inside");
        return Err(Failure::new(failure).hint(
            "cp -a NEWROOT COPY makes one of your own; or --read-only, with --tmpfs where something is written",
        ));
    }
    let dirs = [("proc", probe.proc_dir), ("sys", probe.sys_dir), ("dev", probe.dev_dir)];
    let missing = dirs.into_iter().filter(|(_, dir)| *dir == DirState::Missing && !options.no_mount);
    let made = missing.map(|(name, _)| name).collect();
    let changes = options.changes.directory();
    Ok(Some(Overlay { size, probe: probe.overlay.clone(), made, changes }))
}

/// What an overlay does not show as it is.
fn left_out_of_overlay(options: &Options, overlay: &OverlayProbe) -> Vec<String> {
    let mut notes: Vec<String> =
        overlay.hidden.iter().map(|path| hidden(&Path::new("/").join(path))).collect();
    let read_only = overlay.pieces.iter().filter(|piece| piece.kind == PieceKind::ReadOnly);
    let read_only: Vec<String> = read_only.map(|piece| format!("/{}", piece.name.display())).collect();
    if !read_only.is_empty() {
        let why = "something is mounted below, and a user namespace cannot look under it";
        notes.push(format!("read-only: {}: {why}", read_only.join(", ")));
    }
    if options.changes.changes.is_some() && !overlay.nested.is_empty() {
        let nested: Vec<String> = overlay.nested.iter().map(|dir| format!("/{}", dir.display())).collect();
        notes.push(format!(
            "read-only: {}: --changes keeps what is written to NEWROOT's own file system",
            nested.join(", ")
        ));
    }
    if overlay.lacks_attributes {
        let why = match options.changes.changes {
            Some(_) => "the file system of --changes keeps no user.* attributes, like tmpfs before Linux 6.6",
            None => "tmpfs, where --ephemeral keeps them, has user.* attributes since Linux 6.6",
        };
        notes.push(format!("directories of NEWROOT with files in them cannot be removed: {why}"));
    }
    if overlay.foreign_owner.is_some() {
        let why = "they have no id inside";
        notes.push(format!("files and directories of other users cannot be changed: {why}"));
    }
    notes
}

/// What a default has to leave out.
fn left_out(options: &Options, probe: &MountProbe, makes_pid: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if probe.proc_is_covered && !options.share_pid && !makes_pid {
        let danger = "processes outside stay visible, and root inside can get out";
        notes.push(format!("{danger}: {NO_NEW_PROC}"));
    }
    if probe.has_unmapped_files {
        let how = "'unshare-rs --' before chroot-rs maps them";
        notes.push(format!(
            "files of NEWROOT belong to your subordinate ids, which do not exist inside: {how}"
        ));
    }
    notes.extend(left_out_of_overlay(options, &probe.overlay));
    if options.no_mount {
        return notes;
    }
    let existing = probe.existing;
    let is_covered =
        existing.proc_mounts > 0 && !existing.can_unmount && options.write_mode() != WriteMode::Ephemeral;
    if is_covered && options.rights.keep(CAP_SYS_ADMIN) {
        let danger = "root inside can unmount the new /proc, uncover the one below and get out";
        notes.push(format!("{danger}: drop --privileged or --cap-add SYS_ADMIN"));
    }
    let dirs = [("proc", probe.proc_dir), ("sys", probe.sys_dir), ("dev", probe.dev_dir)];
    let missing = dirs
        .iter()
        .filter(|(_, dir)| *dir == DirState::Missing && options.write_mode() != WriteMode::Ephemeral);
    let missing: Vec<String> = missing.map(|(name, _)| format!("/{name}")).collect();
    if !missing.is_empty() {
        let how = "mkdir, or --ephemeral, which makes them";
        notes.push(format!("skipped {}: NEWROOT has no such directory: {how}", missing.join(", ")));
    }
    for (name, dir) in dirs {
        let why = match dir {
            DirState::Symlink => "it is a symbolic link in the new root".to_string(),
            DirState::Refused(errno) => ErrnoText(errno).to_string(),
            DirState::Directory | DirState::Missing => continue,
        };
        notes.push(format!("skipped /{name}: {why}"));
    }
    if probe.sys_dir == DirState::Directory && !probe.owns_net && !probe.has_mount_setattr {
        let missing = "it can be made read-only here only with mount_setattr(2), Linux 5.12";
        notes.push(format!("skipped /sys: {missing}"));
    }
    notes
}

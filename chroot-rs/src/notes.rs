//! The lines about defaults that setup.rs skips because this machine or this root does not permit them.

use std::path::Path;

use chain::handover::Handover;
use chain::reporter::ErrnoText;

use crate::capabilities::CAP_SYS_ADMIN;
use crate::cli::Options;
use crate::kernel_mounts::FsProvision;
use crate::overlay::{OverlayProbe, PieceKind, hidden};
use crate::probe::MountProbe;
use crate::root::DirState;
use crate::root_mount::WriteMode;

/// Why the caller's /proc is shown, and who can change that.
const NO_NEW_PROC: &str = "a part of /proc is covered, so the kernel refuses a new one; if this is a container, start it with \
    --security-opt systempaths=unconfined (docker), unmask=ALL (podman), procMount: Unmasked (Kubernetes)";

/// The skipped defaults, one line each.
pub fn defaults(options: &Options, probe: &MountProbe, handover: Option<&Handover>) -> Vec<String> {
    let mut notes = Vec::new();
    let makes_pid = handover.is_some_and(|left| left.process_1.is_some());
    // in a PID namespace, they are visible only in /proc
    let are_visible = if makes_pid { options.mount_on(probe.proc_dir) } else { !options.share_pid };
    if probe.proc_is_covered && are_visible {
        let danger = "processes outside stay visible, and root inside can get out";
        notes.push(format!("{danger}: {NO_NEW_PROC}"));
    }
    if probe.has_unmapped_files {
        let how = "'unshare-rs --' before chroot-rs maps them";
        notes.push(format!(
            "files of NEWROOT belong to your subordinate ids, which do not exist inside: {how}"
        ));
    }
    notes.extend(in_overlay(options, &probe.overlay));
    if !options.no_mount {
        notes.extend(mounts(options, probe));
    }
    notes
}

/// What an overlay cannot show unchanged.
fn in_overlay(options: &Options, overlay: &OverlayProbe) -> Vec<String> {
    let mut notes: Vec<String> =
        overlay.hidden.iter().map(|path| hidden(&Path::new("/").join(path))).collect();
    let read_only = overlay.pieces.iter().filter(|piece| piece.kind == PieceKind::ReadOnly);
    let read_only: Vec<String> = read_only.map(|piece| format!("/{}", piece.name.display())).collect();
    if !read_only.is_empty() {
        let why = "in a user namespace there is no overlay over a directory with mounts below it";
        notes.push(format!("read-only: {}: {why}", read_only.join(", ")));
    }
    if options.changes.changes.is_some() && !overlay.nested.is_empty() {
        let nested: Vec<String> = overlay.nested.iter().map(|dir| format!("/{}", dir.display())).collect();
        notes.push(format!(
            "read-only: {}: --changes keeps only changes to NEWROOT's own file system",
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

/// What is skipped in /proc, /sys and /dev.
fn mounts(options: &Options, probe: &MountProbe) -> Vec<String> {
    let mut notes = Vec::new();
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
        let how = "create them, or use --ephemeral";
        notes.push(format!("skipped {}: NEWROOT does not have these directories: {how}", missing.join(", ")));
    }
    for (name, dir) in dirs {
        let why = match dir {
            DirState::Symlink => "it is a symbolic link in the new root".to_string(),
            DirState::Refused(errno) => ErrnoText(errno).to_string(),
            DirState::Directory | DirState::Missing => continue,
        };
        notes.push(format!("skipped /{name}: {why}"));
    }
    let lacking = [("/proc", probe.proc_dir, probe.lacks_proc), ("/sys", probe.sys_dir, probe.lacks_sys)];
    let lacking = lacking.into_iter().filter(|(_, dir, is_lacking)| *is_lacking && options.mount_on(*dir));
    let lacking: Vec<&str> = lacking.map(|(name, ..)| name).collect();
    if !lacking.is_empty() {
        let why = "the caller has none, and the kernel refuses new ones here";
        notes.push(format!("skipped {}: {why}", lacking.join(", ")));
    }
    notes
}

/// Why /sys is skipped although the directory exists.
pub fn sys(options: &Options, probe: &MountProbe, sys: FsProvision) -> Option<String> {
    let is_wanted = probe.sys_dir == DirState::Directory && !options.no_mount;
    let is_skipped = sys == FsProvision::Skip && is_wanted && !probe.lacks_sys;
    let missing = "it can be made read-only here only with mount_setattr(2), Linux 5.12";
    is_skipped.then(|| format!("skipped /sys: {missing}"))
}

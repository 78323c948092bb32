//! Owner, extended attributes, mode and times, in the only order that works.
//!
//! chown(2) clears set-id bits and file capabilities, writing clears them as well, and everything but the
//! times changes the times.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::archive::tar::{Entry, EntryKind};
use crate::failure::{Failure, Result};
use crate::io::umask;
use crate::tree::entry_path::EntryPath;
use crate::unpack::policy::{Devices, Owners, Policy};
use crate::unpack::report::Report;

const SET_ID: u32 = 0o6000;

/// Labels that belong to a machine, not to a file; they are never restored.
const MACHINE_LABELS: [&[u8]; 5] =
    [b"security.selinux", b"security.ima", b"security.evm", b"trusted.overlay.", b"user.overlay."];

/// Applies the caller's policy to an entry's metadata.
///
/// # Errors
/// Damaged, for an invalid owner, if owners are kept.
pub fn apply_policy(entry: &mut Entry, policy: &Policy, report: &mut Report) -> Result<()> {
    entry.xattrs.retain(|(name, _)| !MACHINE_LABELS.iter().any(|own| name.starts_with(own)));
    if matches!(entry.kind, EntryKind::HardLink(_)) {
        return Ok(());
    }
    let exists = entry.uid.is_some() && entry.gid.is_some();
    match policy.owners {
        Owners::Keep if exists => return Ok(()),
        Owners::Keep => {
            return Err(Failure::damaged("the owner of an entry is out of range")
                .hint("to become the owner of such entries, use --squash"));
        }
        Owners::Squash if exists => return Ok(()),
        Owners::Squash | Owners::Caller => {}
    }
    let caller = (Some(policy.uid.as_raw()), Some(policy.gid.as_raw()));
    if (entry.uid, entry.gid) != caller {
        report.owners += 1;
        strip_setid(entry, policy, report);
    }
    (entry.uid, entry.gid) = caller;
    Ok(())
}

/// A program that ran as its owner must not run as the caller, for any user who finds it.
fn strip_setid(entry: &mut Entry, policy: &Policy, report: &mut Report) {
    let file = matches!(entry.kind, EntryKind::File | EntryKind::Sparse(_) | EntryKind::Unknown(_));
    let mut lost = 0;
    if entry.uid != Some(policy.uid.as_raw()) {
        lost |= 0o4000;
    }
    if entry.gid != Some(policy.gid.as_raw()) {
        lost |= 0o2000;
    }
    if file && entry.mode & lost != 0 {
        entry.mode &= !lost;
        report.set_id += 1;
    }
}

/// The mode of a file while it is written: other users cannot open it.
pub fn mode_while_written(entry: &Entry) -> Mode {
    // user.* attributes need write permission, which a read-only file would not give
    if entry.xattrs.is_empty() { Mode::from_raw_mode(entry.mode & 0o777) } else { Mode::RWXU }
}

/// The mode of a node. A device is only accessible to its owner, whatever the archive says, unless an option
/// asks for it.
pub fn node_mode(entry: &Entry, policy: &Policy) -> u32 {
    match entry.kind {
        EntryKind::CharDevice(..) | EntryKind::BlockDevice(..) if policy.devices != Devices::KeepMode => {
            entry.mode & 0o600
        }
        _ => entry.mode,
    }
}

/// Finishes a file that is open for writing.
pub fn finish_file(fd: impl AsFd, entry: &Entry, policy: &Policy, report: &mut Report) -> Result<()> {
    let fd = fd.as_fd();
    let owned = chown(entry, policy, |uid, gid| rustix::fs::fchown(fd, uid, gid))?;
    let mode = mode_of(entry, owned, report);
    let has_capabilities = entry.xattrs.iter().any(|(name, _)| name == b"security.capability");
    if mode & SET_ID != 0 && mode & 0o111 != 0 || has_capabilities {
        report.privileged += 1;
    }
    let plain = entry.xattrs.is_empty();
    // chmod does not clear a file capability, but it changes an ACL: so the mode comes first
    if !plain || mode & !0o777 != 0 || policy.may_inherit {
        chmod(fd, mode)?;
    }
    if !plain {
        // the mode may have removed the owner's write permission
        let writable = mode | 0o200;
        if writable != mode {
            chmod(fd, writable)?;
        }
        set_xattrs(fd, entry, report, |name, value| {
            rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty())
        })?;
        if writable != mode {
            chmod(fd, mode)?;
        }
    }
    set_times(report, || rustix::fs::futimens(fd, &times(entry)))
}

/// Finishes a directory. A directory without an entry in the archive gets the `usual` mode.
pub fn finish_directory(
    fd: impl AsFd,
    entry: Option<&Entry>,
    usual: u32,
    policy: &Policy,
    report: &mut Report,
) -> Result<()> {
    let fd = fd.as_fd();
    let Some(entry) = entry else { return chmod(fd, usual) };
    chown(entry, policy, |uid, gid| rustix::fs::fchown(fd, uid, gid))?;
    set_xattrs(fd, entry, report, |name, value| rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()))?;
    chmod(fd, entry.mode)?;
    set_times(report, || rustix::fs::futimens(fd, &times(entry)))
}

/// Finishes a file that cannot be opened without following or blocking: a link, a FIFO, a device.
pub fn finish_special(
    entry_path: &EntryPath,
    entry: &Entry,
    policy: &Policy,
    report: &mut Report,
) -> Result<()> {
    chown(entry, policy, |uid, gid| {
        rustix::fs::chownat(entry_path.dir(), entry_path.leaf(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)
    })?;
    let mode = node_mode(entry, policy);
    // mknodat(2) has set the rest of its mode
    let more = mode & !0o777 != 0 || mode & umask().as_raw_mode() != 0 || policy.may_inherit;
    if more && !matches!(entry.kind, EntryKind::Symlink(_)) {
        chmod_name(entry_path, mode)
            .map_err(|error| Failure::entry_call("set its mode", "chmod()", error))?;
    }
    if !entry.xattrs.is_empty() {
        let path = through_proc(entry_path.dir(), entry_path.leaf());
        set_xattrs(entry_path.dir(), entry, report, |name, value| {
            rustix::fs::lsetxattr(path.as_slice(), name, value, XattrFlags::empty())
        })?;
    }
    set_times(report, || {
        rustix::fs::utimensat(entry_path.dir(), entry_path.leaf(), &times(entry), AtFlags::SYMLINK_NOFOLLOW)
    })
}

/// Changes the mode of anything but a link, even if another process can replace it by one: in a directory
/// that existed before.
fn chmod_name(entry_path: &EntryPath, mode: u32) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(entry_path.dir(), entry_path.leaf(), flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    // fchmod(2) does not accept an O_PATH descriptor
    rustix::fs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), Mode::from_raw_mode(mode))
}

/// A path for a name in an open directory, for calls that only accept paths.
fn through_proc(dir: BorrowedFd<'_>, leaf: &[u8]) -> Vec<u8> {
    [format!("/proc/self/fd/{}/", dir.as_raw_fd()).as_bytes(), leaf].concat()
}

/// The owner of a file now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CurrentOwner {
    /// The archive's owner.
    Restored,
    /// The caller, because the archive's owner does not exist here.
    Squashed,
}

/// The mode of a file; a program whose owner was not kept loses its set-id bits.
fn mode_of(entry: &Entry, owned: CurrentOwner, report: &mut Report) -> u32 {
    if owned == CurrentOwner::Squashed && entry.mode & SET_ID != 0 {
        report.set_id += 1;
        return entry.mode & !SET_ID;
    }
    entry.mode
}

/// Sets the owner.
fn chown(
    entry: &Entry,
    policy: &Policy,
    change: impl Fn(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
) -> Result<CurrentOwner> {
    let uid = entry.uid.map_or(policy.uid, Uid::from_raw);
    let gid = entry.gid.map_or(policy.gid, Gid::from_raw);
    if (uid, gid) == (policy.uid, policy.gid) && !(policy.may_inherit && policy.owners != Owners::Caller) {
        return Ok(CurrentOwner::Restored);
    }
    match change(Some(uid), Some(gid)) {
        Ok(()) => Ok(CurrentOwner::Restored),
        // user_namespaces(7): an unmapped id does not exist here
        Err(Errno::INVAL) if policy.owners == Owners::Squash => Ok(CurrentOwner::Squashed),
        Err(error) => {
            let call = format!("fchownat({}, {})", uid.as_raw(), gid.as_raw());
            let failure = Failure::entry_call("set its owner", call, error);
            Err(match error {
                Errno::INVAL => failure
                    .hint("this user namespace does not map that id: to become the owner of such entries, use --squash"),
                // NFS with root_squash, FUSE, FAT
                Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS => {
                    failure.hint("this file system does not store owners: use --no-same-owner")
                }
                _ => failure,
            })
        }
    }
}

fn chmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
        .map_err(|error| Failure::call("set its mode", format_args!("fchmod({mode:#o})"), error))
}

fn attribute(error: Errno) -> Failure {
    Failure::entry_call("set an extended attribute", "fsetxattr()", error)
}

/// Whether the file system is really full.
fn has_no_space(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(fd).is_ok_and(|stat| stat.f_bavail == 0)
}

fn set_xattrs(
    fd: BorrowedFd<'_>,
    entry: &Entry,
    report: &mut Report,
    set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>,
) -> Result<()> {
    for (name, value) in &entry.xattrs {
        match set(name, value) {
            Ok(()) => {}
            Err(error @ (Errno::DQUOT | Errno::IO)) => return Err(attribute(error)),
            Err(error @ Errno::NOSPC) if has_no_space(fd) => return Err(attribute(error)),
            // not permitted, not supported, or too large for this file system, which can return ENOSPC for
            // it: ext4 keeps a file's attributes in one block
            Err(_) => report.xattrs += 1,
        }
    }
    Ok(())
}

/// A time that a file system refuses is counted: NFS and FUSE have their own rules.
fn set_times(report: &mut Report, set: impl FnOnce() -> rustix::io::Result<()>) -> Result<()> {
    match set() {
        Err(Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
            report.times += 1
        }
        other => other.map_err(|error| Failure::entry_call("set its time", "utimensat()", error))?,
    }
    Ok(())
}

fn times(entry: &Entry) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: entry.mtime.seconds,
            tv_nsec: i64::from(entry.mtime.nanoseconds),
        },
    }
}

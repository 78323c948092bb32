// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts and paths to them.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;

use super::descriptors::owned;
use super::files::c_string;

/// Whole trees of mounts: open_tree(2), mount_setattr(2).
const AT_RECURSIVE: c_int = 0x8000;

/// open_tree(2) with OPEN_TREE_CLONE: a recursive copy of the mounts at `path`.
///
/// # Errors
/// `ENOSYS` before Linux 5.2, `EPERM` without CAP_SYS_ADMIN, `EINVAL` where a mount may not be copied.
pub fn open_tree(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = libc::OPEN_TREE_CLONE as c_int | libc::OPEN_TREE_CLOEXEC as c_int | AT_RECURSIVE;
    let path = c_string(path.as_os_str())?;
    // SAFETY: the path is a C string for the length of the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    owned(fd)
}

/// Whether the mounts below a directory may be taken away from it. Those that came from a user
/// namespace above may not: mount_namespaces(7). The kernel says so to who would copy the
/// directory without them; the copy is not kept.
pub fn mounts_below_can_go(dir: BorrowedFd<'_>) -> bool {
    let flags = libc::OPEN_TREE_CLONE as c_int | libc::OPEN_TREE_CLOEXEC as c_int | libc::AT_EMPTY_PATH;
    // SAFETY: the empty path is a C string that lives for ever, the descriptor is borrowed.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), c"".as_ptr(), flags) };
    owned(fd).is_ok()
}

/// Whether the kernel has open_tree(2), which came with fspick(2) and the rest: Linux 5.2.
pub fn has_open_tree() -> bool {
    // SAFETY: an empty path and a descriptor that cannot exist: the call only fails.
    let result = unsafe { libc::syscall(libc::SYS_fspick, -1, c"".as_ptr(), 0) };
    Errno::result(result) != Err(Errno::ENOSYS)
}

/// fsopen(2): a file system to be made and mounted.
///
/// # Errors
/// `ENOSYS` before Linux 5.2, `ENODEV` for a type the kernel lacks, `EPERM` without CAP_SYS_ADMIN.
pub fn fs_open(fstype: &str) -> Result<OwnedFd, Errno> {
    // FSOPEN_CLOEXEC, which libc has not
    const CLOEXEC: c_int = 1;
    let fstype = c_string(OsStr::new(fstype))?;
    // SAFETY: the name is a C string for the length of the call.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), CLOEXEC) })
}

/// fsconfig(2): sets an option that has no value, such as the controller of a version 1 hierarchy.
///
/// # Errors
/// `EINVAL` for an option that the file system has not.
pub fn fs_flag(context: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    // FSCONFIG_SET_FLAG, which libc has not
    const SET_FLAG: c_int = 0;
    let name = c_string(OsStr::new(name))?;
    let (fd, none) = (context.as_raw_fd(), std::ptr::null::<c_char>());
    // SAFETY: the name is a C string for the length of the call; this command takes no value.
    let set = unsafe { libc::syscall(libc::SYS_fsconfig, fd, SET_FLAG, name.as_ptr(), none, 0) };
    Errno::result(set).map(drop)
}

/// fsconfig(2) and fsmount(2): makes the file system, with its default options, and a mount of it.
///
/// # Errors
/// As the file system's own, `EPERM` without CAP_SYS_ADMIN.
pub fn fs_mount(context: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // FSCONFIG_CMD_CREATE and FSMOUNT_CLOEXEC, which libc has not
    const CREATE: c_int = 6;
    const CLOEXEC: c_int = 1;
    let none = std::ptr::null::<c_char>();
    let fd = context.as_raw_fd();
    // SAFETY: this command takes no key and no value.
    let made = unsafe { libc::syscall(libc::SYS_fsconfig, fd, CREATE, none, none, 0) };
    Errno::result(made)?;
    // SAFETY: a descriptor and two numbers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, CLOEXEC, 0) })
}

/// move_mount(2): attaches the tree that `tree` refers to at `target`.
///
/// # Errors
/// `EINVAL` where the target is in another mount namespace or shared, `EPERM`, `ENOENT`.
pub fn move_mount(tree: BorrowedFd<'_>, target: &Path) -> Result<(), Errno> {
    let target = c_string(target.as_os_str())?;
    // SAFETY: both paths are C strings for the length of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(result).map(drop)
}

/// mount_setattr(2): the tree and all below it read-only.
///
/// # Errors
/// `ENOSYS` before Linux 5.12, `EPERM`, `EINVAL`.
pub fn read_only_tree(tree: BorrowedFd<'_>) -> Result<(), Errno> {
    let attr =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the struct lives through the call and its size is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | AT_RECURSIVE,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Opens a directory below `dir` for use as a path, and refuses any symlink on the way.
///
/// Where openat2(2) (Linux 5.6) is missing, each component is opened by itself.
///
/// # Errors
/// `ELOOP` at a symlink, `ENOTDIR`, `ENOENT`, `EXDEV` at a `..` that leads above.
pub fn open_without_symlinks(dir: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let how =
        OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    match nix::fcntl::openat2(dir, path, how) {
        Err(Errno::ENOSYS) => {}
        result => return result,
    }
    let mut at: Option<OwnedFd> = None;
    for part in path.components() {
        let Component::Normal(name) = part else { return Err(Errno::EXDEV) };
        let from = at.as_ref().map_or(dir, |fd| fd.as_fd());
        at = Some(nix::fcntl::openat(from, name, flags | OFlag::O_NOFOLLOW, Mode::empty())?);
    }
    at.ok_or(Errno::ENOENT)
}

/// Whether a directory is the top of a mount: statx(2), Linux 5.8. Nothing where the kernel cannot tell.
pub fn is_mount_root(path: &Path) -> Option<bool> {
    // STATX_ATTR_MOUNT_ROOT, which libc has as a signed number on some systems
    const MOUNT_ROOT: u64 = 0x2000;
    let path = c_string(path.as_os_str()).ok()?;
    // SAFETY: all zero is a valid statx.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    // by its number: musl has the function since 1.2.5 only
    // SAFETY: the path is a C string, and the struct lives through the call.
    let result =
        unsafe { libc::syscall(libc::SYS_statx, libc::AT_FDCWD, path.as_ptr(), 0, 0, &raw mut found) };
    let known = result == 0 && found.stx_attributes_mask & MOUNT_ROOT != 0;
    known.then_some(found.stx_attributes & MOUNT_ROOT != 0)
}

/// Whether the kernel has mount_setattr(2): Linux 5.12.
pub fn has_mount_setattr() -> bool {
    // SAFETY: no struct is read: its size is told as 0, which is refused.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0usize)
    };
    Errno::result(result) != Err(Errno::ENOSYS)
}

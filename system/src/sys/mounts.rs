//! Mounts, and paths to them.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use libc::c_int;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
pub use rustix::mount::MountAttrFlags;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, FsPickFlags, MoveMountFlags, OpenTreeFlags};

use super::error::errno;

/// Whole trees of mounts: open_tree(2), mount_setattr(2).
const AT_RECURSIVE: c_int = 0x8000;

/// open_tree(2) with OPEN_TREE_CLONE: a copy of the mount at `path`, with or without the mounts below it.
///
/// # Errors
/// `ENOSYS` before Linux 5.2, `EPERM` without CAP_SYS_ADMIN, `EINVAL` if a mount must not be copied.
pub fn open_tree(path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    mount::open_tree(CWD, path, flags).map_err(errno)
}

/// The same for a path below an open directory, including the mounts below it; no symlink is followed.
///
/// # Errors
/// Those of [`open_tree`]; `ELOOP` at a symlink.
pub fn open_tree_below(dir: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let held = open_below(dir, path, OFlag::O_PATH)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    mount::open_tree(&held, c"", flags).map_err(errno)
}

/// Whether the mounts below a directory may be taken away from it. Those that came from a user
/// namespace above may not: mount_namespaces(7). The kernel then refuses a copy of the directory
/// without them; a copy is not kept.
pub fn mounts_below_can_go(dir: BorrowedFd<'_>) -> bool {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    mount::open_tree(dir, c"", flags).is_ok()
}

/// Whether the kernel has open_tree(2), which came with fspick(2) and the rest: Linux 5.2.
pub fn has_open_tree() -> bool {
    // with an empty path, the call only fails
    mount::fspick(CWD, c"", FsPickFlags::empty()).err() != Some(rustix::io::Errno::NOSYS)
}

/// fsopen(2): a context for a new file system.
///
/// # Errors
/// `ENOSYS` before Linux 5.2, `ENODEV` for a type the kernel lacks, `EPERM` without CAP_SYS_ADMIN.
pub fn fs_open(fstype: &str) -> Result<OwnedFd, Errno> {
    mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).map_err(errno)
}

/// fsconfig(2): sets an option that has no value, such as the controller of a version 1 hierarchy.
///
/// # Errors
/// `EINVAL` for an option that the file system does not have.
pub fn fs_flag(context: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    mount::fsconfig_set_flag(context, name).map_err(errno)
}

/// fsconfig(2): sets an option to a value.
///
/// # Errors
/// `EINVAL` for an option or a value that the file system does not accept.
pub fn fs_set(context: BorrowedFd<'_>, name: &str, value: &str) -> Result<(), Errno> {
    mount::fsconfig_set_string(context, name, value).map_err(errno)
}

/// fsconfig(2) and fsmount(2): creates the file system with its default options, and a mount of it.
///
/// # Errors
/// The file system's own; `EPERM` without CAP_SYS_ADMIN.
pub fn fs_mount(context: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    mount::fsconfig_create(context).map_err(errno)?;
    mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(errno)
}

/// Whether the file system can be created and mounted; the mount is discarded.
pub fn is_mountable(context: BorrowedFd<'_>, read_only: bool) -> bool {
    let attributes = if read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    mount::fsconfig_create(context).is_ok()
        && mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).is_ok()
}

/// move_mount(2): attaches the tree that `tree` refers to at `target`.
///
/// # Errors
/// `EINVAL` if the target is in another mount namespace or shared, `EPERM`, `ENOENT`.
pub fn move_mount(tree: BorrowedFd<'_>, target: &Path) -> Result<(), Errno> {
    mount::move_mount(tree, c"", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(errno)
}

/// mount_setattr(2): sets attributes of the mount `tree`, with or without the mounts below it.
///
/// # Errors
/// `ENOSYS` before Linux 5.12, `EPERM`, `EINVAL`.
pub fn set_tree(tree: BorrowedFd<'_>, attributes: MountAttrFlags, recursive: bool) -> Result<(), Errno> {
    let attr_set = attributes.bits().into();
    let attr = libc::mount_attr { attr_set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    set_attributes(tree, attr, recursive)
}

/// mount_setattr(2): shows the owners of files in the mount `tree` as the ids that a user namespace maps them
/// to.
///
/// # Errors
/// `ENOSYS` before Linux 5.12, `EPERM`, `EINVAL` if the file system cannot.
pub fn map_owners(tree: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    let userns_fd = user_namespace.as_raw_fd().try_into().map_err(|_| Errno::EBADF)?;
    let attr = libc::mount_attr { attr_set: libc::MOUNT_ATTR_IDMAP, attr_clr: 0, propagation: 0, userns_fd };
    set_attributes(tree, attr, false)
}

fn set_attributes(tree: BorrowedFd<'_>, attr: libc::mount_attr, recursive: bool) -> Result<(), Errno> {
    let depth = if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the struct lives through the call, which gets its size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | depth,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Opens a directory below `dir` for use as a path, and refuses every symlink in it.
///
/// # Errors
/// `ELOOP` at a symlink, `ENOTDIR`, `ENOENT`, `EXDEV` at a `..` that leads above `dir`.
pub fn open_without_symlinks(dir: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    open_below(dir, path, OFlag::O_PATH | OFlag::O_DIRECTORY)
}

/// Like [`open_without_symlinks`], with these flags. Without openat2(2) (Linux 5.6), it opens one component at a time.
fn open_below(dir: BorrowedFd<'_>, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlag::O_CLOEXEC;
    let how =
        OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    match nix::fcntl::openat2(dir, path, how) {
        Err(Errno::ENOSYS) => open_components(dir, path, flags),
        result => result,
    }
}

fn open_components(dir: BorrowedFd<'_>, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
    let mut at: Option<OwnedFd> = None;
    for part in path.components() {
        let name = match part {
            Component::Normal(_) | Component::CurDir => part.as_os_str(),
            _ => return Err(Errno::EXDEV),
        };
        let from = at.as_ref().map_or(dir, |fd| fd.as_fd());
        // O_PATH opens a link itself; it is not a directory, so the next component fails
        at = Some(nix::fcntl::openat(from, name, flags | OFlag::O_NOFOLLOW, Mode::empty())?);
    }
    at.ok_or(Errno::ENOENT)
}

/// Whether a directory is the root of a mount: statx(2), Linux 5.8. None if the kernel cannot tell.
pub fn is_mount_root(path: &Path) -> Option<bool> {
    mount_root(rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::empty()).ok()?)
}

/// The same for an open directory.
pub fn is_mount_root_at(dir: BorrowedFd<'_>) -> Option<bool> {
    mount_root(rustix::fs::statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::empty()).ok()?)
}

/// The number of the mount at a path, as in the table of mounts: statx(2), Linux 5.8.
pub fn mount_id(path: &Path) -> Option<u64> {
    let found = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

fn mount_root(found: rustix::fs::Statx) -> Option<bool> {
    let root = StatxAttributes::MOUNT_ROOT;
    found.stx_attributes_mask.contains(root).then_some(found.stx_attributes.contains(root))
}

/// Whether the kernel has mount_setattr(2): Linux 5.12.
pub fn has_mount_setattr() -> bool {
    // SAFETY: no struct is read: its size is 0, which the kernel refuses.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0usize)
    };
    Errno::result(result) != Err(Errno::ENOSYS)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn without_openat2_the_same_directory_is_opened() {
        let scratch = std::env::temp_dir().join(format!("open-components-{}", std::process::id()));
        fs::create_dir_all(scratch.join("a/b")).unwrap();
        let dir = fs::File::open(&scratch).unwrap();
        for path in ["a", "a/b", "./a", "./a/b", "."] {
            let opened = open_components(dir.as_fd(), Path::new(path), OFlag::O_PATH | OFlag::O_DIRECTORY);
            let inode = opened.map(|fd| fs::File::from(fd).metadata().unwrap().ino());
            assert_eq!(inode, Ok(scratch.join(path).metadata().unwrap().ino()), "{path}");
        }
        for path in ["..", "/a", "a/../../x"] {
            let opened = open_components(dir.as_fd(), Path::new(path), OFlag::O_PATH).map(drop);
            assert_eq!(opened, Err(Errno::EXDEV), "{path}");
        }
        fs::remove_dir_all(scratch).unwrap();
    }
}

//! The mounts that a process sees: proc_pid_mountinfo(5).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

use crate::sys;

/// A mount: one line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry<'a> {
    /// Its number.
    pub id: u64,
    /// The number of the mount below it.
    pub parent: u64,
    /// The directory of its file system that it shows.
    pub root: Cow<'a, Path>,
    /// The mount point.
    pub at: Cow<'a, Path>,
    /// The flags of this mount, separated by commas.
    pub options: &'a [u8],
    /// Whether mounts below it propagate to its peers: mount_namespaces(7).
    pub shared: bool,
    /// Whether mounts propagate to it from elsewhere.
    pub slave: bool,
    /// The type of its file system.
    pub fstype: &'a [u8],
    /// The options of the file system itself, separated by commas.
    pub super_options: &'a [u8],
}

/// Directories that the kernel keeps empty, so that a mount on them covers nothing.
const KEPT_EMPTY: [&str; 16] = [
    "/proc/fs/nfsd",
    "/proc/openprom",
    "/proc/sys/fs/binfmt_misc",
    "/proc/xen",
    "/sys/firmware/efi/efivars",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/fs/fuse/connections",
    "/sys/fs/pstore",
    "/sys/fs/resctrl",
    "/sys/fs/selinux",
    "/sys/fs/smackfs",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
];

impl MountEntry<'_> {
    /// Whether this mount is read-only, whatever its file system allows.
    pub fn is_read_only(&self) -> bool {
        self.options.split(|byte| *byte == b',').any(|option| option == b"ro")
    }

    /// Whether it can make the kernel refuse a new file system of the type mounted at `dir` (/proc or /sys)
    /// to a user namespace, because a new one would show what this mount covers.
    pub fn may_cover(&self, dir: &str) -> bool {
        let is_below = self.at.starts_with(dir) && *self.at != *Path::new(dir);
        is_below && !KEPT_EMPTY.iter().any(|empty| self.at.starts_with(empty))
    }
}

/// The table of this process, as text.
///
/// # Errors
/// Those of open(2), if no proc is mounted.
pub fn table() -> Result<Vec<u8>, Errno> {
    sys::read("/proc/self/mountinfo")
}

/// The same, up to a line after which nothing more is needed: on a machine with thousands of mounts, each
/// line costs time. Lines are complete.
///
/// # Errors
/// Those of open(2), if no proc is mounted.
pub fn table_until(is_enough: impl FnMut(&[u8]) -> bool) -> Result<Vec<u8>, Errno> {
    sys::read_until("/proc/self/mountinfo", is_enough)
}

/// The mounts of a table, in its order. Of several at one mount point, only the last one is visible.
pub fn mounts(table: &[u8]) -> impl Iterator<Item = MountEntry<'_>> {
    table.split(|byte| *byte == b'\n').filter_map(mount)
}

/// A mount over a part of /proc that can make the kernel refuse a new proc.
pub fn cover_of_proc() -> Option<PathBuf> {
    let table = table().ok()?;
    let cover = mounts(&table).find(|mount| mount.may_cover("/proc"));
    cover.map(|mount| mount.at.into_owned())
}

/// The user of the FUSE mount at a path, if no other user can enter it, not even root: fuse(4),
/// `allow_other`.
pub fn private_fuse(path: &Path) -> Option<u32> {
    private_fuse_in(&table().ok()?, &std::path::absolute(path).ok()?)
}

fn private_fuse_in(table: &[u8], path: &Path) -> Option<u32> {
    let above = mounts(table).filter(|mount| path.starts_with(&mount.at));
    let mount = above.max_by_key(|mount| mount.at.as_os_str().len())?;
    let mut options = mount.super_options.split(|byte| *byte == b',');
    let user = options.clone().find_map(|option| number(option.strip_prefix(b"user_id=")?))?;
    let is_private = mount.fstype.starts_with(b"fuse") && !options.any(|option| option == b"allow_other");
    u32::try_from(user).ok().filter(|_| is_private)
}

/// Whether this process's root is the first of all mounts, into which the kernel unpacks an initramfs.
/// pivot_root(2) refuses to move it.
pub fn is_root_first_mount() -> bool {
    // linux/magic.h; nix does not have it
    const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
    let in_memory = statfs("/").is_ok_and(|fs| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&fs.filesystem_type()));
    // the table is long, so it is read last
    let is_rootfs = || {
        let table = table().unwrap_or_default();
        mounts(&table).any(|mount| mount.at == Path::new("/") && mount.fstype == b"rootfs")
    };
    in_memory && is_rootfs()
}

/// Whether any mount of this process is a slave: mounts propagate to it from outside, but not back. The root need not
/// be one.
pub fn has_slave() -> bool {
    mounts(&table().unwrap_or_default()).any(|mount| mount.slave && !mount.shared)
}

/// Parses a line: id, parent, device, root, mount point, options, tags, "-", type, source, super options.
fn mount(line: &[u8]) -> Option<MountEntry<'_>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    let (root, at, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
    let (mut shared, mut slave) = (false, false);
    for tag in fields.by_ref().take_while(|field| *field != b"-") {
        shared |= tag.starts_with(b"shared:");
        slave |= tag.starts_with(b"master:");
    }
    let (fstype, super_options) = (fields.next()?, fields.nth(1)?);
    Some(MountEntry {
        id,
        parent,
        root: unescape(root),
        at: unescape(at),
        options,
        shared,
        slave,
        fstype,
        super_options,
    })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// How many mounts are stacked at an open file or directory, if it is the root of a mount.
pub fn stacked_on(fd: BorrowedFd<'_>) -> Option<usize> {
    let id = id_of(fd)?;
    Some(stack(&table().ok()?, id))
}

/// The number of the mount that a descriptor is on: proc_pid_fdinfo(5), Linux 3.15; statx(2) has it only since 5.8.
pub fn id_of(fd: BorrowedFd<'_>) -> Option<u64> {
    let info = sys::read(&format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    number(info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"mnt_id:\t"))?)
}

/// Whether both are on the same mount; a bind mount of the same file system is another one.
pub fn are_on_one_mount(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    match (id_of(one), id_of(other)) {
        (Some(one), Some(other)) => one == other,
        // without /proc
        _ => matches!((rustix::fs::fstat(one), rustix::fs::fstat(other)),
            (Ok(one), Ok(other)) if one.st_dev == other.st_dev),
    }
}

/// The mounts below one at the same mount point. A mount further up can hide others there.
fn stack(table: &[u8], top: u64) -> usize {
    let by_id: BTreeMap<u64, MountEntry<'_>> = mounts(table).map(|mount| (mount.id, mount)).collect();
    let Some(first) = by_id.get(&top) else { return 0 };
    let below = |mount: &&MountEntry<'_>| by_id.get(&mount.parent).filter(|parent| parent.id != mount.id);
    std::iter::successors(Some(first), |mount| below(mount).filter(|lower| lower.at == first.at)).count()
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> Cow<'_, Path> {
    if !field.contains(&b'\\') {
        return Path::new(OsStr::from_bytes(field)).into();
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = tail.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    PathBuf::from(OsString::from_vec(bytes)).into()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_line_is_taken_apart_whatever_tags_it_has() {
        let table = b"1 0 0:1 / / rw,relatime - ext4 /dev/vda rw,errors=continue\n\
            2 1 0:5 /sub /a\\040b rw shared:3 master:4 - tmpfs t rw,mode=755\nbad line\n\n3 1 0:6 / /x rw\n";
        let found: Vec<_> = mounts(table).collect();
        assert_eq!(found.len(), 2);
        let expected = MountEntry {
            id: 2,
            parent: 1,
            root: Path::new("/sub").into(),
            at: Path::new("/a b").into(),
            options: b"rw",
            shared: true,
            slave: true,
            fstype: b"tmpfs",
            super_options: b"rw,mode=755",
        };
        assert_eq!(found[1], expected);
        assert!(!found[0].shared && found[0].super_options == b"rw,errors=continue");
    }

    #[test]
    fn only_a_mount_that_hides_something_may_cover() {
        let covers = |at: &str, dir| {
            let line = format!("1 0 0:1 / {at} rw - tmpfs t rw\n");
            mounts(line.as_bytes()).any(|mount| mount.may_cover(dir))
        };
        for at in ["/proc/sys", "/proc/kcore", "/proc/fs", "/proc/sys/fs/binfmt"] {
            assert!(covers(at, "/proc") && !covers(at, "/sys"), "{at}");
        }
        for at in ["/proc", "/procs/x", "/proc/sys/fs/binfmt_misc", "/proc/sys/fs/binfmt_misc/x", "/proc/xen"]
        {
            assert!(!covers(at, "/proc"), "{at}");
        }
        assert!(covers("/sys/firmware", "/sys") && !covers("/sys/fs/cgroup/unified", "/sys"));
    }

    #[test]
    fn a_fuse_mount_without_allow_other_is_its_users_alone() {
        let table = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /home/a/m rw - fuse.sshfs s rw,user_id=7,group_id=7\n\
            3 1 0:3 / /srv rw - fuse s rw,user_id=7,group_id=7,allow_other\n4 2 0:4 / /home/a/m/t rw - tmpfs t rw\n";
        let owner = |path| private_fuse_in(table, Path::new(path));
        assert_eq!([owner("/home/a/m"), owner("/home/a/m/x")], [Some(7), Some(7)]);
        assert_eq!([owner("/home/a/mm"), owner("/srv/x"), owner("/home/a/m/t/x")], [None, None, None]);
    }

    #[test]
    fn only_mounts_on_one_another_are_a_stack() {
        // 4 was mounted on 3, so both are visible at /r/proc; 5 was mounted on /r later and hides 2
        let table = b"1 1 0:1 / / rw - ext4 d rw\n2 1 0:2 / /r/proc rw - proc p rw\n5 1 0:5 / /r rw - tmpfs t rw\n\
            3 5 0:2 / /r/proc rw - proc p rw\n4 3 0:2 / /r/proc rw - proc p rw\n6 4 0:6 / /r/proc/sys rw - tmpfs t rw\n";
        let stacks = [1, 2, 3, 4, 6, 7].map(|top| stack(table, top));
        assert_eq!(stacks, [1, 1, 1, 2, 1, 0]);
    }

    #[test]
    fn escapes_are_read_and_what_only_looks_like_one_is_kept() {
        assert_eq!(unescape(br"/a\040b\134c\"), Path::new("/a b\\c\\"));
        assert_eq!(unescape(br"/\04"), Path::new("/\\04"));
        assert_eq!(unescape(b"/\xff\\011"), Path::new(OsStr::from_bytes(b"/\xff\t")));
    }

    #[test]
    fn a_directory_is_on_one_mount_with_its_neighbour_and_not_with_what_is_mounted() {
        let open = |path| std::fs::File::open(path).unwrap();
        assert!(are_on_one_mount(open("/proc/self").as_fd(), open("/proc/1").as_fd()));
        assert!(!are_on_one_mount(open("/").as_fd(), open("/proc").as_fd()));
    }
}

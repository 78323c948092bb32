//! Reads the mounts below the new root, and what an overlay can do with them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{SFlag, fstat, fstatat};
use nix::sys::statfs::{FsType, statfs};
use system::idmap::OVERFLOW_ID;
use system::{mountinfo, sys};

use crate::changes::{self, Marks, SINCE, UPPER, USERXATTR, WORK};
use crate::ids::MappedIds;
use crate::overlay::{OverlayProbe, Piece, PieceKind};
use crate::probe::Privilege;
use crate::root::Root;

/// The mount points of our own mounts: nothing below them is shown.
const OURS: [&str; 3] = ["proc", "sys", "dev"];

/// File systems without users' files.
const OF_THE_KERNEL: [&[u8]; 18] = [
    b"autofs",
    b"binfmt_misc",
    b"bpf",
    b"cgroup",
    b"cgroup2",
    b"configfs",
    b"debugfs",
    b"devpts",
    b"devtmpfs",
    b"fusectl",
    b"hugetlbfs",
    b"mqueue",
    b"nsfs",
    b"proc",
    b"pstore",
    b"rpc_pipefs",
    b"sysfs",
    b"tracefs",
];

impl OverlayProbe {
    /// Reads the mounts below a root, for an overlay that this process mounts with its privilege.
    pub fn read(
        root: &Root,
        privilege: Privilege,
        ids: &MappedIds,
        caller: u32,
        changes: Option<&Path>,
    ) -> Self {
        let table = mountinfo::table().unwrap_or_default();
        let below = below(&table, root);
        let (nested, hidden): (Vec<_>, Vec<_>) =
            below.iter().filter(|(_, of_kernel)| !of_kernel).map(|(path, _)| path.clone()).partition(
                |path| {
                    // a colon and a comma have a meaning in the options of an overlay
                    let plain = !path.as_os_str().as_bytes().iter().any(|byte| b",:\\".contains(byte));
                    plain && is_directory(root, path)
                },
            );
        let are_locked = match privilege {
            Privilege::Machine => false,
            Privilege::Namespace => !below.is_empty() && !root.can_unmount_below(),
            Privilege::Unprivileged | Privilege::FreeIds => !below.is_empty(),
        };
        let mut probe =
            Self { foreign_owner: foreign_owner(root, privilege, ids, caller), ..Self::default() };
        if are_locked {
            let all: Vec<&Path> = below.iter().map(|(path, _)| path.as_path()).collect();
            probe.pieces = pieces(root, &all, caller);
        } else {
            (probe.nested, probe.hidden) = (nested, hidden);
        }
        // trusted.* attributes need the machine's root
        let own = if privilege == Privilege::Machine { Marks::Trusted } else { Marks::User };
        probe.marks = changes.and_then(Marks::recorded).unwrap_or(own);
        probe.has_foreign_marks = own == Marks::User && probe.marks != own;
        let is_users = probe.marks == Marks::User;
        if let Some(dir) = changes {
            probe.has_discarded = changes::is_unfinished(dir);
            probe.missing = missing(dir, root.mode(), &probe.pieces, probe.marks);
            let there = dir.ancestors().find(|path| path.exists());
            let keeps = there.is_none_or(sys::keeps_user_attributes);
            probe.lacks_attributes = is_users && !keeps;
            probe.network = there.and_then(network_file_system);
        } else {
            probe.lacks_attributes = is_users && !sys::tmpfs_keeps_user_attributes();
        }
        probe
    }
}

/// The name of the network file system at a path, by linux/magic.h.
fn network_file_system(path: &Path) -> Option<&'static str> {
    const NAMES: [(u32, &str); 6] = [
        (0x6969, "NFS"),
        (0xff53_4d42, "SMB"),
        (0xfe53_4d42, "SMB"),
        (0x0102_1997, "9p"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
    ];
    let FsType(magic) = statfs(path).ok()?.filesystem_type();
    NAMES.iter().find(|(known, _)| i64::from(*known) == i64::from(magic as u32)).map(|(_, name)| *name)
}

/// What the directory of `--changes` lacks, with modes.
fn missing(dir: &Path, mode: u32, pieces: &[Piece], marks: Marks) -> Vec<(PathBuf, u32)> {
    let mut all = vec![(PathBuf::new(), 0o700), (WORK.into(), 0o700)];
    if marks == Marks::User {
        all.push((USERXATTR.into(), 0o600));
    }
    // after the record: with this directory, the changes have begun
    all.push((UPPER.into(), mode));
    for piece in pieces.iter().filter(|piece| piece.kind == PieceKind::Overlaid) {
        all.push((Path::new(UPPER).join(&piece.name), piece.mode));
        all.push((Path::new(WORK).join(&piece.name), 0o700));
        let below = |(way, mode): &(PathBuf, u32)| (Path::new(UPPER).join(&piece.name).join(way), *mode);
        all.extend(piece.ways.iter().map(below));
    }
    all.push((SINCE.into(), 0o600));
    let is_discarded = changes::is_unfinished(dir);
    let stays = |below: &Path| !is_discarded || below.as_os_str().is_empty() || below == Path::new(WORK);
    all.retain(|(below, _)| !stays(below) || std::fs::symlink_metadata(dir.join(below)).is_err());
    all
}

/// The mount points below the root, without those of our own mounts, and whether each is a kernel file
/// system.
fn below(table: &[u8], root: &Root) -> Vec<(PathBuf, bool)> {
    let Ok(at) = root.path.canonicalize() else { return Vec::new() };
    let mut seen = BTreeSet::new();
    for mount in mountinfo::mounts(table) {
        let Ok(path) = mount.at.strip_prefix(&at) else { continue };
        let first = path.components().next().map(|part| part.as_os_str());
        if first.is_none_or(|first| OURS.iter().any(|ours| first == OsStr::new(ours))) {
            continue;
        }
        let of_kernel = OF_THE_KERNEL.contains(&mount.fstype);
        seen.insert((path.to_path_buf(), of_kernel));
    }
    // sorted: parents come first
    let mut paths: Vec<(PathBuf, bool)> = Vec::new();
    for (path, of_kernel) in seen {
        match paths.last_mut() {
            // several mounts at one mount point: all must be kernel file systems
            Some((last, also)) if *last == path => *also &= of_kernel,
            _ => paths.push((path, of_kernel)),
        }
    }
    paths
}

fn is_directory(root: &Root, path: &Path) -> bool {
    sys::open_without_symlinks(std::os::fd::AsFd::as_fd(&root.dir), path).is_ok()
}

/// The entries of a root with these mounts below it.
fn pieces(root: &Root, mounts: &[&Path], caller: u32) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let dir = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&root.dir)));
    let _ = sys::for_each_entry(&dir, &mut |name| {
        let name = Path::new(name);
        let Ok(found) = fstatat(&root.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
            return ControlFlow::Continue(());
        };
        let plain = !name.as_os_str().as_bytes().iter().any(|byte| b",:\\".contains(byte));
        let has_mounts = mounts.iter().any(|at| at.starts_with(name) && *at != name);
        let kind = match SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFLNK => match readlinkat(&root.dir, name) {
                Ok(target) => PieceKind::Link(target.into()),
                Err(_) => return ControlFlow::Continue(()),
            },
            SFlag::S_IFDIR if OURS.iter().any(|ours| name == Path::new(ours)) => PieceKind::Empty,
            SFlag::S_IFDIR if has_mounts || !plain => PieceKind::ReadOnly,
            SFlag::S_IFDIR => PieceKind::Overlaid,
            _ => PieceKind::File,
        };
        let ways = if kind == PieceKind::Overlaid { ways(root, name, caller) } else { Vec::new() };
        pieces.push(Piece { name: name.to_path_buf(), kind, mode: found.st_mode & 0o7777, ways });
        ControlFlow::Continue(())
    });
    pieces.sort_by(|one, other| one.name.cmp(&other.name));
    pieces
}

/// The other users' directories below an entry of the root that lead to the caller's home and working
/// directory.
fn ways(root: &Root, name: &Path, caller: u32) -> Vec<(PathBuf, u32)> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut ways: Vec<(PathBuf, u32)> = Vec::new();
    for place in home.into_iter().chain(std::env::current_dir()) {
        let Ok(below) = place.strip_prefix(Path::new("/").join(name)) else { continue };
        let above: Vec<&Path> = below.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).collect();
        for dir in above.into_iter().rev() {
            let found = fstatat(&root.dir, &name.join(dir), AtFlags::AT_SYMLINK_NOFOLLOW);
            let Ok(found) = found else { break };
            let is_directory = found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
            if !is_directory || found.st_uid == caller {
                break;
            }
            if !ways.iter().any(|(known, _)| known == dir) {
                ways.push((dir.to_path_buf(), found.st_mode & 0o7777));
            }
        }
    }
    ways
}

/// The owner of the root, if the user namespace does not have that id.
fn foreign_owner(root: &Root, privilege: Privilege, ids: &MappedIds, caller: u32) -> Option<u32> {
    let owner = fstat(&root.dir).ok()?;
    let is_foreign = match privilege {
        Privilege::Machine | Privilege::FreeIds => false,
        Privilege::Unprivileged => owner.st_uid != caller,
        Privilege::Namespace => {
            owner.st_uid == OVERFLOW_ID && (owner.st_gid == OVERFLOW_ID || !ids.has_user(OVERFLOW_ID))
        }
    };
    is_foreign.then_some(owner.st_uid)
}

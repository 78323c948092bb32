// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this process may do here and what the new root has: read once, before anything is changed.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use chain::namespace::{Kind, capability};
use chain::{mountinfo, sys};
use nix::sys::stat::{fstat, stat};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

use crate::descriptors::{self, EscapingFd};
use crate::ids::Ids;
use crate::mask::{self, Mask};
use crate::root::{DirState, Root};

/// linux/magic.h; nix does not have it.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// How the root directory is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// pivot_root(2) in an own mount namespace.
    Pivot,
    /// The same, in a user namespace made for it: an ordinary user, alone.
    PivotAsUser,
    /// chroot(2) and chdir(2).
    Plain(WhyPlain),
}

/// Why it is chroot(2) and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyPlain {
    /// NEWROOT is the root already: there is nothing to be kept from.
    SameRoot,
    /// CAP_SYS_CHROOT is there, CAP_SYS_ADMIN is not.
    NoAdmin,
    /// The root is no mount, so it can neither be made private nor pivoted from.
    InChroot,
}

impl WhyPlain {
    /// What is missing.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::SameRoot => "NEWROOT is '/', where everything is mounted already",
            Self::NoAdmin => "that takes CAP_SYS_ADMIN",
            Self::InChroot => "this process is in a chroot itself, where mounts cannot be kept inside",
        }
    }
}

/// What becomes of the old root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldRoot {
    /// It is let go: pivot_root(2).
    Detached,
    /// It is what the kernel started with, which cannot be moved: the new root covers it.
    Covered,
}

/// How a file system of the kernel comes into the new root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsProvision {
    /// A new one.
    Fresh,
    /// A copy of the caller's mount: the kernel gives no new one to who does not own the namespace it shows.
    Bind,
    /// Not at all.
    Skip,
}

/// Which processes are in sight inside. Each one whose root is outside leads there, by
/// /proc/PID/root and setns(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// Those of the caller's PID namespace, whose first one we are, or that were asked for.
    Callers,
    /// Those of a PID namespace made for the new root.
    Own,
}

/// How device nodes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// mknod(2), which needs to be root outside of every user namespace.
    Make,
    /// The caller's own, bound on empty files.
    Bind,
}

/// Everything that decides the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How the root is changed.
    pub strategy: Strategy,
    /// Which processes are in sight.
    pub processes: Processes,
    /// Whether they stay in sight because no new proc can show others.
    pub proc_is_covered: bool,
    /// Whether this is the user namespace the machine booted with, and stays it.
    pub initial: bool,
    /// The mode of the new root itself.
    pub mode: u32,
    /// What the new root's directories are.
    pub proc_dir: DirState,
    /// As `proc_dir`.
    pub sys_dir: DirState,
    /// As `proc_dir`.
    pub dev_dir: DirState,
    /// How many mounts are on the new root's proc already, as scripts around chroot(1) make them.
    pub proc_mounts: usize,
    /// As `proc_mounts`.
    pub sys_mounts: usize,
    /// Whether they can be taken away.
    pub can_unmount: bool,
    /// How proc comes in.
    pub proc: FsProvision,
    /// How proc comes in where the caller's processes stay in sight.
    pub callers_proc: FsProvision,
    /// How sysfs comes in.
    pub sysfs: FsProvision,
    /// Whether a message queue file system may be mounted.
    pub mqueue: bool,
    /// Whether the control groups below the own one may be shown.
    pub cgroup2: bool,
    /// What is covered in proc and sys.
    pub masks: Vec<Mask>,
    /// How devices come in.
    pub devices: Devices,
    /// The users and groups there are.
    pub ids: Ids,
    /// Whether group 5, tty, exists for devpts.
    pub tty_group: bool,
    /// The caller's terminal.
    pub terminal: Option<PathBuf>,
    /// Descriptors that the caller left open and that lead out.
    pub escaping_fds: Vec<EscapingFd>,
    /// The umask, which must not spoil the modes of devices.
    pub umask: u32,
    /// What becomes of the old root.
    pub old_root: OldRoot,
    /// The effective user and group of the caller.
    pub caller: (u32, u32),
    /// Whether mounts can be attached by descriptor: Linux 5.2.
    pub open_tree: bool,
}

impl Probe {
    /// Reads the system.
    pub fn of(root: &Root) -> Self {
        let admin = sys::has_capability(capability::CAP_SYS_ADMIN);
        let strategy = match (admin, sys::has_capability(capability::CAP_SYS_CHROOT)) {
            _ if root.is_current_root() => Strategy::Plain(WhyPlain::SameRoot),
            (true, _) if sys::is_mount_root(Path::new("/")) == Some(false) => {
                Strategy::Plain(WhyPlain::InChroot)
            }
            (true, _) => Strategy::Pivot,
            (false, true) => Strategy::Plain(WhyPlain::NoAdmin),
            (false, false) => Strategy::PivotAsUser,
        };
        // a user namespace of our own owns none of the others
        let initial = strategy == Strategy::Pivot && Kind::User.is_initial();
        let ours = |kind: Kind| initial || (strategy == Strategy::Pivot && kind.is_ours());
        let open_tree = sys::has_open_tree();
        let copy = if open_tree && sys::has_mount_setattr() { FsProvision::Bind } else { FsProvision::Skip };
        let ids = match strategy {
            Strategy::PivotAsUser => Ids::one(),
            // everybody is there, and nothing is denied
            _ if initial => Ids::default(),
            _ => Ids::here(),
        };
        let is_first = nix::unistd::getpid().as_raw() == 1;
        // the kernel gives a user namespace no new proc where a part of the old one is hidden
        let proc_is_covered = !initial && !is_first && mountinfo::cover_of_proc().is_some();
        let processes = if is_first || proc_is_covered { Processes::Callers } else { Processes::Own };
        let callers_proc = if ours(Kind::Pid) { FsProvision::Fresh } else { FsProvision::Bind };
        let (proc_dir, proc_mounts) = root.dir_state_and_mounts("proc");
        let (sys_dir, sys_mounts) = root.dir_state_and_mounts("sys");
        Self {
            strategy,
            processes,
            proc_is_covered,
            initial,
            mode: root.mode(),
            proc_dir,
            sys_dir,
            dev_dir: root.dir_state("dev"),
            proc_mounts,
            sys_mounts,
            can_unmount: proc_mounts + sys_mounts > 0
                && (initial || (strategy == Strategy::Pivot && root.can_unmount_below())),
            proc: if processes == Processes::Own { FsProvision::Fresh } else { callers_proc },
            callers_proc,
            sysfs: if ours(Kind::Net) { FsProvision::Fresh } else { copy },
            mqueue: ours(Kind::Ipc) && Path::new("/proc/sys/fs/mqueue").is_dir(),
            cgroup2: !Kind::Cgroup.is_initial() && ours(Kind::Cgroup),
            masks: if initial { mask::all() } else { Vec::new() },
            devices: if initial && sys::has_capability(capability::CAP_MKNOD) {
                Devices::Make
            } else {
                Devices::Bind
            },
            tty_group: ids.has_group(5),
            ids,
            terminal: terminal(),
            escaping_fds: descriptors::escaping_fds(),
            umask: sys::current_umask(),
            old_root: old_root(),
            caller: sys::effective_ids(),
            open_tree,
        }
    }
}

/// An initramfs is unpacked into the first of all mounts, which pivot_root(2) refuses to move.
fn old_root() -> OldRoot {
    let in_memory = statfs("/").is_ok_and(|fs| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&fs.filesystem_type()));
    // asked only where it may be
    let is_first = || {
        let table = mountinfo::table().unwrap_or_default();
        mountinfo::mounts(&table).any(|mount| mount.at == Path::new("/") && mount.fstype == b"rootfs")
    };
    if in_memory && is_first() { OldRoot::Covered } else { OldRoot::Detached }
}

/// The terminal on a standard descriptor, by a path that still leads to it.
fn terminal() -> Option<PathBuf> {
    let standard =
        [std::io::stdin().as_fd().try_clone_to_owned(), std::io::stdout().as_fd().try_clone_to_owned()];
    standard.into_iter().flatten().find_map(|fd| {
        if !nix::unistd::isatty(&fd).unwrap_or(false) {
            return None;
        }
        let path = nix::unistd::ttyname(&fd).ok()?;
        let (by_fd, by_path) = (fstat(&fd).ok()?, stat(&path).ok()?);
        (by_fd.st_rdev == by_path.st_rdev).then_some(path)
    })
}

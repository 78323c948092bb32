//! Reads the system once, before any decision. A probe never changes: setup.rs decides.

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use chain::handover::Handover;
use nix::sched::CloneFlags;
use system::namespace::{NamespaceKind, capability};
use system::visibility::Refused;
use system::{mountinfo, sys};

use crate::broken_variables::{Variable, owner_of_closed_home};
use crate::cgroup_view::CgroupProbe;
use crate::changes::{self, Marks};
use crate::cli::Options;
use crate::descriptors::{self, EscapingFd};
use crate::dev::{self, Dev};
use crate::hosts::{self, Hosts};
use crate::ids::MappedIds;
use crate::kernel_mounts::ExistingMounts;
use crate::mask::{self, Mask};
use crate::mount_request::MountRequests;
use crate::overlay::OverlayProbe;
use crate::rights::CallerRights;
use crate::root::{DirState, Root};
use crate::root_mount::{RootMount, WriteMode};
use crate::standard_pipes;
use crate::subordinate_files;
use system::accounts::AccountFiles;

/// The user namespace in which this process has CAP_SYS_ADMIN, which mount(2) needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The machine's first user namespace.
    Machine,
    /// In another user namespace.
    Namespace,
    /// The machine's first user namespace, and the command gets one with ids that no account has.
    FreeIds,
    /// None: a new user namespace is needed.
    Unprivileged,
}

/// Why nothing can be mounted, so that chroot(2) must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyPlain {
    /// By `--plain`.
    Requested,
    SameRoot,
    /// The process has only CAP_SYS_CHROOT.
    NoAdmin,
    /// The root is not a mount point, so it cannot be made private, and pivot_root(2) fails.
    InChroot,
}

impl WhyPlain {
    /// The reason, as the user reads it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Requested => "--plain makes no mounts",
            Self::SameRoot => "NEWROOT is '/', where everything is mounted already",
            Self::NoAdmin => "mounts need CAP_SYS_ADMIN: put 'unshare-rs --' before chroot-rs",
            Self::InChroot => "the caller runs in a chroot(2), where mounts cannot be kept private",
        }
    }
}

impl Privilege {
    fn read(is_current_root: bool, want_mounts: bool, want_free_ids: bool) -> Result<Self, WhyPlain> {
        if is_current_root && !want_mounts {
            return Err(WhyPlain::SameRoot);
        }
        if !sys::has_capability(capability::CAP_SYS_ADMIN) {
            let can_chroot = sys::has_capability(capability::CAP_SYS_CHROOT);
            return if can_chroot { Err(WhyPlain::NoAdmin) } else { Ok(Self::Unprivileged) };
        }
        if sys::is_mount_root(Path::new("/")) == Some(false) {
            return Err(WhyPlain::InChroot);
        }
        Ok(match (NamespaceKind::USER.is_initial(), want_free_ids) {
            (true, true) => Self::FreeIds,
            (true, false) => Self::Machine,
            (false, _) => Self::Namespace,
        })
    }

    /// The caller's user and group in the mount namespace.
    fn inner_ids(self) -> (u32, u32) {
        if self == Self::Unprivileged { own_id_kept().unwrap_or_default() } else { (0, 0) }
    }

    /// Whether the mounts on directories of the root (`mounts` of them) can be unmounted.
    fn can_unmount(self, root: &Root, mounts: usize) -> bool {
        self == Self::Machine || (mounts > 0 && self == Self::Namespace && root.can_unmount_below())
    }

    fn read_dev(self, ids: &MappedIds, umask: u32, has_host_root: bool) -> Dev {
        Dev {
            mknod: self == Self::Machine && sys::has_capability(capability::CAP_MKNOD),
            has_host_root,
            is_limited: true,
            terminal: dev::terminal(),
            tty_group: self == Self::Machine || ids.shows_group(5),
            mqueue: self.owns(NamespaceKind::IPC) && Path::new("/proc/sys/fs/mqueue").is_dir(),
            umask,
        }
    }

    /// The file systems that the kernel refuses: only in a user namespace does it refuse any.
    fn refused_mounts(self) -> Refused {
        match self {
            Self::Machine => Refused::default(),
            Self::Namespace => Refused::read(CloneFlags::CLONE_NEWNS),
            // its network namespace belongs to another user namespace, so it gets no sysfs in any case
            Self::Unprivileged | Self::FreeIds => {
                Refused::read(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER)
            }
        }
    }

    /// Whether its capabilities apply to this process's namespace of this kind.
    fn owns(self, kind: NamespaceKind) -> bool {
        match self {
            Self::Machine => true,
            Self::Namespace => kind.is_ours(),
            // a new user namespace owns none of the others
            Self::Unprivileged | Self::FreeIds => false,
        }
    }
}

/// The ids of this process, if they are the only ones in a non-initial user namespace, and unchanged: its
/// creator kept them on purpose, as `unshare-rs --map-current-user` does.
pub fn own_id_kept() -> Option<(u32, u32)> {
    let (uid, gid) = sys::effective_ids();
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let mut fields = map.split_whitespace().map(str::parse::<u32>);
    let is_kept = fields.next()?.ok()? == uid && fields.nth(1)?.ok()? == 1 && fields.next().is_none();
    (is_kept && uid != 0).then_some((uid, gid))
}

/// What was read.
#[derive(Debug)]
pub struct Probe {
    pub root: Root,
    /// Whether NEWROOT is already this process's root.
    pub is_current_root: bool,
    /// The new root's users and groups; empty if no option names one.
    pub accounts: AccountFiles,
    /// The ids of the command's user namespace.
    pub ids: MappedIds,
    /// The variables that name no file in the new root.
    pub broken_variables: Vec<Variable>,
    /// The owner of a HOME that others cannot enter. Read only if the command changes its user.
    pub closed_home: Option<u32>,
    /// The effective user.
    pub uid: u32,
    /// The standard descriptors that are pipes. Read only if the command changes its user.
    pub standard_pipes: Vec<RawFd>,
    pub mounts: Result<MountProbe, WhyPlain>,
    /// What the previous tool left to this one.
    pub handover: Option<Handover>,
}

impl Probe {
    /// Reads what the options need.
    pub fn read(root: Root, options: &Options) -> Self {
        let is_current_root = root.is_current_root();
        let handover = Handover::inside();
        let want_free_ids = options.userns.is_some() || handover.as_ref().is_some_and(|left| left.userns);
        let privilege = if options.plain {
            Err(WhyPlain::Requested)
        } else {
            Privilege::read(is_current_root, options.want_mounts() || want_free_ids, want_free_ids)
        };
        let named = options.credentials.are_requested();
        let ids = match privilege {
            Ok(Privilege::Unprivileged) => match own_id_kept() {
                Some((uid, gid)) => MappedIds::only(uid, gid),
                None => MappedIds::one(),
            },
            Ok(Privilege::FreeIds) => MappedIds::below(1 << 16),
            Ok(Privilege::Namespace) => MappedIds::of_this_process(),
            Err(_) if named => MappedIds::of_this_process(),
            Ok(Privilege::Machine) | Err(_) => MappedIds::default(),
        };
        let broken_variables = if is_current_root || options.plain {
            Vec::new()
        } else {
            Variable::broken(&root, &options.mounts)
        };
        let changes_user = named && !is_current_root && !options.plain;
        let needs_accounts = named || broken_variables.iter().any(|variable| variable.is_of_user());
        Self {
            is_current_root,
            accounts: if needs_accounts { root.account_files() } else { AccountFiles::default() },
            broken_variables,
            closed_home: changes_user.then(|| owner_of_closed_home(&root, &options.mounts)).flatten(),
            uid: sys::effective_ids().0,
            standard_pipes: if named { standard_pipes::read() } else { Vec::new() },
            mounts: privilege.map(|privilege| MountProbe::read(&root, privilege, &ids, options)),
            ids,
            handover,
            root,
        }
    }
}

/// The facts that decide about mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountProbe {
    pub privilege: Privilege,
    pub rights: CallerRights,
    /// This process's effective user and group.
    pub caller: (u32, u32),
    /// The same ids inside a new user namespace.
    pub inside: (u32, u32),
    pub escaping_fds: Vec<EscapingFd>,
    /// Whether this is process 1 of its PID namespace.
    pub is_pid_1: bool,
    /// Whether mounts over parts of /proc make the kernel refuse a new proc.
    pub proc_is_covered: bool,
    /// Whether the kernel refuses a new proc, and the caller has none that could be shown.
    pub lacks_proc: bool,
    /// Whether the same holds for sysfs.
    pub lacks_sys: bool,
    /// Whether this process's user namespace owns its PID namespace.
    pub owns_pid: bool,
    /// Whether it owns its network namespace, and the kernel grants it a new sysfs.
    pub owns_net: bool,
    /// Its cgroup namespace.
    pub cgroup: CgroupProbe,
    /// Whether a tree of mounts can be made read-only: Linux 5.12.
    pub has_mount_setattr: bool,
    /// The paths to cover that exist on this kernel; none if the machine's user 0 does not exist inside.
    pub masks: Vec<Mask>,
    /// The parts of the caller's sysfs that can be shown if there is no new one.
    pub sys_parts: Vec<&'static str>,
    pub proc_dir: DirState,
    pub sys_dir: DirState,
    pub dev_dir: DirState,
    pub existing: ExistingMounts,
    pub root_mount: RootMount,
    pub dev: Dev,
    /// The hosts file that the root needs; None if the hostname is the machine's.
    pub hosts: Option<Hosts>,
    /// Whether files of the root belong to ids that 'unshare-rs' before chroot-rs would map.
    pub has_unmapped_files: bool,
    /// The facts that an overlay needs; empty without one.
    pub overlay: OverlayProbe,
    /// Whether mounts made outside propagate to the caller's mounts. Read only if they may be shown inside.
    pub is_slave: bool,
}

impl MountProbe {
    fn read(root: &Root, privilege: Privilege, ids: &MappedIds, options: &Options) -> Self {
        let umask = sys::current_umask();
        let has_open_tree = sys::has_open_tree();
        let has_mount_setattr = has_open_tree && sys::has_mount_setattr();
        let changes = options.changes.directory();
        // if an earlier command has replaced a directory, this run finds the replacement
        let dir_state = |name: &str| {
            let replaced = changes.as_deref().and_then(|changes| changes::replaced(changes, Path::new(name)));
            replaced.map_or_else(|| root.dir_state(name), |state| (state, 0))
        };
        let (proc_dir, proc_mounts) = dir_state("proc");
        let (sys_dir, sys_mounts) = dir_state("sys");
        let (dev_dir, _) = dir_state("dev");
        let refused = privilege.refused_mounts();
        let shows_net = privilege.owns(NamespaceKind::NET) && !refused.sysfs;
        let sys_parts = if shows_net { Vec::new() } else { sys_parts() };
        let lacks_sys = !shows_net && sys_parts.is_empty();
        let lacks_proc = refused.proc && !Path::new("/proc/self").exists();
        let caller = sys::effective_ids();
        let inside = privilege.inner_ids();
        let rights = CallerRights::read(privilege, inside.0);
        let overlay = read_overlay(root, privilege, ids, caller.0, options);
        let can_unmount = privilege.can_unmount(root, proc_mounts + sys_mounts);
        Self {
            privilege,
            masks: if rights.has_host_root { mask::all() } else { Vec::new() },
            sys_parts,
            dev: privilege.read_dev(ids, umask, rights.has_host_root),
            rights,
            caller,
            inside,
            escaping_fds: descriptors::escaping_fds(),
            is_pid_1: nix::unistd::getpid().as_raw() == 1,
            proc_is_covered: refused.proc && !lacks_proc,
            lacks_proc,
            lacks_sys,
            owns_pid: privilege.owns(NamespaceKind::PID),
            owns_net: shows_net,
            cgroup: CgroupProbe::read(
                !NamespaceKind::CGROUP.is_initial() && privilege.owns(NamespaceKind::CGROUP),
                options.cgroup,
            ),
            has_mount_setattr,
            hosts: if has_mount_setattr { read_hosts(root, options, &overlay) } else { None },
            proc_dir,
            sys_dir,
            dev_dir,
            existing: ExistingMounts { proc_mounts, sys_mounts, can_unmount },
            root_mount: read_root_mount(root, overlay.marks, umask, has_open_tree, &options.mounts),
            has_unmapped_files: privilege == Privilege::Unprivileged && subordinate_files::are_there(root),
            overlay,
            is_slave: options.mounts.have_bind() && mountinfo::has_slave(),
        }
    }
}

fn read_root_mount(
    root: &Root,
    marks: Marks,
    umask: u32,
    has_open_tree: bool,
    mounts: &MountRequests,
) -> RootMount {
    RootMount {
        has_open_tree,
        mode: root.mode(),
        umask,
        userxattr: marks == Marks::User,
        covers_old_root: mountinfo::is_root_first_mount(),
        place: if root.is_current_root() { unused_directory(root, mounts) } else { "." },
    }
}

/// A directory of the current root in which the plan opens nothing.
fn unused_directory(root: &Root, mounts: &MountRequests) -> &'static str {
    let sources: Vec<_> = mounts.sources().collect();
    let real: Vec<_> = sources.iter().filter_map(|source| std::fs::canonicalize(source).ok()).collect();
    let opens_in = |name: &str| {
        let dir = Path::new("/").join(name);
        sources
            .iter()
            .copied()
            .chain(real.iter().map(PathBuf::as_path))
            .any(|source| source.starts_with(&dir))
    };
    let dirs = ["usr", "etc", "var", "tmp", "home", "mnt"];
    let is_unused = |name: &&str| root.dir_state(name).0 == DirState::Directory && !opens_in(name);
    dirs.into_iter().find(is_unused).unwrap_or(".")
}

/// The facts that an overlay needs, if there will be one.
fn read_overlay(
    root: &Root,
    privilege: Privilege,
    ids: &MappedIds,
    caller: u32,
    options: &Options,
) -> OverlayProbe {
    if options.write_mode() != WriteMode::Ephemeral {
        return OverlayProbe::default();
    }
    OverlayProbe::read(root, privilege, ids, caller, options.changes.directory().as_deref())
}

/// Reads the hosts file, unless an option shows another one there.
fn read_hosts(root: &Root, options: &Options, overlay: &OverlayProbe) -> Option<Hosts> {
    let shows_own = options.no_hosts || options.no_mount || options.mounts.may_show(Path::new(hosts::PATH));
    if shows_own || NamespaceKind::UTS.is_initial() {
        return None;
    }
    let changes = options.changes.directory();
    let is_changed = |changes: &Path| {
        let (etc, hosts) = (Path::new("etc"), Path::new("etc/hosts"));
        changes::replaced(changes, etc).or_else(|| changes::replaced(changes, hosts)).is_some()
    };
    if changes.as_deref().is_some_and(is_changed) {
        return None;
    }
    let keeps_changes = changes.is_some();
    let is_ephemeral = options.write_mode() == WriteMode::Ephemeral && !keeps_changes;
    // the owner of the root exists inside
    let has_owner = || root.owner_of(Path::new("/etc")) == root.owner_of(Path::new("/"));
    let can_create = || match options.write_mode() {
        WriteMode::Ephemeral => !keeps_changes && overlay.pieces.is_empty() && has_owner(),
        // the caller's own root does not belong to a container
        WriteMode::Persistent => !root.is_current_root() && root.can_write(Path::new("/etc")),
        WriteMode::ReadOnly => false,
    };
    Hosts::read(root, is_ephemeral, can_create)
}

/// The directories of sysfs that show the kernel's devices and modules, without settings or other mounts.
fn sys_parts() -> Vec<&'static str> {
    let parts = ["block", "bus", "class", "dev", "devices", "module"];
    parts.into_iter().filter(|name| Path::new("/sys").join(name).is_dir()).collect()
}

//! Reads the system once, before anything is decided. A probe is never changed: setup.rs decides.

use std::os::fd::RawFd;
use std::path::Path;

use chain::handover::Handover;
use nix::sched::CloneFlags;
use system::namespace::{Kind, capability};
use system::visibility::Refused;
use system::{mountinfo, sys};

use crate::broken_variables::Variable;
use crate::cgroup_view::CgroupProbe;
use crate::cli::Options;
use crate::descriptors::{self, EscapingFd};
use crate::dev::{self, Dev};
use crate::ids::Ids;
use crate::mask::{self, Mask};
use crate::mounts::ExistingMounts;
use crate::overlay::OverlayProbe;
use crate::rights::CallerRights;
use crate::root::{DirState, Root};
use crate::root_mount::{RootMount, WriteMode};
use crate::standard_pipes;
use crate::subordinate_files;
use system::accounts::AccountFiles;

/// Where this process has CAP_SYS_ADMIN, which mount(2) needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// In the user namespace the machine booted with.
    Machine,
    /// In another user namespace.
    Namespace,
    /// In the user namespace the machine booted with, and the command gets one whose ids no account has.
    FreeIds,
    /// Nowhere: it takes a new user namespace.
    Unprivileged,
}

/// Why nothing can be mounted, so that chroot(2) has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyPlain {
    /// By `--plain`.
    Requested,
    SameRoot,
    /// CAP_SYS_CHROOT alone.
    NoAdmin,
    /// The root is not a mount, so it can neither be made private nor pivoted from.
    InChroot,
}

impl WhyPlain {
    /// The reason as the user reads it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Requested => "--plain makes no mounts",
            Self::SameRoot => "NEWROOT is '/', where everything is mounted already",
            Self::NoAdmin => {
                "that takes CAP_SYS_ADMIN, which 'unshare-rs --' before it gives in a user namespace of its own"
            }
            Self::InChroot => "this process is in a chroot itself, where mounts cannot be kept inside",
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
        Ok(match (Kind::USER.is_initial(), want_free_ids) {
            (true, true) => Self::FreeIds,
            (true, false) => Self::Machine,
            (false, _) => Self::Namespace,
        })
    }

    fn read_dev(self, ids: &Ids, umask: u32, has_host_root: bool) -> Dev {
        Dev {
            mknod: self == Self::Machine && sys::has_capability(capability::CAP_MKNOD),
            has_host_root,
            is_limited: true,
            terminal: dev::terminal(),
            tty_group: ids.has_group(5),
            mqueue: self.owns(Kind::IPC) && Path::new("/proc/sys/fs/mqueue").is_dir(),
            umask,
        }
    }

    /// The file systems that the kernel does not give: only a user namespace is refused any.
    fn refused_mounts(self) -> Refused {
        match self {
            Self::Machine => Refused::default(),
            Self::Namespace => Refused::read(CloneFlags::CLONE_NEWNS),
            // its network namespace is not its own, so it gets no sysfs in any case
            Self::Unprivileged | Self::FreeIds => {
                Refused::read(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER)
            }
        }
    }

    /// Whether its capabilities count in this process's namespace of a kind.
    fn owns(self, kind: Kind) -> bool {
        match self {
            Self::Machine => true,
            Self::Namespace => kind.is_ours(),
            // a new user namespace owns none of the others
            Self::Unprivileged | Self::FreeIds => false,
        }
    }
}

/// The ids of this process, where it has them and no others in a user namespace of its own: who made that
/// kept them on purpose, as `unshare-rs --map-current-user` does.
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
    /// Whether it is this process's root already.
    pub is_current_root: bool,
    /// The users and groups of the new root; empty if no option names one.
    pub accounts: AccountFiles,
    /// The ids of the user namespace that the command runs in.
    pub ids: Ids,
    /// The variables that lead nowhere in the new root.
    pub broken_variables: Vec<Variable>,
    /// The effective user.
    pub uid: u32,
    /// The standard descriptors that are pipes; looked at where the command becomes another user.
    pub standard_pipes: Vec<RawFd>,
    pub mounts: Result<MountProbe, WhyPlain>,
    /// What the tool before left to this one.
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
                Some((uid, gid)) => Ids::only(uid, gid),
                None => Ids::one(),
            },
            Ok(Privilege::FreeIds) => Ids::below(1 << 16),
            Ok(Privilege::Namespace) => Ids::here(),
            Err(_) if named => Ids::here(),
            Ok(Privilege::Machine) | Err(_) => Ids::default(),
        };
        let broken_variables = if is_current_root || options.plain {
            Vec::new()
        } else {
            Variable::broken(&root, &options.mounts)
        };
        let needs_accounts = named || broken_variables.iter().any(|variable| variable.is_of_user());
        Self {
            is_current_root,
            accounts: if needs_accounts { root.account_files() } else { AccountFiles::default() },
            broken_variables,
            uid: sys::effective_ids().0,
            standard_pipes: if named { standard_pipes::read() } else { Vec::new() },
            mounts: privilege.map(|privilege| MountProbe::read(&root, privilege, &ids, options)),
            ids,
            handover,
            root,
        }
    }
}

/// What decides the mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountProbe {
    pub privilege: Privilege,
    pub rights: CallerRights,
    /// The effective user and group of this process.
    pub caller: (u32, u32),
    /// What they are in a new user namespace.
    pub inside: (u32, u32),
    pub escaping_fds: Vec<EscapingFd>,
    /// Whether this is process 1 of its PID namespace.
    pub is_pid_1: bool,
    /// Whether mounts over parts of /proc keep the kernel from mounting a new proc.
    pub proc_is_covered: bool,
    /// Whether this process's user namespace owns its PID namespace.
    pub owns_pid: bool,
    /// Whether it owns its network namespace, and the kernel gives it a new sysfs.
    pub owns_net: bool,
    /// Its cgroup namespace.
    pub cgroup: CgroupProbe,
    /// Whether a tree of mounts can be made read-only: Linux 5.12.
    pub has_mount_setattr: bool,
    /// The paths to cover that this kernel has; none where user 0 of the machine does not exist.
    pub masks: Vec<Mask>,
    /// What can be shown of the caller's sysfs, where there is no new one.
    pub sys_parts: Vec<&'static str>,
    pub proc_dir: DirState,
    pub sys_dir: DirState,
    pub dev_dir: DirState,
    pub existing: ExistingMounts,
    pub root_mount: RootMount,
    pub dev: Dev,
    /// Whether files of the root belong to ids that 'unshare-rs' before chroot-rs would map.
    pub has_unmapped_files: bool,
    /// What an overlay has to know; empty without one.
    pub overlay: OverlayProbe,
    /// Whether mounts that are made outside spread into the caller's mounts; looked at where they may be
    /// shown inside.
    pub is_slave: bool,
}

impl MountProbe {
    fn read(root: &Root, privilege: Privilege, ids: &Ids, options: &Options) -> Self {
        let is_machine = privilege == Privilege::Machine;
        let is_pid_1 = nix::unistd::getpid().as_raw() == 1;
        let umask = sys::current_umask();
        let has_open_tree = sys::has_open_tree();
        let (proc_dir, proc_mounts) = root.dir_state("proc");
        let (sys_dir, sys_mounts) = root.dir_state("sys");
        let (dev_dir, _) = root.dir_state("dev");
        let refused = privilege.refused_mounts();
        let shows_net = privilege.owns(Kind::NET) && !refused.sysfs;
        let caller = sys::effective_ids();
        let inside =
            if privilege == Privilege::Unprivileged { own_id_kept().unwrap_or_default() } else { (0, 0) };
        let rights = CallerRights::read(privilege, inside.0);
        let changes = options.changes.directory();
        let overlay = || OverlayProbe::read(root, privilege, ids, caller.0, changes.as_deref());
        let overlay = (options.write_mode() == WriteMode::Ephemeral).then(overlay);
        let may_unmount = || privilege == Privilege::Namespace && root.can_unmount_below();
        let can_unmount = is_machine || (proc_mounts + sys_mounts > 0 && may_unmount());
        Self {
            privilege,
            masks: if rights.has_host_root { mask::all() } else { Vec::new() },
            sys_parts: if shows_net { Vec::new() } else { sys_parts() },
            dev: privilege.read_dev(ids, umask, rights.has_host_root),
            rights,
            caller,
            inside,
            escaping_fds: descriptors::escaping_fds(),
            is_pid_1,
            proc_is_covered: refused.proc,
            owns_pid: privilege.owns(Kind::PID),
            owns_net: shows_net,
            cgroup: CgroupProbe::read(
                !Kind::CGROUP.is_initial() && privilege.owns(Kind::CGROUP),
                options.cgroup,
            ),
            has_mount_setattr: has_open_tree && sys::has_mount_setattr(),
            proc_dir,
            sys_dir,
            dev_dir,
            existing: ExistingMounts { proc_mounts, sys_mounts, can_unmount },
            root_mount: RootMount {
                has_open_tree,
                mode: root.mode(),
                umask,
                userxattr: !is_machine,
                covers_old_root: mountinfo::is_root_first_mount(),
            },
            has_unmapped_files: privilege == Privilege::Unprivileged && subordinate_files::are_there(root),
            overlay: overlay.unwrap_or_default(),
            is_slave: options.mounts.have_bind() && mountinfo::is_root_slave(),
        }
    }
}

/// The directories of sysfs that are the kernel's devices and modules, and no switches or mounts of others.
fn sys_parts() -> Vec<&'static str> {
    let parts = ["block", "bus", "class", "dev", "devices", "module"];
    parts.into_iter().filter(|name| Path::new("/sys").join(name).is_dir()).collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is read of the system before anything is decided. It is read once and never changed;
//! `setup` decides what to make of it.

use chain::namespace::Kind;
use chain::{mountinfo, sys};

use crate::account_files::AccountFiles;
use crate::cli::Options;
use crate::descriptors::{self, EscapingFd};
use crate::dev::Dev;
use crate::ids::Ids;
use crate::mask::{self, Mask};
use crate::mounts::ExistingMounts;
use crate::privilege::{Privilege, WhyPlain};
use crate::root::{DirState, Root};
use crate::root_mount::RootMount;

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
    /// Whether the new root has one of the directories in PATH.
    pub path_works: bool,
    /// What decides the mounts.
    pub mounts: Result<MountProbe, WhyPlain>,
}

impl Probe {
    /// Reads what the options need.
    pub fn read(root: Root, options: &Options) -> Self {
        let is_current_root = root.is_current_root();
        let privilege =
            if options.plain { Err(WhyPlain::Requested) } else { Privilege::read(is_current_root) };
        let named = options.credentials.are_requested();
        let ids = match privilege {
            Ok(Privilege::Unprivileged) => Ids::one(),
            Ok(Privilege::Namespace) => Ids::here(),
            Err(_) if named => Ids::here(),
            Ok(Privilege::Machine) | Err(_) => Ids::default(),
        };
        Self {
            is_current_root,
            accounts: if named { root.account_files() } else { AccountFiles::default() },
            path_works: std::env::var_os("PATH").is_none_or(|path| root.has_one_of(&path)),
            mounts: privilege.map(|privilege| MountProbe::read(&root, privilege, &ids)),
            ids,
            root,
        }
    }
}

/// What decides the mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountProbe {
    pub privilege: Privilege,
    /// The effective user and group of this process.
    pub caller: (u32, u32),
    pub escaping_fds: Vec<EscapingFd>,
    /// Whether this is process 1 of its PID namespace.
    pub is_pid_1: bool,
    /// Whether a mount over a part of /proc keeps the kernel from mounting a new proc.
    pub proc_is_covered: bool,
    /// Whether this process's user namespace owns its PID namespace.
    pub owns_pid: bool,
    /// Whether it owns its network namespace.
    pub owns_net: bool,
    /// Whether its cgroup namespace is a new one that it owns.
    pub owns_cgroup: bool,
    /// Whether a tree of mounts can be made read-only: Linux 5.12.
    pub has_mount_setattr: bool,
    /// The paths to cover that this kernel has; none in a user namespace.
    pub masks: Vec<Mask>,
    /// The directories of the new root.
    pub proc_dir: DirState,
    pub sys_dir: DirState,
    pub dev_dir: DirState,
    pub existing: ExistingMounts,
    pub root_mount: RootMount,
    pub dev: Dev,
}

impl MountProbe {
    fn read(root: &Root, privilege: Privilege, ids: &Ids) -> Self {
        let is_machine = privilege == Privilege::Machine;
        let is_pid_1 = nix::unistd::getpid().as_raw() == 1;
        let umask = sys::current_umask();
        let root_mount = RootMount::read(root, privilege, umask);
        let (proc_dir, proc_mounts) = root.dir_state_and_mounts("proc");
        let (sys_dir, sys_mounts) = root.dir_state_and_mounts("sys");
        let can_unmount = || is_machine || (privilege == Privilege::Namespace && root.can_unmount_below());
        Self {
            privilege,
            caller: sys::effective_ids(),
            escaping_fds: descriptors::escaping_fds(),
            is_pid_1,
            // only a user namespace is refused: user_namespaces(7)
            proc_is_covered: !is_machine && !is_pid_1 && mountinfo::cover_of_proc().is_some(),
            owns_pid: privilege.owns(Kind::Pid),
            owns_net: privilege.owns(Kind::Net),
            owns_cgroup: !Kind::Cgroup.is_initial() && privilege.owns(Kind::Cgroup),
            has_mount_setattr: root_mount.has_open_tree && sys::has_mount_setattr(),
            masks: if is_machine { mask::all() } else { Vec::new() },
            proc_dir,
            sys_dir,
            dev_dir: root.dir_state("dev"),
            existing: ExistingMounts {
                proc_mounts,
                sys_mounts,
                can_unmount: proc_mounts + sys_mounts > 0 && can_unmount(),
            },
            root_mount,
            dev: Dev::read(privilege, ids, umask),
        }
    }
}

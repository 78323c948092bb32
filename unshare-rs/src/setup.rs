//! The setup: options and caller combined, with every default filled in.

use std::ffi::OsString;
use std::path::Path;

use chain::{Failure, ProcessOne};
use nix::sched::CloneFlags;
use system::namespace::CLONE_NEWTIME;

use crate::caller::{Caller, Privilege};
use crate::cli::{Options, Userns};
use crate::clock::Offset;
use crate::filesystem::Filesystem;
use crate::ids::IdSetup;
use crate::namespaces::Namespaces;
use crate::persist::PersistedNamespace;
use crate::process::Process;

const NO_PROPAGATION: &str = "--propagation changes nothing without a new mount namespace";

/// Everything that the plan depends on. It contains no contradictions.
#[derive(Debug)]
pub struct Setup {
    /// The PID of this process in /proc.
    pub pid: u32,
    /// The namespaces to enter.
    pub namespaces: Namespaces,
    /// The namespaces that files keep.
    pub persisted: Vec<PersistedNamespace>,
    /// Whether to enter a user namespace with ids that no account has, before the others.
    pub free_ids: bool,
    /// Users, groups and capabilities.
    pub ids: IdSetup,
    /// The hostname to set.
    pub hostname: Option<Hostname>,
    /// Whether to bring lo up.
    pub loopback: bool,
    /// Clocks to move.
    pub clocks: Vec<(&'static str, Offset)>,
    /// The processes between this one and the command.
    pub process: Process,
    /// The steps that are left to the next tool of the chain.
    pub left_to_next: LeftToNext,
    /// Mounts and directories.
    pub filesystem: Filesystem,
    /// The variables to keep, unless all of them are kept.
    pub environment: Option<Vec<OsString>>,
    /// Defaults that are not possible, and options without an effect: one line each.
    pub notes: Vec<String>,
}

/// A hostname to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname {
    /// The name.
    pub name: OsString,
    /// Whether it is a default, and the command can do with the old hostname.
    pub is_default: bool,
}

impl Hostname {
    /// From --hostname, or the default of a container.
    fn resolve(options: &Options, has_uts: bool, is_container: bool) -> Result<Option<Self>, Failure> {
        match options.hostname.clone() {
            Some(name) if has_uts => Ok(Some(Self { name, is_default: false })),
            Some(_) => {
                let message = "--hostname would rename this machine, because the UTS namespace is shared";
                Err(Failure::new(message).hint("leave uts out of --share"))
            }
            None if has_uts && is_container => Ok(Some(Self { name: "container".into(), is_default: true })),
            None => Ok(None),
        }
    }
}

/// The steps that the next tool of the chain does instead of this one, because it knows the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftToNext {
    /// It creates the PID namespace, with this process 1, and mounts its proc.
    pub process_1: Option<ProcessOne>,
    /// It creates the mount namespace, too. Not in a user namespace of ours: the next tool reads the system
    /// first, and for that it needs a mount namespace in which it can mount.
    pub mount: bool,
    /// It creates the user namespace with ids that no account has.
    pub free_ids: bool,
    /// It writes the command's PID to the file of `--pid-file`.
    pub pid_file: bool,
}

impl Setup {
    /// Resolves the options, or the defaults of a container if they name no namespaces.
    ///
    /// # Errors
    /// Options that contradict each other, or that this caller has no right to.
    pub fn resolve(options: &Options, caller: &Caller) -> Result<Self, Failure> {
        let files = &options.namespaces.files;
        let persisted: Vec<_> =
            files.iter().map(PersistedNamespace::from_option).collect::<Result<_, _>>()?;
        if let (Some((option, _)), Privilege::None) = (files.first(), caller.privilege) {
            let message = format!(
                "only root can keep the {} namespace in a file, which is mounted outside",
                option.kind.name
            );
            return Err(
                Failure::new(message).hint(format!("run it as root, or without the file: --{}", option.long))
            );
        }
        let named = named_namespaces(options)?;
        let is_container = named.is_empty();
        let mut namespaces = if is_container { container_namespaces(options, caller)? } else { named };
        let all = namespaces;
        let has = |flag| all.has(flag);
        let hostname = Hostname::resolve(options, has(CloneFlags::CLONE_NEWUTS), is_container)?;
        let has_free_ids = options.ids.userns == Some(Userns::Auto);
        if has_free_ids {
            check_free_ids(options, caller)?;
            namespaces = namespaces.without(Namespaces::NONE.with(CloneFlags::CLONE_NEWUSER));
        }
        let ids = if has_free_ids {
            IdSetup::default()
        } else if is_container && has(CloneFlags::CLONE_NEWUSER) {
            IdSetup::container(&options.ids, caller)
        } else {
            IdSetup::from_options(&options.ids, caller)?
        };
        let has_no_effect = options.filesystem.propagation.is_some() && !has(CloneFlags::CLONE_NEWNS);
        let note = has_no_effect.then(|| NO_PROPAGATION.to_string());
        let process = Process::from_options(&options.process, namespaces, is_container)?;
        let filesystem = Filesystem::from_options(options, namespaces, is_container);
        let setup = Self {
            pid: caller.pid,
            namespaces,
            persisted,
            notes: ids.notes.iter().cloned().chain(note).collect(),
            free_ids: has_free_ids,
            ids,
            hostname,
            loopback: has(CloneFlags::CLONE_NEWNET) && !options.no_loopback,
            clocks: moved_clocks(options),
            process,
            left_to_next: LeftToNext::default(),
            filesystem,
            environment: options.environment.kept(),
        };
        let leaves = caller.next_takes && setup.filesystem.root.is_none();
        Ok(if leaves { setup.leave_to_next(options, caller, all, is_container) } else { setup })
    }

    /// Leaves to the next tool the steps that it can do as well, of a setup with the namespaces `all`.
    fn leave_to_next(
        mut self,
        options: &Options,
        caller: &Caller,
        all: Namespaces,
        is_container: bool,
    ) -> Self {
        let enters_user = all.has(CloneFlags::CLONE_NEWUSER);
        // capabilities alone are lost at execve(2)
        let has_rights = (enters_user || caller.ids.0 == 0) && self.ids.uid.is_none_or(|uid| uid == 0);
        let has_usual_proc = self.filesystem.proc.as_ref().is_some_and(|proc| proc.dir == Path::new("/proc"));
        let leaves_process_1 =
            has_rights && has_usual_proc && is_container && !options.process.describe_parent();
        let process_1 = self.process.process_1.filter(|_| leaves_process_1);
        let has_mounts = options.filesystem.propagation.is_some() || self.filesystem.binfmt.is_some();
        let mount = process_1.is_some() && !enters_user && !has_mounts;
        let free_ids = self.free_ids && caller.privilege == Privilege::Admin;
        self.left_to_next = LeftToNext { process_1, mount, free_ids, pid_file: true };
        self.free_ids &= !free_ids;
        if mount {
            self.namespaces = self.namespaces.without(Namespaces::NONE.with(CloneFlags::CLONE_NEWNS));
            self.filesystem.propagation = None;
        }
        if process_1.is_some() {
            self.namespaces = self.namespaces.without(Namespaces::NONE.with(CloneFlags::CLONE_NEWPID));
            self.process.process_1 = None;
            self.process.has_parent = false;
            self.filesystem.proc = None;
        }
        self
    }
}

/// The namespaces that options name or imply.
fn named_namespaces(options: &Options) -> Result<Namespaces, Failure> {
    let mounts_binfmt = options.binfmt.dir().is_some();
    let implied = [
        (CloneFlags::CLONE_NEWNS, options.filesystem.mount_proc.is_some() || mounts_binfmt),
        (CloneFlags::CLONE_NEWUSER, options.ids.imply_user() || mounts_binfmt),
        // with --share it is added to the container namespaces
        (CLONE_NEWTIME, !moved_clocks(options).is_empty() && options.share.is_none()),
    ];
    let implied = implied.into_iter().filter(|(_, is_implied)| *is_implied);
    let named = implied.fold(options.namespaces.selected, |named, (flag, _)| named.with(flag));
    match (named.is_empty(), options.share) {
        (false, Some(_)) => Err(Failure::new("--share cannot be combined with options that name namespaces")
            .hint("leave out --share: only the namespaces that are named are new")),
        // alone, --hostname sets the hostname of a container
        (false, None) if options.hostname.is_some() => Ok(named.with(CloneFlags::CLONE_NEWUTS)),
        _ => Ok(named),
    }
}

/// Rejects options that cannot be combined with `--userns auto`.
fn check_free_ids(options: &Options, caller: &Caller) -> Result<(), Failure> {
    let kept = options.namespaces.files.iter().any(|(it, _)| it.kind.flag == CloneFlags::CLONE_NEWUSER);
    let shared = options.share.is_some_and(|shared| shared.has(CloneFlags::CLONE_NEWUSER));
    if caller.privilege == Privilege::None && !caller.may_map {
        Err(Failure::new("--userns auto needs root, because only root can map its ids")
            .hint("leave it out: by default, unshare-rs maps your own ids and those in /etc/subuid"))
    } else if options.ids.map_ids() || kept || shared {
        Err(Failure::new("--userns auto cannot be combined with other options that choose ids")
            .hint("leave out the other options about users and groups"))
    } else {
        Ok(())
    }
}

fn moved_clocks(options: &Options) -> Vec<(&'static str, Offset)> {
    let clocks = [("monotonic", options.monotonic), ("boottime", options.boottime)];
    clocks.into_iter().filter_map(|(clock, offset)| Some((clock, offset?))).collect()
}

/// The namespaces of a container, without those in `--share`.
fn container_namespaces(options: &Options, caller: &Caller) -> Result<Namespaces, Failure> {
    let shared = options.share.unwrap_or(Namespaces::NONE);
    let time = if moved_clocks(options).is_empty() { CloneFlags::empty() } else { CLONE_NEWTIME };
    if caller.privilege == Privilege::Admin {
        return Ok(Namespaces::CONTAINER.with(time).without(shared));
    }
    if shared.has(CloneFlags::CLONE_NEWUSER) {
        return Err(Failure::new("an ordinary user needs a new user namespace to enter any other namespace")
            .hint("leave user out of --share"));
    }
    Ok(Namespaces::CONTAINER.with(time | CloneFlags::CLONE_NEWUSER).without(shared))
}

//! What unshare-rs will set up: options and caller combined, with every default filled in.

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

/// All that the plan depends on. Nothing in it contradicts anything else.
#[derive(Debug)]
pub struct Setup {
    /// The number of this process in /proc.
    pub pid: u32,
    /// The namespaces to enter.
    pub namespaces: Namespaces,
    /// Those of them that a file keeps.
    pub persisted: Vec<PersistedNamespace>,
    /// Whether to enter a user namespace with ids that no account has first.
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
    /// What is left to the next tool of the chain.
    pub left_to_next: LeftToNext,
    /// Mounts and directories.
    pub filesystem: Filesystem,
    /// The variables to keep, unless all of them are kept.
    pub environment: Option<Vec<OsString>>,
    /// What a default would do and cannot, and options without an effect: a line each.
    pub notes: Vec<String>,
}

/// A hostname to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname {
    /// The name.
    pub name: OsString,
    /// Whether no option asks for it, and the command can do with the one there is.
    pub is_default: bool,
}

/// What the next tool of the chain does instead of this one, because it knows the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftToNext {
    /// It makes the PID namespace, with this process 1, and mounts its proc.
    pub process_1: Option<ProcessOne>,
    /// It makes the mount namespace, too. In a user namespace of ours it does not: there its reading of the
    /// system would need one that it may mount in.
    pub mount: bool,
    /// It creates the user namespace with ids that no account has.
    pub free_ids: bool,
    /// It writes the number of the command into the file of `--pid-file`.
    pub pid_file: bool,
}

impl Setup {
    /// Decides what the options ask for, or what a container has where they name no namespace.
    ///
    /// # Errors
    /// Options that contradict each other, or that this caller cannot have.
    pub fn resolve(options: &Options, caller: &Caller) -> Result<Self, Failure> {
        let files = &options.namespaces.files;
        let persisted = files.iter().map(PersistedNamespace::from_option).collect::<Result<_, _>>()?;
        let named = named_namespaces(options)?;
        let is_container = named.is_empty();
        let mut namespaces = if is_container { container_namespaces(options, caller)? } else { named };
        let all = namespaces;
        let has = |flag| all.has(flag);
        if options.hostname.is_some() && !has(CloneFlags::CLONE_NEWUTS) {
            return Err(Failure::new(
                "--hostname would rename this machine, because the UTS namespace is shared",
            )
            .hint("leave uts out of --share"));
        }
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
        let chosen_hostname = options.hostname.clone().map(|name| Hostname { name, is_default: false });
        let default_hostname = (is_container && has(CloneFlags::CLONE_NEWUTS))
            .then(|| Hostname { name: "container".into(), is_default: true });
        let unused = options.filesystem.propagation.is_some() && !has(CloneFlags::CLONE_NEWNS);
        let unused =
            unused.then(|| "--propagation changes nothing without a new mount namespace".to_string());
        let mut process = Process::from_options(&options.process, namespaces, is_container)?;
        let mut filesystem = Filesystem::from_options(options, namespaces, is_container);
        let next_takes = caller.next_takes && filesystem.root.is_none();
        // capabilities alone do not outlive execve(2)
        let next_has_rights =
            (has(CloneFlags::CLONE_NEWUSER) || caller.ids.0 == 0) && ids.uid.is_none_or(|uid| uid == 0);
        let has_usual_proc = filesystem.proc.as_ref().is_some_and(|proc| proc.dir == Path::new("/proc"));
        let next_takes_process_1 = next_takes
            && next_has_rights
            && has_usual_proc
            && is_container
            && !options.process.describe_parent();
        let has_mounts = options.filesystem.propagation.is_some() || filesystem.binfmt.is_some();
        let process_1 = process.process_1.filter(|_| next_takes_process_1);
        let left_to_next = LeftToNext {
            process_1,
            mount: process_1.is_some() && !has(CloneFlags::CLONE_NEWUSER) && !has_mounts,
            free_ids: has_free_ids && next_takes && caller.privilege == Privilege::Admin,
            pid_file: next_takes,
        };
        if left_to_next.mount {
            namespaces = namespaces.without(Namespaces::NONE.with(CloneFlags::CLONE_NEWNS));
            filesystem.propagation = None;
        }
        if left_to_next.process_1.is_some() {
            namespaces = namespaces.without(Namespaces::NONE.with(CloneFlags::CLONE_NEWPID));
            (process.process_1, process.has_parent, filesystem.proc) = (None, false, None);
        }
        let clocks = [("monotonic", options.monotonic), ("boottime", options.boottime)];
        Ok(Self {
            pid: caller.pid,
            namespaces,
            persisted,
            notes: ids.notes.iter().cloned().chain(unused).collect(),
            free_ids: has_free_ids && !left_to_next.free_ids,
            ids,
            hostname: chosen_hostname.or(default_hostname),
            loopback: has(CloneFlags::CLONE_NEWNET) && !options.no_loopback,
            clocks: clocks.into_iter().filter_map(|(clock, offset)| Some((clock, offset?))).collect(),
            process,
            left_to_next,
            filesystem,
            environment: options.environment.kept(),
        })
    }
}

/// The namespaces that options name or imply.
fn named_namespaces(options: &Options) -> Result<Namespaces, Failure> {
    let mounts_binfmt = options.binfmt.dir().is_some();
    let implied = [
        (CloneFlags::CLONE_NEWNS, options.filesystem.mount_proc.is_some() || mounts_binfmt),
        (CloneFlags::CLONE_NEWUSER, options.ids.imply_user() || mounts_binfmt),
        // with --share it is one more of the container set
        (CLONE_NEWTIME, moves_a_clock(options) && options.share.is_none()),
    ];
    let implied = implied.into_iter().filter(|(_, is_implied)| *is_implied);
    let named = implied.fold(options.namespaces.selected, |named, (flag, _)| named.with(flag));
    match (named.is_empty(), options.share) {
        (false, Some(_)) => Err(Failure::new(
            "--share changes the container namespaces, which are not created when namespaces are named",
        )
        .hint("leave out either --share or the options that name namespaces")),
        // alone, --hostname is the hostname of a container
        (false, None) if options.hostname.is_some() => Ok(named.with(CloneFlags::CLONE_NEWUTS)),
        _ => Ok(named),
    }
}

/// Refuses what `--userns auto` cannot go with.
fn check_free_ids(options: &Options, caller: &Caller) -> Result<(), Failure> {
    let kept = options.namespaces.files.iter().any(|(it, _)| it.kind.flag == CloneFlags::CLONE_NEWUSER);
    let shared = options.share.is_some_and(|shared| shared.has(CloneFlags::CLONE_NEWUSER));
    if caller.privilege == Privilege::None && !caller.may_map {
        Err(Failure::new("--userns auto takes ids that only root may map")
            .hint("leave it out: without it, your own ids and those of /etc/subuid are mapped"))
    } else if options.ids.map_ids() || kept || shared {
        Err(Failure::new("--userns auto chooses the ids, and no other option can")
            .hint("leave out the other options about users and groups"))
    } else {
        Ok(())
    }
}

fn moves_a_clock(options: &Options) -> bool {
    options.monotonic.is_some() || options.boottime.is_some()
}

/// The namespaces of a container, without those of `--share`.
fn container_namespaces(options: &Options, caller: &Caller) -> Result<Namespaces, Failure> {
    let shared = options.share.unwrap_or(Namespaces::NONE);
    let time = if moves_a_clock(options) { CLONE_NEWTIME } else { CloneFlags::empty() };
    if caller.privilege == Privilege::Admin {
        return Ok(Namespaces::CONTAINER.with(time).without(shared));
    }
    if shared.has(CloneFlags::CLONE_NEWUSER) {
        return Err(Failure::new("an ordinary user needs a new user namespace to enter any other namespace")
            .hint("leave user out of --share"));
    }
    Ok(Namespaces::CONTAINER.with(time | CloneFlags::CLONE_NEWUSER).without(shared))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the command will find inside: the options, thought through.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::flags::CLONE_NEWTIME;
use chain::{Plan, call};
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use crate::caller::{Caller, Privilege};
use crate::cli::Options;
use crate::clock::Offset;
use crate::filesystem::Filesystem;
use crate::ids::{IdSetup, Wrong};
use crate::namespaces::{Kind, Namespaces};
use crate::process::Process;

/// A setup in which nothing contradicts anything else.
#[derive(Debug)]
pub struct Setup {
    /// The namespaces to enter.
    pub namespaces: Namespaces,
    /// Files that keep some of them.
    pub kept: Vec<(&'static Kind, PathBuf)>,
    /// The ids of a new user namespace; without a map every id is 65534.
    pub ids: IdSetup,
    /// The hostname to set.
    pub hostname: Option<OsString>,
    /// Whether to bring lo up.
    pub loopback: bool,
    /// Clocks to move.
    pub clocks: Vec<(&'static str, Offset)>,
    /// The child.
    pub process: Process,
    /// What it sees.
    pub filesystem: Filesystem,
    /// What had to be left out.
    pub notes: Vec<String>,
}

impl Setup {
    /// # Errors
    /// What contradicts what, and what to write instead.
    pub fn from_options(options: &Options, caller: &Caller) -> Result<Self, Wrong> {
        options.kept.0.iter().try_for_each(|(kind, file)| reject_docker_syntax(kind, file))?;
        let named = requested_namespaces(options);
        let setup = if named.is_empty() {
            Self::container(options, caller)
        } else if options.share.is_some() {
            Err((
                "--share takes namespaces out of the container set, and here they are named one by one"
                    .to_string(),
                "name the ones to enter, or leave them all to the container set".to_string(),
            ))
        } else {
            Self::named(options, named, caller)
        }?;
        if options.hostname.is_some() && !setup.namespaces.has(CloneFlags::CLONE_NEWUTS) {
            return Err((
                "--hostname would rename this machine: the UTS namespace is shared".to_string(),
                "leave uts out of --share".to_string(),
            ));
        }
        Ok(setup)
    }

    fn container(options: &Options, caller: &Caller) -> Result<Self, Wrong> {
        let mut namespaces = Namespaces::container();
        if caller.privilege == Privilege::None {
            namespaces = namespaces.with(CloneFlags::CLONE_NEWUSER);
        }
        if let Some(shared) = options.share {
            if caller.privilege == Privilege::None && shared.has(CloneFlags::CLONE_NEWUSER) {
                return Err((
                    "without a user namespace of its own an ordinary user gets no other namespace"
                        .to_string(),
                    "leave user out of --share".to_string(),
                ));
            }
            namespaces = namespaces.without(shared);
        }
        let new = |kind| namespaces.has(kind);
        let (ids, note) =
            if new(CloneFlags::CLONE_NEWUSER) { IdSetup::container(caller) } else { Default::default() };
        let mut setup = Self::with(options, namespaces, ids.with_options(&options.ids))?;
        setup.notes.splice(..0, note);
        if new(CloneFlags::CLONE_NEWUTS) && setup.hostname.is_none() {
            setup.hostname = Some("container".into());
        }
        // a proc of the new PID namespace, where it cannot be seen outside
        if new(CloneFlags::CLONE_NEWPID) && new(CloneFlags::CLONE_NEWNS) && !options.filesystem.no_mount_proc
        {
            setup.filesystem.proc = Some("/proc".into());
        }
        Ok(setup)
    }

    fn named(options: &Options, mut namespaces: Namespaces, caller: &Caller) -> Result<Self, Wrong> {
        if options.hostname.is_some() {
            namespaces = namespaces.with(CloneFlags::CLONE_NEWUTS);
        }
        Self::with(options, namespaces, IdSetup::from_options(&options.ids, caller)?)
    }

    fn with(options: &Options, namespaces: Namespaces, ids: IdSetup) -> Result<Self, Wrong> {
        let new_mounts = namespaces.has(CloneFlags::CLONE_NEWNS);
        let idle = options.filesystem.propagation.is_some() && !new_mounts;
        let idle = idle.then(|| "--propagation changes nothing without a new mount namespace".to_string());
        let clocks = [("monotonic", options.monotonic), ("boottime", options.boottime)];
        Ok(Self {
            namespaces,
            kept: options.kept.0.clone(),
            notes: ids.note().into_iter().chain(idle).collect(),
            ids,
            hostname: options.hostname.clone(),
            loopback: namespaces.has(CloneFlags::CLONE_NEWNET) && !options.no_loopback,
            clocks: clocks.into_iter().filter_map(|(clock, offset)| Some((clock, offset?))).collect(),
            process: Process::from_options(&options.process, namespaces)?,
            filesystem: Filesystem::from_options(&options.filesystem, new_mounts),
        })
    }

    /// Adds the steps that keep namespaces in files. The helper makes them outside, because a mount made
    /// inside would go with the mount namespace, and takes them back when the command cannot be reached.
    pub fn plan_kept(&self, plan: &mut Plan, pid: u32, which: impl Fn(&Kind) -> bool) {
        for (kind, file) in self.kept.iter().filter(|(kind, _)| which(kind)) {
            if !file.exists() {
                let reason = format!("make a file for the {} namespace", kind.name);
                plan.step(reason, call::Mknod::file(file, 0o600));
                plan.undo_if_failed("remove its file", call::Unlink(file.clone()));
                plan.in_helper();
            }
            // who makes a PID or time namespace does not enter it: namespaces(7)
            let children = if Namespaces::NONE.with(kind.flag).need_child() { "_for_children" } else { "" };
            let source = format!("/proc/{pid}/ns/{}{children}", kind.file);
            let reason = format!("keep the {} namespace in a file", kind.name);
            plan.step(reason, call::Mount::bind(source, file, MsFlags::empty()));
            let undo = call::Unmount { target: file.clone(), flags: MntFlags::MNT_DETACH };
            plan.undo_if_failed(format!("let go of the {} namespace", kind.name), undo);
            plan.in_helper();
        }
    }
}

/// docker's `--net=host` and `--net=none` would keep a namespace in a file of that name.
fn reject_docker_syntax(kind: &Kind, file: &Path) -> Result<(), Wrong> {
    let (name, long) = (kind.name, kind.long);
    let meant = match file.to_str() {
        Some("host") => format!("to leave that of the machine: --share {long}"),
        Some("none") => format!("to enter it and no more: --{long}"),
        _ => return Ok(()),
    };
    let file = file.display();
    Err((
        format!("--{long}={file} keeps a new {name} namespace in a file named {file}"),
        format!("{meant}; if the file is meant: --{long}=./{file}"),
    ))
}

/// The namespaces that options name, by themselves or by what they imply.
fn requested_namespaces(options: &Options) -> Namespaces {
    let mut named = options.namespaces;
    let place = &options.filesystem;
    let binfmt = place.binfmt.dir().is_some();
    if place.mount_proc.is_some() || binfmt {
        named = named.with(CloneFlags::CLONE_NEWNS);
    }
    if options.ids.imply_user() || binfmt {
        named = named.with(CloneFlags::CLONE_NEWUSER);
    }
    if options.monotonic.is_some() || options.boottime.is_some() {
        named = named.with(CLONE_NEWTIME);
    }
    named
}

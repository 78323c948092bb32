// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the command will find inside: namespaces, ids, hostname, lo, /proc.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::{Call, Plan};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::caller::{Caller, Privilege};
use crate::cli::Options;
use crate::ids::{Ids, Wrong};
use crate::namespaces::Namespaces;

/// The options, thought through: nothing here contradicts anything else.
#[derive(Debug, PartialEq, Eq)]
pub struct World {
    /// The namespaces to enter.
    pub namespaces: Namespaces,
    /// The ids of a new user namespace; without a map every id is 65534.
    pub ids: Ids,
    /// What had to be left out.
    pub notes: Vec<String>,
    /// The hostname to set.
    pub hostname: Option<OsString>,
    /// Whether to bring lo up.
    pub loopback: bool,
    /// Whether the command is a child.
    pub child: bool,
    /// Where to mount a new proc.
    pub proc: Option<PathBuf>,
}

impl World {
    /// # Errors
    /// What contradicts what, and what to write instead.
    pub fn from_options(options: &Options, caller: &Caller) -> Result<Self, Wrong> {
        let named = asked_for(options);
        let world = if named.is_empty() {
            Self::container(options, caller)?
        } else {
            Self::named(options, named, caller)?
        };
        match (&options.hostname, &options.mount_proc) {
            (Some(_), _) if !world.namespaces.has(CloneFlags::CLONE_NEWUTS) => Err((
                "--hostname would rename this machine: the UTS namespace is shared".to_string(),
                "leave uts out of --share".to_string(),
            )),
            _ => Ok(world),
        }
    }

    fn container(options: &Options, caller: &Caller) -> Result<Self, Wrong> {
        let mut namespaces = Namespaces::container();
        if caller.privilege == Privilege::None {
            namespaces = namespaces.with(CloneFlags::CLONE_NEWUSER);
        }
        if let Some(shared) = options.share {
            namespaces = namespaces.without(shared);
        }
        let new = |kind| namespaces.has(kind);
        let (ids, note) =
            if new(CloneFlags::CLONE_NEWUSER) { Ids::container(caller) } else { Default::default() };
        let ids = ids.with_options(&options.ids);
        let default_hostname = new(CloneFlags::CLONE_NEWUTS).then(|| OsString::from("container"));
        Ok(Self {
            notes: note.into_iter().chain(ids.note()).collect(),
            namespaces,
            ids,
            hostname: options.hostname.clone().or(default_hostname),
            loopback: new(CloneFlags::CLONE_NEWNET) && !options.no_loopback,
            child: options.fork || namespaces.need_child(),
            // a proc of the new PID namespace, where it cannot be seen outside
            proc: (new(CloneFlags::CLONE_NEWPID) && new(CloneFlags::CLONE_NEWNS)).then(|| "/proc".into()),
        })
    }

    fn named(options: &Options, mut namespaces: Namespaces, caller: &Caller) -> Result<Self, Wrong> {
        if options.share.is_some() {
            return Err((
                "--share takes namespaces out of the container set, and here they are named one by one"
                    .to_string(),
                "name the ones to enter, or leave them all to the container set".to_string(),
            ));
        }
        if options.hostname.is_some() {
            namespaces = namespaces.with(CloneFlags::CLONE_NEWUTS);
        }
        let ids = Ids::from_options(&options.ids, caller)?;
        Ok(Self {
            notes: ids.note().into_iter().collect(),
            namespaces,
            ids,
            hostname: options.hostname.clone(),
            loopback: namespaces.has(CloneFlags::CLONE_NEWNET) && !options.no_loopback,
            child: options.fork || namespaces.need_child(),
            proc: options.mount_proc.clone(),
        })
    }
}

/// The namespaces that options name, by themselves or by what they imply.
fn asked_for(options: &Options) -> Namespaces {
    let mut named = options.namespaces;
    if options.mount_proc.is_some() {
        named = named.with(CloneFlags::CLONE_NEWNS);
    }
    if options.ids.imply_user() {
        named = named.with(CloneFlags::CLONE_NEWUSER);
    }
    named
}

/// A new mount namespace starts as a copy whose shared mounts still lead outside: mount_namespaces(7).
pub fn keep_mounts_inside(plan: &mut Plan) {
    plan.will("keep mounts from spreading outside", Call::propagate("/", MsFlags::MS_PRIVATE));
}

/// A proc shows the PID namespace of whoever mounts it: proc(5).
pub fn mount_proc(plan: &mut Plan, at: &Path) {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let call = Call::Mount {
        source: Some("proc".into()),
        target: at.into(),
        fstype: Some("proc"),
        flags,
        data: None,
    };
    plan.will("mount a proc that shows the processes inside", call);
}

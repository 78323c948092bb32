//! What the command may do: its capabilities, its system calls, its session keyring.
//!
//! The bounding set goes before all: process 1 and the command inherit it, and what is permitted now stays.
//! Of the others the order is the only one that works. The keyring first, because the filter refuses
//! keyctl(2). The filter while CAP_SYS_ADMIN is there, and after the last mount, which it would refuse.
//! Capabilities last, after the change of the user, which takes some.

mod caller;
mod calls;
mod mounts;
mod options;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use chain::reporter::quoted;
use chain::{Failure, Plan};
use libc::c_long;

use crate::capabilities::{CAP_SETPCAP, Capabilities};
use crate::credentials::Credentials;
use crate::seccomp::Filter;
use crate::seccomp::profile::{self, Facts};

pub use caller::CallerRights;
pub use mounts::MountLimits;
pub use options::{RightsOptions, SeccompChoice};

/// The most that is read of a profile; docker's has 20 kB.
const MAX_PROFILE_BYTES: u64 = 4 << 20;

/// What process 1 has yet to do under its filter: it gives up its capabilities, closes what it has open,
/// answers or reports a failure, and waits.
const REAPER_CALLS: &[c_long] = &[
    libc::SYS_capset,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_sendto,
    libc::SYS_madvise,
    libc::SYS_exit_group,
    libc::SYS_brk,
    libc::SYS_fcntl,
    libc::SYS_rt_sigprocmask,
    libc::SYS_write,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pause,
    // pause(3) of architectures without pause(2)
    libc::SYS_ppoll,
];

/// A filter, and the end of the sentence "the tool will now".
#[derive(Clone, Debug)]
struct ReasonedFilter {
    reason: &'static str,
    filter: Filter,
    requested: bool,
}

/// What is given up, and what is kept.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// Whether the caller's session keyring is left.
    leaves_keyring: bool,
    no_new_privs: bool,
    bounding: Option<BoundingSet>,
    filters: Vec<ReasonedFilter>,
    sets: Option<Sets>,
}

/// What leaves the bounding set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BoundingSet {
    dropped: Capabilities,
    kept: Capabilities,
    known: u32,
    requested: bool,
}

/// What the command is permitted in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sets {
    permitted: Capabilities,
    /// What a user who is not root keeps, ambient and inheritable.
    ambient: Capabilities,
    /// Whether the change of the user would take them.
    user_changes: bool,
}

impl Rights {
    /// # Errors
    /// An option that cannot be done: a capability that the caller has not got, a profile that is none.
    pub fn resolve(
        options: &RightsOptions,
        caller: &CallerRights,
        credentials: &Credentials,
        notes: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let no_new_privs = options.no_new_privs;
        if options.privileged {
            let sets = Sets::of_privileged(options, caller, credentials)?;
            return Ok(Self { no_new_privs, sets, ..Self::default() });
        }
        let kept = kept(options, caller)?;
        Ok(Self {
            leaves_keyring: true,
            no_new_privs,
            bounding: BoundingSet::resolve(options, caller, kept, notes)?,
            filters: filters(options.seccomp.as_ref(), caller, kept)?,
            sets: Sets::resolve(options, caller, credentials, kept),
        })
    }

    /// What no program that is started later gets back; process 1 and the command are forked after it. A new
    /// user namespace has to be entered by then, because it fills the set.
    pub fn plan_bounding_set(&self, plan: &mut Plan) {
        let Some(BoundingSet { dropped, kept, known, requested }) = &self.bounding else { return };
        let which = if kept.count() == 0 { String::new() } else { format!(": {kept}") };
        let reason = format!("keep {} of {known} capabilities{which}", kept.count());
        plan.step(reason, calls::DropFromBoundingSet(*dropped));
        if !requested {
            plan.optional();
        }
    }

    /// What process 1 gives up, which is in sight of the command and does nothing but wait: so it has no
    /// capability, and can make only the calls that it waits with.
    pub fn plan_reaper(&self, plan: &mut Plan) {
        let requested = self.filters.iter().any(|filter| filter.requested);
        let limit = (!self.filters.is_empty()).then(|| Filter::only(REAPER_CALLS));
        let limit =
            limit.map(|filter| ReasonedFilter { reason: "let it do nothing but wait", filter, requested });
        self.plan_filters(plan, limit.iter());
        if self.sets.is_some() || self.bounding.is_some() {
            plan.step("have no capability in it", calls::SetCapabilities::default());
        }
    }

    /// What comes after the last mount and before the user changes.
    pub fn plan_limits(&self, plan: &mut Plan) {
        if self.leaves_keyring {
            plan.step("leave the caller's session keyring", calls::JoinSessionKeyring);
            plan.optional();
        }
        self.plan_filters(plan, self.filters.iter());
    }

    fn plan_filters<'a>(&self, plan: &mut Plan, filters: impl Iterator<Item = &'a ReasonedFilter>) {
        if self.no_new_privs {
            plan.step("let no program give more rights", calls::NoNewPrivs);
        }
        for ReasonedFilter { reason, filter, requested } in filters {
            plan.step(*reason, calls::InstallFilter { filter: filter.clone(), requested: *requested });
            if !requested {
                plan.optional();
            }
        }
    }

    /// What must be done before the user changes.
    pub fn plan_before_credentials(&self, plan: &mut Plan) {
        if self.sets.is_some_and(|sets| sets.user_changes && sets.permitted.count() > 0) {
            plan.step("keep capabilities when the user changes", calls::KeepPermitted);
        }
    }

    /// What is given up last.
    pub fn plan_capabilities(&self, plan: &mut Plan) {
        let Some(Sets { permitted, ambient, .. }) = self.sets else { return };
        let set = calls::SetCapabilities { permitted, inheritable: ambient };
        plan.step("have no other capabilities from here on", set);
        if ambient.count() > 0 {
            plan.step(format!("let the command keep {ambient}"), calls::RaiseAmbient(ambient));
        }
    }
}

/// The capabilities that the command keeps, of those that there are.
fn kept(options: &RightsOptions, caller: &CallerRights) -> Result<Capabilities, Failure> {
    let added = options.cap_add.iter().filter(|set| **set != Capabilities::ALL);
    for set in added {
        if set.and(caller.permitted) != *set {
            let failure = Failure::new(format!("cannot keep {set}: the caller has not got it"));
            return Err(failure.hint("grep CapPrm /proc/self/status"));
        }
    }
    let wanted = Capabilities::default_set().changed(&options.cap_add, &options.cap_drop);
    Ok(wanted.and(caller.permitted))
}

impl BoundingSet {
    fn resolve(
        options: &RightsOptions,
        caller: &CallerRights,
        kept: Capabilities,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, Failure> {
        let requested = options.changes_capabilities();
        let dropped = caller.known.without(kept);
        if dropped.count() == 0 {
            return Ok(None);
        }
        if !caller.permitted.has(CAP_SETPCAP) {
            let missing = "that takes CAP_SETPCAP, which the caller has not got";
            if requested {
                let failure = Failure::new(format!("cannot give up capabilities for good: {missing}"));
                return Err(failure.hint("grep CapPrm /proc/self/status"));
            }
            notes.push(format!("root inside keeps every capability: {missing}"));
            return Ok(None);
        }
        Ok(Some(Self { dropped, kept, known: caller.known.count(), requested }))
    }
}

impl Sets {
    /// Root gets back at execve(2) what the bounding set has. A user who is not root has nothing,
    /// unless asked for, or unless it had it already and stays the same.
    fn resolve(
        options: &RightsOptions,
        caller: &CallerRights,
        credentials: &Credentials,
        kept: Capabilities,
    ) -> Option<Self> {
        let uid = credentials.uid.unwrap_or(caller.uid);
        let user_changes = caller.uid == 0 && uid != 0;
        let none = Capabilities::default();
        if uid == 0 {
            let changes = kept != caller.permitted || caller.inheritable != none;
            return changes.then_some(Self { permitted: kept, ambient: none, user_changes });
        }
        let added = options.cap_add.iter().copied().fold(none, Capabilities::or).and(kept);
        let had = if credentials.uid.is_none() { caller.ambient.and(kept) } else { none };
        let ambient = had.or(added);
        // setresuid(2) of root takes all but the inheritable ones itself
        let is_done = user_changes && ambient == none && caller.inheritable == none;
        (!is_done).then_some(Self { permitted: ambient, ambient, user_changes })
    }

    /// As without options, but for what is added to a user who is not root.
    fn of_privileged(
        options: &RightsOptions,
        caller: &CallerRights,
        credentials: &Credentials,
    ) -> Result<Option<Self>, Failure> {
        if options.cap_add.is_empty() || credentials.uid.unwrap_or(caller.uid) == 0 {
            return Ok(None);
        }
        kept(options, caller)?;
        Ok(Self::resolve(options, caller, credentials, caller.permitted))
    }
}

fn filters(
    choice: Option<&SeccompChoice>,
    caller: &CallerRights,
    kept: Capabilities,
) -> Result<Vec<ReasonedFilter>, Failure> {
    let terminal = ReasonedFilter {
        reason: "keep the command from typing into the caller's terminal",
        filter: Filter::terminal_only(),
        requested: false,
    };
    Ok(match choice {
        None | Some(SeccompChoice::Default) => vec![ReasonedFilter {
            reason: "refuse system calls that reach the machine",
            filter: Filter::for_command(caller.filter, kept.0),
            requested: choice.is_some(),
        }],
        Some(SeccompChoice::Unconfined) => vec![terminal],
        Some(SeccompChoice::File(path)) => {
            let filter = read_profile(path, kept)?;
            vec![
                terminal,
                ReasonedFilter { reason: "refuse the system calls of the profile", filter, requested: true },
            ]
        }
    })
}

fn read_profile(path: &Path, kept: Capabilities) -> Result<Filter, Failure> {
    let cannot = |why: String| Failure::new(format!("cannot use {} as a filter: {why}", quoted(path)));
    let mut text = Vec::new();
    let file = File::open(path).and_then(|file| file.take(MAX_PROFILE_BYTES).read_to_end(&mut text));
    if let Err(why) = file {
        let errno = nix::errno::Errno::from_raw(why.raw_os_error().unwrap_or_default());
        let failure = cannot(chain::reporter::ErrnoText(errno).to_string());
        return Err(
            failure.hint("--seccomp needs 'default', 'unconfined' or a file with a profile of docker's")
        );
    }
    let facts = Facts { capabilities: kept.0, kernel: kernel_version() };
    profile::read(&text, path, facts).map_err(|why| cannot(why.wrong).hint(why.hint))
}

/// Major and minor version of the running kernel; the newest, if it cannot be read.
fn kernel_version() -> (u32, u32) {
    let newest = (u32::MAX, u32::MAX);
    let Ok(name) = nix::sys::utsname::uname() else { return newest };
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-', '+']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => newest,
    }
}

#[cfg(test)]
mod tests;

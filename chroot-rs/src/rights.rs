//! The command's rights: its capabilities, its system calls, its session keyring.
//!
//! The bounding set is reduced first: process 1 and the command inherit it, and permitted capabilities stay.
//! For the rest, only one order works. The keyring comes first, because the filter refuses keyctl(2). The
//! filter needs CAP_SYS_ADMIN, and comes after the last mount, which it would refuse. Capabilities come last,
//! after the change of user, which drops some.

mod caller;
mod calls;
mod mount_limits;
mod options;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use chain::plan::Step;
use chain::reporter::quoted;
use chain::{Failure, Plan};
use libc::c_long;

use crate::capabilities::{CAP_SETPCAP, Capabilities};
use crate::credentials::Credentials;
use crate::seccomp::Filter;
use crate::seccomp::profile::{self, Facts};

pub use caller::CallerRights;
pub use mount_limits::MountLimits;
pub use options::{RightsOptions, SeccompChoice};

/// The most that is read of a profile; docker's is 20 kB long.
const MAX_PROFILE_BYTES: u64 = 4 << 20;

/// The calls that process 1 still makes under its filter: it gives up its capabilities, closes its
/// descriptors, answers or reports a failure, and waits.
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
    // pause(3) on architectures without pause(2)
    libc::SYS_ppoll,
];

/// A filter, and the reason of its step.
#[derive(Clone, Debug)]
struct ReasonedFilter {
    reason: &'static str,
    filter: Filter,
    requested: bool,
}

/// What is given up, and what is kept.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// Whether to leave the caller's session keyring.
    leaves_keyring: bool,
    no_new_privs: bool,
    bounding: Option<BoundingSet>,
    filters: Vec<ReasonedFilter>,
    sets: Option<Sets>,
}

/// The change to the bounding set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BoundingSet {
    dropped: Capabilities,
    kept: Capabilities,
    known: u32,
    requested: bool,
}

/// The command's final capability sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sets {
    permitted: Capabilities,
    /// What a non-root user keeps, as ambient and inheritable capabilities.
    ambient: Capabilities,
    /// Whether the change of user would drop them.
    user_changes: bool,
}

impl Rights {
    /// # Errors
    /// An option that is impossible: a capability that the caller does not have, a file that is not a
    /// profile.
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
        plan.add(Step::new(reason, calls::DropFromBoundingSet(*dropped)).optional_if(!requested));
    }

    /// Drops the reaper's rights. The command can see the reaper, which only waits. So it has no
    /// capabilities, and can make only the calls that waiting needs.
    pub fn plan_reaper(&self, plan: &mut Plan) {
        let requested = self.filters.iter().any(|filter| filter.requested);
        let limit = (!self.filters.is_empty()).then(|| Filter::only(REAPER_CALLS));
        let limit = limit.map(|filter| ReasonedFilter {
            reason: "restrict the reaper to waiting",
            filter,
            requested,
        });
        self.plan_filters(plan, limit.iter());
        if self.sets.is_some() || self.bounding.is_some() {
            plan.step("drop every capability of the reaper", calls::SetCapabilities::default());
        }
    }

    /// The steps after the last mount and before the change of user.
    pub fn plan_limits(&self, plan: &mut Plan) {
        if self.leaves_keyring {
            plan.add(Step::new("leave the caller's session keyring", calls::JoinSessionKeyring).optional());
        }
        self.plan_filters(plan, self.filters.iter());
    }

    fn plan_filters<'a>(&self, plan: &mut Plan, filters: impl Iterator<Item = &'a ReasonedFilter>) {
        if self.no_new_privs {
            plan.step("keep programs from gaining rights", calls::NoNewPrivs);
        }
        for ReasonedFilter { reason, filter, requested } in filters {
            let install = calls::InstallFilter { filter: filter.clone(), requested: *requested };
            plan.add(Step::new(*reason, install).optional_if(!requested));
        }
    }

    /// The step that must come before the change of user.
    pub fn plan_before_credentials(&self, plan: &mut Plan) {
        if self.sets.is_some_and(|sets| sets.user_changes && sets.permitted.count() > 0) {
            plan.step("keep capabilities when the user changes", calls::KeepPermitted);
        }
    }

    /// The last things to give up.
    pub fn plan_capabilities(&self, plan: &mut Plan) {
        let Some(Sets { permitted, ambient, .. }) = self.sets else { return };
        let set = calls::SetCapabilities { permitted, inheritable: ambient };
        plan.step("drop all other capabilities", set);
        if ambient.count() > 0 {
            plan.step(format!("let the command keep {ambient}"), calls::RaiseAmbient(ambient));
        }
    }
}

/// The capabilities that the command keeps, of those that the caller has.
fn kept(options: &RightsOptions, caller: &CallerRights) -> Result<Capabilities, Failure> {
    let added = options.cap_add.iter().filter(|set| **set != Capabilities::ALL);
    for set in added {
        if set.and(caller.permitted) != *set {
            let failure = Failure::new(format!("cannot keep {set}: the caller does not have it"));
            return Err(failure.hint("see the caller's capabilities: grep CapPrm /proc/self/status"));
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
            let missing = "that needs CAP_SETPCAP, which the caller does not have";
            if requested {
                let failure = Failure::new(format!("cannot give up capabilities permanently: {missing}"));
                return Err(failure.hint("see the caller's capabilities: grep CapPrm /proc/self/status"));
            }
            notes.push(format!("root inside keeps every capability: {missing}"));
            return Ok(None);
        }
        Ok(Some(Self { dropped, kept, known: caller.known.count(), requested }))
    }
}

impl Sets {
    /// At execve(2), root gets back what the bounding set has. A non-root user has no capabilities, unless an
    /// option asks for them, or the same user had them before.
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
        // a setresuid(2) by root drops all but the inheritable ones itself
        let is_done = user_changes && ambient == none && caller.inheritable == none;
        (!is_done).then_some(Self { permitted: ambient, ambient, user_changes })
    }

    /// The default, plus capabilities that are added for a non-root user.
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
            reason: "refuse system calls that affect the whole machine",
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
        return Err(failure.hint("--seccomp needs 'default', 'unconfined' or a file with a docker profile"));
    }
    let facts = Facts { capabilities: kept.0, kernel: kernel_version() };
    profile::read(&text, path, facts).map_err(|why| cannot(why.wrong).hint(why.hint))
}

/// The major and minor version of the running kernel; if it cannot be read, the newest.
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

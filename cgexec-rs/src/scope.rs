//! Groups inside a scope that systemd creates and delegates.

use std::path::Path;

use chain::Failure;

use crate::group::Group;
use crate::group_name::Cleanup;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::limits::Limit;
use crate::new_scope::NewScope;
use crate::placement::Placement;
use crate::refusal;
use crate::request::GroupRequest;
use crate::stale::StaleGroups;
use crate::systemd::{Scope, Systemd};
use crate::unit::ScopePlace;
use crate::v2_parent::{ACCOUNTING, V2Parent, controllers};
use crate::version::Version;
use crate::{cgroup, unit_group};

/// Whether a scope can help a caller who cannot create a group: systemd can delegate version 2.
pub fn is_an_answer(request: &GroupRequest, found: &Hierarchies) -> bool {
    // without its controller, a limit is skipped or refused, with or without a scope
    let in_v2 =
        |limit| found.that_limits(limit).map_or(request.attempt, |there| there.version == Version::V2);
    unit_group::is_systemd()
        && request.parent.is_none()
        && request.cleanup != Cleanup::Never
        // a systemd scope is not visible in a cgroup namespace
        && !found.private
        && found.v2().is_some_and(|v2| !v2.read_only && !is_in_delegated_service(v2))
        && request.limits.iter().all(in_v2)
}

/// Whether the group belongs to a delegated system service: a new group can only be below it.
fn is_in_delegated_service(v2: &Hierarchy) -> bool {
    unit_group::system_service(&v2.mount, &v2.own).is_some_and(|unit| unit_group::is_delegated(&unit))
}

/// Finds a place in a scope that systemd can create. The plan requests it later.
///
/// # Errors
/// Systemd cannot be reached, the process would leave a limit, or a controller is not delegated.
pub fn place(request: &GroupRequest, found: &Hierarchies) -> Result<Placement, Failure> {
    let v2 = found.v2().ok_or_else(|| refusal::no_hierarchy(found))?;
    let of_v1 = |limit| found.that_limits(limit).is_none_or(|there| there.version == Version::V1);
    if let Some(limit) = request.limits.iter().find(|limit| !request.attempt && of_v1(limit)) {
        return Err(refusal::not_in_v2(limit, found));
    }
    let systemd = Systemd::find(&v2.own)?;
    let place = ScopePlace::find(v2, &systemd)?;
    let given = systemd.controllers(v2);
    let scope = new_scope(systemd, place, v2, request.cleanup);
    let (limits, skipped) = possible_limits(request, found, &scope.path, &given)?;
    let enable = controllers_to_enable(&limits, request.account, &given);
    let anchor = Group::v2(scope.path.join(request.group_name()), &limits);
    let mut stale = StaleGroups::default();
    stale.add_sibling_scopes(&scope.path);
    Ok(Placement {
        stale,
        levels: request.levels(&anchor.path, enable.clone(), found),
        anchor,
        others: Vec::new(),
        v2_parent: Some(V2Parent {
            path: scope.path.clone(),
            // a helper process moves down, and it is the only process there
            leave: !scope.has_keeper && !enable.is_empty(),
            enable,
        }),
        cleanup: request.cleanup,
        attempt: request.attempt,
        scope: Some(scope),
        skipped,
    })
}

fn new_scope(systemd: Systemd, place: ScopePlace, v2: &Hierarchy, cleanup: Cleanup) -> NewScope {
    let name = format!("{}.scope", Cleanup::ByUs.new_name());
    let path = place.slice.join(&name);
    let becomes_command = cleanup == Cleanup::ByLaterRun;
    let has_keeper = place.unit.is_some() && !becomes_command;
    // a scope ends when its last process leaves, and the command would end with it
    let would_end =
        |unit: &String| becomes_command && unit.ends_with(".scope") && cgroup::is_alone_in(&v2.own);
    let slice =
        place.slice.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".slice"));
    let scope = Scope {
        name,
        slice: slice.unwrap_or("-.slice").to_string(),
        bound_to: place.unit.filter(|unit| !would_end(unit)),
        tasks_max: place.tasks_max,
    };
    NewScope { systemd, scope, path, has_keeper }
}

/// The limits that a scope can have; the others are returned with the reason, if that is not an error.
fn possible_limits(
    request: &GroupRequest,
    found: &Hierarchies,
    scope: &Path,
    given: &[String],
) -> Result<(Vec<Limit>, Vec<String>), Failure> {
    let (mut limits, mut skipped) = (Vec::new(), Vec::new());
    for limit in &request.limits {
        let name = limit.controller(Version::V2);
        if name == "cgroup" || given.iter().any(|given| given == name) {
            limits.push(limit.clone());
            continue;
        }
        let failure = match found.that_limits(limit) {
            Some(_) => refusal::not_among(&given.join(" "), scope, &[name]),
            None => refusal::no_controller(limit, found),
        };
        if !request.attempt {
            return Err(failure);
        }
        skipped.push(format!("did not limit {limit}: {failure}"));
    }
    Ok((limits, skipped))
}

/// The controllers that the limits need. With limits, also those that another cgexec-rs inside can use.
fn controllers_to_enable(limits: &[Limit], account: bool, given: &[String]) -> Vec<String> {
    let mut enable = controllers(limits);
    let mut add = |names: &[&str]| {
        for name in names.iter().map(|name| name.to_string()).filter(|name| given.contains(name)) {
            if !enable.contains(&name) {
                enable.push(name);
            }
        }
    };
    if account {
        add(&ACCOUNTING);
    }
    if !limits.is_empty() {
        add(&["memory", "pids"]);
    }
    enable
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups inside a scope that systemd creates and delegates.

use std::path::PathBuf;

use chain::{Failure, Reporter, Verbosity};

use crate::group::Group;
use crate::group_name::Cleanup;
use crate::group_path::Parent;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::placement::Placement;
use crate::refusal;
use crate::request::GroupRequest;
use crate::stale::StaleGroups;
use crate::systemd::{Scope, Systemd};
use crate::v2_parent::{V2Parent, controllers};
use crate::version::Version;

/// Whether a scope helps where the caller may not create a group: systemd has version 2 to delegate,
/// and the caller has not.
pub fn is_an_answer(request: &GroupRequest, found: &Hierarchies) -> bool {
    let in_v2 = |limit| found.that_limits(limit).is_some_and(|there| there.version == Version::V2);
    refusal::is_systemd()
        && request.parent.is_none()
        && request.cleanup != Cleanup::Never
        // from inside a cgroup namespace a scope of its systemd is out of sight
        && !found.private
        && found.v2().is_some_and(|v2| !v2.read_only)
        && request.limits.iter().all(in_v2)
}

/// Asks systemd for a scope and finds a place in it. Without `wait` this process becomes the command:
/// systemd removes the scope.
///
/// The request is made before there is a plan, because the plan depends on the answer: which group
/// systemd's configuration chooses, and which controllers it delegates. A dry run shows the request,
/// does not make it, and shows the groups where systemd creates scopes by default.
///
/// # Errors
/// If systemd creates no scope, or the scope has no place for the group.
pub fn place(
    request: GroupRequest,
    found: &Hierarchies,
    wait: bool,
    reporter: &Reporter,
) -> Result<Placement, Failure> {
    let cleanup = if wait { request.cleanup } else { Cleanup::ByLaterRun };
    let request = GroupRequest { cleanup, ..request };
    let v2 = found.v2().ok_or_else(|| refusal::no_hierarchy(found))?;
    let of_v1 = |limit| found.that_limits(limit).is_none_or(|there| there.version == Version::V1);
    if let Some(limit) = request.limits.iter().find(|limit| !request.attempt && of_v1(limit)) {
        return Err(refusal::not_in_v2(limit, found));
    }
    let systemd = Systemd::find()?;
    let scope = Scope { name: format!("{}.scope", Cleanup::ByUs.new_name()) };
    reporter.step("ask systemd for a group of its own", &scope, "org.freedesktop.systemd1(5)");
    if reporter.verbosity() == Verbosity::DryRun {
        return Ok(expected(&request, found, v2.mount.join(systemd.slice()).join(&scope.name)));
    }
    systemd.start(&scope)?;
    place_inside(request, &scope, &Hierarchies::of_this_process(reporter))
}

/// A place in the scope that this process is in now.
fn place_inside(request: GroupRequest, scope: &Scope, found: &Hierarchies) -> Result<Placement, Failure> {
    match found.v2() {
        Some(Hierarchy { own, .. }) if own.ends_with(&scope.name) => {
            let request = GroupRequest { parent: Some(Parent::Current), ..request };
            let mut placement = Placement::choose(&request, found)?;
            placement.stale.add_sibling_scopes(own);
            Ok(Placement { by_systemd: true, ..placement })
        }
        other => {
            let own = other.map(|v2| v2.own.display().to_string());
            Err(Failure::new(format!(
                "systemd made {}, and this process is in {}",
                scope.name,
                own.as_deref().unwrap_or("a group out of sight")
            ))
            .hint("a cgroup namespace stands between both: run cgexec-rs before it is made"))
        }
    }
}

/// The place that a dry run shows.
fn expected(request: &GroupRequest, found: &Hierarchies, path: PathBuf) -> Placement {
    let enable = controllers(&request.limits);
    Placement {
        stale: StaleGroups::default(),
        anchor: Group::v2(path.join(request.group_name()), &request.limits),
        others: Vec::new(),
        v2_parent: Some(V2Parent { path, leave: !enable.is_empty(), enable }),
        cleanup: request.cleanup,
        attempt: request.attempt,
        by_systemd: true,
        proc_is_covered: found.proc_is_covered,
        skipped: Vec::new(),
    }
}

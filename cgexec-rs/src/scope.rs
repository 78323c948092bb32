// SPDX-License-Identifier: MIT OR Apache-2.0
//! A place inside of a scope that systemd handed over.

use std::fs;
use std::path::{Path, PathBuf};

use chain::{Reporter, Verbosity};

use crate::cli::Manager;
use crate::group::{Cleanup, Group, Parent, is_ours, stale};
use crate::hierarchy::{Hierarchies, Hierarchy, Version};
use crate::placement::{GroupRequest, Placement};
use crate::refusal::{self, Refusal};
use crate::run_mode::RunMode;
use crate::systemd::{Scope, Systemd};

/// Where the groups go: files where the place is ours, otherwise what systemd hands over.
///
/// # Errors
/// Why they go nowhere.
pub fn choose(
    manager: Manager,
    mut request: GroupRequest,
    mode: &mut RunMode,
    reporter: &Reporter,
) -> Result<Option<Placement>, Refusal> {
    let found = Hierarchies::of_this_process(reporter);
    mode.with_mounts(found.proc_is_covered);
    let placed = match manager {
        Manager::None => return Ok(None),
        Manager::Systemd => None,
        Manager::Cgroupfs => return Placement::choose(&request, &found).map(Some),
        Manager::Auto => Some(Placement::choose(&request, &found)),
    };
    match placed {
        Some(Err(refusal)) if !is_an_answer(&request, &found) => Err(refusal),
        Some(Ok(placement)) => Ok(Some(placement)),
        _ => {
            mode.in_scope(&mut request);
            place(request, &found, reporter).map(Some)
        }
    }
}

/// Whether a scope is worth asking for where files alone do not do: systemd has version 2 to give,
/// and not the caller.
pub fn is_an_answer(request: &GroupRequest, found: &Hierarchies) -> bool {
    let in_v2 = |limit| found.that_limits(limit).is_some_and(|there| there.version == Version::V2);
    let movable = request.parent.is_none() && request.cleanup != Cleanup::Never;
    refusal::is_systemd()
        && movable
        // from inside a cgroup namespace a scope of its systemd is out of sight
        && !found.private
        && found.v2().is_some_and(|v2| !v2.read_only)
        && request.limits.iter().all(in_v2)
}

/// Asks systemd for a scope and finds a place in it. A dry run asks for nothing, so what
/// it shows of the scope is where systemd puts one unless it is configured otherwise.
///
/// # Errors
/// Why there is no scope, or no place in it.
fn place(request: GroupRequest, found: &Hierarchies, reporter: &Reporter) -> Result<Placement, Refusal> {
    let v2 = found.v2().ok_or_else(|| refusal::no_hierarchy(found))?;
    if let Some(limit) = request.limits.iter().find(|limit| {
        !request.attempt && found.that_limits(limit).is_none_or(|there| there.version == Version::V1)
    }) {
        return Err(refusal::not_in_v2(limit, found));
    }
    let systemd = Systemd::find()?;
    let name = Cleanup::ByUs.name();
    let scope = Scope { name: format!("{name}.scope") };
    reporter.step("ask systemd for a group of its own", scope.call(), "org.freedesktop.systemd1(5)");
    if reporter.verbosity() == Verbosity::DryRun {
        return Ok(supposed(&request, v2.mount.join(systemd.slice()).join(&scope.name)));
    }
    systemd.start(&scope)?;
    let found = Hierarchies::of_this_process(reporter);
    match found.v2() {
        Some(Hierarchy { own, .. }) if own.ends_with(&scope.name) => {
            let left = left_in_scopes_beside(own);
            let mut placement =
                Placement::choose(&GroupRequest { parent: Some(Parent::own()), ..request }, &found)?;
            placement.stale.extend(left.into_iter().map(|group| vec![group]));
            Ok(placement)
        }
        other => Err(Refusal {
            wrong: format!(
                "systemd made {}, and this process is in {}",
                scope.name,
                other.map_or_else(|| "a group out of sight".to_string(), |v2| v2.own.display().to_string())
            ),
            hint: "a cgroup namespace stands between both: run cgexec-rs before it is made".to_string(),
        }),
    }
}

/// Groups that killed runs left in scopes of their own: once what is left in it has ended, systemd
/// removes the scope.
fn left_in_scopes_beside(own: &Path) -> Vec<PathBuf> {
    let beside = own.parent().and_then(|slice| fs::read_dir(slice).ok());
    let scopes = beside.into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = scopes.filter(|path| path.extension() == own.extension() && is_ours(path) && path != own);
    ours.flat_map(|scope| stale(&scope).0).collect()
}

fn supposed(request: &GroupRequest, scope: PathBuf) -> Placement {
    let name = request.name.as_ref().map_or_else(|| request.cleanup.name().into(), |name| name.0.clone());
    let mut group = Group::new(Version::V2, scope.join(name));
    for limit in &request.limits {
        // version 2 has every file
        let _ = group.limit(limit);
    }
    let needed = crate::v2_parent::controllers(&request.limits);
    Placement {
        leave: (!needed.is_empty()).then(|| scope.clone()),
        enable: (!needed.is_empty()).then_some((scope, needed)),
        v2: Some(group),
        ..Placement::default()
    }
}

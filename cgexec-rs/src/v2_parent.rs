//! The parent of a new version 2 group, below the current group if possible.
//!
//! In version 2 a group either holds processes or enables controllers for its subgroups ("no internal
//! processes"); only the real root does both. So a limit needs a parent without processes: the root, an
//! ancestor that enables the controller already or holds no process, or the current group, if this process is
//! alone in it and moves out first. The parent must not only be writable: systemd must have delegated it. A
//! group with a limit is never left, so each limit of the caller also applies to the command.
//!
//! Documentation/admin-guide/cgroup-v2.rst; systemd's docs/CGROUP_DELEGATION.md

use std::fs;
use std::path::{Path, PathBuf};

use chain::Failure;
use system::sys;

use crate::hierarchy::{Hierarchy, has_word};
use crate::limits::Limit;
use crate::request::GroupRequest;
use crate::version::Version;
use crate::{cgroup, held_limits, levels, refusal, unit_group};

/// A version 2 parent, and what must happen before limits work below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2Parent {
    pub path: PathBuf,
    /// Controllers that it must enable for its subgroups.
    pub enable: Vec<String>,
    /// Whether this process must leave it first, because it is the current group.
    pub leave: bool,
}

impl V2Parent {
    /// The controllers that a group below it has.
    pub fn controllers_below(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path.join("cgroup.subtree_control")).unwrap_or_default();
        let mut names: Vec<String> = text.split_whitespace().map(str::to_string).collect();
        names.extend(
            self.enable.iter().filter(|name| !text.split_whitespace().any(|known| known == *name)).cloned(),
        );
        names
    }
}

/// The controllers that a report needs.
pub const ACCOUNTING: [&str; 3] = ["memory", "pids", "io"];

/// The controllers that limits need, each once.
pub fn controllers(limits: &[Limit]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in limits.iter().map(|limit| limit.controller(Version::V2)).filter(|name| *name != "cgroup") {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_string());
        }
    }
    names
}

/// The parent for a group that needs these controllers. For a report it also enables the accounting
/// controllers, if the same parent can do that.
pub fn choose_parent(v2: &Hierarchy, request: &GroupRequest, needed: &[String]) -> Result<V2Parent, Failure> {
    let place = |names: &[String]| match &request.parent {
        Some(parent) => below(v2, parent.directory(v2), names, request),
        None => parent_for(v2, names, request),
    };
    let mut all = needed.to_vec();
    if request.account {
        for name in ACCOUNTING.iter().filter(|name| v2.offers(name)).map(|name| name.to_string()) {
            let with: Vec<String> = all.iter().chain([&name]).cloned().collect();
            if !needed.contains(&name) && place(&with).is_ok() {
                all = with;
            }
        }
    }
    place(&all)
}

/// The group below which the `needed` controllers can limit; the module's comment describes the order.
fn parent_for(v2: &Hierarchy, needed: &[String], request: &GroupRequest) -> Result<V2Parent, Failure> {
    let own = usable(v2, &v2.own, request);
    if needed.is_empty() {
        return own.map(|path| V2Parent { path, enable: Vec::new(), leave: false });
    }
    if is_real_root(&v2.own) {
        return with_controllers(own?, needed, false);
    }
    // beside the leaf of another run, a new group fits, and nothing has to move
    if let Ok(own) = &own
        && cgroup::is_alone_in(own)
        && !levels::is_leaf(own)
    {
        return with_controllers(own.clone(), needed, true);
    }
    let above = v2.own.ancestors().skip(1).take_while(|group| group.starts_with(&v2.mount));
    let mut left = v2.own.as_path();
    for group in above {
        let Ok(usable) = usable(v2, group, request) else { break };
        if let Some(limit) = held_limits::of(left).first() {
            return Err(refusal::would_leave(limit));
        }
        let enabled = |name: &String| has_word(&usable.join("cgroup.subtree_control"), name);
        if needed.iter().all(enabled) || is_real_root(&usable) || cgroup::holds_no_process(&usable) {
            return with_controllers(usable, needed, false);
        }
        left = group;
    }
    Err(own.err().unwrap_or_else(|| refusal::shared(&v2.own)))
}

/// The parent that the user named.
fn below(
    v2: &Hierarchy,
    parent: PathBuf,
    needed: &[String],
    request: &GroupRequest,
) -> Result<V2Parent, Failure> {
    if !parent.is_dir() {
        return Err(refusal::no_such_group(&parent));
    }
    if !sys::is_writable(&parent) || v2.read_only {
        return Err(refusal::not_writable(v2, &parent, request.instead_of_files(v2)));
    }
    let leave =
        !needed.is_empty() && !is_real_root(&parent) && parent == v2.own && cgroup::is_alone_in(&parent);
    let parent = with_controllers(parent, needed, leave)?;
    if parent.enable.is_empty()
        || leave
        || is_real_root(&parent.path)
        || cgroup::holds_no_process(&parent.path)
    {
        return Ok(parent);
    }
    Err(refusal::shared(&parent.path))
}

/// The parent, with the controllers that it has and does not enable yet.
fn with_controllers(parent: PathBuf, needed: &[String], leave: bool) -> Result<V2Parent, Failure> {
    let missing = |file: &str| {
        let file = parent.join(file);
        needed.iter().filter(move |name| !has_word(&file, name))
    };
    let absent: Vec<&str> = missing("cgroup.controllers").map(String::as_str).collect();
    if !absent.is_empty() {
        return Err(refusal::not_enabled(&parent, &absent));
    }
    let enable: Vec<String> = missing("cgroup.subtree_control").cloned().collect();
    Ok(V2Parent { path: parent, enable, leave })
}

/// A group below which we can create another.
fn usable(v2: &Hierarchy, group: &Path, request: &GroupRequest) -> Result<PathBuf, Failure> {
    if v2.read_only || !(sys::is_writable(group) && sys::is_writable(&group.join("cgroup.procs"))) {
        return Err(refusal::not_writable(v2, group, request.instead_of_files(v2)));
    }
    if !is_delegated(&v2.mount, group) {
        return Err(refusal::not_delegated(group, request.instead_of_files(v2)));
    }
    match fs::read_to_string(group.join("cgroup.type")) {
        Ok(kind) if kind.trim() != "domain" => Err(refusal::threaded(group, kind.trim())),
        _ => Ok(group.to_path_buf()),
    }
}

/// Whether systemd, if it runs, has delegated the group.
fn is_delegated(mount: &Path, group: &Path) -> bool {
    // the root of a cgroup namespace is a delegated group: cgroup_namespaces(7)
    let below_a_boundary = || mount.join("cgroup.type").exists();
    !unit_group::is_systemd() || below_a_boundary() || is_given_away(mount, group, unit_group::is_delegated)
}

/// The unit itself created everything below it, and a unit with Delegate= has an attribute. But below
/// user@.service there is another systemd, which owns its slices and that service.
fn is_given_away(mount: &Path, group: &Path, marked: impl Fn(&Path) -> bool) -> bool {
    let kind = |group: &&Path| {
        let kind = group.extension()?.to_str()?;
        ["service", "scope", "slice"].into_iter().find(|known| *known == kind)
    };
    let units = group.ancestors().take_while(|group| *group != mount);
    let Some(unit) = units.into_iter().find(|group| kind(group).is_some()) else { return false };
    match kind(&unit) {
        Some("slice") => false,
        _ if unit_group::is_manager(unit) => false,
        _ => unit != group || marked(unit),
    }
}

/// The root of the whole hierarchy, the only group without cgroup.type.
fn is_real_root(group: &Path) -> bool {
    group.join("cgroup.procs").exists() && !group.join("cgroup.type").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_a_limit_is_not_left() {
        let top = std::env::temp_dir().join(format!("cgexec-leave-{}", std::process::id()));
        for group in ["", "a", "a/b", "a/b/c"].map(|group| top.join(group)) {
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join("cgroup.procs"), "1\n").unwrap();
            fs::write(group.join("cgroup.type"), "domain\n").unwrap();
            fs::write(group.join("cgroup.controllers"), "memory\n").unwrap();
        }
        fs::write(top.join("cgroup.subtree_control"), "memory\n").unwrap();
        let v2 = Hierarchy {
            mount_id: 0,
            version: Version::V2,
            mount: top.clone(),
            own: top.join("a/b/c"),
            v1_controllers: Vec::new(),
            read_only: false,
        };
        let parent = || parent_for(&v2, &["memory".to_string()], &GroupRequest::default());
        for (file, text) in [("a/b/pids.max", "max\n"), ("a/b/c/cpu.max", "max 100000\n")] {
            fs::write(top.join(file), text).unwrap();
        }
        assert_eq!(parent().map(|parent| parent.path), Ok(top.clone()));
        fs::write(top.join("a/memory.max"), "5\n").unwrap();
        let refused = parent().unwrap_err().message;
        assert!(refused.contains("its memory.max of 5 would not hold"), "{refused}");
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn what_a_systemd_keeps_for_itself_is_not_ours_however_writable() {
        let mount = Path::new("/cg");
        let ours =
            |group: &str| is_given_away(mount, &mount.join(group), |unit| unit.ends_with("marked.scope"));
        let user = "user.slice/user-1000.slice/user@1000.service";
        assert!(ours("system.slice/marked.scope"));
        assert!(ours("system.slice/x.service/made-by-it"));
        assert!(ours(&format!("{user}/app.slice/marked.scope")));
        assert!(ours(&format!("{user}/app.slice/x.scope/payload")));
        for theirs in
            ["", "system.slice", "system.slice/x.service", "user.slice/user-1000.slice/session-1.scope"]
        {
            assert!(!ours(theirs), "{theirs}");
        }
        for theirs in ["", "/app.slice", "/init.scope", "/app.slice/x.scope", "/app.slice/app-x.slice"] {
            assert!(!ours(&format!("{user}{theirs}")), "{theirs}");
        }
        // neither in a slice nor in a unit: systemd does not know of a group below it
        assert!(!ours("docker/x"));
    }
}

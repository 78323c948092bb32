// SPDX-License-Identifier: MIT OR Apache-2.0
//! Choosing where the new group goes: below our own place, where we may have one.
//!
//! In version 2 a group either holds processes or hands controllers on to groups
//! below it ("no internal processes"); only the real root does both. So a limit
//! needs a parent that holds no process: the root, an ancestor that hands the
//! controller on, or our own group once we, alone in it, have moved aside.
//! Writable is not enough: what systemd manages is left alone unless it delegated it.
//!
//! Documentation/admin-guide/cgroup-v2.rst; systemd's docs/CGROUP_DELEGATION.md

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};

use chain::{group, sys};

use crate::hierarchy::{Hierarchies, Hierarchy, Version, has_word};
use crate::limits::Limit;

/// What every group of ours is called, before sixteen hexadecimal digits.
const PREFIX: &str = "cgexec-";

/// A group to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its hierarchy's version.
    pub version: Version,
    /// Its directory.
    pub path: PathBuf,
    /// What is limited in it.
    pub limits: Vec<Limit>,
}

/// Everything that is made for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Groups that killed runs left beside ours.
    pub stale: Vec<PathBuf>,
    /// Our own group and where this process waits meanwhile, so that the former holds no process.
    pub aside: Option<(PathBuf, PathBuf)>,
    /// A group and the controllers that it has to hand on.
    pub enable: Option<(PathBuf, Vec<&'static str>)>,
    /// The group in which the child starts.
    pub v2: Option<Group>,
    /// The groups that the child enters by itself.
    pub v1: Vec<Group>,
}

/// Why there can be no group, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub wrong: String,
    /// What to do.
    pub hint: String,
}

impl Placement {
    /// Finds a place for a group with these limits.
    ///
    /// # Errors
    /// Where no hierarchy takes a group of ours, or not with these limits.
    pub fn choose(limits: &[Limit], found: &Hierarchies) -> Result<Self, Refusal> {
        let name = format!("{PREFIX}{:016x}", RandomState::new().build_hasher().finish());
        let mut placement = Self::default();
        let mut v2_limits = Vec::new();
        for &limit in limits {
            match found.with(limit.controller()) {
                Some(hierarchy) if hierarchy.version == Version::V1 => {
                    placement.limit_v1(hierarchy, &name, limit)?
                }
                Some(_) => v2_limits.push(limit),
                None => return Err(no_controller(limit)),
            }
        }
        match found.v2().map(|v2| placement.place_v2(v2, &name, &v2_limits)) {
            Some(Err(refusal)) if !v2_limits.is_empty() || placement.v1.is_empty() => return Err(refusal),
            None if placement.v1.is_empty() => return Err(no_hierarchy()),
            // limits of version 1 hold also without a companion in version 2
            _ => {}
        }
        placement.stale = placement.parents().iter().flat_map(|parent| stale_groups(parent)).collect();
        Ok(placement)
    }

    fn limit_v1(&mut self, hierarchy: &Hierarchy, name: &str, limit: Limit) -> Result<(), Refusal> {
        let path = hierarchy.own.join(name);
        if let Some(group) = self.v1.iter_mut().find(|group| group.path == path) {
            group.limits.push(limit);
            return Ok(());
        }
        if !sys::is_writable(&hierarchy.own) {
            return Err(not_writable(&hierarchy.own));
        }
        self.v1.push(Group { version: Version::V1, path, limits: vec![limit] });
        Ok(())
    }

    fn place_v2(&mut self, v2: &Hierarchy, name: &str, limits: &[Limit]) -> Result<(), Refusal> {
        let needed: Vec<&'static str> = limits.iter().map(|limit| limit.controller()).collect();
        let parent =
            if needed.is_empty() { usable(v2, &v2.own)? } else { self.parent_for(v2, name, &needed)? };
        self.v2 = Some(Group { version: Version::V2, path: parent.join(name), limits: limits.to_vec() });
        Ok(())
    }

    /// The group below which `needed` controllers can limit: see the module's head for the order.
    fn parent_for(
        &mut self,
        v2: &Hierarchy,
        name: &str,
        needed: &[&'static str],
    ) -> Result<PathBuf, Refusal> {
        if is_real_root(&v2.own) {
            return self.hand_on(usable(v2, &v2.own)?, needed);
        }
        let own = usable(v2, &v2.own);
        if let Ok(own) = &own
            && is_alone_in(own)
        {
            self.aside = Some((own.clone(), own.join(format!("{name}-aside"))));
            return self.hand_on(own.clone(), needed);
        }
        let above = v2.own.ancestors().skip(1).take_while(|group| group.starts_with(&v2.mount));
        for group in above {
            let Ok(group) = usable(v2, group) else { break };
            let handed_on = |name: &&str| has_word(&group.join("cgroup.subtree_control"), name);
            if needed.iter().all(handed_on) || is_real_root(&group) || holds_no_process(&group) {
                return self.hand_on(group, needed);
            }
        }
        Err(own.err().unwrap_or_else(|| shared_group(&v2.own)))
    }

    /// Plans to enable what the parent does not hand on yet.
    fn hand_on(&mut self, parent: PathBuf, needed: &[&'static str]) -> Result<PathBuf, Refusal> {
        let missing = |file: &str| {
            let file = parent.join(file);
            needed.iter().copied().filter(move |name| !has_word(&file, name))
        };
        if let Some(name) = missing("cgroup.controllers").next() {
            return Err(Refusal {
                wrong: format!("the controller {name} is not handed on to {}", parent.display()),
                hint: format!(
                    "its owner can: echo +{name} > {}/cgroup.subtree_control",
                    above(&parent).display()
                ),
            });
        }
        let to_enable: Vec<&'static str> = missing("cgroup.subtree_control").collect();
        if !to_enable.is_empty() {
            self.enable = Some((parent.clone(), to_enable));
        }
        Ok(parent)
    }

    fn parents(&self) -> Vec<PathBuf> {
        self.v2
            .iter()
            .chain(&self.v1)
            .filter_map(|group| group.path.parent())
            .map(Path::to_path_buf)
            .collect()
    }
}

/// A group below which we may make another.
fn usable(v2: &Hierarchy, group: &Path) -> Result<PathBuf, Refusal> {
    if !(sys::is_writable(group) && sys::is_writable(&group.join("cgroup.procs"))) {
        return Err(not_writable(group));
    }
    if !is_delegated(&v2.mount, group) {
        let manager = if sys::effective_ids().0 == 0 { "" } else { " --user" };
        return Err(Refusal {
            wrong: format!("systemd manages {} and has not delegated it", group.display()),
            hint: format!(
                "systemd-run{manager} --scope -p Delegate=yes cgexec-rs ... runs it in a group of its own"
            ),
        });
    }
    match fs::read_to_string(group.join("cgroup.type")) {
        Ok(kind) if kind.trim() != "domain" => Err(Refusal {
            wrong: format!(
                "{} is a threaded group ({}), which takes no processes",
                group.display(),
                kind.trim()
            ),
            hint: "somebody enabled a controller in a group that holds processes: cgroups(7)".to_string(),
        }),
        _ => Ok(group.to_path_buf()),
    }
}

/// Whether systemd, where it runs, has given the group away: what lies below a unit was made by
/// the unit, and a unit with Delegate= carries an attribute that says so.
fn is_delegated(mount: &Path, group: &Path) -> bool {
    if !Path::new("/run/systemd/system").is_dir() {
        return true;
    }
    let is_unit = |group: &&Path| {
        group.extension().is_some_and(|extension| extension == "service" || extension == "scope")
    };
    match group.ancestors().take_while(|group| *group != mount).find(is_unit) {
        Some(unit) if unit == group => [c"user.delegate", c"trusted.delegate"]
            .into_iter()
            .any(|attribute| sys::has_attribute(unit, attribute, b"1")),
        Some(_) => true,
        None => false,
    }
}

/// The root of the whole hierarchy, which is the one group without a type.
fn is_real_root(group: &Path) -> bool {
    group.join("cgroup.procs").exists() && !group.join("cgroup.type").exists()
}

fn is_alone_in(group: &Path) -> bool {
    let own = std::process::id().to_string();
    // 0 stands for a process of another PID namespace: not alone
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|procs| procs.lines().all(|pid| pid == own))
}

fn holds_no_process(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|procs| procs.is_empty())
}

fn stale_groups(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        digits
            .and_then(|name| name.get(..16))
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    ours.map(|entry| entry.path()).filter(|path| sys::is_writable(path) && group::is_stale(path)).collect()
}

fn not_writable(group: &Path) -> Refusal {
    Refusal {
        wrong: format!("{} is not writable here", group.display()),
        hint: "root can, or give the user a group of its own: systemd's Delegate=, or chown of a directory there"
            .to_string(),
    }
}

fn shared_group(group: &Path) -> Refusal {
    Refusal {
        wrong: format!("{} holds other processes too, so it can hand no controller on", group.display()),
        hint: "start cgexec-rs in a group of its own, or below a group that hands the controllers on"
            .to_string(),
    }
}

fn no_controller(limit: Limit) -> Refusal {
    Refusal {
        wrong: format!("no mounted hierarchy has the controller {}", limit.controller()),
        hint: "/proc/cgroups and cgroup.controllers show those there are".to_string(),
    }
}

fn no_hierarchy() -> Refusal {
    Refusal {
        wrong: "no control group hierarchy is mounted, or none that shows the own group".to_string(),
        hint: "mount -t cgroup2 none /sys/fs/cgroup".to_string(),
    }
}

fn above(group: &Path) -> &Path {
    group.parent().unwrap_or(group)
}

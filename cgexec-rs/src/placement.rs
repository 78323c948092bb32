//! Where the groups of a run go: their hierarchies, their parents, and what must happen there first.

use std::ffi::OsString;
use std::path::PathBuf;

use chain::Failure;
use system::sys;

use crate::group::Group;
use crate::group_name::Cleanup;
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::levels::Levels;
use crate::limits::Limit;
use crate::new_scope::NewScope;
use crate::refusal;
use crate::request::GroupRequest;
use crate::stale::{StaleGroups, is_unused, with_levels};
use crate::v2_parent::{V2Parent, choose_parent, controllers};
use crate::version::Version;

/// The groups of a run, and what must happen before they are created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub stale: StaleGroups,
    /// The group that every run has. It is created first and removed last, so that a later run can find the
    /// other groups by its name. Remaining processes are killed in it.
    pub anchor: Group,
    /// The groups in other hierarchies, all of version 1.
    pub others: Vec<Group>,
    pub v2_parent: Option<V2Parent>,
    pub cleanup: Cleanup,
    /// Whether to skip a limit that cannot be set.
    pub attempt: bool,
    /// The groups below the version 2 group, if it can have any.
    pub levels: Option<Levels>,
    /// The scope that is the parent.
    pub scope: Option<NewScope>,
    /// Limits that this machine does not support, with the reason, if that is not an error.
    pub skipped: Vec<String>,
}

/// The version 1 controllers that a report needs.
const ACCOUNTING: [&str; 4] = ["memory", "pids", "cpuacct", "blkio"];

impl Placement {
    /// Finds a place for a group with these limits.
    ///
    /// # Errors
    /// No hierarchy has a place for it, or not with these limits.
    pub fn choose(request: &GroupRequest, found: &Hierarchies) -> Result<Self, Failure> {
        let mut search =
            Search { request, found, name: request.group_name(), v1: Vec::new(), skipped: Vec::new() };
        let v2_limits = search.add_v1_limits()?;
        if request.account {
            let counts = |name: &&&str| **name != "cpuacct" || found.v2().is_none();
            let counting = ACCOUNTING.iter().filter(counts).filter_map(|name| found.v1(name));
            for v1 in counting.filter(|v1| !takes_real_time_away(v1)) {
                // a report can do without these numbers
                let _ = search.v1_group(v1);
            }
        }
        search.add_cpu_clock()?;
        let v2 = match found.v2().map(|v2| search.v2_group(v2, &v2_limits)) {
            Some(Ok(v2)) => Some(v2),
            Some(Err(failure)) if !v2_limits.is_empty() => return Err(failure),
            without => {
                search.use_v1_alone(without.and_then(Result::err))?;
                None
            }
        };
        search.finish(v2)
    }

    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &Group> {
        std::iter::once(&self.anchor).chain(&self.others)
    }

    pub fn v2(&self) -> Option<&Group> {
        Some(&self.anchor).filter(|group| group.version == Version::V2)
    }

    pub fn v1(&self) -> impl Iterator<Item = &Group> {
        self.groups().filter(|group| group.version == Version::V1)
    }

    /// Finds groups of earlier runs beside ours, and rejects a name that is in use.
    fn find_stale_siblings(&mut self, is_named: bool) -> Result<(), Failure> {
        let mut stale = StaleGroups::default();
        for group in self.groups() {
            if let Some(parent) = group.path.parent() {
                stale.add_directory(parent);
            }
            if !is_named {
                continue;
            }
            if is_unused(&group.path) {
                stale.empty.extend(with_levels(group.path.clone()));
            } else if group.path.is_dir() {
                return Err(Failure::new(format!("the group {} is in use", group.path.display()))
                    .hint("use -g to join it, or another --name"));
            }
        }
        self.stale = stale;
        Ok(())
    }
}

/// Whether a new group in it would have no real-time bandwidth, so that its processes could not use real-time
/// scheduling: cpu with CONFIG_RT_GROUP_SCHED. A report must not change what the command can do.
fn takes_real_time_away(v1: &Hierarchy) -> bool {
    v1.v1_controllers.iter().any(|name| name == "cpu") && v1.own.join("cpu.rt_runtime_us").exists()
}

/// A search for a place: the groups found so far.
struct Search<'a> {
    request: &'a GroupRequest,
    found: &'a Hierarchies,
    name: OsString,
    v1: Vec<Group>,
    skipped: Vec<String>,
}

impl Search<'_> {
    /// Adds the limits of version 1 controllers, and returns those for version 2.
    fn add_v1_limits(&mut self) -> Result<Vec<Limit>, Failure> {
        let mut v2_limits = Vec::new();
        for limit in &self.request.limits {
            let added = match self.found.that_limits(limit) {
                Some(v1) if v1.version == Version::V1 => self.add_v1_limit(v1, limit),
                Some(_) => {
                    v2_limits.push(limit.clone());
                    Ok(())
                }
                None => Err(refusal::no_controller(limit, self.found)),
            };
            match added {
                Err(failure) if self.request.attempt => self.skip(limit, &failure),
                added => added?,
            }
        }
        Ok(v2_limits)
    }

    fn add_v1_limit(&mut self, v1: &Hierarchy, limit: &Limit) -> Result<(), Failure> {
        self.v1_group(v1)?.limit(limit).map_err(|missing| {
            Failure::new(missing).hint("boot with cgroup_no_v1=all to use version 2 for every controller")
        })
    }

    /// Adds a group that counts processor time. Version 2 counts it in every group; otherwise cpuacct does.
    fn add_cpu_clock(&mut self) -> Result<(), Failure> {
        if self.request.times.cpu.is_none() || self.found.v2().is_some() {
            return Ok(());
        }
        let cpuacct = self.found.v1("cpuacct").ok_or_else(|| refusal::no_cpu_clock(self.found))?;
        self.v1_group(cpuacct).map(|_| ())
    }

    fn skip(&mut self, limit: &Limit, failure: &Failure) {
        self.skipped.push(format!("did not limit {limit}: {failure}"));
    }

    fn v1_group(&mut self, v1: &Hierarchy) -> Result<&mut Group, Failure> {
        let parent = self.request.v1_parent(v1);
        if !parent.is_dir() {
            return Err(refusal::no_such_group(&parent));
        }
        if !sys::is_writable(&parent) || v1.read_only {
            return Err(refusal::not_writable_v1(v1, &parent));
        }
        let path = parent.join(&self.name);
        let index = self.v1.iter().position(|group| group.path == path).unwrap_or(self.v1.len());
        if index == self.v1.len() {
            self.v1.push(Group::new(Version::V1, path));
        }
        self.v1.get_mut(index).ok_or_else(|| refusal::not_writable_v1(v1, &parent))
    }

    fn v2_group(&mut self, v2: &Hierarchy, limits: &[Limit]) -> Result<(V2Parent, Group), Failure> {
        let parent = |limits: &[Limit]| choose_parent(v2, self.request, &controllers(limits));
        let (parent, limits) = match parent(limits) {
            Err(failure) if self.request.attempt && !limits.is_empty() => {
                let (kept, dropped): (Vec<_>, Vec<_>) =
                    limits.iter().cloned().partition(|limit| parent(std::slice::from_ref(limit)).is_ok());
                let parent = parent(&kept)?;
                dropped.iter().for_each(|limit| self.skip(limit, &failure));
                (parent, kept)
            }
            parent => (parent?, limits.to_vec()),
        };
        let group = Group::v2(parent.path.join(&self.name), &limits);
        Ok((parent, group))
    }

    /// Without a version 2 group, adds one in the freezer's hierarchy: remaining processes are frozen while
    /// they are killed. It comes last, because [`Search::finish`] takes the last one as the anchor.
    fn use_v1_alone(&mut self, v2_failure: Option<Failure>) -> Result<(), Failure> {
        let any = || self.found.list.iter().find(|hierarchy| hierarchy.version == Version::V1);
        let freezer = self.found.v1("freezer").or_else(|| any().filter(|_| self.v1.is_empty()));
        let v1_failure = freezer.and_then(|freezer| self.v1_group(freezer).err());
        if !self.v1.is_empty() {
            return Ok(());
        }
        Err(v2_failure.or(v1_failure).unwrap_or_else(|| refusal::no_hierarchy(self.found)))
    }

    fn finish(mut self, v2: Option<(V2Parent, Group)>) -> Result<Placement, Failure> {
        let Self { request, found, .. } = self;
        for group in &mut self.v1 {
            if found.v1("cpuset").is_some_and(|cpuset| group.path.starts_with(&cpuset.mount)) {
                group.fill_cpuset(request.attempt);
            }
        }
        let (v2_parent, v2) = v2.unzip();
        let levels = v2_parent.as_ref().zip(v2.as_ref());
        let levels =
            levels.and_then(|(parent, group)| request.levels(&group.path, parent.controllers_below(), found));
        let anchor = v2.or_else(|| self.v1.pop()).ok_or_else(|| refusal::no_hierarchy(found))?;
        let mut placement = Placement {
            stale: StaleGroups::default(),
            anchor,
            others: self.v1,
            v2_parent,
            cleanup: request.cleanup,
            attempt: request.attempt,
            levels,
            scope: None,
            skipped: self.skipped,
        };
        placement.find_stale_siblings(request.name.is_some())?;
        let v1 = found.list.iter().filter(|hierarchy| hierarchy.version == Version::V1);
        let parents: Vec<PathBuf> = v1.map(|v1| request.v1_parent(v1)).collect();
        placement.stale.find_stale_in_other_hierarchies(&parents);
        Ok(placement)
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that is made for one run: which groups, in which hierarchies, and what stands there already.

use std::path::{Path, PathBuf};

use chain::cgroup;
use system::sys;

use crate::cli::Options;
pub use crate::group::{Cleanup, Group, Name, Parent};
use crate::group::{is_unused, stale};
use crate::hierarchy::{Hierarchies, Hierarchy, Version};
use crate::limits::Limit;
use crate::refusal::{self, Refusal};
use crate::v2_parent::{choose_parent, controllers};

/// What the group is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRequest {
    /// What is limited.
    pub limits: Vec<Limit>,
    /// Whether what cannot be limited is left out.
    pub attempt: bool,
    /// Whether a report is wanted, for which controllers count without a limit.
    pub account: bool,
    /// Where it goes.
    pub parent: Option<Parent>,
    /// What it is called.
    pub name: Option<Name>,
    /// What becomes of it.
    pub cleanup: Cleanup,
}

impl GroupRequest {
    /// As the options say.
    ///
    /// # Errors
    /// What contradicts what.
    pub fn of(options: Options) -> Result<Self, String> {
        Ok(Self {
            attempt: options.attempt,
            account: options.report().is_some(),
            cleanup: options.cleanup(),
            parent: options.parent,
            name: options.name,
            limits: options.limits.limits()?,
        })
    }
}

/// Everything that is made for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Groups that killed runs left beside ours; of each run first the one that every run has.
    pub stale: Vec<Vec<PathBuf>>,
    /// Groups that hold nothing any more.
    pub empty: Vec<PathBuf>,
    /// Our own group, which we must leave before it can hand controllers on.
    pub leave: Option<PathBuf>,
    /// A group and the controllers that it has to hand on.
    pub enable: Option<(PathBuf, Vec<String>)>,
    /// The group of version 2.
    pub v2: Option<Group>,
    /// The groups of version 1.
    pub v1: Vec<Group>,
    /// What was asked for and cannot be, where that is no error.
    pub left_out: Vec<String>,
}

/// What a report counts with in version 1.
const ACCOUNTS: [&str; 5] = ["memory", "pids", "cpuacct", "cpu", "blkio"];

impl Placement {
    /// Finds a place for a group with these limits.
    ///
    /// # Errors
    /// Where no hierarchy takes a group of ours, or not with these limits.
    pub fn choose(request: &GroupRequest, found: &Hierarchies) -> Result<Self, Refusal> {
        let name = request.name.as_ref().map_or_else(|| request.cleanup.name().into(), |name| name.0.clone());
        let name = Path::new(&name);
        let mut placement = Self::default();
        let mut v2_limits = Vec::new();
        for limit in &request.limits {
            let refused = match found.that_limits(limit) {
                Some(v1) if v1.version == Version::V1 => placement.limit_v1(v1, request, name, limit).err(),
                Some(_) => {
                    v2_limits.push(limit.clone());
                    None
                }
                None => Some(refusal::no_controller(limit, found)),
            };
            match refused {
                Some(refusal) if request.attempt => placement.leave_out(limit, &refusal),
                Some(refusal) => return Err(refusal),
                None => {}
            }
        }
        if request.account {
            for v1 in ACCOUNTS.iter().filter_map(|name| found.v1(name)) {
                // a report without these figures is still a report
                let _ = placement.group_v1(v1, request, name);
            }
        }
        match found.v2().map(|v2| placement.place_v2(v2, request, name, v2_limits.clone())) {
            Some(Ok(())) => {}
            Some(Err(refusal)) if !v2_limits.is_empty() => return Err(refusal),
            in_v2 => placement.do_without_v2(in_v2.and_then(Result::err), found, request, name)?,
        }
        for group in &mut placement.v1 {
            if found.v1("cpuset").is_some_and(|cpuset| group.path.starts_with(&cpuset.mount)) {
                group.fill_cpuset(request.attempt);
            }
        }
        placement.find_stale_siblings(request.name.is_some())?;
        placement.find_stale_in_other_hierarchies(request, found);
        Ok(placement)
    }

    /// Limits of version 1 hold also without a companion in version 2. What is left at the end is then
    /// frozen while it is killed, in a group that comes last, to be the first in which it is ended.
    fn do_without_v2(
        &mut self,
        in_v2: Option<Refusal>,
        found: &Hierarchies,
        request: &GroupRequest,
        name: &Path,
    ) -> Result<(), Refusal> {
        let v1 = |hierarchy: &&Hierarchy| hierarchy.version == Version::V1;
        let freezer =
            found.v1("freezer").or_else(|| found.list.iter().find(v1).filter(|_| self.v1.is_empty()));
        let refused = freezer.and_then(|freezer| self.group_v1(freezer, request, name).err());
        if !self.v1.is_empty() {
            return Ok(());
        }
        Err(in_v2.or(refused).unwrap_or_else(|| refusal::no_hierarchy(found)))
    }

    fn leave_out(&mut self, limit: &Limit, refusal: &Refusal) {
        self.left_out.push(format!("does not limit {limit}: {}", refusal.wrong));
    }

    fn limit_v1(
        &mut self,
        v1: &Hierarchy,
        request: &GroupRequest,
        name: &Path,
        limit: &Limit,
    ) -> Result<(), Refusal> {
        let group = self.group_v1(v1, request, name)?;
        group.limit(limit).map_err(|wrong| Refusal {
            wrong,
            hint: "the kernel's cgroup_no_v1=all gives every controller to version 2".to_string(),
        })
    }

    fn group_v1(
        &mut self,
        v1: &Hierarchy,
        request: &GroupRequest,
        name: &Path,
    ) -> Result<&mut Group, Refusal> {
        let parent = request.parent.as_ref().map_or_else(|| v1.own.clone(), |parent| parent.of(v1));
        if !parent.is_dir() {
            return Err(refusal::no_such_group(&parent));
        }
        if !sys::is_writable(&parent) || v1.read_only {
            return Err(refusal::not_writable(v1, &parent));
        }
        let path = parent.join(name);
        let place = self.v1.iter().position(|group| group.path == path).unwrap_or(self.v1.len());
        if place == self.v1.len() {
            self.v1.push(Group::new(Version::V1, path));
        }
        self.v1.get_mut(place).ok_or_else(|| refusal::not_writable(v1, &parent))
    }

    fn place_v2(
        &mut self,
        v2: &Hierarchy,
        request: &GroupRequest,
        name: &Path,
        limits: Vec<Limit>,
    ) -> Result<(), Refusal> {
        let spot = |limits: &[Limit]| choose_parent(v2, request, &controllers(limits));
        let (spot, limits) = match spot(&limits) {
            Err(refusal) if request.attempt && !limits.is_empty() => {
                let (kept, dropped): (Vec<_>, Vec<_>) =
                    limits.into_iter().partition(|limit| spot(std::slice::from_ref(limit)).is_ok());
                dropped.iter().for_each(|limit| self.leave_out(limit, &refusal));
                (spot(&kept)?, kept)
            }
            spot => (spot?, limits),
        };
        let mut group = Group::new(Version::V2, spot.parent.join(name));
        for limit in &limits {
            // version 2 has every file
            let _ = group.limit(limit);
        }
        self.leave = spot.leave.then(|| spot.parent.clone());
        self.enable = (!spot.enable.is_empty()).then_some((spot.parent, spot.enable));
        self.v2 = Some(group);
        Ok(())
    }

    /// A run that is over may have had groups in hierarchies that this one needs not: they are
    /// called as the one that every run has.
    fn find_stale_in_other_hierarchies(&mut self, request: &GroupRequest, found: &Hierarchies) {
        let places: Vec<PathBuf> = found
            .list
            .iter()
            .filter(|hierarchy| hierarchy.version == Version::V1)
            .map(|v1| request.parent.as_ref().map_or_else(|| v1.own.clone(), |parent| parent.of(v1)))
            .collect();
        let beside = |path: &Path| -> Vec<PathBuf> {
            let name = path.file_name().unwrap_or_default();
            places.iter().map(|place| place.join(name)).filter(|other| other != path).collect()
        };
        for groups in &mut self.stale {
            let others = groups.first().map(|first| beside(first)).unwrap_or_default();
            for path in others {
                if !groups.contains(&path) && sys::is_writable(&path) && cgroup::is_stale(&path) {
                    groups.push(path);
                }
            }
        }
        for path in std::mem::take(&mut self.empty) {
            let others =
                beside(&path).into_iter().filter(|other| sys::is_writable(other) && is_unused(other));
            for path in others.chain([path]) {
                if !self.empty.contains(&path) {
                    self.empty.push(path);
                }
            }
        }
    }

    /// What stands where the groups go: removed where a run left it, else in the way. A name of
    /// our own making is nobody else's.
    fn find_stale_siblings(&mut self, is_named: bool) -> Result<(), Refusal> {
        // the freezer's last, so that it is the first here too
        for group in self.v2.iter().chain(self.v1.iter().rev()) {
            let (left, empty) = group.path.parent().map(stale).unwrap_or_default();
            for path in left {
                let of_it = |groups: &&mut Vec<PathBuf>| {
                    groups.iter().any(|known| known.file_name() == path.file_name())
                };
                match self.stale.iter_mut().find(of_it) {
                    Some(groups) => groups.push(path),
                    None => self.stale.push(vec![path]),
                }
            }
            self.empty.extend(empty);
            if !is_named {
                continue;
            }
            if is_unused(&group.path) {
                self.empty.push(group.path.clone());
            } else if group.path.is_dir() {
                return Err(Refusal {
                    wrong: format!("the group {} is in use", group.path.display()),
                    hint: "-g joins a group that exists; another --name makes one".to_string(),
                });
            }
        }
        Ok(())
    }
}

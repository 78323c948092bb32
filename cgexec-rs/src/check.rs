// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--check`: what can be limited here, by whom, and what would help where it cannot.
//!
//! The answers are those a run would get: the same code is asked, and nothing is made.

use std::fmt::Write as _;
use std::path::Path;

use system::sys;

use crate::cli::Manager;
use crate::hierarchy::{Hierarchies, Version};
use crate::limits::cpu::{Bandwidth, PERIOD_USEC};
use crate::limits::hugetlb::HugeTlb;
use crate::limits::io::{BlkioWeight, IoWeight};
use crate::limits::size::Memory;
use crate::limits::{Limit, Pids};
use crate::placement::{GroupRequest, Placement};
use crate::refusal::{self, Refusal};
use crate::scope;
use crate::systemd::Systemd;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Lines to be read.
    pub text: String,
    /// Whether everything that was asked about can be.
    pub possible: bool,
}

/// Where a group would be.
enum Location {
    Files(Version, String),
    Scope(Systemd),
}

impl Check {
    /// Looks at each limit that was asked for; where none was, at one of each controller, and then
    /// it is enough that there can be a group at all.
    pub fn of(manager: Manager, request: &GroupRequest, found: &Hierarchies, admin: bool) -> Self {
        let mut check = Self { text: String::new(), possible: true };
        let without = GroupRequest { limits: Vec::new(), ..request.clone() };
        let group = place(manager, &without, found);
        check.possible = group.is_ok();
        check.line("a group", "is made ", group.map(|place| whose(&place)));
        let namespace = if admin {
            "yes: the command sees its group as the root of all groups".to_string()
        } else {
            "no: it takes CAP_SYS_ADMIN, as below unshare-rs".to_string()
        };
        check.say("a cgroup namespace", &namespace);
        if request.limits.is_empty() {
            for (name, limit) in one_of_each() {
                let answer = place(manager, &GroupRequest { limits: vec![limit], ..without.clone() }, found);
                check.line(name, "yes, ", answer.map(|place| where_to(&place)));
            }
        }
        for limit in &request.limits {
            let answer =
                place(manager, &GroupRequest { limits: vec![limit.clone()], ..without.clone() }, found);
            check.possible &= answer.is_ok();
            check.line(&format!("limit {limit}"), "yes, ", answer.map(|place| where_to(&place)));
        }
        check
    }

    fn line(&mut self, what: &str, before: &str, answer: Result<String, Refusal>) {
        match answer {
            Ok(answer) => self.say(what, &format!("{before}{answer}")),
            Err(refusal) => {
                self.say(what, &format!("no: {}", refusal.wrong));
                self.say("  hint", &refusal.hint);
            }
        }
    }

    fn say(&mut self, what: &str, answer: &str) {
        // a String takes every write
        let _ = writeln!(self.text, "{what}: {answer}");
    }
}

/// What a run would do, up to the first change.
fn place(manager: Manager, request: &GroupRequest, found: &Hierarchies) -> Result<Location, Refusal> {
    let files = || {
        Placement::choose(request, found).map(|placement| {
            let group = placement.v1.iter().filter(|_| !request.limits.is_empty()).chain(&placement.v2);
            let group = group.chain(&placement.v1).next();
            let parent = group.and_then(|group| group.path.parent()).unwrap_or(Path::new("/"));
            let version = group.map_or(Version::V2, |group| group.version);
            Location::Files(version, parent.display().to_string())
        })
    };
    match manager {
        Manager::None => Err(Refusal {
            wrong: "--manager none makes none".to_string(),
            hint: "leave --manager none away".to_string(),
        }),
        Manager::Cgroupfs => files(),
        Manager::Systemd => in_scope(request, found),
        Manager::Auto => match files() {
            Err(_) if scope::is_an_answer(request, found) => in_scope(request, found),
            files => files,
        },
    }
}

/// Whether systemd would take the question, and has the controllers to give.
fn in_scope(request: &GroupRequest, found: &Hierarchies) -> Result<Location, Refusal> {
    let v2 = found.v2().ok_or_else(|| refusal::no_hierarchy(found))?;
    let systemd = Systemd::find()?;
    systemd.can_be_asked()?;
    let manager = systemd.group(&v2.mount);
    let given = sys::read(&manager.join("cgroup.controllers").display().to_string()).unwrap_or_default();
    let given = String::from_utf8_lossy(&given).into_owned();
    for limit in &request.limits {
        let name = limit.controller(Version::V2);
        let has = given.split_whitespace().any(|given| given == name);
        let gives = refusal::SYSTEMDS.contains(&name);
        if found.that_limits(limit).is_none_or(|there| there.version == Version::V1) {
            return Err(refusal::not_in_v2(limit, found));
        }
        if !has || !gives {
            return Err(refusal::not_handed_on(&manager, &[name]));
        }
    }
    Ok(Location::Scope(systemd))
}

fn whose(place: &Location) -> String {
    match place {
        Location::Files(version, parent) => {
            format!("with files, below {parent} ({})", word(*version))
        }
        Location::Scope(systemd) => format!("in a scope that {} hands over", systemd.whose()),
    }
}

fn where_to(place: &Location) -> String {
    match place {
        Location::Files(version, parent) => format!("{}, below {parent}", word(*version)),
        Location::Scope(_) => "version 2, in the scope".to_string(),
    }
}

fn word(version: Version) -> &'static str {
    match version {
        Version::V1 => "version 1",
        Version::V2 => "version 2",
    }
}

/// A limit of each controller. That none of them limits anything does not matter: it is not set.
fn one_of_each() -> Vec<(&'static str, Limit)> {
    let mut limits = vec![
        ("memory", Limit::Memory(Memory(None))),
        ("pids", Limit::Pids(Pids(None))),
        ("cpu", Limit::Cpu(Bandwidth { quota: None, period: PERIOD_USEC })),
    ];
    limits.extend("0".parse().ok().map(|list| ("cpuset", Limit::Cpus(list))));
    limits.push(("io", Limit::IoWeight(IoWeight::Blkio(BlkioWeight(100)))));
    limits.push(("hugetlb", Limit::HugeTlb(HugeTlb { page: 2 << 20, most: Memory(None) })));
    limits
}

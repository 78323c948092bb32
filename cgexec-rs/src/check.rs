//! `--check`: what can be limited here, and hints for what cannot.
//!
//! The answers come from the code of a run, and nothing is created.

use std::fmt::Write as _;
use std::path::Path;

use chain::Failure;

use crate::cli::Manager;
use crate::group_path::in_words;
use crate::hierarchy::Hierarchies;
use crate::limits::cpu::{Bandwidth, PERIOD_USEC};
use crate::limits::hugetlb::HugeTlb;
use crate::limits::io::IoWeight;
use crate::limits::size::Memory;
use crate::limits::{Limit, Pids};
use crate::placement::Placement;
use crate::request::GroupRequest;
use crate::scope;
use crate::version::Version;

#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    pub text: String,
    /// Whether everything in the question is possible.
    pub possible: bool,
}

/// Where the group would be.
struct Location {
    /// Text for the line about the group.
    group: String,
    /// Text for the line about a limit.
    limit: String,
}

impl Check {
    /// Checks each limit in the options. Without any, checks one limit of each controller, and the answer is
    /// yes if a group is possible at all.
    pub fn of(request: &GroupRequest, found: &Hierarchies, admin: bool) -> Self {
        let mut check = Self { text: String::new(), possible: true };
        let without = GroupRequest { limits: Vec::new(), ..request.clone() };
        let group = place(&without, found);
        check.possible = group.is_ok();
        check.line("a group", "yes, ", group.map(|place| place.group));
        let namespace = if admin {
            "yes".to_string()
        } else {
            "no: it needs CAP_SYS_ADMIN, which unshare-rs gives".to_string()
        };
        check.say("a cgroup namespace", &namespace);
        if request.limits.is_empty() {
            for (name, limit) in one_of_each() {
                let answer = place(&GroupRequest { limits: vec![limit], ..without.clone() }, found);
                check.line(name, "yes, ", answer.map(|place| place.limit));
            }
        }
        for limit in &request.limits {
            let answer = place(&GroupRequest { limits: vec![limit.clone()], ..without.clone() }, found);
            check.possible &= answer.is_ok();
            check.line(&format!("limit {limit}"), "yes, ", answer.map(|place| place.limit));
        }
        check
    }

    fn line(&mut self, what: &str, before: &str, answer: Result<String, Failure>) {
        match answer {
            Ok(answer) => self.say(what, &format!("{before}{answer}")),
            Err(failure) => {
                self.say(what, &format!("no: {failure}"));
                self.say("  hint", failure.hint.as_deref().unwrap_or_default());
            }
        }
    }

    fn say(&mut self, what: &str, answer: &str) {
        // writing to a String cannot fail
        let _ = writeln!(self.text, "{what}: {answer}");
    }
}

/// What a run would do, up to its first change.
fn place(request: &GroupRequest, found: &Hierarchies) -> Result<Location, Failure> {
    let files = || {
        Placement::choose(request, found).map(|placement| {
            // the group with the limit
            let limited = placement.groups().find(|group| !group.limits.is_empty());
            let group = limited.unwrap_or(&placement.anchor);
            let parent = in_words(group.path.parent().unwrap_or(Path::new("/")));
            let version = match group.version {
                Version::V1 => "version 1",
                Version::V2 => "version 2",
            };
            Location {
                group: format!("below {parent} ({version})"),
                limit: format!("{version}, below {parent}"),
            }
        })
    };
    match request.manager {
        Manager::None => Err(Failure::new("'--manager none' creates no group").hint("omit '--manager none'")),
        Manager::Cgroupfs => files(),
        Manager::Systemd => in_scope(request, found),
        Manager::Auto => match files() {
            Err(_) if scope::is_an_answer(request, found) => in_scope(request, found),
            files => files,
        },
    }
}

/// Whether systemd can be asked for a scope, and has the controllers.
fn in_scope(request: &GroupRequest, found: &Hierarchies) -> Result<Location, Failure> {
    let placement = scope::place(request, found)?;
    let whose = placement.scope.map(|scope| scope.systemd.whose()).unwrap_or_default();
    Ok(Location {
        group: format!("in a scope that {whose} delegates"),
        limit: "version 2, in the scope".to_string(),
    })
}

/// A limit of each controller. It does not matter that none of them limits anything: they are never set.
fn one_of_each() -> Vec<(&'static str, Limit)> {
    let mut limits = vec![
        ("memory", Limit::Memory(Memory(None))),
        ("pids", Limit::Pids(Pids(None))),
        ("cpu", Limit::Cpu(Bandwidth { quota: None, period: PERIOD_USEC })),
    ];
    limits.extend("0".parse().ok().map(|list| ("cpuset", Limit::Cpus(list))));
    limits.push(("io", Limit::IoWeight(IoWeight { iocost: 100, bfq: 100 })));
    limits.push(("hugetlb", Limit::HugeTlb(HugeTlb { page: 2 << 20, most: Memory(None) })));
    limits
}

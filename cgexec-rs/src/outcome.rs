//! What a run does about groups, decided before there is a plan.

use chain::{Failure, Reporter};

use crate::cli::{Manager, Options};
use crate::group::Group;
use crate::group_path::Parent;
use crate::hierarchy::Hierarchies;
use crate::join;
use crate::placement::Placement;
use crate::request::GroupRequest;
use crate::scope;
use crate::time_limit::Span;
use crate::unit;

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Enter groups that exist.
    Join(Vec<Group>),
    /// Create groups for this run.
    Create(Box<Placement>),
    /// Stay in the current groups.
    None,
}

impl Outcome {
    /// Decides from the options and from what this machine permits. What an option asks for is done or
    /// refused; a default that is impossible is skipped with one line.
    ///
    /// `namespace` says whether the command gets a cgroup namespace.
    pub fn resolve(options: Options, namespace: bool, reporter: &Reporter) -> Result<Self, Failure> {
        if !options.group.is_empty() {
            return Self::join(&options, reporter);
        }
        let request = GroupRequest { namespace, ..GroupRequest::of(options)? };
        if request.manager == Manager::None {
            return match request.needs_group() {
                true => Err(Failure::new(
                    "'--manager none' creates no group, and limits, reports and names need one",
                )
                .hint("omit it")),
                false => Ok(Self::None),
            };
        }
        let has_limits = !request.limits.is_empty();
        let must = request.needs_group() || request.manager != Manager::Auto;
        let found = Hierarchies::of_this_process(reporter);
        match Self::create(&request, &found) {
            Ok(placement) => {
                placement.skipped.iter().for_each(|limit| reporter.message(limit));
                Ok(Self::Create(Box::new(placement)))
            }
            Err(_) if found.unopened => {
                reporter.message("the plan for a group depends on a hierarchy that a dry run does not open");
                Ok(Self::None)
            }
            Err(failure) if must => {
                let what = if has_limits { "limit" } else { "create a group" };
                Err(Failure { message: format!("cannot {what}: {failure}"), ..failure })
            }
            Err(failure) => {
                without_group(&request, failure).iter().for_each(|line| reporter.message(line));
                Ok(Self::None)
            }
        }
    }

    fn join(options: &Options, reporter: &Reporter) -> Result<Self, Failure> {
        if options.limits.limits().map_or(true, |limits| !limits.is_empty()) {
            return Err(Failure::new("-g joins a group as it is; limits need a new group")
                .hint("cgset(1) or a write to its files changes its limits"));
        }
        join::resolve(&options.group, &Hierarchies::of_this_process(reporter)).map(Self::Join)
    }

    /// Finds a place for the groups: with files if possible, else in a systemd scope.
    fn create(request: &GroupRequest, found: &Hierarchies) -> Result<Placement, Failure> {
        match request.manager {
            Manager::Systemd => scope::place(request, found),
            Manager::Auto => match Placement::choose(request, found) {
                Err(_) if scope::is_an_answer(request, found) => {
                    scope::place(request, found).or_else(|failure| {
                        let inside = found.v2().filter(|v2| unit::is_delegated_by_a_users_systemd(v2));
                        let request = GroupRequest { parent: Some(Parent::Current), ..request.clone() };
                        inside.map_or(Err(failure), |_| Placement::choose(&request, found))
                    })
                }
                chosen => chosen,
            },
            Manager::Cgroupfs | Manager::None => Placement::choose(request, found),
        }
    }
}

/// The lines for a run without a group: why there is none, and each limit that does not hold.
fn without_group(request: &GroupRequest, Failure { message, hint, .. }: Failure) -> Vec<String> {
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let limits = request.limits.iter().map(|limit| format!("did not limit {limit}: there is no group"));
    let times = [("processor time", request.times.cpu), ("time", request.times.wall)];
    let times = times.into_iter().filter_map(|(what, most)| {
        Some(format!("did not limit {what} to {}: there is no group", Span(most?)))
    });
    std::iter::once(format!("created no group: {message}{hint}")).chain(limits).chain(times).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::{Limit, Pids, size::Memory};
    use crate::time_limit::TimeLimits;

    #[test]
    fn without_a_group_each_limit_that_does_not_hold_is_printed() {
        let limits = vec![Limit::Memory(Memory(Some(50 << 20))), Limit::Pids(Pids(Some(9)))];
        let times = TimeLimits {
            cpu: Some(Duration::from_millis(1500)),
            wall: Some(Duration::from_secs(9)),
            ..TimeLimits::default()
        };
        let request = GroupRequest { attempt: true, limits, times, ..GroupRequest::default() };
        assert_eq!(
            without_group(&request, Failure::new("it is not writable").hint("ask systemd")),
            [
                "created no group: it is not writable; ask systemd",
                "did not limit memory to 50 MiB: there is no group",
                "did not limit processes to 9: there is no group",
                "did not limit processor time to 1.5 s: there is no group",
                "did not limit time to 9 s: there is no group",
            ]
        );
        let default = without_group(&GroupRequest::default(), Failure::new("it is not writable"));
        assert_eq!(default, ["created no group: it is not writable"]);
    }
}

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
            Err(Failure { message, hint, .. }) => {
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                reporter.message(format_args!("created no group: {message}{hint}"));
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

//! `--move`: moves running processes into a group, and runs no command.

use chain::Plan;

use super::{create_groups, enable_controllers, remove_stale, set_limits, write};
use crate::group::Group;
use crate::outcome::Outcome;

/// The plan that moves processes. The limits are set first.
pub fn plan(outcome: &Outcome, pids: &[i32]) -> Plan {
    let mut plan = Plan::without_command();
    match outcome {
        Outcome::None => {}
        Outcome::Join(groups) => {
            groups.iter().for_each(|group| move_into(&mut plan, group, pids));
        }
        Outcome::Create(place) => {
            remove_stale(&mut plan, &place.stale);
            enable_controllers(&mut plan, place);
            create_groups(&mut plan, place);
            set_limits(&mut plan, place);
            place.groups().for_each(|group| move_into(&mut plan, group, pids));
        }
    }
    plan
}

/// One write for each process: the kernel moves one at a time, with all of its threads.
fn move_into(plan: &mut Plan, group: &Group, pids: &[i32]) {
    for pid in pids {
        let reason = format!("move process {pid} into the group {}", group.path.display());
        plan.step(reason, write(&group.path, "cgroup.procs", &pid.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Limit, Pids};
    use crate::plan::tests::v2;
    use crate::version::Version;

    #[test]
    fn each_process_is_moved_by_a_write_of_its_own_when_the_limits_are_there() {
        let place = v2("/cg/x", &[Limit::Pids(Pids(Some(20)))]);
        assert_eq!(
            plan(&Outcome::Create(Box::new(place)), &[7, 8]).lines(),
            [
                "mkdirat(AT_FDCWD, \"/cg/x\", 0700), flock(<group>, LOCK_EX|LOCK_NB), fchmod(<group>, 0755)",
                "write(</cg/x/pids.max>, \"20\", 2)",
                "write(</cg/x/cgroup.procs>, \"7\", 1)",
                "write(</cg/x/cgroup.procs>, \"8\", 1)",
            ]
        );
    }

    #[test]
    fn a_group_that_exists_is_joined_in_each_hierarchy() {
        let groups = [("/cg/a/x", Version::V1), ("/cg/b/x", Version::V2)]
            .map(|(path, version)| Group::new(version, path.into()));
        assert_eq!(
            plan(&Outcome::Join(groups.to_vec()), &[7]).lines(),
            ["write(</cg/a/x/cgroup.procs>, \"7\", 1)", "write(</cg/b/x/cgroup.procs>, \"7\", 1)"]
        );
    }
}

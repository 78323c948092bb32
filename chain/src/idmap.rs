//! The map of a user namespace that a process may write itself.
//!
//! A process may write its own map with one id only, and that must be its own:
//! user_namespaces(7), "Defining user and group ID mappings".

use system::idmap::IdKind;

use crate::call;
use crate::plan::Plan;

/// Maps `outside`, the user and the group of this process, to `inside`.
pub fn map_one(plan: &mut Plan, inside: (u32, u32), outside: (u32, u32)) {
    map_own_id(plan, IdKind::User, inside.0, outside.0);
    map_own_id(plan, IdKind::Group, inside.1, outside.1);
}

/// Maps `outside`, the user or the group of this process, to `inside`.
pub fn map_own_id(plan: &mut Plan, kind: IdKind, inside: u32, outside: u32) {
    if kind == IdKind::Group {
        // "deny" must come before gid_map: user_namespaces(7)
        let deny = call::Write::new("/proc/self/setgroups", "deny");
        plan.step("deny setgroups(2), which the kernel requires before a group is mapped", deny);
    }
    let noun = kind.noun();
    let map = call::Write::new(format!("/proc/self/{}", kind.map_file()), format!("{inside} {outside} 1"));
    plan.step(format!("map {noun} {inside} inside to {noun} {outside} outside"), map);
}

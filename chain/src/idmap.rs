//! Maps of a user namespace that a process can write itself.
//!
//! A process can map only one id itself, its own: user_namespaces(7), "Defining user and group ID mappings".

use system::idmap::IdKind;

use crate::call;
use crate::plan::{Plan, Reason};

/// Maps `outside`, this process's user and group, to `inside`.
pub fn map_one(plan: &mut Plan, inside: (u32, u32), outside: (u32, u32)) {
    map_own_id(plan, IdKind::User, inside.0, outside.0);
    map_own_id(plan, IdKind::Group, inside.1, outside.1);
}

/// Maps `outside`, this process's user or group, to `inside`.
pub fn map_own_id(plan: &mut Plan, kind: IdKind, inside: u32, outside: u32) {
    for (reason, write) in map_one_id("self", kind, inside, outside) {
        plan.step(reason, write);
    }
}

/// The writes that map `outside`, the caller's user or group, to `inside` in a process: its number, or
/// `self`.
pub fn map_one_id(process: &str, kind: IdKind, inside: u32, outside: u32) -> Vec<(Reason, call::Write)> {
    let noun = kind.noun();
    let map =
        call::Write::new(format!("/proc/{process}/{}", kind.map_file()), format!("{inside} {outside} 1"));
    let map = (format!("map {noun} {inside} inside to {noun} {outside} outside").into(), map);
    match kind {
        IdKind::User => vec![map],
        // "deny" must come before gid_map: user_namespaces(7)
        IdKind::Group => {
            let deny = call::Write::new(format!("/proc/{process}/setgroups"), "deny");
            vec![("deny setgroups(2), which the kernel requires before a group is mapped".into(), deny), map]
        }
    }
}

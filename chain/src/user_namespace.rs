//! A user namespace for an untrusted command of root: its root is not a user of the machine.
//!
//! It maps 65536 ids that no account has and that no running process has mapped. Runs that search at the same
//! time wait for each other: each holds a lock until it is in its namespace. From then on, its map in /proc
//! shows that the ids are used. When the process ends, they are free again.

use crate::call::{self, CreateUserNamespace, EnterUserNamespace, LockFreeIds, UnlockFreeIds};
use crate::handles::FdSlot;
use crate::plan::Plan;

/// A user namespace that a plan has created and not entered yet.
#[derive(Clone, Copy, Debug)]
pub struct FreeIds {
    /// The slot for the namespace.
    pub namespace: FdSlot,
    lock: FdSlot,
}

impl FreeIds {
    /// Creates the namespace.
    pub fn plan_creation(plan: &mut Plan) -> Self {
        let slots = Self { namespace: plan.slot("user namespace"), lock: plan.slot("lock") };
        plan.step("wait until no other run searches for free ids", LockFreeIds(slots.lock));
        let reason = "create a user namespace whose ids no account of this machine has";
        plan.step(reason, CreateUserNamespace(slots.namespace));
        slots
    }

    /// Enters it and becomes its root.
    pub fn plan_entry(self, plan: &mut Plan) {
        plan.step("enter the user namespace", EnterUserNamespace(self.namespace));
        plan.step("let other runs search for free ids", UnlockFreeIds(self.lock));
        plan.step("drop the supplementary groups", call::SetGroups(Vec::new()));
        plan.step("become group 0 inside", call::SetGroup(0));
        plan.step("become user 0 inside", call::SetUser(0));
    }
}

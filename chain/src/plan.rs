//! A plan: reasons and calls, in order, and the command at the end.
//!
//! The same list gives the run, `--explain`, `--dry-run`, every error line and
//! hint, and the tests that need no root. What a step made and what must not
//! outlive the command is undone by the step's own `undo`: by the parent that
//! stays after a fork, or at once when a later step fails.
//!
//! A step that only a process outside of the new namespaces can make is left to a helper by
//! [`Plan::in_helper`]. The helper is forked before the first step.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::call::{self, Call, ForkOptions};
use crate::chain_dry_run;
use crate::exec::Command;
use crate::execution::{Execution, OnExit};
use crate::handles::{FdSlot, Handles};
use crate::reporter::{Reporter, Verbosity};
use crate::step::{Action, Instead, Step, Undo, UndoWhen};
use crate::supervise::{Ended, Watch};
use system::sys;

pub use crate::step::Reason;

/// What a tool will do, computed before the first call is made.
pub struct Plan {
    steps: Vec<Step>,
    handles: Handles,
    command: Option<Command>,
    on_exit: Option<OnExit>,
    watch: Option<Watch>,
    /// How many calls are left to the helper.
    helper_calls: u32,
    /// Whether the helper lives as long as the parent that stays.
    helper_stays: bool,
}

impl Plan {
    /// A plan that only becomes the command.
    pub fn new(command: Command) -> Self {
        Self::ending_with(Some(command))
    }

    /// A plan that ends, with status 0, after its last step: nothing is run, and nothing taken back.
    pub fn without_command() -> Self {
        Self::ending_with(None)
    }

    fn ending_with(command: Option<Command>) -> Self {
        let (steps, handles) = (Vec::new(), Handles::default());
        Self { steps, handles, command, on_exit: None, watch: None, helper_calls: 0, helper_stays: false }
    }

    /// A slot for a descriptor that a call opens; messages show it as `<name>`.
    pub fn slot(&mut self, name: &'static str) -> FdSlot {
        self.handles.slot(name)
    }

    /// A slot for a descriptor that was opened while the system was read.
    pub fn attach_fd(&mut self, name: &'static str, fd: OwnedFd) -> FdSlot {
        let slot = self.slot(name);
        self.handles.hold(slot, fd);
        slot
    }

    /// Adds a step.
    pub fn step(&mut self, reason: impl Into<Reason>, call: impl Call + 'static) {
        self.steps.push(Step::new(reason.into(), Action::Call(Box::new(call))));
    }

    /// Adds a step if there is a call to make.
    pub fn step_if_some(&mut self, reason: impl Into<Reason>, call: Option<impl Call + 'static>) {
        if let Some(call) = call {
            self.step(reason, call);
        }
    }

    /// Adds a fork: the child goes on with the plan, the parent stays until the child has ended, and
    /// takes back the steps before.
    pub fn fork(&mut self, reason: impl Into<Reason>, options: ForkOptions) {
        self.steps.push(Step::new(reason.into(), Action::Fork(options)));
    }

    /// Adds a reaper, process 1 of a PID namespace that the plan has created and that is still empty. It can be
    /// neither traced nor read, and leaves the caller's session and directory; it alone makes the steps that
    /// `limit` adds. The next fork is for the command: when the command has ended, the parent that stays ends
    /// the reaper, and so all in the namespace.
    pub fn start_reaper(&mut self, limit: impl FnOnce(&mut Self)) {
        self.steps.push(Step::new("start a reaper as process 1".into(), Action::StartReaper));
        let first = self.steps.len();
        self.step("keep it out of reach", call::WithdrawReaper);
        limit(self);
        for Step { action, .. } in self.steps.iter_mut().skip(first) {
            if let Action::Call(call) = std::mem::replace(action, Action::StartReaper) {
                *action = Action::InReaper(call);
            }
        }
    }

    /// Lets the helper make the last step, and take it back.
    pub fn in_helper(&mut self) {
        if self.helper_calls == 0 && !self.steps.is_empty() {
            let fork = Step::new("leave a helper outside".into(), Action::StartHelper);
            self.steps.insert(0, fork);
        }
        let Some(Step { action, undo, .. }) = self.steps.last_mut() else { return };
        for action in std::iter::once(action).chain(undo.iter_mut().map(|undo| &mut undo.action)) {
            *action = match std::mem::replace(action, Action::StartHelper) {
                Action::Call(call) => {
                    self.helper_calls += 1;
                    Action::InHelper(self.helper_calls - 1, call)
                }
                // only this process can fork for itself, and what the helper makes already stays with it
                other => other,
            };
        }
    }

    /// Lets the helper begin, once the last step is made, with later steps that [`Plan::early`] names. A run that
    /// is explained makes each in its turn.
    pub fn begin_early(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.begins_early = true;
        }
    }

    /// Lets the helper make the last step, which is its own, beside steps before it.
    pub fn early(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.early = true;
        }
    }

    /// Lets the helper live until the parent that stays has taken everything back, for undo steps that must
    /// be made where the helper is.
    pub fn keep_helper(&mut self) {
        self.helper_stays = true;
    }

    /// After the last step nothing is taken back, whatever fails: it cannot be any more.
    pub fn point_of_no_return(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.commits = true;
        }
    }

    /// Lets the plan go on, with one line, when the last step fails.
    pub fn optional(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.optional = true;
        }
    }

    /// Lets the last step, which is only a default, fail with one of these errors: `note` is printed, and the
    /// plan goes on with the calls of `instead`.
    pub fn or_else(
        &mut self,
        refusals: &'static [Errno],
        note: impl Into<Reason>,
        instead: Vec<(Reason, Box<dyn Call>)>,
    ) {
        let Some(step) = self.steps.last_mut() else { return };
        let in_helper = matches!(step.action, Action::InHelper(..));
        let mut action = |call| {
            if !in_helper {
                return Action::Call(call);
            }
            self.helper_calls += 1;
            Action::InHelper(self.helper_calls - 1, call)
        };
        let steps = instead.into_iter().map(|(reason, call)| (reason, action(call))).collect();
        step.instead = Some(Instead { refusals, note: note.into(), steps });
    }

    /// Checks, once the last step is made, whether it came out as meant: what the kernel took
    /// is not always what it was given. An error is a failure of the step.
    pub fn verify(&mut self, check: impl FnOnce(&Reporter) -> Result<(), String> + 'static) {
        if let Some(step) = self.steps.last_mut() {
            step.verify = Some(Box::new(check));
        }
    }

    /// Says how the last step is taken back, because its effect must not outlive the command.
    /// Several are taken back in reverse order.
    pub fn undo(&mut self, reason: impl Into<Reason>, call: impl Call + 'static) {
        self.add_undo(reason.into(), Box::new(call), UndoWhen::AfterCommand);
    }

    /// Says how the last step is taken back when a later one fails: its effect is meant to outlive
    /// the command, but not to be there without one.
    pub fn undo_if_failed(&mut self, reason: impl Into<Reason>, call: impl Call + 'static) {
        self.add_undo(reason.into(), Box::new(call), UndoWhen::OnFailure);
    }

    fn add_undo(&mut self, reason: Reason, call: Box<dyn Call>, when: UndoWhen) {
        let Some(step) = self.steps.last_mut() else { return };
        let action = if matches!(step.action, Action::InHelper(..)) {
            self.helper_calls += 1;
            Action::InHelper(self.helper_calls - 1, call)
        } else {
            Action::Call(call)
        };
        step.undo.push(Undo { reason, action, when });
    }

    /// What the parent that stays looks at when the command has ended, before it takes steps back.
    pub fn on_exit(&mut self, look: impl FnOnce(&Reporter, Ended) + 'static) {
        self.on_exit = Some(Box::new(look));
    }

    /// What the parent that stays looks at from time to time while the command runs, first when it
    /// starts.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// The calls in order, for tests: one line each.
    pub fn lines(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.action.shown().notation).collect()
    }

    /// Executes the plan and becomes the command. Does not return.
    pub fn execute(self, reporter: &Reporter) -> ! {
        if reporter.verbosity() == Verbosity::DryRun {
            self.print(reporter);
            let Some(command) = &self.command else { sys::exit(0) };
            sys::exit(chain_dry_run::continue_with_next(reporter, command, &self.steps));
        }
        let Self { steps, handles, command, on_exit, watch, helper_stays, .. } = self;
        Execution::new(reporter, handles, command, on_exit, watch, helper_stays).run(steps)
    }

    fn print(&self, reporter: &Reporter) {
        for Step { reason, action, .. } in &self.steps {
            let shown = action.shown();
            reporter.step(reason, shown.notation, shown.page);
        }
        let Some(command) = &self.command else { return };
        command.say(reporter);
        let committed = self.steps.iter().rposition(|step| step.commits).map_or(0, |last| last + 1);
        let open = self.steps.iter().skip(committed).rev();
        let undos = open.flat_map(|step| step.undo.iter().rev());
        for Undo { reason, action, .. } in undos.filter(|undo| undo.when == UndoWhen::AfterCommand) {
            let shown = action.shown();
            reporter.step(format_args!("afterwards, {reason}"), shown.notation, shown.page);
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sched::CloneFlags;

    use super::*;

    #[test]
    fn a_helper_is_forked_first_if_a_step_is_left_to_it() {
        let plan = |in_helper: bool| {
            let mut plan = Plan::new(Command::shell("sh".into()));
            plan.step("give up groups", call::SetGroups(Vec::new()));
            plan.step("enter a new user namespace", call::Unshare(CloneFlags::CLONE_NEWUSER));
            plan.step("map user ids", call::Write::new("/proc/7/uid_map", "0 0 1"));
            if in_helper {
                plan.in_helper();
            }
            plan.lines()
        };
        let (groups, unshare) = ("setgroups(0, [])", "unshare(CLONE_NEWUSER)");
        let write = "write(</proc/7/uid_map>, \"0 0 1\", 5)";
        assert_eq!(plan(false), [groups, unshare, write]);
        assert_eq!(plan(true), ["fork()", groups, unshare, write]);
    }

    #[test]
    fn a_fork_and_what_the_helper_has_already_cannot_be_left_to_it() {
        let mut plan = Plan::new(Command::shell("sh".into()));
        plan.step("map user ids", call::Write::new("/proc/7/uid_map", "0 0 1"));
        plan.in_helper();
        plan.in_helper();
        plan.fork("start process 1", ForkOptions::default());
        plan.in_helper();
        assert_eq!(plan.lines(), ["fork()", "write(</proc/7/uid_map>, \"0 0 1\", 5)", "fork()"]);
        assert_eq!(plan.helper_calls, 1);
        assert!(matches!(plan.steps.last(), Some(Step { action: Action::Fork(_), .. })));
    }
}

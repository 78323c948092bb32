//! A plan: reasons and calls, in order, and the command at the end.
//!
//! The same list gives the run, `--explain`, `--dry-run`, every error line and hint, and the tests that need
//! no root. A step that must not outlive the command has an `undo`. The supervisor runs it after the command,
//! or this process runs it if a later step fails.
//!
//! A step that only a process outside the new namespaces can make is a [`Step::in_helper`]. The helper is
//! forked before the first step.

use std::os::fd::{OwnedFd, RawFd};

use crate::call::{self, Call, ForkOptions};
use crate::chain_dry_run;
use crate::command::Command;
use crate::execution::{Execution, OnExit};
use crate::handles::{FdSlot, Handles};
use crate::reporter::Reporter;
use crate::step::{Action, Closing, Undo, UndoWhen};
use crate::supervise::{Ended, Watch};
use system::sys;

pub use crate::step::{Reason, Step};

/// What a tool will do. It is complete before the first call is made.
pub struct Plan {
    steps: Vec<Step>,
    handles: Handles,
    command: Option<Command>,
    on_exit: Option<OnExit>,
    watch: Option<Watch>,
    /// How many calls the helper makes.
    helper_calls: u32,
    /// Whether the helper lives as long as the supervisor.
    helper_stays: bool,
}

impl Plan {
    /// A plan that only becomes the command.
    pub fn new(command: Command) -> Self {
        Self::ending_with(Some(command))
    }

    /// A plan that ends after its last step, with status 0: it runs no command, and undoes nothing.
    pub fn without_command() -> Self {
        Self::ending_with(None)
    }

    fn ending_with(command: Option<Command>) -> Self {
        // the longest plan has about a hundred steps; a list that grows is copied, and touches more pages
        let (steps, handles) = (Vec::with_capacity(128), Handles::default());
        Self { steps, handles, command, on_exit: None, watch: None, helper_calls: 0, helper_stays: false }
    }

    /// A slot for a descriptor that a call opens; messages show it as `<name>`.
    pub fn slot(&mut self, name: &'static str) -> FdSlot {
        self.handles.slot(name)
    }

    /// A slot for a descriptor that setup has opened.
    pub fn attach_fd(&mut self, name: &'static str, fd: OwnedFd) -> FdSlot {
        let slot = self.slot(name);
        self.handles.hold(slot, fd);
        slot
    }

    /// Adds a step from a reason and a call.
    pub fn step(&mut self, reason: impl Into<Reason>, call: impl Call + 'static) {
        self.add(Step::new(reason, call));
    }

    /// Adds a step.
    pub fn add(&mut self, mut step: Step) {
        if step.is_in_helper() && self.helper_calls == 0 {
            self.steps.insert(0, Step::of("leave a helper outside", Action::StartHelper));
        }
        step.number_helper_calls(&mut self.helper_calls);
        self.steps.push(step);
    }

    /// Adds a step, if there is a call.
    pub fn step_if_some(&mut self, reason: impl Into<Reason>, call: Option<impl Call + 'static>) {
        if let Some(call) = call {
            self.step(reason, call);
        }
    }

    /// Adds a fork: the child continues the plan. The parent waits until the child has ended, and undoes the
    /// earlier steps.
    pub fn fork(&mut self, reason: impl Into<Reason>, options: ForkOptions) {
        self.steps.push(Step::of(reason, Action::Fork(options)));
    }

    /// Adds a reaper, process 1 of a PID namespace that the plan has created and that is still empty. Other
    /// processes can neither trace nor read it, and it leaves the caller's session and directory. Only the
    /// reaper runs the steps that `limit` adds. The next fork is for the command: when the command has ended,
    /// the supervisor ends the reaper, and with it every process in the namespace.
    pub fn start_reaper(&mut self, limit: impl FnOnce(&mut Self)) {
        self.steps.push(Step::of("start a reaper as process 1", Action::StartReaper));
        let first = self.steps.len();
        self.step("keep the reaper out of reach", call::WithdrawReaper);
        limit(self);
        for Step { action, .. } in self.steps.iter_mut().skip(first) {
            if let Action::Call(call) = std::mem::replace(action, Action::StartReaper) {
                *action = Action::InReaper(call);
            }
        }
    }

    /// Makes this call before it undoes the steps so far: after the command, or after a later step has
    /// failed.
    pub fn before_undo(&mut self, reason: impl Into<Reason>, call: impl Call + 'static) {
        if let Some(step) = self.steps.last_mut() {
            let action = Action::Call(Box::new(call));
            step.undo.push(Undo { reason: reason.into(), action, when: UndoWhen::AfterCommand });
        }
    }

    /// Lets the helper live until the supervisor has undone everything, for undo steps that the helper must
    /// make.
    pub fn keep_helper(&mut self) {
        self.helper_stays = true;
    }

    /// From here on, closes these inherited descriptors and every descriptor of the plan except `kept`. Until
    /// execve(2) has found the command, /proc/self/fd leads to each open descriptor, and a path inside can go
    /// through it.
    pub fn close_all_but(&mut self, kept: Vec<FdSlot>, inherited: Vec<RawFd>) {
        if let Some(step) = self.steps.last_mut() {
            step.closes = Some(Closing { kept, inherited });
        }
    }

    /// What the supervisor does when the command has ended, before it undoes steps.
    pub fn on_exit(&mut self, look: impl FnOnce(&Reporter, Ended) + 'static) {
        self.on_exit = Some(Box::new(look));
    }

    /// What the supervisor checks from time to time while the command runs, first when it starts.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// The calls in order, one line each, for tests.
    pub fn lines(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.action.shown().notation).collect()
    }

    /// Executes the plan and becomes the command. Never returns.
    pub fn execute(self, reporter: &Reporter) -> ! {
        if reporter.verbosity().is_dry_run() {
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
        command.print_step(reporter);
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
        let plan = |map: fn(Reason, call::Write) -> Step| {
            let mut plan = Plan::new(Command::shell("sh".into()));
            plan.step("give up groups", call::SetGroups(Vec::new()));
            plan.step("enter a new user namespace", call::Unshare(CloneFlags::CLONE_NEWUSER));
            plan.add(map("map user ids".into(), call::Write::new("/proc/7/uid_map", "0 0 1")));
            plan.lines()
        };
        let (groups, unshare) = ("setgroups(0, [])", "unshare(CLONE_NEWUSER)");
        let write = "write(</proc/7/uid_map>, \"0 0 1\", 5)";
        assert_eq!(plan(Step::new), [groups, unshare, write]);
        assert_eq!(plan(Step::in_helper), ["fork()", groups, unshare, write]);
    }

    #[test]
    fn one_helper_knows_each_call_that_is_left_to_it_by_a_number() {
        let write = |map: &str| call::Write::new("/proc/7/uid_map", map);
        let mut plan = Plan::new(Command::shell("sh".into()));
        let instead = vec![Step::in_helper("map one", write("third"))];
        let step = Step::in_helper("map user ids", write("first")).undo("map none", write("second"));
        plan.add(step.or_else(&[], "only one id exists inside", instead));
        plan.step("map group ids", call::Write::new("/proc/self/gid_map", "0 0 1"));
        plan.add(Step::early_in_helper("map user ids", write("fourth")));
        let shown = |number| plan.steps.iter().find_map(|step| step.helper_call(number)).map(Call::shown);
        let maps: Vec<_> = (0..=4).map_while(shown).map(|shown| shown.notation).collect();
        let expected = ["first", "second", "third", "fourth"];
        let expected = expected.map(|map| format!("write(</proc/7/uid_map>, \"{map}\", {})", map.len()));
        assert_eq!(maps, expected);
        assert_eq!(plan.lines().iter().filter(|line| *line == "fork()").count(), 1);
    }
}

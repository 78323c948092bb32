// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan: reasons and calls, in order, and the command at the end.
//!
//! The same list gives the run, `--explain`, `--dry-run`, every error line and
//! hint, and the tests that need no root. What a step made and what must not
//! outlive the command is undone by the step's own `undo`: by the parent that
//! stays after a fork, or at once when a later step fails.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::sys::signal::SigSet;

use nix::errno::Errno;

use crate::call::{Call, Handles, Opened};
use crate::exec::Command;
use crate::reporter::{Reporter, Verbosity};
use crate::supervise::{self, Ended, Forked};
use crate::{FAILED, chain_dry_run, hint, inspect, sys};

/// Why: it ends the sentence "the tool will now …" and, after a failure, "cannot …".
pub type Reason = Cow<'static, str>;

/// A look at what a step did: nothing more to say, or what did not come out as it was meant.
type Verify = Box<dyn FnOnce(&Reporter) -> Result<(), String>>;

/// What the parent that stays looks at when the command has ended.
type OnExit = Box<dyn FnOnce(&Reporter, Ended)>;

/// How a step is taken back.
struct Undo {
    reason: Reason,
    call: Call,
    when: UndoWhen,
}

/// When a step is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UndoWhen {
    /// When the command has ended, or a later step has failed.
    AfterCommand,
    /// When a later step has failed, and not any more once the command runs.
    OnFailure,
}

struct Step {
    reason: Reason,
    call: Call,
    undo: Vec<Undo>,
    look: Option<Verify>,
    /// Whether the plan goes on without it.
    optional: bool,
    /// Whether nothing before it is taken back any more.
    commits: bool,
}

/// What a tool will do, computed before the first call is made.
pub struct Plan {
    steps: Vec<Step>,
    handles: Handles,
    command: Command,
    on_exit: Option<OnExit>,
}

impl Plan {
    /// A plan that only becomes the command.
    pub fn new(command: Command) -> Self {
        Self { steps: Vec::new(), handles: Handles::default(), command, on_exit: None }
    }

    /// Gives calls a descriptor that was opened while the system was read.
    pub fn attach_fd(&mut self, name: Opened, fd: OwnedFd) {
        self.handles.hold(name, fd);
    }

    /// Adds a step.
    pub fn step(&mut self, reason: impl Into<Reason>, call: Call) {
        let reason = reason.into();
        self.steps.push(Step { reason, call, undo: Vec::new(), look: None, optional: false, commits: false });
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

    /// Looks, once the last step is made, whether it came out as meant: what the kernel took
    /// is not always what it was given. What the look says is wrong is a failure of the step.
    pub fn verify(&mut self, look: impl FnOnce(&Reporter) -> Result<(), String> + 'static) {
        if let Some(step) = self.steps.last_mut() {
            step.look = Some(Box::new(look));
        }
    }

    /// Says how the last step is taken back, because its effect must not outlive the command.
    /// Several are taken back in the order opposite to the one they were said in.
    pub fn undo(&mut self, reason: impl Into<Reason>, call: Call) {
        if let Some(step) = self.steps.last_mut() {
            step.undo.push(Undo { reason: reason.into(), call, when: UndoWhen::AfterCommand });
        }
    }

    /// Says how the last step is taken back when a later one fails: its effect is meant to outlive
    /// the command, but not to be there without one.
    pub fn undo_if_failed(&mut self, reason: impl Into<Reason>, call: Call) {
        if let Some(step) = self.steps.last_mut() {
            step.undo.push(Undo { reason: reason.into(), call, when: UndoWhen::OnFailure });
        }
    }

    /// What the parent that stays looks at when the command has ended, before it takes steps back.
    pub fn on_exit(&mut self, look: impl FnOnce(&Reporter, Ended) + 'static) {
        self.on_exit = Some(Box::new(look));
    }

    /// The calls in order, for tests: one line each.
    pub fn lines(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.call.to_string()).collect()
    }

    /// Carries the plan out and becomes the command. Does not return.
    pub fn execute(mut self, reporter: &Reporter) -> ! {
        if reporter.verbosity() == Verbosity::DryRun {
            self.say_all(reporter);
            sys::exit(chain_dry_run::continue_with_next(
                reporter,
                &self.command,
                self.steps.iter().map(|step| &step.call),
            ));
        }
        let mut handles = std::mem::take(&mut self.handles);
        let mut done = Vec::new();
        let mut signals = None;
        let mut here = PathBuf::from("/");
        for step in std::mem::take(&mut self.steps) {
            if !step.undo.is_empty() || matches!(step.call, Call::Fork(_)) {
                // no signal may end us between a step and what takes it back
                signals.get_or_insert_with(supervise::block_signals);
            }
            reporter.step(&step.reason, &step.call, step.call.page());
            if reporter.verbosity() == Verbosity::ExplainSee {
                here = inspect::track_cwd(&step.call, here);
                reporter.see(inspect::inspection_command(&step.call, &here));
            }
            let made = match &step.call {
                Call::Fork(stay) => {
                    match supervise::fork(stay, &handles, &signals.take().unwrap_or_else(SigSet::empty)) {
                        Ok(Forked::Child(joined)) => {
                            // what was made before is the parent's to take back when all is over
                            done.retain(|undo: &Undo| undo.when == UndoWhen::OnFailure);
                            joined
                        }
                        Ok(Forked::Supervisor(parent)) => self.stay(reporter, parent, done, &mut handles),
                        Err(errno) => Err(errno),
                    }
                }
                call => call.make(&mut handles),
            };
            if let Err(errno) = made {
                say_failure(reporter, &step.reason, &step.call, errno);
            }
            let held = made.is_ok() && step.look.is_none_or(|look| reporter.report_err(look(reporter)));
            if !held && !step.optional {
                take_back(reporter, done, &mut handles);
                // a helper is waited for
                drop(handles);
                if let Some(before) = signals {
                    supervise::unblock_signals(&before);
                }
                sys::exit(FAILED);
            }
            if made.is_ok() {
                done.extend(step.undo);
            }
            if step.commits {
                done.clear();
            }
        }
        done.retain(|undo| undo.when == UndoWhen::AfterCommand);
        handles.settle();
        // where nobody stays behind, the command gets its signals back here
        if let Some(before) = signals {
            supervise::unblock_signals(&before);
        }
        let status = self.command.become_it(reporter);
        take_back(reporter, done, &mut handles);
        sys::exit(status)
    }

    fn stay(
        self,
        reporter: &Reporter,
        parent: supervise::Supervisor,
        mut done: Vec<Undo>,
        handles: &mut Handles,
    ) -> ! {
        done.retain(|undo| undo.when == UndoWhen::AfterCommand);
        handles.leave_helpers();
        let ended = parent.wait();
        if let Some(look) = self.on_exit {
            look(reporter, ended);
        }
        take_back(reporter, done, handles);
        supervise::end_as(ended)
    }

    fn say_all(&self, reporter: &Reporter) {
        for step in &self.steps {
            reporter.step(&step.reason, &step.call, step.call.page());
        }
        self.command.say(reporter);
        let settled = self.steps.iter().rposition(|step| step.commits).map_or(0, |last| last + 1);
        let open = self.steps.iter().skip(settled).rev();
        let undos = open.flat_map(|step| step.undo.iter().rev());
        for Undo { reason, call, .. } in undos.filter(|undo| undo.when == UndoWhen::AfterCommand) {
            reporter.step(format_args!("afterwards, {reason}"), call, call.page());
        }
    }
}

fn say_failure(reporter: &Reporter, reason: &Reason, call: &Call, errno: Errno) {
    reporter.failed(reason, call, errno);
    if let Some(advice) = hint::advice(call, errno) {
        reporter.hint(advice);
    }
}

/// Takes steps back, the last first. A failure is said and the next one still tried.
fn take_back(reporter: &Reporter, done: Vec<Undo>, handles: &mut Handles) {
    for Undo { reason, call, .. } in done.into_iter().rev() {
        reporter.step(&reason, &call, call.page());
        if let Err(errno) = call.make(handles) {
            say_failure(reporter, &reason, &call, errno);
        }
    }
}

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

use crate::call::{Call, Hands, Opened};
use crate::exec::Command;
use crate::tell::{Tell, Voice};
use crate::wait::{self, Ended, Side};
use crate::{FAILED, hint, next, see, sys};

/// Why: it ends the sentence "the tool will now …" and, after a failure, "cannot …".
pub type Reason = Cow<'static, str>;

/// A look at what a step did: nothing more to say, or what did not come out as it was meant.
type Look = Box<dyn FnOnce(&Tell) -> Result<(), String>>;

/// What the parent that stays looks at when the command has ended.
type Farewell = Box<dyn FnOnce(&Tell, Ended)>;

/// How a step is taken back.
struct Undo {
    reason: Reason,
    call: Call,
    when: Back,
}

/// When a step is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    /// When the command has ended, or a later step has failed.
    Afterwards,
    /// When a later step has failed, and not any more once the command runs.
    Failed,
}

struct Step {
    reason: Reason,
    call: Call,
    undo: Vec<Undo>,
    look: Option<Look>,
    /// Whether the plan goes on without it.
    optional: bool,
    /// Whether nothing before it is taken back any more.
    settles: bool,
}

/// What a tool will do, computed before the first call is made.
pub struct Plan {
    steps: Vec<Step>,
    hands: Hands,
    command: Command,
    farewell: Option<Farewell>,
}

impl Plan {
    /// A plan that only becomes the command.
    pub fn new(command: Command) -> Self {
        Self { steps: Vec::new(), hands: Hands::default(), command, farewell: None }
    }

    /// Gives calls a descriptor that was opened while the system was read.
    pub fn hold(&mut self, name: Opened, fd: OwnedFd) {
        self.hands.hold(name, fd);
    }

    /// Adds a step.
    pub fn will(&mut self, reason: impl Into<Reason>, call: Call) {
        let reason = reason.into();
        self.steps.push(Step { reason, call, undo: Vec::new(), look: None, optional: false, settles: false });
    }

    /// After the last step nothing is taken back, whatever fails: it cannot be any more.
    pub fn settle(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.settles = true;
        }
    }

    /// Lets the plan go on, with one line, when the last step fails.
    pub fn or_go_on(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.optional = true;
        }
    }

    /// Looks, once the last step is made, whether it came out as meant: what the kernel took
    /// is not always what it was given. What the look says is wrong is a failure of the step.
    pub fn look(&mut self, look: impl FnOnce(&Tell) -> Result<(), String> + 'static) {
        if let Some(step) = self.steps.last_mut() {
            step.look = Some(Box::new(look));
        }
    }

    /// Says how the last step is taken back, because its effect must not outlive the command.
    /// Several are taken back in the order opposite to the one they were said in.
    pub fn undo(&mut self, reason: impl Into<Reason>, call: Call) {
        if let Some(step) = self.steps.last_mut() {
            step.undo.push(Undo { reason: reason.into(), call, when: Back::Afterwards });
        }
    }

    /// Says how the last step is taken back when a later one fails: its effect is meant to outlive
    /// the command, but not to be there without one.
    pub fn undo_if_failed(&mut self, reason: impl Into<Reason>, call: Call) {
        if let Some(step) = self.steps.last_mut() {
            step.undo.push(Undo { reason: reason.into(), call, when: Back::Failed });
        }
    }

    /// What the parent that stays looks at when the command has ended, before it takes steps back.
    pub fn when_ended(&mut self, look: impl FnOnce(&Tell, Ended) + 'static) {
        self.farewell = Some(Box::new(look));
    }

    /// The calls in order, for tests: one line each.
    pub fn lines(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.call.to_string()).collect()
    }

    /// Carries the plan out and becomes the command. Does not return.
    pub fn carry_out(mut self, tell: &Tell) -> ! {
        if tell.voice() == Voice::DryRun {
            self.say_all(tell);
            sys::exit(next::hand_on(tell, &self.command, self.steps.iter().map(|step| &step.call)));
        }
        let mut hands = std::mem::take(&mut self.hands);
        let mut done = Vec::new();
        let mut signals = None;
        let mut here = PathBuf::from("/");
        for step in std::mem::take(&mut self.steps) {
            if !step.undo.is_empty() || matches!(step.call, Call::Fork(_)) {
                // no signal may end us between a step and what takes it back
                signals.get_or_insert_with(wait::block_signals);
            }
            tell.step(&step.reason, &step.call, step.call.page());
            if tell.voice() == Voice::ExplainSee {
                here = see::moved(&step.call, here);
                tell.see(see::see(&step.call, &here));
            }
            let made = match &step.call {
                Call::Fork(stay) => {
                    match wait::fork(stay, &hands, &signals.take().unwrap_or_else(SigSet::empty)) {
                        Ok(Side::Child(joined)) => {
                            // what was made before is the parent's to take back when all is over
                            done.retain(|undo: &Undo| undo.when == Back::Failed);
                            joined
                        }
                        Ok(Side::Parent(parent)) => self.stay(tell, parent, done, &mut hands),
                        Err(errno) => Err(errno),
                    }
                }
                call => call.make(&mut hands),
            };
            if let Err(errno) = made {
                say_failure(tell, &step.reason, &step.call, errno);
            }
            let held = made.is_ok() && step.look.is_none_or(|look| tell.unless_wrong(look(tell)));
            if !held && !step.optional {
                take_back(tell, done, &mut hands);
                // a helper is waited for
                drop(hands);
                if let Some(before) = signals {
                    wait::unblock_signals(&before);
                }
                sys::exit(FAILED);
            }
            if made.is_ok() {
                done.extend(step.undo);
            }
            if step.settles {
                done.clear();
            }
        }
        done.retain(|undo| undo.when == Back::Afterwards);
        hands.settle();
        // where nobody stays behind, the command gets its signals back here
        if let Some(before) = signals {
            wait::unblock_signals(&before);
        }
        let status = self.command.become_it(tell);
        take_back(tell, done, &mut hands);
        sys::exit(status)
    }

    fn stay(self, tell: &Tell, parent: wait::Parent, mut done: Vec<Undo>, hands: &mut Hands) -> ! {
        done.retain(|undo| undo.when == Back::Afterwards);
        hands.leave_helpers();
        let ended = parent.wait();
        if let Some(look) = self.farewell {
            look(tell, ended);
        }
        take_back(tell, done, hands);
        wait::end_as(ended)
    }

    fn say_all(&self, tell: &Tell) {
        for step in &self.steps {
            tell.step(&step.reason, &step.call, step.call.page());
        }
        self.command.say(tell);
        let settled = self.steps.iter().rposition(|step| step.settles).map_or(0, |last| last + 1);
        let open = self.steps.iter().skip(settled).rev();
        let undos = open.flat_map(|step| step.undo.iter().rev());
        for Undo { reason, call, .. } in undos.filter(|undo| undo.when == Back::Afterwards) {
            tell.step(format_args!("afterwards, {reason}"), call, call.page());
        }
    }
}

fn say_failure(tell: &Tell, reason: &Reason, call: &Call, errno: Errno) {
    tell.failed(reason, call, errno);
    if let Some(advice) = hint::advice(call, errno) {
        tell.hint(advice);
    }
}

/// Takes steps back, the last first. A failure is said and the next one still tried.
fn take_back(tell: &Tell, done: Vec<Undo>, hands: &mut Hands) {
    for Undo { reason, call, .. } in done.into_iter().rev() {
        tell.step(&reason, &call, call.page());
        if let Err(errno) = call.make(hands) {
            say_failure(tell, &reason, &call, errno);
        }
    }
}

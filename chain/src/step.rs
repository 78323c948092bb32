//! A step of a plan: a reason, an action, and its undo.

use std::borrow::Cow;
use std::os::fd::RawFd;

use nix::errno::Errno;

use crate::call::{Call, Effect, ForkOptions, Shown};
use crate::handles::FdSlot;
use crate::reporter::Reporter;

/// Why: it ends the sentences "the tool will now …" and, after a failure, "cannot …".
pub type Reason = Cow<'static, str>;

/// Checks the result of a step. The error is a message about the difference.
pub(crate) type Verify = Box<dyn FnOnce(&Reporter) -> Result<(), String>>;

/// What a step does. A fork is not a [`Call`], because only the plan can make it: it then has two sides.
pub(crate) enum Action {
    Call(Box<dyn Call>),
    /// The helper makes the call that has this number.
    InHelper(u32, Box<dyn Call>),
    StartHelper,
    /// Starts process 1 of the new PID namespace. It runs the later steps that are [`Action::InReaper`].
    StartReaper,
    /// The reaper makes the call, before the next process enters its namespace.
    InReaper(Box<dyn Call>),
    Fork(ForkOptions),
}

impl Action {
    /// The helper's call with this number.
    fn helper_call(&self, asked: u32) -> Option<&dyn Call> {
        match self {
            Self::InHelper(number, call) if *number == asked => Some(&**call),
            _ => None,
        }
    }

    pub(crate) fn shown(&self) -> Shown {
        match self {
            Self::Call(call) | Self::InHelper(_, call) | Self::InReaper(call) => call.shown(),
            Self::StartHelper | Self::StartReaper => Shown::new("fork()", "fork(2)"),
            Self::Fork(options) => options.shown(),
        }
    }

    pub(crate) fn hint(&self, errno: Errno) -> Option<String> {
        match self {
            Self::Call(call) | Self::InHelper(_, call) | Self::InReaper(call) => call.hint(errno),
            Self::StartHelper | Self::StartReaper => ForkOptions::default().hint(errno),
            Self::Fork(options) => options.hint(errno),
        }
    }

    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::Call(call) | Self::InHelper(_, call) => call.effect(),
            // what changes in the reaper changes no other process
            Self::StartHelper | Self::StartReaper | Self::InReaper(_) => Effect::None,
            Self::Fork(options) => options.effect(),
        }
    }
}

/// When a step is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UndoWhen {
    /// After the command, or when a later step has failed.
    AfterCommand,
    /// Only when a later step has failed: once the command runs, the effect stays.
    OnFailure,
}

/// What replaces a default step that the system refuses.
pub(crate) struct Instead {
    /// The errors that count as a refusal; any other is a failure.
    pub(crate) refusals: &'static [Errno],
    /// The line to print: what is skipped.
    pub(crate) note: Reason,
    pub(crate) steps: Vec<Step>,
}

/// How a step is undone.
pub(crate) struct Undo {
    pub(crate) reason: Reason,
    pub(crate) action: Action,
    pub(crate) when: UndoWhen,
}

impl Undo {
    /// Whether the helper makes it.
    pub(crate) fn is_in_helper(&self) -> bool {
        matches!(self.action, Action::InHelper(..))
    }
}

/// Descriptors to close before the command starts: all of the plan's except `kept`, and some inherited ones.
pub(crate) struct Closing {
    pub(crate) kept: Vec<FdSlot>,
    pub(crate) inherited: Vec<RawFd>,
}

/// A reason and a call, with further properties. Add it with [`Plan::add`](crate::Plan::add).
#[must_use = "a step runs only if it is in a plan"]
pub struct Step {
    pub(crate) reason: Reason,
    pub(crate) action: Action,
    pub(crate) undo: Vec<Undo>,
    pub(crate) verify: Option<Verify>,
    /// What to close after the step.
    pub(crate) closes: Option<Closing>,
    /// Whether the plan continues if the step fails.
    pub(crate) optional: bool,
    pub(crate) instead: Option<Instead>,
    /// Whether no earlier step is undone after this one.
    pub(crate) commits: bool,
    /// Whether the helper may start with later steps that are `early`, after this one.
    pub(crate) begins_early: bool,
    /// Whether the helper may make it in parallel with the steps before it.
    pub(crate) early: bool,
}

impl Step {
    /// A step that this process runs.
    pub fn new(reason: impl Into<Reason>, call: impl Call + 'static) -> Self {
        Self::of(reason, Action::Call(Box::new(call)))
    }

    /// A step that the helper runs and undoes. The helper is a process that stays in the caller's namespaces.
    pub fn in_helper(reason: impl Into<Reason>, call: impl Call + 'static) -> Self {
        Self::of(reason, Action::InHelper(0, Box::new(call)))
    }

    /// The same, but the helper may run it in parallel with the steps before it, from the one with
    /// [`Step::begins_early`] on.
    pub fn early_in_helper(reason: impl Into<Reason>, call: impl Call + 'static) -> Self {
        Self { early: true, ..Self::in_helper(reason, call) }
    }

    pub(crate) fn of(reason: impl Into<Reason>, action: Action) -> Self {
        Self {
            reason: reason.into(),
            action,
            undo: Vec::new(),
            verify: None,
            closes: None,
            optional: false,
            instead: None,
            commits: false,
            begins_early: false,
            early: false,
        }
    }

    /// Undoes the step with this call, because its effect must not outlive the command. With several calls,
    /// the last one comes first.
    pub fn undo(self, reason: impl Into<Reason>, call: impl Call + 'static) -> Self {
        self.undo_when(UndoWhen::AfterCommand, reason.into(), Box::new(call))
    }

    /// Undoes the step if a later one fails: its effect is meant to outlive the command, but not to exist
    /// without one.
    pub fn undo_if_failed(self, reason: impl Into<Reason>, call: impl Call + 'static) -> Self {
        self.undo_when(UndoWhen::OnFailure, reason.into(), Box::new(call))
    }

    fn undo_when(mut self, when: UndoWhen, reason: Reason, call: Box<dyn Call>) -> Self {
        let action = match self.action {
            Action::InHelper(..) => Action::InHelper(0, call),
            _ => Action::Call(call),
        };
        self.undo.push(Undo { reason, action, when });
        self
    }

    /// Checks the result after the step: the kernel does not always use the value it was given. An error is a
    /// failure of the step.
    pub fn verify(self, check: impl FnOnce(&Reporter) -> Result<(), String> + 'static) -> Self {
        Self { verify: Some(Box::new(check)), ..self }
    }

    /// If the step fails, prints one line and continues the plan.
    pub fn optional(self) -> Self {
        self.optional_if(true)
    }

    /// The same, if `is_optional` is true.
    pub fn optional_if(self, is_optional: bool) -> Self {
        Self { optional: is_optional, ..self }
    }

    /// Marks the step as a default that may fail with one of these errors. Then `note` is printed, and the
    /// plan continues with the steps of `instead`.
    pub fn or_else(self, refusals: &'static [Errno], note: impl Into<Reason>, instead: Vec<Self>) -> Self {
        Self { instead: Some(Instead { refusals, note: note.into(), steps: instead }), ..self }
    }

    /// Undoes nothing after this step, whatever fails: it is no longer possible.
    pub fn point_of_no_return(self) -> Self {
        Self { commits: true, ..self }
    }

    /// Lets the helper start with later steps of [`Step::early_in_helper`], once this step is made. With
    /// `--explain`, each waits for its turn.
    pub fn begins_early(self) -> Self {
        Self { begins_early: true, ..self }
    }

    /// Whether the helper runs it.
    pub(crate) fn is_in_helper(&self) -> bool {
        matches!(self.action, Action::InHelper(..))
    }

    /// Numbers each call of the helper, starting with `next`.
    pub(crate) fn number_helper_calls(&mut self, next: &mut u32) {
        let undo = self.undo.iter_mut().map(|undo| &mut undo.action);
        for action in std::iter::once(&mut self.action).chain(undo) {
            if let Action::InHelper(number, _) = action {
                *number = *next;
                *next += 1;
            }
        }
        for step in self.instead.iter_mut().flat_map(|instead| &mut instead.steps) {
            step.number_helper_calls(next);
        }
    }

    /// The helper's call with this number: the step's, its undo, or one made instead.
    pub(crate) fn helper_call(&self, number: u32) -> Option<&dyn Call> {
        let undo = self.undo.iter().map(|undo| &undo.action);
        let own = std::iter::once(&self.action).chain(undo).find_map(|action| action.helper_call(number));
        let mut instead = self.instead.iter().flat_map(|instead| &instead.steps);
        own.or_else(|| instead.find_map(|step| step.helper_call(number)))
    }
}

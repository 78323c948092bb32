//! A step of a plan: a reason, what is done, and how it is taken back.

use std::borrow::Cow;

use nix::errno::Errno;

use crate::call::{Call, Effect, ForkOptions, Shown};
use crate::reporter::Reporter;

/// Why: it ends the sentence "the tool will now …" and, after a failure, "cannot …".
pub type Reason = Cow<'static, str>;

/// Checks what a step did; the error is a message that says what did not come out as meant.
pub(crate) type Verify = Box<dyn FnOnce(&Reporter) -> Result<(), String>>;

/// What a step does. A fork is not a [`Call`], because only the plan can make it: it then has two sides.
pub(crate) enum Action {
    Call(Box<dyn Call>),
    /// The helper makes the call that has this number.
    InHelper(u32, Box<dyn Call>),
    StartHelper,
    /// Process 1 of the new PID namespace. The steps after it that are [`Action::InReaper`] are its own.
    StartReaper,
    /// The reaper makes the call, before the next process is in its namespace.
    InReaper(Box<dyn Call>),
    Fork(ForkOptions),
}

impl Action {
    /// The call that the helper knows by this number.
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
            // a change of the reaper changes no other process
            Self::StartHelper | Self::StartReaper | Self::InReaper(_) => Effect::None,
            Self::Fork(options) => options.effect(),
        }
    }
}

/// When a step is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UndoWhen {
    /// When the command has ended, or a later step has failed.
    AfterCommand,
    /// Only when a later step has failed: once the command runs, the effect stays.
    OnFailure,
}

/// What is done instead of a default step that the system refuses.
pub(crate) struct Instead {
    /// The errors that count as a refusal; any other is a failure.
    pub(crate) refusals: &'static [Errno],
    /// The line that is printed: what is left out.
    pub(crate) note: Reason,
    pub(crate) steps: Vec<(Reason, Action)>,
}

/// How a step is taken back.
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

pub(crate) struct Step {
    pub(crate) reason: Reason,
    pub(crate) action: Action,
    pub(crate) undo: Vec<Undo>,
    pub(crate) verify: Option<Verify>,
    /// Whether the plan goes on without it.
    pub(crate) optional: bool,
    pub(crate) instead: Option<Instead>,
    /// Whether nothing before it is taken back any more.
    pub(crate) commits: bool,
    /// Whether the helper may begin with later steps that are `early`, once this one is made.
    pub(crate) begins_early: bool,
    /// Whether the helper may make it beside the steps before it.
    pub(crate) early: bool,
}

impl Step {
    pub(crate) fn new(reason: Reason, action: Action) -> Self {
        Self {
            reason,
            action,
            undo: Vec::new(),
            verify: None,
            optional: false,
            instead: None,
            commits: false,
            begins_early: false,
            early: false,
        }
    }

    /// The helper's call with this number: the step's, one that takes it back, or one made instead.
    pub(crate) fn helper_call(&self, number: u32) -> Option<&dyn Call> {
        let undo = self.undo.iter().map(|undo| &undo.action);
        let instead = self.instead.iter().flat_map(|instead| &instead.steps).map(|(_, action)| action);
        let mut all = std::iter::once(&self.action).chain(undo).chain(instead);
        all.find_map(|action| action.helper_call(number))
    }
}

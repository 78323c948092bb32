//! The execution of a plan: one step after the other, and the undo steps so far.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::signal::SigSet;

use crate::call::{Effect, ForkOptions};
use crate::command::Command;
use crate::exit::FAILED;
use crate::handles::Handles;
use crate::helper::{self, Helper};
use crate::reporter::{Detail, Reporter, Verbosity};
use crate::step::{Action, Closing, Reason, Step, Undo, UndoWhen};
use crate::supervise::fork::{Forked, fork};
use crate::supervise::{self, Answer, Ended, NotReady, Reaper, Supervisor, Timer, Watch};
use system::sys;

/// What the supervisor does when the command has ended.
pub(crate) type OnExit = Box<dyn FnOnce(&Reporter, Ended)>;

pub(crate) struct Execution<'a> {
    reporter: &'a Reporter,
    handles: Handles,
    /// The command that it becomes at the end; without one, the run ends after the last step.
    command: Option<Command>,
    on_exit: Option<OnExit>,
    watch: Option<Watch>,
    helper: Option<Helper>,
    /// Whether the helper lives until the supervisor ends, and not only until the command starts.
    helper_stays: bool,
    /// Process 1 of the PID namespace of the next child.
    reaper: Option<Reaper>,
    /// The reaper's answer: the command does not start without it.
    reaper_answer: Option<Answer>,
    /// How to undo the steps made so far, in the order of the steps.
    undos: Vec<Undo>,
    /// The signal mask before this process blocked every signal.
    signals: Option<SigSet>,
    /// The working directory for paths of the next call, as the command sees it.
    cwd: PathBuf,
}

impl<'a> Execution<'a> {
    pub(crate) fn new(
        reporter: &'a Reporter,
        handles: Handles,
        command: Option<Command>,
        on_exit: Option<OnExit>,
        watch: Option<Watch>,
        helper_stays: bool,
    ) -> Self {
        let (undos, cwd) = (Vec::new(), PathBuf::new());
        let (helper, reaper, reaper_answer, signals) = (None, None, None, None);
        Self {
            reporter,
            handles,
            command,
            on_exit,
            watch,
            helper,
            helper_stays,
            reaper,
            reaper_answer,
            undos,
            signals,
            cwd,
        }
    }

    /// Runs the steps and becomes the command.
    pub(crate) fn run(mut self, steps: Vec<Step>) -> ! {
        let mut steps = steps.into_iter();
        while let Some(step) = steps.next() {
            self.make(step, steps.as_slice());
        }
        self.become_command()
    }

    /// Runs a step. It returns only in the process that continues the plan.
    fn make(&mut self, step: Step, later: &[Step]) {
        let Step { reason, action, undo, verify, closes, optional, instead, commits, begins_early, .. } =
            step;
        if matches!(action, Action::InReaper(_)) {
            // it has been made
            return;
        }
        if !undo.is_empty() || matches!(action, Action::Fork(_) | Action::StartReaper) {
            // no signal may end this process between a step and its undo
            self.signals.get_or_insert_with(supervise::block_signals);
        }
        self.show(&reason, &action);
        let made = match &action {
            Action::Fork(options) => self.fork(options),
            Action::StartReaper => self.start_reaper(later),
            action => self.make_action(action, later),
        };
        if let (Err(errno), Some(instead)) = (made, instead)
            && instead.refusals.contains(&errno)
        {
            self.reporter.message(&instead.note);
            instead.steps.into_iter().for_each(|step| self.make(step, later));
            return;
        }
        if let Err(errno) = made {
            // if the reaper has reported a failure, this one is not reported, too
            self.await_reaper();
            self.report_failure(&reason, &action, errno);
        }
        if made.is_ok() {
            // even if the result was not as intended
            self.undos.extend(undo);
        }
        let as_meant =
            made.is_ok() && verify.is_none_or(|check| self.reporter.report_err(check(self.reporter)));
        if !as_meant && !optional {
            self.give_up()
        }
        if let Some(Closing { kept, inherited }) = closes {
            self.handles.close_all_but(&kept);
            inherited.into_iter().for_each(sys::close_inherited);
        }
        if commits {
            self.undos.clear();
        }
        if begins_early && !self.reporter.verbosity().shows_steps() {
            self.begin_early(later);
        }
    }

    /// Lets the helper start with the calls that it may run in parallel with the next steps.
    fn begin_early(&mut self, later: &[Step]) {
        let Some(helper) = &mut self.helper else { return };
        let early = later.iter().filter(|step| step.early);
        let numbers = early.filter_map(|step| match step.action {
            Action::InHelper(number, _) => Some(number),
            _ => None,
        });
        helper.begin(numbers.collect());
    }

    fn show(&mut self, reason: &Reason, action: &Action) {
        if !self.reporter.verbosity().shows_steps() {
            return;
        }
        let shown = action.shown();
        self.reporter.step(reason, &shown.notation, shown.page);
        if self.reporter.verbosity() == Verbosity::Explain(Detail::See) {
            if let Effect::Cwd(cwd) = action.effect() {
                self.cwd = cwd;
            }
            self.reporter.see(shown.inspection_command(&self.cwd));
        }
    }

    fn make_action(&mut self, action: &Action, later: &[Step]) -> Result<(), Errno> {
        match action {
            Action::Call(call) => call.make(&mut self.handles),
            Action::InHelper(number, _) => self.helper.as_mut().ok_or(Errno::EBADF)?.ask(*number),
            Action::StartHelper => {
                let find = |number| later.iter().find_map(|step| step.helper_call(number));
                let undoes = later.iter().flat_map(|step| &step.undo).any(Undo::is_in_helper);
                let parent = if undoes { helper::Parent::Reaper } else { helper::Parent::Us };
                self.helper = Some(Helper::start(parent, find)?);
                Ok(())
            }
            Action::InReaper(call) => call.make(&mut self.handles),
            // the callers handle these two, which create a second process
            Action::Fork(_) | Action::StartReaper => Err(Errno::ENOSYS),
        }
    }

    /// Starts the reaper. It runs its part of the later steps and reports its failures. The command's process
    /// continues in parallel, unless the steps are explained.
    fn start_reaper(&mut self, later: &[Step]) -> Result<(), Errno> {
        let name = self.reporter.tool();
        let started = Reaper::start(name, || {
            later.iter().take_while(|step| matches!(step.action, Action::InReaper(_))).all(|step| {
                self.show(&step.reason, &step.action);
                let made = self.make_action(&step.action, &[]);
                match made {
                    // the command's process runs an optional step as well, and reports it
                    Err(errno) if !step.optional => {
                        self.report_failure(&step.reason, &step.action, errno);
                        false
                    }
                    _ => true,
                }
            })
        });
        let mut reaper = started?;
        self.reaper_answer = reaper.take_answer();
        let is_alone = self.reporter.verbosity().shows_steps() || !reaper.works_beside();
        self.reaper = Some(reaper);
        if is_alone {
            self.await_reaper();
        }
        Ok(())
    }

    /// Waits until the reaper, if there is one, has run its steps.
    fn await_reaper(&mut self) {
        match self.reaper_answer.take().map(Answer::wait) {
            None | Some(Ok(())) => {}
            Some(Err(not_ready)) => {
                if let NotReady::Failed(errno) = not_ready {
                    let action = Action::StartReaper;
                    self.report_failure(&"start a reaper as process 1".into(), &action, errno);
                }
                self.give_up()
            }
        }
    }

    /// Forks; returns only in the child.
    fn fork(&mut self, options: &ForkOptions) -> Result<(), Errno> {
        let before = self.signals.take().unwrap_or_else(SigSet::empty);
        match fork(options, &self.handles, &before, self.reaper.take())? {
            Forked::Child(joined) => {
                // the parent undoes the earlier steps after the command
                self.undos.retain(|undo| undo.when == UndoWhen::OnFailure);
                // the supervisor runs these; one that stays after a later fork does not run them again
                (self.on_exit, self.watch) = (None, None);
                joined
            }
            Forked::Supervisor(supervisor) => {
                self.undos.retain(|undo| undo.when == UndoWhen::AfterCommand);
                self.reaper_answer = None;
                self.supervise(supervisor)
            }
        }
    }

    fn supervise(&mut self, supervisor: Supervisor) -> ! {
        if let Some(helper) = self.helper.take_if(|_| !self.helper_stays) {
            helper.detach();
        }
        // the command and other tools can print lines meanwhile
        self.reporter.end_group();
        let ended = supervisor.wait(Timer::new(self.watch.take(), self.reporter));
        if let Some(look) = self.on_exit.take() {
            look(self.reporter, ended);
        }
        self.take_back();
        // dropping it waits for it, if it stayed
        self.helper = None;
        supervise::end_as(ended)
    }

    /// Ends the run after a failed step.
    fn give_up(&mut self) -> ! {
        self.take_back();
        // dropping it waits for it
        self.helper = None;
        if let Some(reaper) = self.reaper.take() {
            reaper.end();
        }
        self.restore_signals();
        sys::exit(FAILED)
    }

    fn become_command(&mut self) -> ! {
        self.await_reaper();
        // a helper with steps to undo, in case the command does not start, ends by itself after execve(2)
        let is_needed = self.undos.iter().any(Undo::is_in_helper);
        if let Some(helper) = self.helper.take_if(|_| !is_needed) {
            if self.helper_stays { helper.detach() } else { helper.shutdown() }
        }
        // without a supervisor, the command gets its signals back here
        self.restore_signals();
        let Some(command) = &self.command else { sys::exit(0) };
        let status = command.become_it(self.reporter);
        self.take_back();
        self.helper = None;
        sys::exit(status)
    }

    fn restore_signals(&mut self) {
        if let Some(before) = self.signals.take() {
            supervise::unblock_signals(&before);
        }
    }

    /// Undoes the steps, the last one first. A failure is reported, and the next undo still runs.
    fn take_back(&mut self) {
        for Undo { reason, action, .. } in std::mem::take(&mut self.undos).into_iter().rev() {
            if self.reporter.verbosity().shows_steps() {
                let shown = action.shown();
                self.reporter.step(&reason, shown.notation, shown.page);
            }
            if let Err(errno) = self.make_action(&action, &[]) {
                self.report_failure(&reason, &action, errno);
            }
        }
    }

    fn report_failure(&self, reason: &Reason, action: &Action, errno: Errno) {
        self.reporter.failed(reason, action.shown().notation, errno);
        if let Some(hint) = action.hint(errno) {
            self.reporter.hint(hint);
        }
    }
}

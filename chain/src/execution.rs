//! A plan on its way: one step after the other, and what has to be taken back by now.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::signal::SigSet;

use crate::call::{Effect, ForkOptions};
use crate::exec::Command;
use crate::exit::FAILED;
use crate::handles::Handles;
use crate::helper::{self, Helper};
use crate::reporter::{Reporter, Verbosity};
use crate::step::{Action, Reason, Step, Undo, UndoWhen};
use crate::supervise::fork::{Forked, fork};
use crate::supervise::{self, Answer, Ended, NotReady, Reaper, Supervisor, Timer, Watch};
use system::sys;

/// What the parent that stays looks at when the command has ended.
pub(crate) type OnExit = Box<dyn FnOnce(&Reporter, Ended)>;

pub(crate) struct Execution<'a> {
    reporter: &'a Reporter,
    handles: Handles,
    /// What it becomes at the end; without it, the run ends with its last step.
    command: Option<Command>,
    on_exit: Option<OnExit>,
    watch: Option<Watch>,
    helper: Option<Helper>,
    /// Whether the helper ends with the parent that stays, and not before the command starts.
    helper_stays: bool,
    /// Process 1 of the PID namespace that the next child is in.
    reaper: Option<Reaper>,
    /// The answer of the reaper, without which the command does not start.
    reaper_answer: Option<Answer>,
    /// What takes back the steps that were made, in their order.
    undos: Vec<Undo>,
    /// The signals that were blocked before this process blocked all.
    signals: Option<SigSet>,
    /// Where paths of the next call are found, as the command sees it.
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

    /// Makes the steps and becomes the command.
    pub(crate) fn run(mut self, steps: Vec<Step>) -> ! {
        let mut steps = steps.into_iter();
        while let Some(step) = steps.next() {
            self.make(step, steps.as_slice());
        }
        self.become_command()
    }

    /// Makes a step. Only the process that goes on with the plan returns from it.
    fn make(&mut self, step: Step, later: &[Step]) {
        let Step { reason, action, undo, verify, optional, instead, commits, begins_early, .. } = step;
        if matches!(action, Action::InReaper(_)) {
            // made by now
            return;
        }
        if !undo.is_empty() || matches!(action, Action::Fork(_) | Action::StartReaper) {
            // no signal may end us between a step and what takes it back
            self.signals.get_or_insert_with(supervise::block_signals);
        }
        self.show(&reason, &action);
        let made = match &action {
            Action::Fork(options) => match self.fork(options) {
                Ok(Forked::Child(joined)) => joined,
                Ok(Forked::Supervisor(supervisor)) => self.supervise(supervisor),
                Err(errno) => Err(errno),
            },
            Action::StartReaper => self.start_reaper(later),
            action => self.make_action(action, later),
        };
        if let (Err(errno), Some(instead)) = (made, instead)
            && instead.refusals.contains(&errno)
        {
            self.reporter.message(&instead.note);
            for (reason, action) in instead.steps {
                self.make(Step::new(reason, action), later);
            }
            return;
        }
        if let Err(errno) = made {
            // if the reaper has reported a failure, this one is not reported as well
            self.await_reaper();
            self.report_failure(&reason, &action, errno);
        }
        if made.is_ok() {
            // also where it did not come out as meant
            self.undos.extend(undo);
        }
        let as_meant =
            made.is_ok() && verify.is_none_or(|check| self.reporter.report_err(check(self.reporter)));
        if !as_meant && !optional {
            self.give_up()
        }
        if commits {
            self.undos.clear();
        }
        if begins_early && self.reporter.verbosity() == Verbosity::Quiet {
            self.begin_early(later);
        }
    }

    /// Has the helper begin with what it may make beside the next steps.
    fn begin_early(&mut self, later: &[Step]) {
        let Some(helper) = &mut self.helper else { return };
        for step in later.iter().filter(|step| step.early) {
            if let Action::InHelper(number, _) = step.action {
                helper.begin(number);
            }
        }
    }

    fn show(&mut self, reason: &Reason, action: &Action) {
        if self.reporter.verbosity() == Verbosity::Quiet {
            return;
        }
        let shown = action.shown();
        self.reporter.step(reason, &shown.notation, shown.page);
        if self.reporter.verbosity() == Verbosity::ExplainSee {
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
            // made where they have two sides
            Action::Fork(_) | Action::StartReaper => Err(Errno::ENOSYS),
        }
    }

    /// Starts the reaper, which makes its own ones of the later steps and reports what fails. The process of
    /// the command goes on meanwhile, unless both would be explained.
    fn start_reaper(&mut self, later: &[Step]) -> Result<(), Errno> {
        let name = self.reporter.tool();
        let started = Reaper::start(name, || {
            later.iter().take_while(|step| matches!(step.action, Action::InReaper(_))).all(|step| {
                self.show(&step.reason, &step.action);
                let made = self.make_action(&step.action, &[]);
                match made {
                    // the process of the command makes an optional one as well, and reports it
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
        let is_alone = self.reporter.verbosity() != Verbosity::Quiet || !reaper.works_beside();
        self.reaper = Some(reaper);
        if is_alone {
            self.await_reaper();
        }
        Ok(())
    }

    /// Waits until the reaper, if there is one, has made its steps.
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

    fn fork(&mut self, options: &ForkOptions) -> Result<Forked, Errno> {
        let before = self.signals.take().unwrap_or_else(SigSet::empty);
        let forked = fork(options, &self.handles, &before, self.reaper.take())?;
        let kept = match forked {
            // the parent takes back after the command what was made before
            Forked::Child(_) => UndoWhen::OnFailure,
            Forked::Supervisor(_) => UndoWhen::AfterCommand,
        };
        match forked {
            // the parent looks; one that stays after a later fork does not look again
            Forked::Child(_) => (self.on_exit, self.watch) = (None, None),
            Forked::Supervisor(_) => self.reaper_answer = None,
        }
        self.undos.retain(|undo| undo.when == kept);
        Ok(forked)
    }

    fn supervise(&mut self, supervisor: Supervisor) -> ! {
        if let Some(helper) = self.helper.take_if(|_| !self.helper_stays) {
            helper.detach();
        }
        let ended = supervisor.wait(Timer::new(self.watch.take(), self.reporter));
        if let Some(look) = self.on_exit.take() {
            look(self.reporter, ended);
        }
        self.take_back();
        // one that stayed is waited for
        self.helper = None;
        supervise::end_as(ended)
    }

    /// Ends after a failed step.
    fn give_up(&mut self) -> ! {
        self.take_back();
        // a helper is waited for
        self.helper = None;
        if let Some(reaper) = self.reaper.take() {
            reaper.end();
        }
        self.restore_signals();
        sys::exit(FAILED)
    }

    fn become_command(&mut self) -> ! {
        self.await_reaper();
        // one that is to take something back, should the command not start, ends by itself when it has
        let is_needed = self.undos.iter().any(Undo::is_in_helper);
        if let Some(helper) = self.helper.take_if(|_| !is_needed) {
            if self.helper_stays { helper.detach() } else { helper.shutdown() }
        }
        // if no parent stays, the command gets its signals back here
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

    /// Takes steps back, the last first. A failure is reported, and the next one still tried.
    fn take_back(&mut self) {
        for Undo { reason, action, .. } in std::mem::take(&mut self.undos).into_iter().rev() {
            if self.reporter.verbosity() != Verbosity::Quiet {
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

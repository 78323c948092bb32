//! The parent that stays: it forwards, reaps, and ends as the child ended.
//!
//! The child stays in the caller's process group, so a terminal's Ctrl-C and
//! Ctrl-Z reach it directly; signals that a process sent to the parent are passed
//! on. When the parent is killed, the kernel kills the child (PR_SET_PDEATHSIG).
//!
//! In a new PID namespace the child is usually process 2, beside a [`Reaper`]. Where it is process 1
//! by option, the kernel drops every signal that it neither catches nor blocks, so the parent does
//! what the signal's default action would have done, which is nothing for a stop in an orphaned process
//! group.
//!
//! One signal gets lost all the same: one that a process 1 catches, sent while it is within
//! execve(2), which resets the handler before the signal is taken. Seen from outside that is
//! what `trap 'exec program' HUP` does as well, whose program must live, so nobody stands in.

pub(crate) mod fork;
mod listen_pid;
mod orphan;
mod parent;
mod reaper;
mod signal_disposition;
mod timer;

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::unistd::Pid;

use crate::exit::FAILED;
pub(crate) use reaper::{Answer, NotReady, Reaper};
use signal_disposition::{
    ChildInProc, DefaultAction, Disposition, STOPPED_MARKER, default_action, disposition,
};
use system::sys;

pub(crate) use timer::Timer;
pub use timer::Watch;

/// Longest time a child may block a signal before its default action is no longer emulated. Shells block
/// signals briefly while they start a program; a parent inside does until its own child has stopped.
const BLOCKED_SIGNAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// What a parent must know to stay.
pub(crate) struct Supervisor {
    child: i32,
    child_is_init: bool,
    /// Process 1 of the child's PID namespace.
    reaper: Option<Reaper>,
    signals: SignalFd,
    /// The child's status is read here: once it has mounted its own, /proc no longer shows it.
    proc: Option<ChildInProc>,
    terminal: Option<(OwnedFd, Pid)>,
    /// This end of a pipe closes with the parent, which the child can see without a race; the
    /// other end closes when the child has its signals back.
    liveness_pipe: OwnedFd,
    stood_in_for: Option<i32>,
    /// A signal that the child blocks for now, and until when it may come to take it.
    deferred_signal: Option<(i32, Instant)>,
    /// The stop that came last and was not undone: a tool that stops for it does so by SIGSTOP.
    asked_to_stop: Option<i32>,
    /// Whether the child is stopped.
    child_stopped: bool,
    /// Whether we are to be stopped with it.
    stop_requested: bool,
}

/// Blocks every signal, so that none ends this process while something has to be taken back;
/// what was blocked before is returned.
pub(crate) fn block_signals() -> SigSet {
    let mut before = SigSet::empty();
    // fails only for a bad `how`
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    before
}

/// Lets the signals through again that were let through before: those that came meanwhile act now.
pub(crate) fn unblock_signals(before: &SigSet) {
    // for process 1 of a namespace the kernel would drop them
    if nix::unistd::getpid().as_raw() == 1 {
        let deferred_signal = |signal: &Signal| {
            matches!(default_action(*signal as i32), DefaultAction::End)
                && !before.contains(*signal)
                && !sys::is_ignored(*signal as i32)
        };
        if let Some(signal) = sys::pending().iter().find(deferred_signal) {
            end_as(Ended::Killed(signal as i32));
        }
    }
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(before), None);
}

/// A stop that waits to be read by us.
fn pending_stop() -> Option<Signal> {
    let pending = sys::pending();
    STOPS.into_iter().find(|stop| pending.contains(*stop))
}

impl Supervisor {
    /// Waits until the child has ended, standing in for it meanwhile.
    pub(crate) fn wait(mut self, mut timer: Timer<'_>) -> Ended {
        sys::drop_code_pages();
        let ended = loop {
            if let Some(ended) = self.reap() {
                break ended;
            }
            let shown = self.show_rest();
            self.await_signal(&mut timer);
            if shown {
                // before the signal is taken: until then it is seen waiting, and we are not at rest
                block_signals();
            }
            // how the child is by now decides what the signal is to it
            if let Some(ended) = self.reap() {
                break ended;
            }
            if let Ok(Some(arrived)) = self.signals.read_signal() {
                self.pass_on(&arrived);
            }
        };
        if let Some(reaper) = self.reaper.take() {
            reaper.end();
        }
        self.restore_terminal();
        match (ended, self.stood_in_for) {
            (Ended::Killed(libc::SIGKILL), Some(signo)) => Ended::Killed(signo),
            (ended, _) => ended,
        }
    }

    /// Shows a parent outside that our child is stopped, and we can be: as process 1 we cannot do it
    /// ourselves, the kernel stops none from inside. The sign is [`STOPPED_MARKER`] let through.
    fn show_rest(&self) -> bool {
        let shown = self.stop_requested && nix::unistd::getpid().as_raw() == 1;
        if shown {
            let _ = nix::sys::signal::sigprocmask(
                SigmaskHow::SIG_UNBLOCK,
                Some(&[STOPPED_MARKER].into_iter().collect()),
                None,
            );
        }
        shown
    }

    /// Waits for a signal; while one is due, looks now and then what the child makes of it.
    fn await_signal(&mut self, timer: &mut Timer<'_>) {
        while let Some((signo, deadline)) = self.deferred_signal {
            timer.look(self.child);
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if nix::poll::poll(&mut fds, PollTimeout::from(20u8)).is_ok_and(|ready| ready > 0) {
                return;
            }
            match (self.disposition(signo), default_action(signo)) {
                (Disposition::Dropped, _) => self.act(signo),
                // taken by sigwait(3) or the like; who takes a stop so may let the next one through
                (Disposition::Taken, DefaultAction::End) => self.deferred_signal = None,
                _ if Instant::now() > deadline => self.deferred_signal = None,
                _ => {}
            }
        }
        loop {
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if nix::poll::poll(&mut fds, timer.look(self.child)) != Ok(0) {
                return;
            }
        }
    }

    /// Looks at every child that changed: ours, and those that came to us as PID 1.
    fn reap(&mut self) -> Option<Ended> {
        loop {
            match sys::next_change() {
                Ok(Some(change)) if change.pid == self.child => match change.code {
                    libc::CLD_EXITED => return Some(Ended::Exited(change.status)),
                    libc::CLD_KILLED | libc::CLD_DUMPED => return Some(Ended::Killed(change.status)),
                    libc::CLD_STOPPED => self.stop_with_child(change.status),
                    libc::CLD_CONTINUED => (self.child_stopped, self.stop_requested) = (false, false),
                    _ => {}
                },
                Ok(Some(change)) => {
                    let has_ended =
                        matches!(change.code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED);
                    self.reaper.take_if(|reaper| has_ended && reaper.pid == change.pid);
                }
                Ok(None) => return None,
                // the child can only be gone if somebody else reaped it: nothing is left to wait for
                Err(_) => return Some(Ended::Exited(FAILED)),
            }
        }
    }

    /// A stopped command stops us, so that the shell sees its job stopped; `fg` resumes both.
    fn stop_with_child(&mut self, signo: i32) {
        self.child_stopped = true;
        let asked = self.asked_to_stop.take().or_else(|| pending_stop().map(|stop| stop as i32));
        // whoever sends SIGSTOP to the command alone will resume it alone
        if signo != libc::SIGSTOP || asked.is_some() || self.terminal.is_some() {
            self.stop_requested = true;
            self.stop(asked.unwrap_or(signo));
        }
    }

    /// Stops this process; process 1 shows that it rests instead.
    ///
    /// If the child gets the terminal's signals itself, the same signal is raised here. Otherwise SIGSTOP is,
    /// as su(1) does: a second Ctrl-Z before we have gone on would stop only us, and not the child.
    fn stop(&self, signo: i32) {
        let own = nix::unistd::getpid().as_raw();
        if own == 1 {
            return;
        }
        if self.child_is_init || sys::is_ignored(signo) {
            let _ = sys::kill(own, libc::SIGSTOP);
            return;
        }
        let _ = sys::kill(own, signo);
        // a blocked signal stops us here, and we go on when we are resumed
        let stops: SigSet = STOPS.into_iter().collect();
        let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&stops), None);
        // the SIGCONT that resumed us is read next, and passed on, unless another stop came after it
        block_signals();
    }

    /// Does to the child what the signal does by default.
    fn act(&mut self, signo: i32) {
        self.deferred_signal = None;
        let does = match default_action(signo) {
            DefaultAction::Nothing => return,
            DefaultAction::End => {
                self.stood_in_for = Some(signo);
                libc::SIGKILL
            }
            DefaultAction::Stop => {
                self.asked_to_stop = Some(signo);
                libc::SIGSTOP
            }
        };
        let _ = sys::kill(self.child, does);
    }

    fn pass_on(&mut self, arrived: &siginfo) {
        let Ok(signo) = i32::try_from(arrived.ssi_signo) else { return };
        let own = nix::unistd::getpid();
        // codes up to 0 are those of processes: sigaction(2)
        let by_process = arrived.ssi_code <= 0;
        if signo == libc::SIGCHLD || (by_process && i32::try_from(arrived.ssi_pid) == Ok(own.as_raw())) {
            return;
        }
        match default_action(signo) {
            // nothing is left to stop but us
            DefaultAction::Stop if self.child_stopped && !would_stop(signo) => return,
            DefaultAction::Stop if self.child_stopped => {
                self.stop_requested = true;
                return self.stop(signo);
            }
            DefaultAction::Stop => self.asked_to_stop = would_stop(signo).then_some(signo),
            _ if signo == libc::SIGCONT => self.asked_to_stop = None,
            _ => {}
        }
        let from_terminal = !by_process && self.terminal_reaches_child(signo);
        self.await_its_signals();
        // looked at before it is sent: a handler may be gone as soon as it has run
        let disposition = if self.child_is_init { self.disposition(signo) } else { Disposition::Handled };
        // a stop that came to all of us meanwhile must not be undone in the child
        let late = signo == libc::SIGCONT && pending_stop().is_some();
        if (!from_terminal || signo == libc::SIGCONT) && !late {
            // a child that has just ended is reaped next
            let _ = sys::kill(self.child, signo);
        }
        // one that came between that look and that call was: the child gets it again
        if signo == libc::SIGCONT
            && !late
            && let Some(stop) = pending_stop()
        {
            let _ = sys::kill(self.child, stop as i32);
        }
        self.emulate_default(signo, disposition);
    }

    /// Whether a terminal sends this signal to the child too: to all of our process group, if the child
    /// is still in it. Only the leader of the session gets a hangup.
    fn terminal_reaches_child(&self, signo: i32) -> bool {
        let group_of = |pid| nix::unistd::getpgid(pid).ok();
        let is_leader = || nix::unistd::getsid(None) == Ok(nix::unistd::getpid());
        TERMINAL.contains(&signo)
            && !(signo == libc::SIGHUP && is_leader())
            && group_of(Some(Pid::from_raw(self.child))) == group_of(None)
    }

    /// Waits until the child no longer blocks what its command will not block: a signal sent before
    /// would be pending then, and dropped.
    fn await_its_signals(&self) {
        let mut fds = [PollFd::new(self.liveness_pipe.as_fd(), PollFlags::empty())];
        // a child that somebody has stopped must not keep us for ever
        let _ = nix::poll::poll(&mut fds, PollTimeout::from(1000u16));
    }

    /// Does what the signal would have done by default to a child that is PID 1 and drops it.
    fn emulate_default(&mut self, signo: i32, disposition: Disposition) {
        let ends = |signo| matches!(default_action(signo), DefaultAction::End);
        match (disposition, default_action(signo)) {
            (_, DefaultAction::Nothing) | (Disposition::Handled, _) => {}
            (_, DefaultAction::Stop) if self.asked_to_stop.is_none() => {}
            (Disposition::Dropped, _) => self.act(signo),
            // one that ends it is not forgotten for another
            _ if self.deferred_signal.is_some_and(|(before, _)| ends(before)) => {}
            (Disposition::Pending | Disposition::Taken, _) => {
                self.deferred_signal = Some((signo, Instant::now() + BLOCKED_SIGNAL_TIMEOUT))
            }
        }
    }

    /// What becomes of a signal that the child, first of its PID namespace, is sent.
    fn disposition(&self, signo: i32) -> Disposition {
        let Some(status) = self.proc.as_ref().and_then(ChildInProc::status) else {
            return Disposition::Handled;
        };
        disposition(&status, signo)
    }

    /// An interactive shell leaves its own process group in the foreground; the caller needs its own back.
    fn restore_terminal(&self) {
        let Some((terminal, ours)) = &self.terminal else { return };
        let Ok(now) = nix::unistd::tcgetpgrp(terminal) else { return };
        // a group that lives has the terminal rightly: the shell's, while we were in the background
        if now != *ours && now.as_raw() > 0 && sys::kill(-now.as_raw(), 0) == Err(Errno::ESRCH) {
            // SIGTTOU is blocked: unblocked, it would stop us, or as PID 1 be answered for ever
            block_signals();
            let _ = nix::unistd::tcsetpgrp(terminal, *ours);
        }
    }
}

/// Whether a stop, blocked here, would stop us.
fn would_stop(signo: i32) -> bool {
    Signal::try_from(signo).is_ok_and(orphan::would_stop)
}

/// Signals that stop, and may be blocked.
const STOPS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// Signals that the kernel sends to the whole foreground process group of a terminal: tty_ioctl(4), termios(3).
const TERMINAL: [i32; 8] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGHUP,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// Ends as the command ended: the same status, or by the same signal, else 128+N.
pub fn end_as(ended: Ended) -> ! {
    match ended {
        Ended::Exited(status) => sys::exit(status),
        Ended::Killed(signo) => {
            // the command's core is enough
            let _ = prctl::set_dumpable(false);
            sys::set_ignored(signo, false);
            sys::unblock(signo);
            let _ = sys::kill(nix::unistd::getpid().as_raw(), signo);
            // still here: PID 1 of a namespace, for which the kernel drops it
            sys::exit(128 + signo)
        }
    }
}

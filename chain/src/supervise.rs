//! The supervisor: the parent that forwards signals, reaps, and ends as the child ended.
//!
//! The child stays in the caller's process group, so a terminal's Ctrl-C and Ctrl-Z reach it directly. The
//! supervisor forwards signals that another process sent to it. If the supervisor is killed, the kernel kills
//! the child (PR_SET_PDEATHSIG).
//!
//! In a new PID namespace the child is usually process 2, beside a [`Reaper`]. With an option, the child is
//! process 1. The kernel then drops every signal that the child neither catches nor blocks, and the
//! supervisor emulates the signal's default action. That action is nothing for a stop signal in an orphaned
//! process group.
//!
//! One signal still gets lost: a signal that a process 1 catches and that arrives during execve(2), which
//! resets the handler before the signal is delivered. From outside this looks the same as `trap 'exec
//! program' HUP`, where the program must survive, so the supervisor does not act.

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

/// How long a child can block a signal before the supervisor stops waiting to emulate its default action.
/// Shells block signals briefly while they start a program; a supervisor inside blocks them until its own
/// child has stopped.
const BLOCKED_SIGNAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// The state of a supervisor.
pub(crate) struct Supervisor {
    child: i32,
    child_is_init: bool,
    /// Process 1 of the child's PID namespace.
    reaper: Option<Reaper>,
    signals: SignalFd,
    /// The child's status is read here: after the child has mounted its own proc, /proc no longer shows it.
    proc: Option<ChildInProc>,
    terminal: Option<(OwnedFd, Pid)>,
    /// This end of a pipe closes with the supervisor, and the child sees that without a race. The other end
    /// closes when the child has its signals back.
    liveness_pipe: OwnedFd,
    stood_in_for: Option<i32>,
    /// A signal that the child blocks at the moment, and how long to wait for the child to accept it.
    deferred_signal: Option<(i32, Instant)>,
    /// The last stop signal that was not reversed. A tool that handles it then stops itself with SIGSTOP.
    asked_to_stop: Option<i32>,
    /// Whether the child is stopped.
    child_stopped: bool,
    /// Whether the supervisor is to stop with the child.
    stop_requested: bool,
}

/// Blocks every signal, so that none ends this process while steps must still be undone. Returns the mask
/// before.
pub(crate) fn block_signals() -> SigSet {
    let mut before = SigSet::empty();
    // fails only for an invalid `how`
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    before
}

/// Restores the signal mask. Signals that arrived meanwhile act now.
pub(crate) fn unblock_signals(before: &SigSet) {
    // if this is process 1 of a namespace, the kernel would drop them
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

/// A stop signal that is pending for this process.
fn pending_stop() -> Option<Signal> {
    let pending = sys::pending();
    STOPS.into_iter().find(|stop| pending.contains(*stop))
}

impl Supervisor {
    /// Waits until the child has ended, and acts for it meanwhile.
    pub(crate) fn wait(mut self, mut timer: Timer<'_>) -> Ended {
        sys::drop_code_pages();
        let ended = loop {
            if let Some(ended) = self.reap() {
                break ended;
            }
            let shown = self.show_rest();
            self.await_signal(&mut timer);
            if shown {
                // before the signal is read: until then it is visible as pending, so this process does not
                // look stopped
                block_signals();
            }
            // the child's state by now decides what the signal means
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

    /// Shows an outer supervisor that our child is stopped, so that it can stop, too. As process 1 this
    /// process cannot stop itself: the kernel ignores stop signals from inside. The sign is an unblocked
    /// [`STOPPED_MARKER`].
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

    /// Waits for a signal. While one is deferred, it checks now and then how the child handles it.
    fn await_signal(&mut self, timer: &mut Timer<'_>) {
        while let Some((signo, deadline)) = self.deferred_signal {
            timer.look(self.child);
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if nix::poll::poll(&mut fds, PollTimeout::from(20u8)).is_ok_and(|ready| ready > 0) {
                return;
            }
            match (self.disposition(signo), default_action(signo)) {
                (Disposition::Dropped, _) => self.act(signo),
                // accepted by sigwait(3) or similar; a child that accepts a stop this way may not block the
                // next one
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

    /// Handles every child that changed: ours, and those that became our children because we are PID 1.
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
                // the child can only be gone if another process reaped it: there is nothing left to wait for
                Err(_) => return Some(Ended::Exited(FAILED)),
            }
        }
    }

    /// Stops the supervisor when the command stops, so that the shell shows its job as stopped; `fg` resumes
    /// both.
    fn stop_with_child(&mut self, signo: i32) {
        self.child_stopped = true;
        let asked = self.asked_to_stop.take().or_else(|| pending_stop().map(|stop| stop as i32));
        // a sender of SIGSTOP to the command alone will also resume it alone
        if signo != libc::SIGSTOP || asked.is_some() || self.terminal.is_some() {
            self.stop_requested = true;
            self.stop(asked.unwrap_or(signo));
        }
    }

    /// Stops this process. As process 1, it shows the stop instead.
    ///
    /// If the child also gets the terminal's signals, this process raises the same signal. Otherwise it
    /// raises SIGSTOP, as su(1) does: a second Ctrl-Z before it has continued would stop only this process,
    /// and not the child.
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
        // a blocked signal stops this process here, until it is resumed
        let stops: SigSet = STOPS.into_iter().collect();
        let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&stops), None);
        // the SIGCONT that resumed it is read next and forwarded, unless another stop came after it
        block_signals();
    }

    /// Applies the signal's default action to the child.
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
        // codes up to 0 are sent by processes: sigaction(2)
        let by_process = arrived.ssi_code <= 0;
        if signo == libc::SIGCHLD || (by_process && i32::try_from(arrived.ssi_pid) == Ok(own.as_raw())) {
            return;
        }
        match default_action(signo) {
            // only the supervisor is left to stop
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
        // read before the signal is sent: the child can exit as soon as its handler has run
        let disposition = if self.child_is_init { self.disposition(signo) } else { Disposition::Handled };
        // a stop signal that reached the whole group meanwhile must not be reversed in the child
        let late = signo == libc::SIGCONT && pending_stop().is_some();
        if (!from_terminal || signo == libc::SIGCONT) && !late {
            // a child that has just ended is reaped next
            let _ = sys::kill(self.child, signo);
        }
        // a stop arrived between the check and the call: stop the child again
        if signo == libc::SIGCONT
            && !late
            && let Some(stop) = pending_stop()
        {
            let _ = sys::kill(self.child, stop as i32);
        }
        self.emulate_default(signo, disposition);
    }

    /// Whether the terminal sends this signal to the child, too: it sends it to our whole process group, and
    /// the child may have left that. Only the leader of the session gets a hangup.
    fn terminal_reaches_child(&self, signo: i32) -> bool {
        let group_of = |pid| nix::unistd::getpgid(pid).ok();
        let is_leader = || nix::unistd::getsid(None) == Ok(nix::unistd::getpid());
        TERMINAL.contains(&signo)
            && !(signo == libc::SIGHUP && is_leader())
            && group_of(Some(Pid::from_raw(self.child))) == group_of(None)
    }

    /// Waits until the child no longer blocks signals that its command will not block: a signal sent earlier
    /// would be pending, and dropped.
    fn await_its_signals(&self) {
        let mut fds = [PollFd::new(self.liveness_pipe.as_fd(), PollFlags::empty())];
        // a child that another process has stopped must not make us wait forever
        let _ = nix::poll::poll(&mut fds, PollTimeout::from(1000u16));
    }

    /// Emulates a signal's default action for a child that is PID 1, for which the kernel drops the signal.
    fn emulate_default(&mut self, signo: i32, disposition: Disposition) {
        let ends = |signo| matches!(default_action(signo), DefaultAction::End);
        match (disposition, default_action(signo)) {
            (_, DefaultAction::Nothing) | (Disposition::Handled, _) => {}
            (_, DefaultAction::Stop) if self.asked_to_stop.is_none() => {}
            (Disposition::Dropped, _) => self.act(signo),
            // a signal that ends the child is not replaced by another
            _ if self.deferred_signal.is_some_and(|(before, _)| ends(before)) => {}
            (Disposition::Pending | Disposition::Taken, _) => {
                self.deferred_signal = Some((signo, Instant::now() + BLOCKED_SIGNAL_TIMEOUT))
            }
        }
    }

    /// How the child, process 1 of its PID namespace, handles a signal.
    fn disposition(&self, signo: i32) -> Disposition {
        let Some(status) = self.proc.as_ref().and_then(ChildInProc::status) else {
            return Disposition::Handled;
        };
        disposition(&status, signo)
    }

    /// An interactive shell leaves its own process group in the foreground; the caller needs its own there
    /// again.
    fn restore_terminal(&self) {
        let Some((terminal, ours)) = &self.terminal else { return };
        let Ok(now) = nix::unistd::tcgetpgrp(terminal) else { return };
        // a process group that still exists keeps the terminal: the shell's, while we were in the background
        if now != *ours && now.as_raw() > 0 && sys::kill(-now.as_raw(), 0) == Err(Errno::ESRCH) {
            // SIGTTOU is blocked: unblocked, it would stop this process, or, as PID 1, be retried forever
            block_signals();
            let _ = nix::unistd::tcsetpgrp(terminal, *ours);
        }
    }
}

/// Whether a stop signal that is blocked here would stop this process.
fn would_stop(signo: i32) -> bool {
    Signal::try_from(signo).is_ok_and(orphan::would_stop)
}

/// Stop signals that can be blocked.
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

/// Ends as the command ended: with the same status or by the same signal, else with 128+N.
pub fn end_as(ended: Ended) -> ! {
    match ended {
        Ended::Exited(status) => sys::exit(status),
        Ended::Killed(signo) => {
            // one core dump, the command's, is enough
            let _ = prctl::set_dumpable(false);
            sys::set_ignored(signo, false);
            sys::unblock(signo);
            let _ = sys::kill(nix::unistd::getpid().as_raw(), signo);
            // still here: this is PID 1 of a namespace, and the kernel has dropped the signal
            sys::exit(128 + signo)
        }
    }
}

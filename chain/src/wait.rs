// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parent that stays: it forwards, reaps, and ends as the child ended.
//!
//! The child stays in the caller's process group, so a terminal's Ctrl-C and
//! Ctrl-Z reach it directly; signals that a process sent to the parent are passed
//! on. For the first process of a PID namespace the kernel drops every signal
//! that it neither catches nor blocks, so the parent does what the signal's
//! default action would have done. When the parent is killed, the kernel kills
//! the child (PR_SET_PDEATHSIG).

use std::io::Read as _;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::call::{Hands, Stay};
use crate::sys::{self, Arrived};

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// Which of the two goes on after a fork.
pub(crate) enum Side {
    /// The child, and whether it could enter the group where it had to do that itself.
    Child(Result<(), Errno>),
    Parent(Parent),
}

/// What a parent must know to stay.
pub(crate) struct Parent {
    child: i32,
    child_is_init: bool,
    all: SigSet,
    /// The child's status is read here: once it has mounted its own, /proc no longer shows it.
    proc: Option<OwnedFd>,
    terminal: Option<(OwnedFd, Pid)>,
    /// The end of this pipe closes with the parent, which the child can see without a race.
    _alive: OwnedFd,
    stood_in_for: Option<i32>,
}

/// Forks as `stay` says.
///
/// # Errors
/// As pipe(2), fork(2) and clone3(2). The caller's signal state is then as it was.
pub(crate) fn fork(stay: &Stay, hands: &Hands) -> Result<Side, Errno> {
    let (alive_read, alive) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let group = stay.into.map(|name| hands.get(name)).transpose()?;
    let proc = if stay.child_is_init { open_proc() } else { None };
    let terminal = own_terminal();
    let all = SigSet::all();
    let mut before = SigSet::empty();
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before))?;
    // an ignored SIGCHLD would reap the child before we learn how it ended
    let chld_was_ignored = sys::is_ignored(libc::SIGCHLD);
    if chld_was_ignored {
        sys::set_ignored(libc::SIGCHLD, false);
    }
    let restore = || {
        if chld_was_ignored {
            sys::set_ignored(libc::SIGCHLD, true);
        }
        // fails only for a bad `how`
        let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    };
    let mut joins_by_hand = false;
    let forked = match group {
        Some(group) => match sys::fork_into(group) {
            // kernels before 5.7, and containers whose seccomp filter hides clone3
            Err(Errno::ENOSYS | Errno::E2BIG) => {
                joins_by_hand = true;
                sys::fork()
            }
            forked => forked,
        },
        None => sys::fork(),
    };
    match forked {
        Ok(Some(child)) => {
            drop(alive_read);
            let child_is_init = stay.child_is_init;
            Ok(Side::Parent(Parent {
                child,
                child_is_init,
                all,
                proc,
                terminal,
                _alive: alive,
                stood_in_for: None,
            }))
        }
        Ok(None) => {
            drop(alive);
            end_with_parent(&alive_read);
            restore();
            let joined = match group {
                Some(group) if joins_by_hand => sys::write_at(group, "cgroup.procs", b"0"),
                _ => Ok(()),
            };
            Ok(Side::Child(joined))
        }
        Err(errno) => {
            restore();
            Err(errno)
        }
    }
}

/// The child: die with the parent, also if it died before we could ask for that.
fn end_with_parent(alive: &OwnedFd) {
    // fails only for a bad signal
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // getppid() would not do: it is 0 for a parent in another PID namespace
    let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(alive), PollFlags::empty())];
    if nix::poll::poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
        sys::exit(128 + libc::SIGKILL);
    }
}

fn open_proc() -> Option<OwnedFd> {
    nix::fcntl::open("/proc", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// The controlling terminal, where our process group is the one in its foreground.
fn own_terminal() -> Option<(OwnedFd, Pid)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let terminal = nix::fcntl::open("/dev/tty", flags, Mode::empty()).ok()?;
    let ours = nix::unistd::getpgrp();
    let foreground = nix::unistd::tcgetpgrp(&terminal).ok()?;
    // 0 stands for a group of another PID namespace, which cannot be named here
    (foreground == ours && ours.as_raw() > 0).then_some((terminal, ours))
}

impl Parent {
    /// Waits until the child has ended, standing in for it meanwhile.
    pub(crate) fn wait(mut self) -> Ended {
        // only PID 1 is left out: it cannot stop itself, so the parent outside has to see
        // that a stop is not blocked here, and stops us
        if nix::unistd::getpid().as_raw() == 1 {
            for stop in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
                self.all.remove(stop);
            }
            let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.all), None);
        }
        let ended = loop {
            if let Some(ended) = self.reap() {
                break ended;
            }
            if let Some(arrived) = sys::next_signal(&self.all) {
                self.pass_on(arrived);
            }
        };
        // SIGTTOU too, which would otherwise answer tcsetpgrp() for ever
        let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
        self.restore_terminal();
        match (ended, self.stood_in_for) {
            (Ended::Killed(libc::SIGKILL), Some(signo)) => Ended::Killed(signo),
            (ended, _) => ended,
        }
    }

    /// Looks at every child that changed: ours, and those that came to us as PID 1.
    fn reap(&self) -> Option<Ended> {
        loop {
            match sys::next_change() {
                Ok(Some(change)) if change.pid == self.child => match change.code {
                    libc::CLD_EXITED => return Some(Ended::Exited(change.status)),
                    libc::CLD_KILLED | libc::CLD_DUMPED => return Some(Ended::Killed(change.status)),
                    libc::CLD_STOPPED => self.stop_with_child(),
                    _ => {}
                },
                Ok(Some(_)) => {}
                Ok(None) => return None,
                // the child can only be gone if somebody else reaped it: nothing is left to wait for
                Err(_) => return Some(Ended::Exited(crate::FAILED)),
            }
        }
    }

    /// A stopped command stops us, so that the shell sees its job stopped; `fg` resumes both.
    fn stop_with_child(&self) {
        // our own stop takes effect before kill returns, and kill returns when we are resumed
        let _ = sys::kill(nix::unistd::getpid().as_raw(), libc::SIGSTOP);
        if nix::unistd::getpid().as_raw() != 1 {
            let _ = sys::kill(self.child, libc::SIGCONT);
        }
    }

    fn pass_on(&mut self, arrived: Arrived) {
        let Arrived { signo, by_process, pid } = arrived;
        if signo == libc::SIGCHLD || (by_process && pid == nix::unistd::getpid().as_raw()) {
            return;
        }
        // the terminal's signals reach the child by themselves: it is in the same process group
        let from_terminal = !by_process && TERMINAL.contains(&signo);
        if !from_terminal || signo == libc::SIGCONT {
            // a child that has just ended is reaped next
            let _ = sys::kill(self.child, signo);
        }
        if self.child_is_init && self.drops(signo) {
            match default_action(signo) {
                Default::End => {
                    self.stood_in_for = Some(signo);
                    let _ = sys::kill(self.child, libc::SIGKILL);
                }
                Default::Stop => {
                    let _ = sys::kill(self.child, libc::SIGSTOP);
                }
                Default::Nothing => {}
            }
        }
    }

    /// Whether the child, first of its PID namespace, neither catches, ignores nor blocks the signal.
    fn drops(&self, signo: i32) -> bool {
        let Some(status) = self.child_status() else { return false };
        let bit = 1u64 << (signo - 1);
        let has = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let mask = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
            mask.is_none_or(|mask| mask & bit != 0)
        };
        !has("SigCgt:") && !has("SigIgn:") && !has("SigBlk:")
    }

    fn child_status(&self) -> Option<String> {
        let path = format!("{}/status", self.child);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::openat(self.proc.as_ref()?, path.as_str(), flags, Mode::empty()).ok()?;
        let mut text = String::new();
        std::fs::File::from(fd).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// An interactive shell leaves its own process group in the foreground; the caller needs its own back.
    fn restore_terminal(&self) {
        if let Some((terminal, ours)) = &self.terminal
            && nix::unistd::tcgetpgrp(terminal) != Ok(*ours)
        {
            // SIGTTOU is blocked, so this does not stop us; a terminal that is gone needs nothing
            let _ = nix::unistd::tcsetpgrp(terminal, *ours);
        }
    }
}

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

enum Default {
    End,
    Stop,
    Nothing,
}

/// What a signal does to a process that never heard of it: signal(7).
fn default_action(signo: i32) -> Default {
    match signo {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => Default::Nothing,
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Default::Stop,
        _ => Default::End,
    }
}

/// Ends as the command ended: the same status, or by the same signal, else 128+N.
pub fn end_as(ended: Ended) -> ! {
    match ended {
        Ended::Exited(status) => sys::exit(status),
        Ended::Killed(signo) => {
            // the command's core is enough
            let _ = prctl::set_dumpable(false);
            sys::set_ignored(signo, false);
            if let Ok(signal) = Signal::try_from(signo) {
                let mut only = SigSet::empty();
                only.add(signal);
                let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), None);
            }
            let _ = sys::kill(nix::unistd::getpid().as_raw(), signo);
            // still here: PID 1 of a namespace, for which the kernel drops it
            sys::exit(128 + signo)
        }
    }
}

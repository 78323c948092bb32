//! SIGINT, SIGTERM and SIGHUP: clean up, then end by the signal.
//!
//! The signals are blocked and a thread waits for them, so no call is
//! interrupted; the work calls [`Interrupt::check`] between steps. A
//! second signal ends the process immediately; the next run removes what it left.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal, raise};
use system::sys;

use crate::failure::{Failure, Result};

const WATCHED: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Whether a signal asked us to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// Starts to wait for the signals that the process does not ignore.
    pub fn watch() -> Self {
        let interrupt = Self::default();
        let mut watched = SigSet::empty();
        for signal in WATCHED {
            // nohup(1), and `&` in a script, ignore some
            if !sys::is_ignored(signal as i32) {
                watched.add(signal);
            }
        }
        // make write(2) fail at the file size limit instead: setrlimit(2)
        sys::set_ignored(Signal::SIGXFSZ as i32, true);
        if watched.thread_block().is_ok() {
            let seen = interrupt.0.clone();
            // without the thread the signals would stay pending
            if thread::Builder::new().spawn(move || wait(&watched, &seen)).is_err() {
                let _ = watched.thread_unblock();
            }
        }
        interrupt
    }

    /// Fails if a signal has arrived.
    ///
    /// # Errors
    /// [`Failure::signal`] with its number.
    pub fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Failure::signal(signal)),
        }
    }
}

/// Lets a pending signal end the process: Ctrl-C also ends the other end of a
/// pipe, which must not be reported as damage.
pub fn unblock_signals() {
    let mut watched = SigSet::empty();
    for signal in WATCHED {
        watched.add(signal);
    }
    let _ = watched.thread_unblock();
}

fn wait(watched: &SigSet, seen: &AtomicI32) {
    loop {
        let Ok(signal) = watched.wait() else { return };
        if seen.swap(signal as i32, Ordering::Relaxed) != 0 {
            end_by(signal as i32);
        }
    }
}

/// Ends the process by the signal; returns only if the signal cannot end it.
pub fn end_by(signal: i32) {
    if let Ok(signal) = Signal::try_from(signal) {
        let mut only = SigSet::empty();
        only.add(signal);
        let _ = only.thread_unblock();
        let _ = raise(signal);
    }
}

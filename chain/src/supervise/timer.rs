//! A timer beside the signals: the supervisor may have to check the command now and then.

use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

use crate::reporter::Reporter;

/// Checks the command with this PID, and returns the time until the next check, or None for no further check.
/// It can be called earlier than that.
pub type Watch = Box<dyn FnMut(&Reporter, i32) -> Option<Duration>>;

/// The longest time between two checks: poll(2) counts milliseconds in 31 bits.
const MAX_TIME_BETWEEN_LOOKS: Duration = Duration::from_secs(3600);

/// A watch, and the time of its next check.
pub(crate) struct Timer<'a> {
    watch: Option<(Watch, Instant)>,
    reporter: &'a Reporter,
}

impl<'a> Timer<'a> {
    /// A timer that checks at once. Without a watch it never does, and does not read the clock.
    pub(crate) fn new(watch: Option<Watch>, reporter: &'a Reporter) -> Self {
        Self { watch: watch.map(|watch| (watch, Instant::now())), reporter }
    }

    /// Checks if it is time, and returns how long poll(2) can wait for something else.
    pub(crate) fn look(&mut self, child: i32) -> PollTimeout {
        let Some((watch, due)) = &mut self.watch else { return PollTimeout::NONE };
        let mut now = Instant::now();
        if now >= *due {
            let Some(wait) = watch(self.reporter, child) else {
                self.watch = None;
                return PollTimeout::NONE;
            };
            now = Instant::now();
            *due = now + wait.min(MAX_TIME_BETWEEN_LOOKS);
        }
        // rounding down to milliseconds would poll without waiting
        let wait = due.saturating_duration_since(now) + Duration::from_millis(1);
        PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::reporter::Verbosity;

    const QUIET: Reporter = Reporter::new("test", Verbosity::Quiet);

    #[test]
    fn without_a_watch_there_is_no_end_of_waiting() {
        assert_eq!(Timer::new(None, &QUIET).look(1), PollTimeout::NONE);
    }

    #[test]
    fn it_looks_when_it_is_time_and_not_before() {
        let looks = Rc::new(Cell::new(0));
        let counted = Rc::clone(&looks);
        let watch: Watch = Box::new(move |_, child| {
            assert_eq!(child, 7);
            counted.set(counted.get() + 1);
            // the first call asks for another one at once, the second for one in a year
            match counted.get() {
                1 => Some(Duration::ZERO),
                2 => Some(Duration::MAX),
                _ => None,
            }
        });
        let mut timer = Timer::new(Some(watch), &QUIET);
        assert_eq!((timer.look(7), looks.get()), (PollTimeout::from(1u8), 1));
        let wait = timer.look(7).as_millis().unwrap();
        assert!(looks.get() == 2 && (3_599_000..=3_600_001).contains(&wait), "{wait}");
        timer.look(7);
        assert_eq!(looks.get(), 2);
    }
}

//! Time limits: how long the command may run, and how much processor time it may use. The kernel has no such
//! limit for a group, so the supervisor watches the clock.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::limits::size::{decimal, thousandths};

/// How long the command may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// `--cpu-time`: the processor time of every process of the group, even of those that have ended.
    pub cpu: Option<Duration>,
    /// `--wall-time`
    pub wall: Option<Duration>,
    /// The time between SIGTERM and SIGKILL.
    pub kill_after: Duration,
}

impl Default for TimeLimits {
    /// No limits; the time after SIGTERM is that of docker stop.
    fn default() -> Self {
        Self { cpu: None, wall: None, kill_after: Duration::from_secs(10) }
    }
}

impl TimeLimits {
    pub fn are_set(&self) -> bool {
        self.cpu.is_some() || self.wall.is_some()
    }

    /// For the sentence "wait for it": ", at most for 2 s", or an empty string.
    pub fn waiting(&self) -> String {
        let cpu = self.cpu.map(|cpu| format!(" for {} of processor time", Span(cpu)));
        let wall = self.wall.map(|wall| format!(" for {}", Span(wall)));
        let both: Vec<String> = cpu.into_iter().chain(wall).collect();
        if both.is_empty() { String::new() } else { format!(", at most{}", both.join(" and")) }
    }
}

/// Which time limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfTime {
    Cpu,
    Wall,
}

/// A time as part of a sentence: "1.5 s".
#[derive(Clone, Copy, Debug)]
pub struct Span(pub Duration);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write!(f, "{} s", decimal(thousandths))
    }
}

/// A time as in timeout(1): a number, possibly with a fraction, in seconds or in the unit after it.
///
/// # Errors
/// The text is not a time, or the time is zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => {
            return Err(
                "expected seconds, or a number with one of the units s, m, h and d: 90, 1.5, 2m".to_string()
            );
        }
    };
    let milliseconds = thousandths(number).ok_or("expected a number of seconds: 90, 1.5")?;
    match milliseconds.checked_mul(unit) {
        Some(0) => Err("the time must be more than 0".to_string()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err("the time is too long".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_timeout_reads_it() {
        for (text, milliseconds) in [
            ("90", 90_000),
            ("1.5", 1500),
            (".5s", 500),
            ("2m", 120_000),
            ("1.5h", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "0", "0.0001", "-1", "1x", "1e3", "99999999999999999999", "9999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_said_where_the_plan_waits() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let none = TimeLimits::default();
        assert_eq!(none.waiting(), "");
        assert_eq!(TimeLimits { wall: seconds(60), ..none }.waiting(), ", at most for 60 s");
        let both = TimeLimits { cpu: seconds(2), wall: seconds(60), ..none };
        assert_eq!(both.waiting(), ", at most for 2 s of processor time and for 60 s");
    }
}

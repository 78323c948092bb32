//! Which failures are transient, how often a request is retried, and the pauses between.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::net::response::Head;

/// The number of consecutive failures after which a request is given up.
const MAX_FAILURES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// If a server asks for a pause longer than this and --timeout, the user gets an error instead.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A pause that needs an explanation.
pub const LONG_PAUSE: Duration = Duration::from_secs(3);

/// Counts consecutive failures and decides whether to retry.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetryPolicy(u32);

impl RetryPolicy {
    /// Counts a failure. Returns the pause before the next try, or None to give up. A slow failure (`slow`)
    /// is retried only once.
    pub fn failed(&mut self, slow: bool) -> Option<Duration> {
        let pause = FIRST_PAUSE * 2_u32.pow(self.0);
        self.0 += if slow { MAX_FAILURES - 2 } else { 1 };
        (self.0 < MAX_FAILURES).then_some(pause)
    }

    /// The same for a response that asks to try later, perhaps at a given time. The pause can be as long as
    /// `patience`.
    pub fn refused(&mut self, head: &Head, patience: Duration) -> Option<Duration> {
        let pause = self.failed(false)?;
        let asked = head.one("retry-after").and_then(|value| retry_after(value, SystemTime::now()));
        let pause = asked.map_or(pause, |asked| asked.max(FIRST_PAUSE));
        (pause <= MAX_PAUSE.max(patience)).then_some(pause)
    }

    /// Starts counting again, after progress.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

/// Whether another try can succeed after this status.
pub fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Waits, unless a signal arrives.
///
/// # Errors
/// The signal.
pub fn pause(length: Duration, interrupt: &Interrupt) -> Result<()> {
    let until = Instant::now() + length;
    loop {
        interrupt.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(100)));
    }
}

/// Seconds, or a date in RFC 9110's format: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_tries_end() {
        let mut policy = RetryPolicy::default();
        let pauses: Vec<u128> =
            std::iter::from_fn(|| policy.failed(false)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000]);
        let mut slow = RetryPolicy::default();
        assert!(slow.failed(true).is_some() && slow.failed(true).is_none());
    }

    #[test]
    fn a_server_says_when_to_come_back() {
        let head = |value: &str| Head::of(429, &[("retry-after", value)]);
        let within =
            |value: &str, seconds| RetryPolicy::default().refused(&head(value), Duration::from_secs(seconds));
        let pause = |value: &str| within(value, 30);
        assert_eq!(pause("2"), Some(Duration::from_secs(2)));
        assert_eq!(pause("61"), None);
        assert_eq!(within("600", 600), Some(Duration::from_secs(600)));
        assert_eq!(pause("soon"), Some(FIRST_PAUSE));
    }

    #[test]
    fn a_date_is_read_as_seconds_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sat, 29 Feb 2020 00:00:00 GMT", now),
            Some(Duration::from_secs(1_582_934_400 - 784_111_770))
        );
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
        for wrong in [
            "",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1 08:49:37 GMT",
            "Sun, 06 Nov 1994 18446744073709551615:49:37 GMT",
            "Sun, 18446744073709551615 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(retry_after(wrong, now), None, "{wrong}");
        }
    }
}

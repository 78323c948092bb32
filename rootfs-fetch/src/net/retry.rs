// SPDX-License-Identifier: MIT OR Apache-2.0
//! What passes by itself, how often it is tried again, and how long is waited between.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::net::http::Head;

/// Failures in a row after which it is given up.
const MOST: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A server that asks for more is told to the user instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often something has failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries(u32);

impl Tries {
    /// Counts a failure; how long to wait before the next try, or nothing when it is enough.
    /// What took a long time to fail is tried again only once.
    pub fn failed(&mut self, slow: bool) -> Option<Duration> {
        let pause = FIRST_PAUSE * 2_u32.pow(self.0);
        self.0 += if slow { MOST - 2 } else { 1 };
        (self.0 < MOST).then_some(pause)
    }

    /// The same for an answer that says to come back, and perhaps when.
    pub fn refused(&mut self, head: &Head) -> Option<Duration> {
        let pause = self.failed(false)?;
        let asked = head.one("retry-after").and_then(|value| retry_after(value, SystemTime::now()));
        let pause = asked.map_or(pause, |asked| asked.max(FIRST_PAUSE));
        (pause <= LONGEST_PAUSE).then_some(pause)
    }

    /// Something worth keeping came in between.
    pub fn forget(&mut self) {
        self.0 = 0;
    }
}

/// Whether an answer says that another try may go well.
pub fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Waits, unless a signal comes.
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

/// Seconds, or a date as RFC 9110 has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let words: Vec<&str> = value.split([' ', ':']).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = words.as_slice() else { return None };
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|name| name == month)? as u64;
    // no part of a date has more digits, and so nothing below overflows
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number <= 9999);
    let days = days_before(number(year)?, month)? + number(day)?.checked_sub(1)?;
    let seconds = days * 86_400 + number(hour)? * 3600 + number(minute)? * 60 + number(second)?;
    let then = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// Days from 1970 to the first of a month.
fn days_before(year: u64, month: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) {
        return None;
    }
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30];
    let months: u64 = lengths.iter().take(usize::try_from(month).ok()?).sum();
    Some(years + months)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_tries_end() {
        let mut tries = Tries::default();
        let pauses: Vec<u128> =
            std::iter::from_fn(|| tries.failed(false)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000]);
        let mut slow = Tries::default();
        assert!(slow.failed(true).is_some() && slow.failed(true).is_none());
    }

    #[test]
    fn a_server_says_when_to_come_back() {
        let head = |value: &str| {
            Head::parse(format!("HTTP/1.1 429 Wait\r\nRetry-After: {value}\r\n\r\n").as_bytes())
        };
        let pause = |value: &str| Tries::default().refused(&head(value).expect("a head"));
        assert_eq!(pause("2"), Some(Duration::from_secs(2)));
        assert_eq!(pause("61"), None);
        assert_eq!(pause("soon"), Some(FIRST_PAUSE));
    }

    #[test]
    fn a_date_is_read_as_seconds_from_now() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
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

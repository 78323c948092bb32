//! Waiting for a condition with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that takes milliseconds, even on a busy machine.
pub const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Calls `look` repeatedly until it returns an answer.
///
/// # Errors
/// What it waited for and how long, if `patience` has run out.
pub fn wait<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(format!("waited {} s for {what}", patience.as_secs()));
        }
        // only the pace of the calls: the answer never depends on it
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// [`wait`] with [`EVENT_TIMEOUT`]; the test fails if it runs out.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match wait(what, EVENT_TIMEOUT, look) {
        Ok(found) => found,
        Err(why) => panic!("{why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_the_third_look_is_returned() {
        let mut looks = 0;
        let found = until("the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    fn what_never_comes_is_named() {
        let why = wait("the moon", Duration::ZERO, || None::<()>).unwrap_err();
        assert_eq!(why, "waited 0 s for the moon");
    }
}

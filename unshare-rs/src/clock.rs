//! Offsets of the clocks of a time namespace: time_namespaces(7).

use std::fmt::{self, Display};
use std::str::FromStr;

/// How far a clock inside is ahead of the same clock outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    seconds: i64,
    /// Never negative: -1.5 s is -2 s and 500000000 ns.
    nanoseconds: u32,
}

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| "expected seconds, such as 3600, -1.5 or 0.000000001".to_string())
    }
}

impl Offset {
    fn read(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !only_digits(whole)
            || !only_digits(fraction)
            || fraction.len() > 9
            || digits.len() < 1 + usize::from(digits.contains('.'))
        {
            return None;
        }
        let seconds: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let nanoseconds: u32 = format!("{fraction:0<9}").parse().ok()?;
        match (negative, nanoseconds) {
            (false, _) => Some(Self { seconds, nanoseconds }),
            (true, 0) => Some(Self { seconds: -seconds, nanoseconds }),
            (true, _) => Some(Self { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds }),
        }
    }
}

/// As in /proc/PID/timens_offsets, after the name of the clock.
impl Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seconds, self.nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(i64, u32)> {
        text.parse().ok().map(|Offset { seconds, nanoseconds }| (seconds, nanoseconds))
    }

    #[test]
    fn offsets_are_whole_fractional_and_negative() {
        assert_eq!(read("3600"), Some((3600, 0)));
        assert_eq!(read("+0.25"), Some((0, 250_000_000)));
        assert_eq!(read("-1"), Some((-1, 0)));
        assert_eq!(read("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(read("-.1"), Some((-1, 900_000_000)));
    }

    #[test]
    fn what_is_no_number_of_seconds_is_refused() {
        for text in ["", "-", ".", "1h", "1.0000000001", "1,5", "--1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

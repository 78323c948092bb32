//! A list of processors or memory nodes, as in cpuset(7): `0-3,7`.

use std::fmt::{self, Display};
use std::str::FromStr;

/// Sorted ranges that neither touch nor overlap, as the kernel writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List(Vec<(u32, u32)>);

impl FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected numbers and ranges: 0-3,7".to_string();
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let parse = |text: &str| text.parse().ok().filter(|_| digits(text)).ok_or_else(wrong);
            let (from, to): (u32, u32) = (parse(from)?, parse(to)?);
            if from > to {
                return Err(format!("the range {part} runs backwards"));
            }
            ranges.push((from, to));
        }
        ranges.sort_unstable();
        Ok(Self(joined(ranges)))
    }
}

fn joined(ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (from, to) in ranges {
        match joined.last_mut() {
            Some((_, last)) if from <= last.saturating_add(1) => *last = to.max(*last),
            _ => joined.push((from, to)),
        }
    }
    joined
}

impl Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (from, to)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            match from == to {
                true => write!(f, "{comma}{from}")?,
                false => write!(f, "{comma}{from}-{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_as_the_kernel_writes_it() {
        for (text, kept) in [("0", "0"), ("0,1,2", "0-2"), ("7,0-3", "0-3,7"), ("0-5,2-3,6", "0-6")] {
            assert_eq!(text.parse::<List>().unwrap().to_string(), kept, "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_list() {
        for text in ["", ",", "a", "3-1", "-1", "0-", "+1", "0:1"] {
            assert!(text.parse::<List>().is_err(), "{text}");
        }
    }
}

//! Sizes: bytes, as people write and read them. Written by hand for docker's units (k and m are powers of
//! 1024), for "max", and to print a size exactly if it is a multiple of a unit.

use std::fmt::{self, Display};
use std::str::FromStr;

pub use system::size::{bytes, thousandths};

/// Bytes of memory; None for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub Option<u64>);

/// A number, or the word for "no limit".
pub fn or_max(value: Option<u64>, unlimited: &str) -> String {
    value.map_or_else(|| unlimited.to_string(), |value| value.to_string())
}

/// The words for "no limit": the kernel's, docker's, systemd's.
pub fn is_unlimited(text: &str) -> bool {
    matches!(text, "max" | "-1" | "infinity")
}

/// A size for people: exact if it is a multiple of a unit, else rounded to a tenth.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(size, _)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{} {unit}", self.0 / size),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A measured size, which a tenth of a unit describes well enough.
#[derive(Clone, Copy, Debug)]
pub struct Approximate(pub u64);

impl Display for Approximate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(size, _)| self.0 >= *size) {
            Some((size, unit)) => {
                let tenths = u128::from(self.0) * 10 / u128::from(*size);
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_unlimited(text) { Ok(Self(None)) } else { bytes(text).map(|bytes| Self(Some(bytes))) }
    }
}

/// The inverse of [`thousandths`], without trailing zeros.
pub fn decimal(thousandths: u64) -> String {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("50M", 50 << 20),
            ("50mb", 50 << 20),
            ("1.5G", 3 << 29),
            (".5k", 512),
            ("2KiB", 2048),
        ] {
            assert_eq!(text.parse(), Ok(Memory(Some(bytes))), "{text}");
        }
        for text in ["max", "-1", "infinity"] {
            assert_eq!(text.parse(), Ok(Memory(None)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_size() {
        for text in ["", "M", ".", ".M", "-5", "5X", "5ib", "5bb", "1..5G", "1e3", "99999999999T", "０"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        assert_eq!(Bytes(50 << 20).to_string(), "50 MiB");
        assert_eq!(Bytes(1000).to_string(), "1000 bytes");
        assert_eq!(Approximate((20 << 20) + 900_000).to_string(), "20.8 MiB");
        assert_eq!(decimal(1500), "1.5");
    }
}

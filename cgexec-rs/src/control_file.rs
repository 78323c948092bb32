//! A file of a group, the value to write, and how to verify it.
//!
//! The kernel rounds sizes down to pages, clamps some numbers silently, and accepts processors that an outer
//! group does not have. So each value is read back: a value that did not take effect is an error, and a
//! rounded value is a message.

use std::fs;
use std::path::Path;

use chain::reporter::ErrnoText;

use crate::limits::size::Bytes;

/// A write to a file of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlFile {
    pub file: String,
    pub value: String,
    /// How to see that the value took effect.
    pub read_back: ReadBack,
}

/// How a file shows that a value took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// It reads as it was written.
    AsWritten,
    /// It reads as a number rounded down to a multiple of this number of bytes.
    Rounded(u64),
    /// Another file reads like this.
    In(&'static str, String),
    /// It has a line for this key with this word.
    Line(String, String),
    /// The file's format is unknown; a single word that differs is printed.
    Unknown,
}

/// The largest page that a memory size is rounded to: arm64 and ppc64 have 64 KiB.
pub const PAGE: u64 = 64 << 10;

impl ControlFile {
    /// A value that reads as it was written.
    pub fn new(file: impl Into<String>, value: impl Into<String>) -> Self {
        Self { file: file.into(), value: value.into(), read_back: ReadBack::AsWritten }
    }

    /// The same, verified in another way.
    pub fn checked_by(self, read_back: ReadBack) -> Self {
        Self { read_back, ..self }
    }

    /// Reads back the value in a group, and returns a message if there is one.
    ///
    /// # Errors
    /// What the file contains instead.
    pub fn verify(&self, group: &Path) -> Result<Option<String>, String> {
        let file = match &self.read_back {
            ReadBack::In(file, _) => file,
            _ => self.file.as_str(),
        };
        match fs::read_to_string(group.join(file)) {
            Ok(text) => self.compare(file, text.trim()),
            // a write-only file shows nothing
            Err(_) if self.read_back == ReadBack::Unknown => Ok(None),
            Err(why) => {
                let errno = nix::errno::Errno::from_raw(why.raw_os_error().unwrap_or_default());
                Err(format!("{file} cannot be read back: {}", ErrnoText(errno)))
            }
        }
    }

    fn compare(&self, file: &str, found: &str) -> Result<Option<String>, String> {
        let wanted = match &self.read_back {
            ReadBack::In(_, wanted) => wanted,
            _ => &self.value,
        };
        let held = match &self.read_back {
            ReadBack::Rounded(unit) => match rounded(wanted, found, *unit) {
                Some(0) => true,
                Some(_) => return Ok(Some(self.rounding_note(found))),
                None => false,
            },
            ReadBack::Line(key, word) => {
                let line = found.lines().find_map(|line| line.strip_prefix(key.as_str())?.strip_prefix(' '));
                // the file has no line for a rate without a limit
                line.map_or(word.ends_with("max") || word == "0", |line| {
                    line.split(' ').any(|found| found == word)
                })
            }
            ReadBack::AsWritten | ReadBack::In(..) | ReadBack::Unknown => wanted == found,
        };
        let differs = || format!("{file} holds \"{}\" instead of \"{wanted}\"", found.replace('\n', "; "));
        match held {
            true => Ok(None),
            false if self.read_back == ReadBack::Unknown => {
                Ok((!found.contains(char::is_whitespace)).then(differs))
            }
            false => Err(differs()),
        }
    }

    fn rounding_note(&self, found: &str) -> String {
        let size =
            |text: &str| text.parse().map_or_else(|_| text.to_string(), |size| Bytes(size).to_string());
        format!("{} is rounded: {} instead of {}", self.file, size(found), size(&self.value))
    }
}

/// By how much a value was rounded down, if it is less than a unit.
fn rounded(wanted: &str, found: &str, unit: u64) -> Option<u64> {
    if wanted == found {
        return Some(0);
    }
    let found: u64 = found.parse().ok()?;
    if wanted == "-1" {
        // version 1 shows "no limit" as the maximum of a page counter
        return (found > i64::MAX as u64 - PAGE).then_some(0);
    }
    wanted.parse::<u64>().ok()?.checked_sub(found).filter(|less| *less < unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(setting: &ControlFile, found: &str) -> Result<Option<String>, String> {
        setting.compare(&setting.file, found)
    }

    #[test]
    fn a_rounding_is_told_and_a_value_that_did_not_hold_is_an_error() {
        let memory = ControlFile::new("memory.max", "1000000").checked_by(ReadBack::Rounded(PAGE));
        assert_eq!(look(&memory, "1000000"), Ok(None));
        assert_eq!(
            look(&memory, "999424"),
            Ok(Some("memory.max is rounded: 976 KiB instead of 1000000 bytes".to_string()))
        );
        assert_eq!(look(&memory, "max"), Err("memory.max holds \"max\" instead of \"1000000\"".to_string()));
    }

    #[test]
    fn version_1_has_a_number_for_no_limit() {
        let memory = ControlFile::new("memory.limit_in_bytes", "-1").checked_by(ReadBack::Rounded(PAGE));
        assert_eq!(look(&memory, "9223372036854771712"), Ok(None));
        assert!(look(&memory, "4096").is_err());
    }

    #[test]
    fn a_rate_is_a_word_in_the_line_of_its_disk() {
        let line = ReadBack::Line("8:0".to_string(), "rbps=1048576".to_string());
        let io = ControlFile::new("io.max", "8:0 rbps=1048576").checked_by(line);
        assert_eq!(look(&io, "7:0 rbps=1\n8:0 rbps=1048576 wbps=max riops=max wiops=max"), Ok(None));
        assert!(look(&io, "8:0 rbps=5 wbps=max").is_err());
        assert!(look(&io, "").is_err());
    }

    #[test]
    fn a_partition_that_is_none_is_an_error_with_the_kernels_reason() {
        let raw: crate::limits::raw::Raw = "cpuset.cpus.partition=root".parse().unwrap();
        let file = ControlFile::new(&raw.file, &raw.value).checked_by(raw.read_back());
        assert_eq!(look(&file, "root"), Ok(None));
        let why = "root invalid (Cpu list in cpuset.cpus not exclusive)";
        let said = format!("cpuset.cpus.partition holds \"{why}\" instead of \"root\"");
        assert_eq!(look(&file, why), Err(said));
    }

    #[test]
    fn a_raw_value_that_reads_otherwise_is_only_told() {
        let raw = ControlFile::new("pids.max", "0020").checked_by(ReadBack::Unknown);
        assert_eq!(look(&raw, "20"), Ok(Some("pids.max holds \"20\" instead of \"0020\"".to_string())));
        let keyed = ControlFile::new("io.max", "8:0 rbps=1").checked_by(ReadBack::Unknown);
        assert_eq!(look(&keyed, "8:0 rbps=1 wbps=max"), Ok(None));
    }
}

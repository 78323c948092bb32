//! Counts what was created, and what had to be skipped.

use std::fmt;

use chain::Reporter;
use chain::reporter::Quoted;
use indicatif::HumanCount;

use crate::unpack::image_names::ImageNames;

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Created names that are not directories.
    pub files: u64,
    /// Directories of the archive.
    pub directories: u64,
    /// Bytes of contents.
    pub bytes: u64,
    /// Skipped device nodes.
    pub devices: u64,
    /// Skipped extended attributes.
    pub xattrs: u64,
    /// Skipped set-user-ID and set-group-ID bits.
    pub set_id: u64,
    /// Programs with set-user-ID, set-group-ID or file capabilities.
    pub privileged: u64,
    /// Entries that had another owner and now belong to the caller.
    pub owners: u64,
    /// Names that began with a slash.
    pub absolute: u64,
    /// Entries of an unknown type.
    pub unknown: u64,
    /// Hard links that became copies.
    pub copies: u64,
    /// Times that the file system refused.
    pub times: u64,
    /// Whether data other than zeros follow the end of the archive.
    pub followed: bool,
    /// The only directory at the top, if it seems to contain a root.
    pub nested: Option<Vec<u8>>,
    /// Whether the archive can be an image, by its names.
    pub image_names: ImageNames,
}

/// A count, its noun in singular and plural, and what happened to them.
type Loss = (fn(&Report) -> u64, &'static str, &'static str, &'static str);

const LOSSES: [Loss; 7] = [
    (|it| it.absolute, "absolute name was", "absolute names were", " unpacked below DIRECTORY"),
    (
        |it| it.unknown,
        "entry of unknown type was",
        "entries of unknown type were",
        " unpacked as regular files",
    ),
    (
        |it| it.devices,
        "device node",
        "device nodes",
        " skipped: chroot-rs mounts a /dev; as root, --devices creates them",
    ),
    (
        |it| it.set_id,
        "set-id program",
        "set-id programs",
        " of other owners lost that bit: only root can keep owners",
    ),
    (|it| it.copies, "hard link is a copy", "hard links are copies", ": the file system refused the link"),
    (|it| it.times, "file has the", "files have the", " current time: the file system refused the archive's"),
    (
        |it| it.xattrs,
        "extended attribute",
        "extended attributes",
        " skipped: not permitted, or not supported by the file system",
    ),
];

impl Report {
    /// Prints what was skipped or changed, one line each.
    pub fn report_losses(&self, reporter: &Reporter) {
        for (count, one, many, what) in LOSSES {
            match count(self) {
                0 => {}
                1 => reporter.message(format_args!("1 {one}{what}")),
                count => reporter.message(format_args!("{} {many}{what}", HumanCount(count))),
            }
        }
        if self.followed {
            reporter.message(
                "ignored data after the end of the archive; if that is a second archive, tar -xi reads both",
            );
        }
        if let Some(directory) = &self.nested {
            let name = Quoted(directory);
            reporter.message(format_args!(
                "{name} looks like the root directory: --subdir {name} unpacks only what is in it"
            ));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.files == 1 { "file" } else { "files" };
        write!(f, "{} {noun}, {}", HumanCount(self.files), Size(self.bytes))
    }
}

/// Bytes for people: 812 B, 4.2 kB, 170 MB.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{} B", self.0);
        }
        let mut unit = 1000;
        for name in ["kB", "MB", "GB", "TB"] {
            // tenths, rounded; they are printed below ten
            let tenths =
                (self.0 / (unit / 10)).saturating_add(u64::from(self.0 % (unit / 10) * 2 >= unit / 10));
            if tenths < 100 {
                return write!(f, "{}.{} {name}", tenths / 10, tenths % 10);
            }
            if tenths < 10_000 || name == "TB" {
                return write!(f, "{} {name}", HumanCount((tenths + 5) / 10));
            }
            unit *= 1000;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_or_no_decimal() {
        assert_eq!(Size(812).to_string(), "812 B");
        assert_eq!(Size(4_249).to_string(), "4.2 kB");
        assert_eq!(Size(170_400_000).to_string(), "170 MB");
        assert_eq!(Size(1_070_000_000).to_string(), "1.1 GB");
        assert_eq!(Size(999_999).to_string(), "1.0 MB");
    }
}

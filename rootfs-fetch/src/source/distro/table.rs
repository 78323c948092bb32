//! The table of distributions in `table.txt`, whose first lines describe its format.

use crate::failure::{Failure, Kind, Result};
use crate::oci::platform::Platform;

const TABLE: &str = include_str!("table.txt");

/// A distribution that publishes root archives.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    /// The name after `distro:`.
    pub name: &'static str,
    /// The releases: our name, and the server's spelling.
    pub releases: Vec<(&'static str, &'static str)>,
    numbered: &'static str,
    /// The URL of the mirror.
    pub mirror: &'static str,
    /// The directory of the files on the mirror.
    pub directory: &'static str,
    /// The page with the file names.
    pub index: Option<&'static str>,
    /// The archive's name.
    pub archive: &'static str,
    /// The file with its digest.
    pub digests: Digests,
    /// The root directory in the archive.
    pub subdir: &'static str,
    /// Whether it is the archive of a container image.
    pub is_image: bool,
    architectures: Vec<(&'static str, &'static str)>,
}

/// The file with the digest of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digests {
    /// A file of checksums with this name.
    Checksums(&'static str),
    /// The manifest of an image, whose only layer is the archive.
    Manifest(&'static str),
}

impl Default for Digests {
    fn default() -> Self {
        Self::Checksums("")
    }
}

impl Distribution {
    /// The distribution with this name.
    ///
    /// # Errors
    /// Not found.
    pub fn find(name: &str) -> Result<Self> {
        all().into_iter().find(|distribution| distribution.name == name).ok_or_else(|| {
            let failure = Failure::new(Kind::NotFound, format_args!("no distribution {name:?} is known"));
            match crate::source::spelling::nearest(name, all().iter().map(|known| known.name)) {
                Some(near) => failure.hint(format_args!("'distro:{near}' is one; --list prints all")),
                None => failure.hint("--list prints the known ones"),
            }
        })
    }

    /// The server's spelling of a release; the first release if none is given.
    pub fn release(&self, wanted: Option<&str>) -> String {
        let first = self.releases.first().map_or("", |(name, _)| name);
        let wanted = wanted.unwrap_or(first);
        match self.releases.iter().find(|(name, _)| *name == wanted) {
            Some((_, spelled)) => (*spelled).to_owned(),
            None if wanted.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("{}{wanted}", self.numbered)
            }
            None => wanted.to_owned(),
        }
    }

    /// The server's spelling of the architecture.
    ///
    /// # Errors
    /// Not found; the hint lists the existing ones.
    pub fn architecture(&self, platform: &Platform) -> Result<&'static str> {
        let offers = self.architectures.iter().filter_map(|(name, spelled)| {
            let offer = format!("linux/{name}").parse().ok()?;
            Some((platform.distance(&offer)?, *spelled))
        });
        offers.min_by_key(|(distance, _)| *distance).map(|(_, spelled)| spelled).ok_or_else(|| {
            let known = self.architectures.iter().map(|(name, _)| format!("linux/{name}"));
            Failure::new(Kind::NotFound, format_args!("{} has no root archive for {platform}", self.name))
                .hint(format_args!("choose it with --platform: {}", known.collect::<Vec<_>>().join(", ")))
        })
    }

    /// `releases` on one line, in the users' spelling.
    pub fn names(&self) -> String {
        self.releases.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }

    fn set(&mut self, field: &str, value: &'static str) -> Option<()> {
        match field {
            "distribution" => self.name = value,
            "releases" => self.releases = pairs(value),
            "numbered" => self.numbered = value,
            "mirror" => self.mirror = value,
            "directory" => self.directory = value,
            "index" => self.index = Some(value),
            "archive" => self.archive = value,
            "checksums" => self.digests = Digests::Checksums(value),
            "manifest" => self.digests = Digests::Manifest(value),
            "subdir" => self.subdir = value,
            "form" if value == "image" => self.is_image = true,
            "architectures" => self.architectures = pairs(value),
            _ => return None,
        }
        Some(())
    }
}

/// Splits `a b=c` into words and their replacements.
fn pairs(value: &'static str) -> Vec<(&'static str, &'static str)> {
    value.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, word))).collect()
}

/// All distributions, in the order of the table.
pub fn all() -> Vec<Distribution> {
    // the tests below find malformed lines
    entries().into_iter().filter_map(std::result::Result::ok).collect()
}

fn entries() -> Vec<std::result::Result<Distribution, &'static str>> {
    let mut entries = Vec::new();
    let mut entry = Distribution::default();
    for line in TABLE.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.is_empty() {
            if !entry.name.is_empty() {
                entries.push(Ok(std::mem::take(&mut entry)));
            }
            continue;
        }
        if line.split_once(": ").and_then(|(field, value)| entry.set(field, value)).is_none() {
            entries.push(Err(line));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::url::{Scheme, Url};
    use crate::tree::name::Name;

    #[test]
    fn each_line_of_the_table_is_a_field_of_an_entry() {
        for entry in entries() {
            let entry = entry.expect("a field: value");
            assert!(!entry.name.is_empty() && !entry.releases.is_empty(), "{entry:?}");
            assert!(!entry.archive.is_empty() && !entry.architectures.is_empty(), "{entry:?}");
            assert_ne!(entry.digests, Digests::default(), "{}", entry.name);
            let mirror: Url = entry.mirror.parse().expect("a URL");
            assert_eq!((mirror.origin.scheme, mirror.path().ends_with('/')), (Scheme::Https, true));
            assert!(entry.directory.ends_with('/') && !entry.directory.starts_with('/'));
            assert!(Name::parse(entry.subdir.as_bytes()).is_ok());
            for (platform, _) in &entry.architectures {
                let platform: Platform = format!("linux/{platform}").parse().expect("a platform");
                entry.architecture(&platform).expect("it is in the table");
            }
        }
    }

    #[test]
    fn names_are_in_order_and_no_name_is_there_twice() {
        let names: Vec<&str> = all().iter().map(|distribution| distribution.name).collect();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        assert!(names.len() >= 9);
    }

    #[test]
    fn a_name_in_a_pattern_is_one_that_is_filled_in() {
        for entry in all() {
            let digests = match entry.digests {
                Digests::Checksums(name) | Digests::Manifest(name) => name,
            };
            let texts = [entry.directory, entry.archive, entry.subdir, entry.index.unwrap_or(""), digests];
            for text in texts {
                let rest = ["{release}", "{arch}", "{archive}"]
                    .iter()
                    .fold(text.to_owned(), |text, field| text.replace(field, ""));
                assert!(!rest.contains(['{', '}']), "{}: {text}", entry.name);
            }
            // if a name must be found, there is a file to search
            let told = entry.index.is_some() || !digests.contains(['*']) && !digests.contains("{archive}");
            assert!(told || !entry.archive.contains('*'), "{}", entry.name);
        }
    }

    #[test]
    fn a_release_is_spelled_as_the_server_spells_it() {
        let alpine = Distribution::find("alpine").expect("it is in the table");
        assert_eq!(alpine.release(None), "latest-stable");
        assert_eq!(alpine.release(Some("3.23")), "v3.23");
        assert_eq!(alpine.release(Some("3.9")), "v3.9");
        assert_eq!(alpine.release(Some("v3.9")), "v3.9");
        let ubuntu = Distribution::find("ubuntu").expect("it is in the table");
        assert_eq!(ubuntu.release(Some("noble")), "noble");
        assert_eq!(ubuntu.release(Some("25.10")), "25.10");
    }

    #[test]
    fn what_is_not_published_is_told_with_what_is() {
        let arch = Distribution::find("archlinux").expect("it is in the table");
        let wanted = "linux/arm64".parse().expect("a platform");
        let failure = arch.architecture(&wanted).expect_err("it is not published");
        assert!(failure.is(Kind::NotFound));
        assert_eq!(failure.to_string(), "archlinux has no root archive for linux/arm64");
        assert_eq!(failure.report().hint.as_deref(), Some("choose it with --platform: linux/amd64"));
        let failure = Distribution::find("ubunto").expect_err("it is misspelt");
        assert_eq!(failure.report().hint.as_deref(), Some("'distro:ubuntu' is one; --list prints all"));
    }
}

//! `distro:`, the root archives that distributions publish.

pub mod pattern;
pub mod table;

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::net::client::Net;
use crate::net::transfer::document;
use crate::net::url::Url;
use crate::oci::platform::Platform;
use crate::source::distro::pattern::VersionPattern;
use crate::source::distro::table::{Digests, Distribution};
use crate::tree::name::Name;

/// The size limit of an index page or a file of checksums.
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// `NAME[:RELEASE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistroRelease {
    name: String,
    release: Option<String>,
}

impl FromStr for DistroRelease {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let (name, release) = match text.split_once(':') {
            Some((name, release)) => (name, Some(release)),
            None => (text, None),
        };
        // it becomes part of a URL
        let good = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
        };
        if !good(name) || !release.is_none_or(good) {
            return Err("expected distro:NAME or distro:NAME:RELEASE; --list prints the names");
        }
        Ok(Self { name: name.to_owned(), release: release.map(str::to_owned) })
    }
}

impl fmt::Display for DistroRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "distro:{}", self.name)?;
        self.release.as_ref().map_or(Ok(()), |release| write!(f, ":{release}"))
    }
}

/// An archive, and the document with its digest.
#[derive(Clone, Debug)]
pub struct PublishedArchive {
    /// The archive.
    pub archive: Url,
    /// The root directory in it.
    pub subdir: Name,
    /// Whether it is the archive of a container image.
    pub is_image: bool,
    /// The document with its digest.
    pub document: DigestDocument,
}

/// A document with the digest of an archive.
#[derive(Clone, Debug)]
pub struct DigestDocument {
    /// Its URL.
    pub url: Url,
    /// Its text; with a keyring, only the signed part.
    pub text: Vec<u8>,
    /// Whether it is an image manifest; otherwise it is a file of checksums.
    pub is_manifest: bool,
}

impl DigestDocument {
    /// The digest of a manifest's only layer.
    ///
    /// # Errors
    /// Damaged, if there is not exactly one.
    pub fn only_layer(&self) -> Result<Digest> {
        let value: Value = serde_json::from_slice(&self.text).unwrap_or_default();
        let layers = value.get("layers").and_then(Value::as_array).map(Vec::as_slice);
        let digest = match layers {
            Some([layer]) => layer.get("digest").and_then(Value::as_str).and_then(|it| it.parse().ok()),
            _ => None,
        };
        digest.ok_or_else(|| Failure::damaged(format_args!("{} is not a manifest with one layer", self.url)))
    }
}

/// Where to search for archives.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveSite<'a> {
    /// The network.
    pub net: &'a Arc<Net>,
    /// A mirror to use instead of the distribution's server.
    pub mirror: Option<&'a Url>,
    /// The platform.
    pub platform: &'a Platform,
}

/// The names of a distribution's files for one release and machine.
struct ReleaseFiles {
    release: String,
    architecture: &'static str,
    base: Url,
}

impl ReleaseFiles {
    fn fill(&self, text: &str) -> String {
        text.replace("{release}", &self.release).replace("{arch}", self.architecture)
    }

    /// A file in the same directory.
    fn url(&self, name: &str) -> Result<Url> {
        let url = self.base.join(name).map_err(|why| Failure::new(Kind::Usage, why))?;
        // the same server needs the same credentials
        Ok(url.with_user_of(&self.base))
    }
}

impl DistroRelease {
    /// Finds the newest archive; `read` receives the document with its digest.
    ///
    /// # Errors
    /// Not found, network; usage, for an invalid mirror.
    pub fn find(
        &self,
        site: ArchiveSite<'_>,
        read: impl Fn(&Url) -> Result<Vec<u8>>,
    ) -> Result<PublishedArchive> {
        let distribution = Distribution::find(&self.name)?;
        self.find_in(&distribution, site, read).map_err(|failure| self.with_hint(failure, &distribution))
    }

    fn find_in(
        &self,
        distribution: &Distribution,
        site: ArchiveSite<'_>,
        read: impl Fn(&Url) -> Result<Vec<u8>>,
    ) -> Result<PublishedArchive> {
        let files = self.files(distribution, site)?;
        let index = match distribution.index {
            Some(name) => page(&document(site.net, &files.url(&files.fill(name))?, MAX_DOCUMENT_BYTES)?),
            None => String::new(),
        };
        let (digests, is_manifest) = match distribution.digests {
            Digests::Checksums(name) => (name, false),
            Digests::Manifest(name) => (name, true),
        };
        // either the index or the checksums contain the archive's name
        let mut archive = None;
        if digests.contains("{archive}") || !distribution.archive.contains('*') {
            archive = Some(self.newest(&files, distribution.archive, &index)?);
        }
        let digests = digests.replace("{archive}", archive.as_deref().unwrap_or_default());
        let url = files.url(&self.newest(&files, &digests, &index)?)?;
        let text = read(&url)?;
        let archive = match archive {
            Some(archive) => archive,
            None => self.newest(&files, distribution.archive, &page(&text))?,
        };
        Ok(PublishedArchive {
            archive: files.url(&archive)?,
            subdir: Name::parse(files.fill(distribution.subdir).as_bytes())?,
            is_image: distribution.is_image,
            document: DigestDocument { url, text, is_manifest },
        })
    }

    /// The name with the highest version that matches a pattern in a page.
    fn newest(&self, files: &ReleaseFiles, pattern: &str, page: &str) -> Result<String> {
        let pattern = VersionPattern::new(&files.fill(pattern));
        if !pattern.is_open() {
            return Ok(pattern.to_string());
        }
        pattern.newest(page).ok_or_else(|| {
            let line = format_args!("cannot find {self}: {} has no {pattern}", files.base);
            Failure::new(Kind::NotFound, line)
        })
    }

    fn files(&self, distribution: &Distribution, site: ArchiveSite<'_>) -> Result<ReleaseFiles> {
        let wrong = |why| Failure::new(Kind::Usage, why);
        let base = match site.mirror {
            Some(mirror) => mirror.clone(),
            None => distribution.mirror.parse().map_err(wrong)?,
        };
        let base = base.as_directory();
        let release = distribution.release(self.release.as_deref());
        let mut files =
            ReleaseFiles { release, architecture: distribution.architecture(site.platform)?, base };
        files.base = files.url(&files.fill(distribution.directory))?;
        Ok(files)
    }

    /// Adds a hint to the failure for a missing archive: its release may not exist, or it may have moved.
    fn with_hint(&self, failure: Failure, distribution: &Distribution) -> Failure {
        if !failure.is(Kind::NotFound) || failure.report().hint.is_some() {
            return failure;
        }
        match &self.release {
            Some(_) => failure.hint(format_args!("releases of {} are {}", self.name, distribution.names())),
            None => failure.hint("it may have moved: use the archive's URL as SOURCE"),
        }
    }
}

fn page(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The table for `--list`.
pub fn list() -> String {
    let all = table::all();
    let width = |of: fn(&Distribution) -> usize| all.iter().map(of).max().unwrap_or(0);
    let (name, releases) = (width(|it| it.name.len()), width(|it| it.names().len()));
    let mut text = String::new();
    for it in &all {
        // writing to a String cannot fail
        let _ = writeln!(text, "{:name$}  {:releases$}  {}", it.name, it.names(), it.mirror);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_has_a_name_and_may_have_a_release() {
        let parse = |text: &str| text.parse::<DistroRelease>();
        assert_eq!(parse("alpine").map(|it| it.to_string()).as_deref(), Ok("distro:alpine"));
        assert_eq!(parse("ubuntu:24.04").map(|it| it.to_string()).as_deref(), Ok("distro:ubuntu:24.04"));
        for wrong in ["", ":", "a:", "a/b", "a:..", "a:b/c", "a:b:c", "..", "a b", "a:%2e"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_list_has_a_line_for_each() {
        let list = list();
        assert_eq!(list.lines().count(), table::all().len());
        assert!(
            list.starts_with("alpine     latest-stable edge 3.24 3.23 3.22  https://dl-cdn.alpine"),
            "{list}"
        );
    }
}

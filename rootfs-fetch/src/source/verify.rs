//! Prepares a source before it is fetched: the URL of a distribution's archive, and the expected digest.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use chain::Reporter;
use chain::reporter::quoted;

use crate::config::{ChecksumsFile, FetchConfig, Output};
use crate::destination::IfExists;
use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::net::client::Net;
use crate::net::transfer::document;
use crate::oci::platform::WantedPlatform;
use crate::source::Source;
use crate::source::checksums;
use crate::source::distro::{
    ArchiveSite, DigestDocument, DistroRelease, MAX_DOCUMENT_BYTES, PublishedArchive,
};
use crate::source::refused;
use crate::source::signature::{self, Keyring};
use crate::tree::name::Name;

const PREFIX: &[u8] = b"distro:";

/// Parses SOURCE and finds the digest that its archive must have; `config` then requires it.
///
/// # Errors
/// Usage, for options that do not suit the source; those of fetching and checking.
pub fn verify_source(
    operand: &OsStr,
    config: &mut FetchConfig,
    net: &Arc<Net>,
    reporter: &Reporter,
) -> Result<Source> {
    let usage = |line: &str| Err(Failure::new(Kind::Usage, line));
    let documents =
        SignedChecksums { net, keyring: config.keyring.as_deref().map(Keyring::open).transpose()? };
    if let Some(name) = operand.as_bytes().strip_prefix(PREFIX) {
        if config.checksums.is_some() {
            return usage("--checksums does not work with distro:, which has its own");
        }
        return published_archive(name, config, &documents, reporter);
    }
    let source = Source::parse(operand)?;
    refused::check(&source, config)?;
    if config.mirror.is_some() {
        return usage("--mirror works only with distro:");
    }
    let Some(location) = &config.checksums else {
        if config.keyring.is_some() {
            return usage("--keyring needs checksums: use distro: or --checksums");
        }
        return Ok(source);
    };
    let name = match &source {
        Source::Url(url) => url.name(),
        Source::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Source::Stdin => {
            return usage("--checksums needs an archive with a name, not standard input");
        }
        _ => return usage("--checksums works only with archives; for an image, use --digest"),
    };
    config.digest = Some(checksums::digest(&documents.verified(location)?, &name, location)?);
    Ok(source)
}

/// The archive that a distribution publishes; `config` then requires its digest and unpacks its root.
fn published_archive(
    name: &[u8],
    config: &mut FetchConfig,
    documents: &SignedChecksums<'_>,
    reporter: &Reporter,
) -> Result<Source> {
    let release: DistroRelease =
        String::from_utf8_lossy(name).parse().map_err(|why| Failure::new(Kind::Usage, why))?;
    let site = ArchiveSite {
        net: documents.net,
        mirror: config.mirror.as_ref(),
        platform: config.platform.platform(),
    };
    let found = release.find(site, |url| documents.verified(&ChecksumsFile::Url(url.clone())))?;
    let digest = found.digest()?;
    // a digest with another algorithm is compared when the archive is read
    let differs = |wanted: &&Digest| wanted.algorithm() == digest.algorithm() && **wanted != digest;
    if let Some(wanted) = config.digest.as_ref().filter(differs) {
        let archive = &found.archive;
        return Err(Failure::damaged(format_args!("the digest of {archive} is {digest}, not {wanted}")));
    }
    let selection = &mut config.policy.selection;
    if found.is_image && !(selection.is_everything() && config.if_exists != IfExists::Merge) {
        let line = format!(
            "{release} is an image: --subdir, --strip-components, --exclude and --into are for archives"
        );
        return Err(Failure::new(Kind::Usage, line));
    }
    if config.output != Output::Quiet {
        reporter.message(format_args!("{release} is {}", found.archive));
    }
    selection.below = Name::parse(&[found.subdir.bytes(), selection.below.bytes()].join(&b'/'))?;
    config.digest.get_or_insert(digest);
    if !found.is_image {
        // the archive was chosen for it, and has no platform itself
        config.platform = WantedPlatform::Host(config.platform.platform().clone());
    }
    Ok(Source::Url(found.archive))
}

impl PublishedArchive {
    fn digest(&self) -> Result<Digest> {
        let DigestDocument { url, text, is_manifest } = &self.document;
        if *is_manifest {
            return self.document.only_layer();
        }
        checksums::digest(text, &self.archive.name(), &ChecksumsFile::Url(url.clone()))
    }
}

/// Checksum files, and the keys that must have signed them.
struct SignedChecksums<'a> {
    net: &'a Arc<Net>,
    keyring: Option<Keyring>,
}

impl SignedChecksums<'_> {
    /// A checksum file; with a keyring, the signed part of it.
    fn verified(&self, location: &ChecksumsFile) -> Result<Vec<u8>> {
        let text = self.text(location)?;
        let Some(keyring) = &self.keyring else { return Ok(text) };
        let detached =
            if signature::is_inline(&text) { None } else { Some(self.detached_signature(location)?) };
        keyring.signed(&text, detached.as_deref()).map_err(|failure| failure.within(location))
    }

    fn detached_signature(&self, location: &ChecksumsFile) -> Result<Vec<u8>> {
        for extension in ["gpg", "sig", "asc"] {
            match self.text(&location.sibling(extension)) {
                Err(failure) if failure.is(Kind::NotFound) => {}
                other => return other,
            }
        }
        let line = format!("{location} is not signed: there is no signature in it or beside it");
        Err(Failure::new(Kind::NotFound, line)
            .hint("put the signature beside it, under the same name with .gpg, .sig or .asc"))
    }

    fn text(&self, location: &ChecksumsFile) -> Result<Vec<u8>> {
        let path = match location {
            ChecksumsFile::Url(url) => return document(self.net, url, MAX_DOCUMENT_BYTES),
            ChecksumsFile::File(path) => path,
        };
        let mut data = Vec::new();
        let file = File::open(path);
        let read = file.and_then(|file| file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut data));
        read.map_err(|error| {
            Failure::call("read the checksums", format_args!("open({})", quoted(path)), error).or_not_found()
        })?;
        if data.len() as u64 > MAX_DOCUMENT_BYTES {
            let line = format!("refused {location}: larger than {MAX_DOCUMENT_BYTES} bytes");
            return Err(Failure::damaged(line));
        }
        Ok(data)
    }
}

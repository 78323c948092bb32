// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of an archive before it comes: where a distribution has it, and its digest.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;

use chain::reporter::quoted;
use rustix::io::Errno;

use crate::cli::Options;
use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::net::transfer::document;
use crate::source::Source;
use crate::source::checksums::{self, Location};
use crate::source::distro::{DigestDocument, DistroRelease, MAX_DOCUMENT_BYTES, PublishedArchive, Site};
use crate::source::input::Opener;
use crate::source::signature::{self, Keyring};
use crate::tree::name::Name;

const PREFIX: &[u8] = b"distro:";

/// The source that an operand names, and the options with what was found out of it: its digest.
///
/// # Errors
/// Every [`Failure`]; usage, for options that do not go with the source.
pub fn verify_source(operand: &OsStr, opener: &Opener<'_>) -> Result<(Source, Options)> {
    let options = opener.options;
    let usage = |line: &str| Err(Failure::new(Kind::Usage, line));
    let keyring = options.keyring.as_deref().map(Keyring::open).transpose()?;
    if let Some(name) = operand.as_bytes().strip_prefix(PREFIX) {
        if options.checksums.is_some() {
            return usage("--checksums is not for distro:, which has its own");
        }
        return published_archive(name, opener, keyring.as_ref());
    }
    let source = Source::parse(operand)?;
    if options.mirror.is_some() {
        return usage("--mirror is for distro: alone");
    }
    let Some(location) = &options.checksums else {
        return match options.keyring {
            Some(_) => usage("--keyring is for checksums: of distro:, or named by --checksums"),
            None => Ok((source, options.clone())),
        };
    };
    let name = match &source {
        Source::Url(url) => url.name(),
        Source::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Source::Stdin => {
            return usage("--checksums needs an archive with a name, which standard input has not");
        }
        _ => return usage("--checksums is for archives; an image has digests of its own"),
    };
    let text = read(location, opener, keyring.as_ref())?;
    let digest = checksums::digest(&text, &name, location)?;
    Ok((source, Options { digest: Some(digest), checksums: None, ..options.clone() }))
}

/// A distribution's own archive.
fn published_archive(
    name: &[u8],
    opener: &Opener<'_>,
    keyring: Option<&Keyring>,
) -> Result<(Source, Options)> {
    let options = opener.options;
    let wrong = |why| Failure::new(Kind::Usage, why);
    let reference: DistroRelease = String::from_utf8_lossy(name).parse().map_err(wrong)?;
    let platform = opener.platform();
    let site = Site { net: opener.net, mirror: options.mirror.as_ref(), platform: &platform };
    let found = reference.find(site, |url| read(&Location::Url(url.clone()), opener, keyring))?;
    let digest = found.digest()?;
    // one by another algorithm is compared when the archive comes
    let differs = |wanted: &&Digest| wanted.algorithm() == digest.algorithm() && **wanted != digest;
    if let Some(wanted) = options.digest.as_ref().filter(differs) {
        return Err(Failure::damaged(format_args!(
            "the digest of {} is {digest}, not {wanted}",
            found.archive
        )));
    }
    let chosen = options.strip_components > 0 || !options.subdir.is_root() || !options.exclude.is_empty();
    if found.is_image && (chosen || options.into) {
        let line = format!(
            "{reference} is an image: --subdir, --strip-components, --exclude and --into are for archives"
        );
        return Err(Failure::new(Kind::Usage, line));
    }
    if !options.quiet {
        opener.reporter.message(format_args!("{reference} is {}", found.archive));
    }
    let below = [found.subdir.bytes(), options.subdir.bytes()].join(&b'/');
    let digest = options.digest.clone().unwrap_or(digest);
    let options = Options { digest: Some(digest), subdir: Name::parse(&below)?, ..options.clone() };
    Ok((Source::Url(found.archive), options))
}

impl PublishedArchive {
    fn digest(&self) -> Result<Digest> {
        let DigestDocument { url, text, is_manifest } = &self.document;
        if *is_manifest {
            return self.document.only_layer();
        }
        checksums::digest(text, &self.archive.name(), &Location::Url(url.clone()))
    }
}

/// A file of checksums; with a keyring, what of it is signed.
fn read(location: &Location, opener: &Opener<'_>, keyring: Option<&Keyring>) -> Result<Vec<u8>> {
    let text = text(location, opener)?;
    let Some(keyring) = keyring else { return Ok(text) };
    let beside = if signature::is_inline(&text) { None } else { Some(beside(location, opener)?) };
    keyring.signed(&text, beside.as_deref()).map_err(|failure| failure.within(location))
}

/// The signature beside a file.
fn beside(location: &Location, opener: &Opener<'_>) -> Result<Vec<u8>> {
    for end in ["gpg", "sig", "asc"] {
        let there = match location {
            Location::Url(url) => Location::Url(url.beside(end)),
            Location::File(path) => {
                let mut name = path.clone().into_os_string();
                name.push(format!(".{end}"));
                Location::File(name.into())
            }
        };
        match text(&there, opener) {
            Err(Failure::Wrong { kind: Kind::NotFound, .. }) => {}
            other => return other,
        }
    }
    Err(Failure::new(
        Kind::NotFound,
        format_args!("{location} is not signed: it has no signature in it, and none beside it"),
    )
    .hint("a signature beside it has its name and .gpg, .sig or .asc"))
}

fn text(location: &Location, opener: &Opener<'_>) -> Result<Vec<u8>> {
    let path = match location {
        Location::Url(url) => return document(opener.net, url, MAX_DOCUMENT_BYTES),
        Location::File(path) => path,
    };
    let mut data = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut data));
    match read {
        Ok(_) if data.len() as u64 > MAX_DOCUMENT_BYTES => {
            Err(Failure::damaged(format_args!("refused {location}: larger than {MAX_DOCUMENT_BYTES} bytes")))
        }
        Ok(_) => Ok(data),
        Err(error) => {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            let failure = Failure::call("read the checksums", format_args!("open({})", quoted(path)), errno);
            Err(if errno == Errno::NOENT { failure.kind(Kind::NotFound) } else { failure })
        }
    }
}

//! Parses SOURCE.

pub mod checksums;
pub mod distro;
pub mod input;
pub mod refused;
pub mod signature;
pub mod spelling;
pub mod suggest;
pub mod verify;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::failure::{Failure, Kind, Result};
use crate::net::url::Url;
use crate::oci::image::{ImageFormat, LocalImage};
use crate::oci::reference::Reference;

/// The transports of containers-transports(5) that need no network.
const IMAGES: [(&str, ImageFormat); 3] = [
    ("oci:", ImageFormat::OciDirectory),
    ("oci-archive:", ImageFormat::OciArchive),
    ("docker-archive:", ImageFormat::DockerArchive),
];

/// What the tool does, and the forms of SOURCE: the head of the help and of the man page.
pub const ABOUT: &str = "\
Create a root directory from an image, an archive or this machine's own programs

SOURCE is one of:
  FILE or -                   a tar archive, compressed or not
  https://HOST/FILE           a tar archive on a server; also http://
  distro:NAME[:RELEASE]       a distribution's root archive; see --list
  docker://NAME[:TAG]         an image in a registry, named as in docker
  oci:DIR[:TAG]               an image in an OCI layout
  oci-archive:FILE[:TAG]      an OCI layout in a tar archive
  docker-archive:FILE[:NAME]  an image saved by docker save
  host:[PROGRAM,...]          this machine's own programs";

/// Where the root directory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tar archive in a file.
    File(PathBuf),
    /// A tar archive on standard input.
    Stdin,
    /// A container image.
    Image(LocalImage),
    /// A container image in a registry.
    Registry(Reference),
    /// A tar archive at a URL.
    Url(Url),
    /// The host's own programs: the named ones, or the usual ones.
    Host(Vec<OsString>),
}

impl Source {
    /// Parses the operand. If a slash comes before its colon, it is always a path.
    ///
    /// # Errors
    /// Usage, for an invalid URL or image name.
    pub fn parse(operand: &OsStr) -> Result<Self> {
        let bytes = operand.as_bytes();
        if bytes == b"-" {
            return Ok(Self::Stdin);
        }
        if let Some(remote) = operand.to_str().and_then(remote) {
            // the message omits the operand: a URL can contain a password
            return remote.map_err(|why| Failure::new(Kind::Usage, why));
        }
        if let Some(programs) = bytes.strip_prefix(b"host:") {
            let programs = programs.split(|&byte| byte == b',').filter(|program| !program.is_empty());
            return Ok(Self::Host(programs.map(|program| OsStr::from_bytes(program).to_owned()).collect()));
        }
        for (prefix, format) in IMAGES {
            if let Some(rest) = bytes.strip_prefix(prefix.as_bytes()) {
                if matches!(rest, [] | [b':', ..]) {
                    return Err(Failure::new(Kind::Usage, format_args!("expected a path after {prefix}")));
                }
                return Ok(Self::Image(LocalImage::parse(format, OsStr::from_bytes(rest))));
            }
        }
        let path = PathBuf::from(operand);
        if path.join("oci-layout").is_file() {
            return Ok(Self::Image(LocalImage { format: ImageFormat::OciDirectory, path, tag: None }));
        }
        Ok(Self::File(path))
    }
}

/// A remote source, if the operand names one.
fn remote(operand: &str) -> Option<std::result::Result<Source, String>> {
    if let Some(name) = operand.strip_prefix("docker://") {
        return Some(name.parse().map(Source::Registry));
    }
    let (scheme, _) = operand.split_once("://")?;
    let known = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
    known.then(|| operand.parse().map(Source::Url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(operand: &str) -> Source {
        Source::parse(OsStr::new(operand)).expect("a source")
    }

    #[test]
    fn an_operand_is_a_path_unless_it_names_a_transport() {
        assert_eq!(parse("-"), Source::Stdin);
        assert_eq!(parse("./host:x"), Source::File("./host:x".into()));
        assert_eq!(parse("ubuntu:24.04"), Source::File("ubuntu:24.04".into()));
        let image = |format, path: &str, tag: &str| {
            Source::Image(LocalImage { format, path: path.into(), tag: Some(tag.into()) })
        };
        assert_eq!(parse("oci:no/dir:v1"), image(ImageFormat::OciDirectory, "no/dir", "v1"));
        assert_eq!(
            parse("docker-archive:no.tar:ubuntu:24.04"),
            image(ImageFormat::DockerArchive, "no.tar", "ubuntu:24.04")
        );
        assert_eq!(parse("host:"), Source::Host(Vec::new()));
        assert_eq!(parse("host:bash,/bin/ls"), Source::Host(vec!["bash".into(), "/bin/ls".into()]));
    }

    #[test]
    fn the_help_has_every_transport_and_no_other() {
        let lines = ABOUT.lines().filter_map(|line| line.strip_prefix("  "));
        let mut shown: Vec<&str> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(transport, _)| transport)
            .filter(|transport| *transport != "https")
            .collect();
        shown.sort_unstable();
        let mut known: Vec<&str> = suggest::TRANSPORTS.to_vec();
        known.push("docker");
        known.sort_unstable();
        assert_eq!(shown, known);
        for (prefix, _) in IMAGES {
            assert!(shown.contains(&prefix.trim_end_matches(':')), "{prefix}");
        }
    }

    #[test]
    fn what_is_somewhere_else_is_parsed_or_refused() {
        assert!(
            matches!(parse("docker://ubuntu"), Source::Registry(name) if name.repository == "library/ubuntu")
        );
        assert!(matches!(parse("HTTPS://h/x"), Source::Url(url) if url.to_string() == "https://h/x"));
        for wrong in ["docker://", "docker://Ubuntu", "https://", "http://user:secret@"] {
            let failure = Source::parse(OsStr::new(wrong)).expect_err(wrong);
            assert!(failure.is(Kind::Usage));
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
    }
}

//! `[REGISTRY/]NAME[:TAG][@DIGEST]`, with Docker's defaults for omitted parts.
//!
//! # Source
//! distribution/reference; OCI distribution-spec, "Pulling manifests".

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::net::url::{Scheme, Url};

/// The default registry, and its server.
const HUB: &str = "docker.io";
const HUB_SERVER: &str = "registry-1.docker.io";
/// Limits of distribution/reference, in bytes.
const MAX_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The registry, `docker.io`, with its port.
    pub registry: String,
    /// The repository in it, `library/ubuntu`.
    pub repository: String,
    /// The tag; `latest` if neither a tag nor a digest was given.
    pub tag: Option<String>,
    /// The digest of the manifest, which has precedence over the tag.
    pub digest: Option<Digest>,
}

impl Reference {
    /// The host to connect to.
    pub fn server(&self) -> &str {
        if self.registry == HUB { HUB_SERVER } else { &self.registry }
    }

    /// The tag or digest in the URL of the manifest.
    pub fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".into(),
        }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            // not quoted: it can contain a password
            return Err("the name of an image has no scheme: leave out http:// or https://".into());
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (registry, rest) = match rest.split_once('/') {
            // Docker's rule: the first part is a host if it has a dot or a port
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (HUB, rest),
        };
        let registry = match registry.to_ascii_lowercase().as_str() {
            "index.docker.io" | HUB_SERVER => HUB.to_owned(),
            _ if Url::of_authority(Scheme::Https, registry, "/").is_err() => {
                return Err(format!("{registry:?} is not the name of a registry"));
            }
            registry => registry.to_owned(),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        check_name(name)?;
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let repository =
            if registry == HUB && !name.contains('/') { format!("library/{name}") } else { name.to_owned() };
        if registry.len() + repository.len() >= MAX_NAME_BYTES {
            return Err(format!("the name of an image has at most {MAX_NAME_BYTES} bytes"));
        }
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None }).map(str::to_owned);
        Ok(Self { registry, repository, tag, digest })
    }
}

/// Each part has lower case letters and digits, with separators between them.
fn check_name(name: &str) -> Result<(), String> {
    let good = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let words: Vec<&str> = part.split(|char: char| char.is_ascii() && plain(char as u8)).collect();
        part.bytes().next().is_some_and(plain)
            && part.bytes().next_back().is_some_and(plain)
            // the separators
            && words.iter().all(|gap| matches!(*gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
    };
    if name.split('/').all(good) {
        return Ok(());
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("{name:?} is not the name of an image: it must be in lower case"));
    }
    Err(format!("{name:?} is not the name of an image"))
}

fn check_tag(tag: &str) -> Result<(), String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let rest = |byte: u8| word(byte) || matches!(byte, b'.' | b'-');
    let good = tag.len() <= MAX_TAG_BYTES && tag.bytes().next().is_some_and(word) && tag.bytes().all(rest);
    if good { Ok(()) } else { Err(format!("{tag:?} is not a tag")) }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn reference(text: &str) -> Reference {
        text.parse().expect("a reference")
    }

    #[test]
    fn what_is_left_out_is_what_docker_means() {
        for (short, full, server) in [
            ("ubuntu", "docker.io/library/ubuntu:latest", HUB_SERVER),
            ("ubuntu:24.04", "docker.io/library/ubuntu:24.04", HUB_SERVER),
            ("bitnami/redis", "docker.io/bitnami/redis:latest", HUB_SERVER),
            ("docker.io/ubuntu", "docker.io/library/ubuntu:latest", HUB_SERVER),
            ("index.docker.io/a/b:c", "docker.io/a/b:c", HUB_SERVER),
            ("quay.io/a/b/c:d", "quay.io/a/b/c:d", "quay.io"),
            ("localhost/x", "localhost/x:latest", "localhost"),
            ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000"),
            ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000"),
            ("GHCR.io/a/b", "ghcr.io/a/b:latest", "ghcr.io"),
            ("a/b__c.d---e_f:T.x-1", "docker.io/a/b__c.d---e_f:T.x-1", HUB_SERVER),
        ] {
            assert_eq!(reference(short).to_string(), full);
            assert_eq!(reference(short).server(), server);
            assert_eq!(reference(full), reference(short));
        }
    }

    #[test]
    fn a_digest_counts_more_than_a_tag() {
        let both = reference(&format!("ubuntu:24.04@{DIGEST}"));
        assert_eq!(both.version(), DIGEST);
        assert_eq!(both.tag.as_deref(), Some("24.04"));
        assert_eq!(reference(&format!("ubuntu@{DIGEST}")).tag, None);
        assert_eq!(reference("ubuntu").version(), "latest");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for wrong in [
            "",
            ":tag",
            "Ubuntu",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:-x",
            "a b",
            "a:b:c",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a._b",
            "x.io/",
            "x.io:port/a",
            "a@sha256:00",
            "a@",
            "a/../b",
            "[::1/a",
            "\u{fc}",
            "a\n",
            "x.io/a?b",
            "x.io/a#b",
            "http://x.io/a",
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong:?}");
        }
        assert!(format!("a:{}", "x".repeat(129)).parse::<Reference>().is_err());
        assert!("x".repeat(256).parse::<Reference>().is_err());
    }
}

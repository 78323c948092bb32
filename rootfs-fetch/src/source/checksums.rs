//! Files of checksums, such as SHA256SUMS.
//!
//! # Source
//! sha256sum(1): `HEX  NAME`, `HEX *NAME`, and with --tag `SHA256 (NAME) = HEX`.

use chain::reporter::Quoted;

use crate::config::ChecksumsFile;
use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};

/// A line: a file name and its digest, or no digest if the algorithm is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line<'a> {
    digest: Option<Digest>,
    name: &'a str,
}

/// The digest of the file `name` in `text`, which was read from `location`.
///
/// # Errors
/// Not found, if there is none; damaged, if there are two.
pub fn digest(text: &[u8], name: &str, location: &ChecksumsFile) -> Result<Digest> {
    let text = String::from_utf8_lossy(text);
    let lines = lines(&text);
    // a checksum file named after the archive belongs to it, whatever name is in its only line
    let its_own = location.name().strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    let own = |line: &&Line<'_>| line.name.rsplit('/').next() == Some(name) || (its_own && lines.len() == 1);
    let about: Vec<&Line<'_>> = lines.iter().filter(own).collect();
    // SHA-512 is preferred to SHA-256
    let strongest = about.iter().filter_map(|line| line.digest.as_ref()).max_by_key(|it| it.hex().len());
    let Some(digest) = strongest else {
        return Err(match about.is_empty() {
            true => Failure::new(Kind::NotFound, format_args!("{location} has no checksum of {name:?}"))
                .hint(covered(&lines)),
            false => {
                Failure::new(Kind::NotFound, format_args!("{location} has no SHA-256 or SHA-512 of {name:?}"))
                    .hint("other checksums are not supported")
            }
        });
    };
    let alike = |other: &Digest| other.algorithm() != digest.algorithm() || other == digest;
    if about.iter().filter_map(|line| line.digest.as_ref()).all(alike) {
        return Ok(digest.clone());
    }
    Err(Failure::damaged(format_args!("{location} has two different checksums of {name:?}")))
}

fn covered(lines: &[Line<'_>]) -> String {
    let names: Vec<String> =
        lines.iter().take(3).map(|line| Quoted(line.name.as_bytes()).to_string()).collect();
    match lines.len() {
        0 => "it is not a file of checksums, as sha256sum(1) writes it".into(),
        count if count > names.len() => {
            format!("it has checksums of {}, and {} more", names.join(", "), count - names.len())
        }
        _ => format!("it has checksums of {}", names.join(", ")),
    }
}

/// All lines with a checksum; signatures and other text are skipped.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut other_algorithm = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        // Gentoo's DIGESTS names the algorithm in a comment above
        if let Some(above) = line.strip_prefix("# ").and_then(|line| line.strip_suffix(" HASH")) {
            other_algorithm = !matches!(above, "SHA256" | "SHA512");
            continue;
        }
        if let Some(mut line) = tagged(line).or_else(|| plain(line)) {
            line.digest = line.digest.filter(|_| !other_algorithm);
            lines.push(line);
        }
    }
    lines
}

/// `SHA256 (NAME) = HEX`; openssl(1) writes `SHA2-256(NAME)= HEX`.
fn tagged(line: &str) -> Option<Line<'_>> {
    let (algorithm, rest) = line.split_once('(')?;
    let (name, hex) = rest.rsplit_once(')')?;
    let hex = hex.trim().strip_prefix('=')?.trim();
    let algorithm = algorithm.trim();
    let known = match algorithm {
        "SHA256" | "SHA2-256" => Some("sha256"),
        "SHA512" | "SHA2-512" => Some("sha512"),
        _ => None,
    };
    let good = !algorithm.is_empty() && !algorithm.contains(' ') && is_hex(hex);
    good.then(|| Line { digest: known.and_then(|known| format!("{known}:{hex}").parse().ok()), name })
}

/// `HEX  NAME` or `HEX *NAME`; the name can be missing.
fn plain(line: &str) -> Option<Line<'_>> {
    let line = line.trim_end();
    let (hex, name) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let name = name.trim_start_matches([' ', '\t']);
    let name = name.strip_prefix('*').unwrap_or(name);
    if !is_hex(hex) {
        return None;
    }
    // the length shows the algorithm
    let digest = ["sha256", "sha512"].iter().find_map(|known| format!("{known}:{hex}").parse().ok());
    Some(Line { digest, name })
}

/// Whether it is a checksum of a known length.
fn is_hex(text: &str) -> bool {
    (32..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const B: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn found(text: &str, name: &str) -> std::result::Result<String, String> {
        found_in("SHA256SUMS", text, name)
    }

    fn found_in(file: &str, text: &str, name: &str) -> std::result::Result<String, String> {
        let location = ChecksumsFile::parse(file.into()).expect("a place");
        digest(text.as_bytes(), name, &location).map(|it| it.to_string()).map_err(|it| it.to_string())
    }

    #[test]
    fn each_form_of_a_line_is_read() {
        let expected = Ok(format!("sha256:{A}"));
        for line in [
            format!("{A}  a.tar"),
            format!("{A} *a.tar"),
            format!("{A}  ./a.tar\r"),
            format!("{A}\t/srv/out/a.tar"),
            format!("SHA256 (a.tar) = {A}"),
            format!("SHA2-256(a.tar)= {A}"),
            format!("SHA256 (a.tar) = {}", A.to_uppercase()),
            format!(
                "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# a.tar: 12 bytes\nSHA256 (a.tar) = {A}\n-----BEGIN PGP SIGNATURE-----\n"
            ),
            format!("{B}  xa.tar\n{B}  a.tar.asc\n{A}  a.tar\n{A}  a.tar"),
        ] {
            assert_eq!(found(&line, "a.tar"), expected, "{line}");
        }
        let name = "a (b).tar";
        assert_eq!(found(&format!("SHA256 ({name}) = {A}"), name), expected);
        assert_eq!(found(&format!("{A}  {name}"), name), expected);
    }

    #[test]
    fn the_stronger_of_two_is_taken_and_others_are_none() {
        let sha512 = "1".repeat(128);
        let both = format!("SHA256 (a) = {A}\nSHA512 (a) = {sha512}\nMD5 (a) = {}\n", "2".repeat(32));
        assert_eq!(found(&both, "a"), Ok(format!("sha512:{sha512}")));
        let gentoo = format!("# BLAKE2B HASH\n{}  a\n# SHA512 HASH\n{sha512}  a\n", "3".repeat(128));
        assert_eq!(found(&gentoo, "a"), Ok(format!("sha512:{sha512}")));
        for weak in [format!("MD5 (a) = {}", "2".repeat(32)), format!("{}  a", "2".repeat(40))] {
            assert_eq!(
                found(&weak, "a"),
                Err("\"SHA256SUMS\" has no SHA-256 or SHA-512 of \"a\"".into()),
                "{weak}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_said_twice_is_an_error() {
        assert_eq!(found("<html>404</html>", "a"), Err("\"SHA256SUMS\" has no checksum of \"a\"".into()));
        assert_eq!(found(&format!("{A}  b"), "a"), Err("\"SHA256SUMS\" has no checksum of \"a\"".into()));
        let twice = format!("{A}  a\n{B}  a\n");
        assert_eq!(found(&twice, "a"), Err("\"SHA256SUMS\" has two different checksums of \"a\"".into()));
    }

    #[test]
    fn a_file_named_after_the_archive_is_about_it() {
        let expected = Ok(format!("sha256:{A}"));
        assert_eq!(found_in("https://h/x/a.tar.sha256?y", &format!("{A}  a-2026.tar\n"), "a.tar"), expected);
        assert_eq!(found_in("a.tar.sha256", &format!("{A}\n"), "a.tar"), expected);
        assert!(found_in("a.tar.sha256", &format!("{A}  b\n{B}  c\n"), "a.tar").is_err());
        assert!(found_in("sums", &format!("{A}\n"), "a.tar").is_err());
    }
}

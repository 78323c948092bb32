//! Signatures of checksum files, verified by gpgv(1).

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chain::reporter::quoted;

use crate::failure::{Failure, Kind, Result};

/// The beginning of a cleartext signature.
const INLINE: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Whether a text contains its signature.
pub fn is_inline(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(INLINE)
}

/// Trusted keys.
#[derive(Debug)]
pub struct Keyring(File);

impl Keyring {
    /// Reads a keyring. ASCII armor, which gpgv(1) does not read, is decoded.
    ///
    /// # Errors
    /// Not found, denied, I/O.
    pub fn open(path: &Path) -> Result<Self> {
        let data = std::fs::read(path).map_err(|error| {
            Failure::call("read the keyring", format_args!("open({})", quoted(path)), error).or_not_found()
        })?;
        in_memory(&dearmored(&data).unwrap_or(data)).map(Self)
    }

    /// The part of `text` that one of the keys has signed: with a detached signature, all of it; otherwise,
    /// the signed cleartext.
    ///
    /// # Errors
    /// Damaged, if the signature is not good; I/O, if gpgv(1) is missing.
    pub fn signed(&self, text: &[u8], detached: Option<&[u8]>) -> Result<Vec<u8>> {
        let signature = detached.map(in_memory).transpose()?;
        let mut command = Command::new("gpgv");
        command.env("LC_ALL", "C").args(["--status-fd", "2", "--keyring"]).arg(path(&self.0));
        match &signature {
            Some(signature) => command.arg(path(signature)).arg("-"),
            None => command.args(["--output", "-"]),
        };
        let ended = command.stdin(Stdio::from(in_memory(text)?)).output().map_err(|error| {
            Failure::call("check the signature", "execvp(\"gpgv\")", error)
                .kind(Kind::Io)
                .hint("install gpgv, which comes with GnuPG")
        })?;
        check_status(&String::from_utf8_lossy(&ended.stderr)).map_err(Failure::damaged)?;
        Ok(if signature.is_some() { text.to_vec() } else { ended.stdout })
    }
}

/// Reads gpgv(1)'s status lines: GnuPG's doc/DETAILS. Further signatures by unknown keys do not matter.
fn check_status(said: &str) -> std::result::Result<(), String> {
    let status = |word: &str| {
        said.lines()
            .any(|line| line.strip_prefix("[GNUPG:] ").is_some_and(|it| it.split(' ').next() == Some(word)))
    };
    let bad = ["BADSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"].into_iter().any(status);
    if status("GOODSIG") && status("VALIDSIG") && !bad {
        return Ok(());
    }
    let words = said
        .lines()
        .filter_map(|line| line.strip_prefix("gpgv: "))
        .next_back()
        .unwrap_or("no signature is good");
    Err(format!(
        "the signature is not good: gpgv: {}",
        words.escape_default().to_string().replace("\\\"", "\"").replace("\\'", "'")
    ))
}

/// Decodes ASCII armor: RFC 9580, section 6.2.
fn dearmored(data: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(data).ok()?;
    let mut keys = Vec::new();
    for block in text.split(ARMOR).skip(1) {
        // an empty line ends the headers; a checksum or the tail ends the data
        let lines = block.lines().map(str::trim).skip(1).skip_while(|line| !line.is_empty());
        let lines = lines.skip(1).take_while(|line| !line.starts_with(['=', '-']));
        keys.extend(BASE64.decode(lines.collect::<String>()).ok()?);
    }
    (!keys.is_empty()).then_some(keys)
}

fn in_memory(data: &[u8]) -> Result<File> {
    let failed = |error: io::Error| Failure::call("check the signature", "memfd_create()", error);
    let memfd = rustix::fs::memfd_create("signature", rustix::fs::MemfdFlags::CLOEXEC);
    let fd = memfd.map_err(|error| failed(error.into()))?;
    crate::io::write_all(&fd, data)?;
    let mut file = File::from(fd);
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(file)
}

/// The path of an open file for a child process.
fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_signature_is_enough_and_one_bad_is_too_many() {
        let good = "gpgv: Signature made x\n[GNUPG:] GOODSIG 1 me\n[GNUPG:] VALIDSIG 1 2\n";
        assert_eq!(check_status(good), Ok(()));
        let unknown = format!(
            "{good}[GNUPG:] ERRSIG 3 1 8 00 0 9\n[GNUPG:] NO_PUBKEY 3\ngpgv: Can't check signature: No public key\n"
        );
        assert_eq!(check_status(&unknown), Ok(()));
        assert!(check_status(&format!("{good}[GNUPG:] BADSIG 1 me\n")).is_err());
        assert!(check_status("[GNUPG:] EXPKEYSIG 1 me\n[GNUPG:] VALIDSIG 1 2\n").is_err());
        let why = check_status("gpgv: Can't check signature: No public key\n");
        assert_eq!(why, Err("the signature is not good: gpgv: Can't check signature: No public key".into()));
        assert!(check_status("").is_err());
        // a user name must not look like a status line
        assert!(check_status("gpgv: issuer \"x [GNUPG:] GOODSIG\"\n").is_err());
    }

    #[test]
    fn armor_is_taken_off() {
        let text = "note\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\nYWJj\nZGVm\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n\
            -----BEGIN PGP PUBLIC KEY BLOCK-----\n\nZ2hp\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(dearmored(text.as_bytes()).as_deref(), Some(&b"abcdefghi"[..]));
        assert_eq!(dearmored(b"\x99\x01"), None);
        assert_eq!(dearmored(b"text"), None);
    }

    #[test]
    fn a_signature_in_the_text_is_seen_where_the_text_begins() {
        assert!(is_inline(b"\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n"));
        assert!(!is_inline(b"evil  a.tar\n-----BEGIN PGP SIGNED MESSAGE-----\n"));
    }
}

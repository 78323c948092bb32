//! Digests such as `sha256:…`, and readers that verify them.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// A SHA-256 or SHA-512.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    algorithm: Algorithm,
    value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

impl Digest {
    /// The SHA-256 of bytes.
    pub fn of(data: &[u8]) -> Self {
        Self { algorithm: Algorithm::Sha256, value: Sha256::digest(data).to_vec() }
    }

    /// Whether the bytes have this digest.
    pub fn matches(&self, data: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.algorithm);
        hasher.update(data);
        hasher.finish() == self.value
    }

    /// The path in an image layout: `blobs/sha256/…`.
    pub fn blob(&self) -> String {
        format!("blobs/{}/{}", self.algorithm.name(), hex(&self.value))
    }

    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm.name()
    }

    /// The value in hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.value)
    }
}

/// The SHA-256 of everything that a reader returns.
///
/// # Errors
/// Those of the reader.
pub fn digest_of(mut bytes: impl Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(Digest { algorithm: Algorithm::Sha256, value: hasher.finish() }),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected sha256: and 64 hexadecimal digits, or sha512: and 128".to_string();
        let (name, digits) = text.split_once(':').ok_or_else(wrong)?;
        let (algorithm, length) = match name {
            "sha256" => (Algorithm::Sha256, 64),
            "sha512" => (Algorithm::Sha512, 128),
            _ => return Err(wrong()),
        };
        if digits.len() != length || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let pairs = digits.as_bytes().chunks_exact(2);
        let value: Option<Vec<u8>> =
            pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
        Ok(Self { algorithm, value: value.ok_or_else(wrong)? })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), hex(&self.value))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Clone, Debug)]
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(data),
            Self::Sha512(hasher) => hasher.update(data),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// The bytes do not have the expected digest or size.
#[derive(Debug)]
pub struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

/// A digest that is computed as bytes arrive, and the expected one.
#[derive(Debug)]
pub struct RunningDigest {
    hasher: Hasher,
    expected: Digest,
}

impl RunningDigest {
    /// Before the first byte.
    pub fn new(expected: Digest) -> Self {
        Self { hasher: Hasher::new(expected.algorithm), expected }
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.hasher.update(data);
    }

    /// Compares with the expected digest and starts again.
    ///
    /// # Errors
    /// Both digests, if they differ.
    pub fn check(&mut self) -> Result<(), Mismatch> {
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(self.expected.algorithm));
        let found = Digest { algorithm: self.expected.algorithm, value: hasher.finish() };
        if found == self.expected {
            return Ok(());
        }
        Err(Mismatch(format!("the digest is {found}, not {}", self.expected)))
    }
}

/// A reader that returns an error instead of the last bytes if the digest or size is wrong.
#[derive(Debug)]
pub struct CheckedReader<R> {
    inner: R,
    sum: RunningDigest,
    /// The number of bytes left, if the size is known.
    rest: Option<u64>,
    ended: bool,
}

impl<R: Read> CheckedReader<R> {
    /// Verifies everything that `inner` returns, and its size in bytes if that is known.
    pub fn new(inner: R, expected: Digest, size: Option<u64>) -> Self {
        Self { inner, sum: RunningDigest::new(expected), rest: size, ended: false }
    }

    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        if self.rest.is_some_and(|rest| rest > 0) {
            return Err(self.wrong_size("shorter"));
        }
        self.sum.check().map_err(io::Error::other)
    }

    fn wrong_size(&self, how: &str) -> io::Error {
        io::Error::other(Mismatch(format!("{} is {how} than it should be", self.sum.expected)))
    }
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended || into.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(into)?;
        self.sum.update(into.get(..count).unwrap_or_default());
        if let Some(rest) = self.rest {
            let rest = rest.checked_sub(count as u64).ok_or_else(|| self.wrong_size("longer"))?;
            self.rest = Some(rest);
            if rest == 0 {
                // a decoder may not read to the end, so look for surplus bytes here
                if self.inner.read(&mut [0])? > 0 {
                    return Err(self.wrong_size("longer"));
                }
                self.end()?;
            }
        }
        if count == 0 && !self.ended {
            self.end()?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read(data: &[u8], size: Option<u64>) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        CheckedReader::new(data, ABC.parse().expect("a digest"), size).read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn a_digest_is_written_as_it_is_read() {
        assert_eq!(ABC.parse::<Digest>().expect("a digest").to_string(), ABC);
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        for wrong in [
            "sha256:ab",
            "md5:00",
            "",
            &ABC.replace('b', "g"),
            ABC.trim_start_matches("sha256:"),
            "sha256:../../etc/passwd",
        ] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn right_bytes_pass_and_wrong_short_or_long_ones_do_not() {
        assert_eq!(read(b"abc", None).expect("right"), b"abc");
        assert_eq!(read(b"abc", Some(3)).expect("right"), b"abc");
        for (data, size) in
            [(&b"abd"[..], None), (b"abd", Some(3)), (b"ab", Some(3)), (b"abcd", Some(3)), (b"", None)]
        {
            assert!(read(data, size).is_err(), "{data:?}");
        }
    }
}

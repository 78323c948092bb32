//! A client's request: RFC 9112.

use std::io::{self, Read};
use std::time::Instant;

/// The maximum size of a head, more than rootfs-fetch ever sends.
const MAX_HEAD: usize = 64 << 10;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The bytes up to the empty line.
    pub head: String,
    /// `GET`.
    pub method: String,
    /// The path and what follows it: `/v2/a/manifests/b?c`.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// What came after the head.
    pub body: Vec<u8>,
    /// When it was read.
    pub at: Option<Instant>,
}

impl Request {
    /// Reads a request; None if the client has closed the connection.
    ///
    /// # Errors
    /// What the connection reports, and bytes that are not a request.
    pub fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > MAX_HEAD {
                return Err(io::Error::other("the head of a request without an end"));
            }
            match stream.read(&mut byte)? {
                0 if head.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => head.extend(byte),
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut request = Self::parse(&text).ok_or_else(|| io::Error::other("this is no HTTP"))?;
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
        words.next().filter(|version| version.starts_with("HTTP/1."))?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_string()))
        };
        let headers = lines.filter_map(header).collect();
        Some(Self { head: text.to_string(), method, target, headers, body: Vec::new(), at: None })
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The start of a `Range: bytes=N-`.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    /// The whole request as text, to look for what must not be in it.
    pub fn text(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        let head = format!("{} {}\n", self.method, self.target);
        head + &headers.collect::<String>() + &String::from_utf8_lossy(&self.body)
    }
}

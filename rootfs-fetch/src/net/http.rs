// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/1.1 on a connection: a request goes out, the head of an answer comes in.
//!
//! # Source
//! RFC 9110 and 9112. What is malformed is refused, never guessed at.

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::net::connect::Watched;
use crate::net::tls::Secured;
use crate::net::url::Url;

/// What an answer's head may have; registries send one or two kilobytes.
const MOST_HEAD: usize = 64 * 1024;
const MOST_FIELDS: usize = 128;
/// Answers that only say that another one comes.
const MOST_INTERIM: usize = 8;
const BUFFER: usize = 16 * 1024;

/// A connection, plain or in TLS.
#[derive(Debug)]
pub enum Pipe {
    /// In the clear.
    Plain(Watched),
    /// By TLS.
    Tls(Box<Secured>),
}

impl Pipe {
    /// The socket below.
    pub fn watched(&mut self) -> &mut Watched {
        match self {
            Self::Plain(watched) => watched,
            Self::Tls(secured) => &mut secured.sock,
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(pipe) => pipe.read(into),
            Self::Tls(pipe) => pipe.read(into),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(pipe) => pipe.write(from),
            Self::Tls(pipe) => pipe.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(pipe) => pipe.flush(),
            Self::Tls(pipe) => pipe.flush(),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `HEAD` or `POST`.
    pub method: &'static str,
    /// What for.
    pub url: Url,
    /// Header fields, beside those that every request has.
    pub fields: Vec<(&'static str, String)>,
    /// What is sent with it.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for a file.
    pub fn get(url: Url) -> Self {
        Self { method: "GET", url, fields: Vec::new(), body: Vec::new() }
    }

    /// The same with another header field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The bytes of it; a proxy is asked for the whole URL.
    fn bytes(&self, by_proxy: bool) -> Vec<u8> {
        let authority = self.url.origin.authority();
        let target =
            if by_proxy { format!("http://{authority}{}", self.url.path) } else { self.url.path.clone() };
        let mut head = format!(
            "{} {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: rootfs-fetch/{}\r\nAccept-Encoding: identity\r\n",
            self.method,
            env!("CARGO_PKG_VERSION")
        );
        for (name, value) in &self.fields {
            // a value with a line break would be a field of its own
            let value: String = value.chars().filter(|char| !char.is_control()).collect();
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// The head of an answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// HTTP/1.1 connections stay open unless said otherwise, those of 1.0 do not.
    pub minor: u8,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads the bytes up to the empty line.
    ///
    /// # Errors
    /// Invalid data, for what is no head.
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(bytes).map_err(|error| malformed(&error.to_string()))?;
        let (Some(status), Some(minor), true) = (response.code, response.version, parsed.is_complete())
        else {
            return Err(malformed("its head is cut short"));
        };
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
        let fields = response.headers.iter();
        let fields = fields.map(|field| (field.name.to_ascii_lowercase(), text(field.value))).collect();
        Ok(Self { status, minor, fields })
    }

    /// The values of a header field, its name in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header field.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// How many bytes were announced.
    ///
    /// # Errors
    /// Invalid data, for lengths that are none or differ: whoever believes another one is led astray.
    pub fn length(&self) -> io::Result<Option<u64>> {
        let mut length = None;
        for value in self.all("content-length").flat_map(|value| value.split(',')) {
            let value = value.trim();
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let found = value.parse::<u64>().ok().filter(|_| digits);
            if found.is_none() || (length.is_some() && found != length) {
                return Err(malformed("its length is no number"));
            }
            length = found;
        }
        Ok(length)
    }

    /// Whether the connection may be used again.
    pub fn keeps(&self) -> bool {
        let says = |word: &str| {
            self.all("connection")
                .flat_map(|value| value.split(','))
                .any(|one| one.trim().eq_ignore_ascii_case(word))
        };
        if self.minor == 0 { says("keep-alive") } else { !says("close") }
    }
}

/// What an answer is that nobody can read.
pub fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer is not HTTP: {why}"))
}

/// A connection on which requests go.
#[derive(Debug)]
pub struct Connection {
    pipe: BufReader<Pipe>,
    /// Whether requests are made to a proxy, which is told the whole URL.
    pub by_proxy: bool,
}

impl Connection {
    /// Takes a pipe over.
    pub fn new(pipe: Pipe, by_proxy: bool) -> Self {
        Self { pipe: BufReader::with_capacity(BUFFER, pipe), by_proxy }
    }

    /// Sends a request and reads the head of the answer.
    ///
    /// # Errors
    /// The connection's; invalid data, for what is not HTTP.
    pub fn ask(&mut self, request: &Request) -> io::Result<Head> {
        let bytes = request.bytes(self.by_proxy);
        self.exchange(&bytes)
    }

    /// Asks a proxy to connect through to `authority`, and gives the pipe back.
    ///
    /// # Errors
    /// As [`Self::ask`]; refused, with the status the proxy gives.
    pub fn tunnel(mut self, authority: &str, authorization: Option<&str>) -> io::Result<Pipe> {
        let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(value) = authorization {
            head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
        }
        head.push_str("\r\n");
        match self.exchange(head.as_bytes())?.status {
            200..=299 if self.pipe.buffer().is_empty() => Ok(self.pipe.into_inner()),
            status => Err(io::Error::other(format!("the proxy answers {status}"))),
        }
    }

    fn exchange(&mut self, bytes: &[u8]) -> io::Result<Head> {
        let pipe = self.pipe.get_mut();
        pipe.watched().begin_step();
        pipe.write_all(bytes)?;
        pipe.flush()?;
        for _ in 0..MOST_INTERIM {
            let head = read_head(&mut self.pipe)?;
            // 101 would change the protocol, which nobody asked for
            if !(100..200).contains(&head.status) || head.status == 101 {
                self.pipe.get_mut().watched().begin_body();
                return Ok(head);
            }
        }
        Err(malformed("only interim answers come"))
    }
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.pipe.read(into)
    }
}

impl BufRead for Connection {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.pipe.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.pipe.consume(count);
    }
}

fn read_head(pipe: &mut impl BufRead) -> io::Result<Head> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        let left = MOST_HEAD.saturating_sub(before) as u64;
        let count = pipe.by_ref().take(left).read_until(b'\n', &mut bytes)?;
        if left == 0 {
            return Err(malformed("its head is too long"));
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = bytes.get(before..).unwrap_or_default();
        if matches!(line, b"\r\n" | b"\n") && before > 0 {
            return Head::parse(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> io::Result<Head> {
        read_head(&mut text.as_bytes())
    }

    #[test]
    fn a_head_is_read_up_to_its_empty_line() {
        let head =
            head("HTTP/1.1 206 Partial\r\nETag: \"x\"\r\nContent-length:  7 \r\n\r\nbody").expect("a head");
        assert_eq!((head.status, head.one("etag")), (206, Some("\"x\"")));
        assert_eq!(head.length().expect("a length"), Some(7));
        assert!(head.keeps());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(MOST_HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MOST_FIELDS + 1));
        for wrong in
            ["", "\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 abc\r\n\r\n", &long, &many]
        {
            assert!(head(wrong).is_err(), "{:.40}", wrong);
        }
    }

    #[test]
    fn lengths_that_differ_are_refused() {
        let length =
            |fields: &str| head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).expect("a head").length();
        assert_eq!(length("content-length: 5\r\nContent-Length: 5\r\n").expect("one"), Some(5));
        assert_eq!(length("").expect("none"), None);
        for wrong in ["5\r\nContent-Length: 6", "5, 6", "-1", "+5", "5x", "", "99999999999999999999"] {
            assert!(length(&format!("Content-Length: {wrong}\r\n")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_connection_is_kept_as_its_version_says() {
        let keeps = |text: &str| head(text).expect("a head").keeps();
        assert!(keeps("HTTP/1.1 200 OK\r\n\r\n") && !keeps("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(!keeps("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n"));
        assert!(keeps("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn a_request_has_no_field_that_was_not_meant() {
        let url: Url = "http://h:81/a?b".parse().expect("a URL");
        let request = Request::get(url).with("Accept", "x\r\nEvil: y");
        let text = String::from_utf8(request.bytes(false)).expect("text");
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\nHost: h:81\r\n"), "{text}");
        assert!(text.contains("Accept: xEvil: y\r\n") && !text.contains("\r\nEvil"), "{text}");
        assert!(request.bytes(true).starts_with(b"GET http://h:81/a?b HTTP/1.1\r\n"));
    }
}

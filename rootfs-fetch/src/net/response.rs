//! A response: its head, and its body as a blocking reader with time limits.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use hyper::body::{Buf as _, Bytes};

use crate::failure::{Failure, Result};
use crate::net::error::{RequestError, broken, of_body};
use crate::net::runtime::Runtime;
use crate::net::url::Url;

/// The first bytes of gzip: RFC 1952.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The largest unwanted body to read; a new connection costs less than a larger one.
const MAX_UNWANTED_BYTES: u64 = 64 * 1024;
/// The lowest speed of a body, in bytes per second; a slower one counts as stopped.
const MIN_BYTES_PER_SECOND: u64 = 512;

/// The head of a response.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The status.
    pub status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    fn new(response: &reqwest::Response) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
        let fields = response.headers().iter();
        let fields = fields.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        Self { status: response.status().as_u16(), fields: fields.collect() }
    }

    #[cfg(test)]
    pub(crate) fn of(status: u16, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Self { status, fields: fields.collect() }
    }

    /// The values of a header field with this name in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header field with this name in lower case.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// Whether the body is sent plainly or in chunks; hyper passes through any other coding.
    fn is_plain(&self) -> bool {
        let mut codings = self.all("transfer-encoding");
        match (codings.next(), codings.next()) {
            (None, _) => true,
            (Some(coding), None) => coding.eq_ignore_ascii_case("chunked"),
            _ => false,
        }
    }
}

/// A response, from which its body is read.
#[derive(Debug)]
pub struct Response {
    /// Status and header fields.
    pub head: Head,
    /// The URL that sent it, after redirects.
    pub url: Url,
    length: Option<u64>,
    body: Body,
}

/// The bytes of a response.
#[derive(Debug)]
enum Body {
    /// As the server sends them.
    Sent(Box<TimedStream>),
    /// Decompressed, because the server compressed them without being asked.
    Gunzipped(Box<MultiGzDecoder<Box<TimedStream>>>),
}

impl Response {
    /// Wraps a response whose head has arrived.
    ///
    /// # Errors
    /// [`RequestError::NotHttp`], if the end of its body cannot be known.
    pub fn new(
        response: reqwest::Response,
        url: &Url,
        runtime: Arc<Runtime>,
        patience: Duration,
    ) -> std::result::Result<Self, RequestError> {
        let head = Head::new(&response);
        if !head.is_plain() {
            return Err(RequestError::NotHttp("it has a transfer coding that was not requested".into()));
        }
        let length = response.content_length();
        let url = url.clone();
        let body = TimedStream::new(response, url.clone(), runtime, patience);
        let body = Body::Sent(Box::new(body));
        Ok(Self { head, url, length, body })
    }

    /// The length of the body in bytes, if the server announced it.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether the server says that the body is compressed.
    fn is_gzip(&self) -> bool {
        let coding = self.head.one("content-encoding").unwrap_or_default().to_ascii_lowercase();
        matches!(coding.as_str(), "gzip" | "x-gzip")
    }

    /// The same, with the body as it was before the server compressed it without being asked: digests are of
    /// that. A body of `size` bytes is the requested one, whatever the server says.
    #[must_use]
    pub fn without_coding(self, size: u64) -> Self {
        let is_packed = self.is_gzip() && self.head.status == 200 && self.length != Some(size);
        match self.body {
            Body::Sent(body) if is_packed => {
                let body = Body::Gunzipped(Box::new(MultiGzDecoder::new(body)));
                Self { length: None, body, ..self }
            }
            body => Self { body, ..self },
        }
    }

    /// Whether the body's bytes differ from the file's, so that no part of it can be requested.
    pub fn is_decoded(&self) -> bool {
        matches!(self.body, Body::Gunzipped(_))
    }

    /// A complete small document, decompressed if the server compressed it.
    ///
    /// # Errors
    /// Those of [`Self::all`].
    pub fn document(self, max: u64) -> Result<Vec<u8>> {
        let (is_gzip, url) = (self.is_gzip(), self.url.clone());
        let data = self.all(max)?;
        if !is_gzip || !data.starts_with(&GZIP_MAGIC) {
            return Ok(data);
        }
        let mut plain = Vec::new();
        let unpacked = MultiGzDecoder::new(data.as_slice()).take(max + 1).read_to_end(&mut plain);
        unpacked
            .map_err(|error| Failure::damaged(format_args!("{url} is labelled gzip but is not: {error}")))?;
        if plain.len() as u64 > max { Err(too_large(&url, max)) } else { Ok(plain) }
    }

    /// Reads a small unwanted body, so that the connection can be used again.
    pub fn finish(self) {
        // a body that cannot be read to its end closes the connection
        let _ = io::copy(&mut self.take(MAX_UNWANTED_BYTES), &mut io::sink());
    }

    /// A complete small body.
    ///
    /// # Errors
    /// Network; damaged, if it has more than `max` bytes.
    pub fn all(mut self, max: u64) -> Result<Vec<u8>> {
        if self.length().is_some_and(|length| length > max) {
            return Err(too_large(&self.url, max));
        }
        let mut data = Vec::new();
        let read = self.by_ref().take(max + 1).read_to_end(&mut data);
        read.map_err(|error| broken(&self.url, &error))?;
        if data.len() as u64 > max { Err(too_large(&self.url, max)) } else { Ok(data) }
    }
}

fn too_large(url: &Url, max: u64) -> Failure {
    Failure::damaged(format_args!("refused {url}: larger than {max} bytes"))
}

impl Read for Response {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.body {
            Body::Sent(body) => body.read(into),
            Body::Gunzipped(body) => body.read(into),
        }
    }
}

/// A body with a minimum speed: it fails if too little arrived during `patience`.
#[derive(Debug)]
struct TimedStream {
    response: reqwest::Response,
    url: Url,
    runtime: Arc<Runtime>,
    patience: Duration,
    /// Received and not read yet.
    chunk: Bytes,
    /// For the current interval: the time spent waiting, and the bytes that arrived.
    waited: Duration,
    came: u64,
}

impl TimedStream {
    fn new(response: reqwest::Response, url: Url, runtime: Arc<Runtime>, patience: Duration) -> Self {
        let chunk = Bytes::new();
        Self { response, url, runtime, patience, chunk, waited: Duration::ZERO, came: 0 }
    }

    /// The next bytes; None at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let started = Instant::now();
            let left = self.patience.saturating_sub(self.waited);
            let next = self.runtime.run(self.response.chunk(), left)?;
            self.waited += started.elapsed();
            let Some(next) = next else {
                self.check_rate()?;
                continue;
            };
            let chunk = next.map_err(|error| of_body(&error, &self.url))?;
            self.came += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            if chunk.is_some() {
                self.check_rate()?;
            }
            return Ok(chunk);
        }
    }

    fn check_rate(&mut self) -> io::Result<()> {
        if self.waited < self.patience {
            return Ok(());
        }
        let (came, seconds) = (std::mem::take(&mut self.came), self.patience.as_secs());
        self.waited = Duration::ZERO;
        if came >= MIN_BYTES_PER_SECOND * seconds.max(1) {
            return Ok(());
        }
        let why = format!("only {came} bytes arrived in {seconds} s");
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    }
}

impl Read for TimedStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !into.is_empty() {
            match self.next()? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        (&mut self.chunk).reader().read(into)
    }
}

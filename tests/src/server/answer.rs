//! A response: correct, or wrong in one way.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use super::Request;

/// What the server does after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Reads the next request.
    Listen,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Keeps it open and silent until the client closes it.
    Hold,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    AtOnce,
    /// One byte at a time, with this pause.
    Drip(Duration),
    /// The body again and again.
    ForEver,
}

/// A response to send.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The raw bytes, if they are given.
    raw: Option<Vec<u8>>,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The value of Content-Length, if it differs from the body's length; `Some(None)` omits the header.
    declared: Option<Option<u64>>,
    pace: Pace,
    then: Then,
}

impl Answer {
    /// An empty response.
    pub fn new(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { raw: None, status, headers, body, declared: None, pace: Pace::AtOnce, then: Then::Listen }
    }

    /// These raw bytes, and then the end of the connection.
    pub fn raw(bytes: Vec<u8>) -> Self {
        Self { raw: Some(bytes), ..Self::new(200) }.then(Then::Close)
    }

    /// No response: the connection stays open.
    pub fn silent() -> Self {
        Self::raw(Vec::new()).then(Then::Hold)
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).body(body)
    }

    /// A redirect to this location.
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::new(307).header("Location", location)
    }

    /// A registry's error, as in distribution-spec.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Self::new(status).body(body).header("Content-Type", "application/json")
    }

    /// With this header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_string(), value.into()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Declares this length for the body.
    pub fn declared(mut self, length: u64) -> Self {
        self.declared = Some(Some(length));
        self
    }

    /// Declares no length: the end of the connection is the end of the body.
    pub fn undeclared(mut self) -> Self {
        self.declared = Some(None);
        self.then = Then::Close;
        self
    }

    /// Sends the body again and again until the client disconnects.
    pub fn for_ever(mut self) -> Self {
        self.pace = Pace::ForEver;
        self
    }

    /// Sends the body byte by byte with a pause before each.
    pub fn drip(mut self, pause: Duration) -> Self {
        self.pace = Pace::Drip(pause);
        self
    }

    /// Does this afterwards, and declares the full length if only a part of the body is sent.
    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// Sends the first bytes of the body, with its whole length declared, and then a reset.
    pub fn cut(mut self, length: usize) -> Self {
        self = if self.declared.is_none() {
            let whole = self.body.len() as u64;
            self.declared(whole)
        } else {
            self
        };
        self.body.truncate(length);
        self.then(Then::Reset)
    }

    /// Sends it; `stopped` returns true when the server is being stopped.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn write(
        self,
        request: &Request,
        stream: &mut impl Write,
        stopped: &dyn Fn() -> bool,
    ) -> io::Result<Then> {
        if let Some(bytes) = self.raw {
            stream.write_all(&bytes)?;
            stream.flush()?;
            return Ok(self.then);
        }
        let mut head = format!("HTTP/1.1 {} As it is\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = self.declared.unwrap_or(Some(self.body.len() as u64)) {
            head += &format!("Content-Length: {length}\r\n");
        }
        if self.then != Then::Listen {
            head += "Connection: close\r\n";
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        if request.method == "HEAD" {
            stream.flush()?;
            return Ok(self.then);
        }
        match self.pace {
            Pace::AtOnce => stream.write_all(&self.body)?,
            Pace::Drip(pause) => {
                for byte in &self.body {
                    if stopped() {
                        return Ok(Then::Close);
                    }
                    thread::sleep(pause);
                    stream.write_all(&[*byte])?;
                    stream.flush()?;
                }
            }
            Pace::ForEver => {
                while !stopped() {
                    stream.write_all(&self.body)?;
                }
            }
        }
        stream.flush()?;
        Ok(self.then)
    }
}

/// The bytes of an answer: its status line, more header lines, and a body of the length it declares.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

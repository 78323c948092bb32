// SPDX-License-Identifier: MIT OR Apache-2.0
//! The body of an answer: as long as was announced, in chunks, or until the connection ends.

use std::io::{self, BufRead, Read};

use crate::net::http::{Head, malformed};

/// A line that begins a chunk, or a field after the last one.
const LONGEST_LINE: u64 = 4096;
const MOST_TRAILERS: usize = 64;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// So many of the current chunk; then another.
    Chunk(u64),
    /// The connection is closed after it.
    Close,
    /// There is nothing more.
    Ended,
}

/// A body on its connection.
#[derive(Debug)]
pub struct Body<C> {
    connection: C,
    framing: Framing,
    keeps: bool,
    begun: bool,
}

impl<C: BufRead> Body<C> {
    /// The body that follows a head.
    ///
    /// # Errors
    /// Invalid data, for one whose end nobody can know for sure.
    pub fn new(connection: C, head: &Head, method: &str) -> io::Result<Self> {
        let mut codings = head.all("transfer-encoding").flat_map(|value| value.split(',')).map(str::trim);
        let framing = match (codings.next(), codings.next()) {
            _ if method == "HEAD" || matches!(head.status, 204 | 304) => Framing::Ended,
            (None, _) => head.length()?.map_or(Framing::Close, Framing::Length),
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunk(0),
            _ => return Err(malformed("it is encoded in a way nobody asked for")),
        };
        let framing = if framing == Framing::Length(0) { Framing::Ended } else { framing };
        // both fields at once are a sign of somebody in between who may see another end
        let keeps = head.keeps() && framing != Framing::Close && head.all("content-length").count() <= 1;
        Ok(Self { connection, framing, keeps, begun: false })
    }

    /// Bytes that are still to come, where that was announced.
    pub fn left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            Framing::Ended => Some(0),
            Framing::Chunk(_) | Framing::Close => None,
        }
    }

    /// The connection, for the next request, once the body has been read.
    pub fn finish(self) -> Option<C> {
        (self.framing == Framing::Ended && self.keeps).then_some(self.connection)
    }

    /// Reads the line before a chunk; the last one is empty, and fields may follow it.
    fn next_chunk(&mut self) -> io::Result<()> {
        if self.begun && !self.line()?.is_empty() {
            return Err(malformed("a chunk is longer than announced"));
        }
        self.begun = true;
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| hexadecimal);
        match size.ok_or_else(|| malformed("the length of a chunk is no number"))? {
            0 => {
                for _ in 0..MOST_TRAILERS {
                    if self.line()?.is_empty() {
                        self.framing = Framing::Ended;
                        return Ok(());
                    }
                }
                Err(malformed("too many fields follow it"))
            }
            size => {
                self.framing = Framing::Chunk(size);
                Ok(())
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.connection.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        let line = match line.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
            None if (line.len() as u64) < LONGEST_LINE => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => return Err(malformed("a line of it is too long")),
        };
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}

impl<C: BufRead> Read for Body<C> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.framing == Framing::Chunk(0) {
            self.next_chunk()?;
        }
        let most = match self.framing {
            Framing::Ended => return Ok(0),
            Framing::Close => u64::MAX,
            Framing::Length(left) | Framing::Chunk(left) => left,
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(into.len());
        let count = self.connection.read(into.get_mut(..most).unwrap_or_default())?;
        match &mut self.framing {
            Framing::Close if count == 0 => self.framing = Framing::Ended,
            Framing::Length(_) | Framing::Chunk(_) if count == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Framing::Length(left) if *left == count as u64 => self.framing = Framing::Ended,
            Framing::Length(left) | Framing::Chunk(left) => *left -= count as u64,
            Framing::Close | Framing::Ended => {}
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &str, body: &str) -> io::Result<(String, bool)> {
        let head = Head::parse(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes())?;
        let mut body = Body::new(body.as_bytes(), &head, "GET")?;
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        Ok((text, body.finish().is_some()))
    }

    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

    #[test]
    fn the_end_of_a_body_is_where_the_head_says() {
        let kept = |text: &str| (text.to_owned(), true);
        assert_eq!(read("Content-Length: 3\r\n", "abcd").expect("a body"), kept("abc"));
        assert_eq!(read("Content-Length: 0\r\n", "abcd").expect("a body"), kept(""));
        assert_eq!(
            read(CHUNKED, "3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nField: 1\r\n\r\nrest").expect("a body"),
            kept("abcd")
        );
        assert_eq!(read("", "abc").expect("a body"), ("abc".to_owned(), false));
    }

    #[test]
    fn a_body_that_ends_early_or_cannot_be_read_is_an_error() {
        assert!(read("Content-Length: 4\r\n", "abc").is_err());
        assert!(read("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n").is_err());
        let many = format!("0\r\n{}", "a: b\r\n".repeat(MOST_TRAILERS + 1));
        let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(5000));
        for wrong in [
            "",
            "3\r\nab",
            "3\r\nabc",
            "3\r\nabc\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "x\r\nabc\r\n0\r\n\r\n",
            "-1\r\n",
            "\r\n",
            "ffffffffffffffffff\r\n",
            "0\r\n",
            &many,
            &long,
        ] {
            assert!(read(CHUNKED, wrong).is_err(), "{:.40}", wrong);
        }
    }
}

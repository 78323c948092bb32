// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading ahead: one thread reads, and hashes if it must, what another decodes.
//!
//! Decoding takes longer than anything else; what it need not do itself is done beside it.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

/// What is asked of the input at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Enough that neither side waits for the other to start.
const CHUNKS: usize = 4;

/// Bytes that another thread reads.
#[derive(Debug)]
pub struct ReadAhead {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl ReadAhead {
    /// Starts to read.
    ///
    /// # Errors
    /// As pthread_create(3).
    pub fn start(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (fill, full) = mpsc::sync_channel(CHUNKS);
        let (empty, refill) = mpsc::channel();
        for _ in 0..CHUNKS {
            // both ends are here: this cannot fail
            let _ = empty.send(Vec::new());
        }
        thread::Builder::new().name("read".into()).spawn(move || read(input, &fill, &refill))?;
        Ok(Self { full, empty, chunk: Vec::new(), at: 0, ended: false })
    }

    /// Waits for bytes, or the end.
    fn refill(&mut self) -> io::Result<()> {
        // the reader may have ended already
        let _ = self.empty.send(std::mem::take(&mut self.chunk));
        self.at = 0;
        match self.full.recv() {
            Ok(Ok(chunk)) => {
                self.ended = chunk.is_empty();
                self.chunk = chunk;
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("the reader ended without a word")),
        }
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.chunk.len() && !self.ended {
            self.refill()?;
        }
        Ok(self.chunk.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.chunk.len());
    }
}

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// Passes on what comes, and the end as an empty chunk, until nobody takes it.
fn read(mut input: impl Read, fill: &SyncSender<io::Result<Vec<u8>>>, refill: &Receiver<Vec<u8>>) {
    while let Ok(mut chunk) = refill.recv() {
        // the first time a chunk is used it gets its memory; afterwards this writes nothing
        chunk.resize(CHUNK_BYTES, 0);
        // what is there at once and no more: a pipe may be slow
        let read = loop {
            match input.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let message = read.map(|count| {
            chunk.truncate(count);
            chunk
        });
        let more = message.as_ref().is_ok_and(|chunk| !chunk.is_empty());
        if fill.send(message).is_err() || !more {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_once_and_in_order_and_the_end_stays_the_end() {
        let data: Vec<u8> = (0..2 * CHUNK_BYTES + 77).map(|at| (at % 251) as u8).collect();
        let mut ahead = ReadAhead::start(io::Cursor::new(data.clone())).expect("a thread");
        let mut seen = Vec::new();
        ahead.read_to_end(&mut seen).expect("bytes");
        assert!(seen == data);
        assert_eq!(ahead.read(&mut [0; 8]).expect("the end"), 0);
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        let mut ahead = ReadAhead::start(io::Cursor::new(b"abc").chain(Broken)).expect("a thread");
        let mut seen = Vec::new();
        let error = ahead.read_to_end(&mut seen).expect_err("broken");
        assert_eq!((seen.as_slice(), error.raw_os_error()), (&b"abc"[..], Some(5)));
    }
}

//! Reads and hashes on a thread of its own, because the decoder's thread takes longest.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc;

use crate::archive::chunks::{CHUNK_BYTES, Chunks, Fill};

/// Enough that neither thread waits for the other to start.
const CHUNKS: usize = 4;

/// Bytes that another thread reads.
#[derive(Debug)]
pub struct ReadAhead {
    chunks: Chunks,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl ReadAhead {
    /// Starts to read. Without another thread, it reads when bytes are needed.
    pub fn start(input: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
        // the thread gets the input after it has started
        let (give, take) = mpsc::channel();
        let take = move || take.recv().map_err(io::Error::other);
        match Chunks::start("read", CHUNKS, Fill::Available, take) {
            Ok(chunks) => {
                // cannot fail: the thread waits for it
                let _ = give.send(input);
                Box::new(Self { chunks, chunk: Vec::new(), at: 0, ended: false })
            }
            Err(_) => Box::new(BufReader::with_capacity(CHUNK_BYTES, input)),
        }
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() && !self.ended {
            self.chunks.recycle(std::mem::take(&mut self.chunk));
            self.at = 0;
            self.chunk = self.chunks.receive()?;
            self.ended = self.chunk.is_empty();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_once_and_in_order_and_the_end_stays_the_end() {
        let data: Vec<u8> = (0..2 * CHUNK_BYTES + 77).map(|at| (at % 251) as u8).collect();
        let mut ahead = ReadAhead::start(io::Cursor::new(data.clone()));
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
        let mut ahead = ReadAhead::start(io::Cursor::new(b"abc").chain(Broken));
        let mut seen = Vec::new();
        let error = ahead.read_to_end(&mut seen).expect_err("broken");
        assert_eq!((seen.as_slice(), error.raw_os_error()), (&b"abc"[..], Some(5)));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decoding on one thread, reading on another: bytes in recycled chunks.
//!
//! Memory is bounded by the number of chunks, whatever the archive's size, and
//! a chunk that comes back is still in the processor's cache.

use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use crate::archive::decode::{self, Compression};
use crate::archive::tar::BLOCK;
use crate::digest::{Digest, RunningDigest};
use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;

/// A multiple of the block, large enough that a typical file is one write.
const CHUNK_BYTES: usize = 256 * 1024;
/// Enough that neither side waits for the other to start.
const CHUNKS: usize = 6;
/// How soon a signal is noticed while the input is slow.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum Message {
    Chunk(Vec<u8>),
    /// The input ended; whether its compression proves that nothing is missing.
    End {
        proven: bool,
    },
    Failed(Failure),
}

/// The decoded bytes of an archive, in order.
#[derive(Debug)]
pub struct Stream {
    full: Receiver<Message>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
    taken: u64,
    max_bytes: u64,
    /// Whether something but an end mark proves that nothing is missing at the end.
    whole: bool,
    /// What the decoded bytes must hash to. It is reckoned on this side, which has more time.
    content: Option<RunningDigest>,
    interrupt: Interrupt,
}

impl Stream {
    /// Starts to read and decode `input` on a thread of its own; `max_bytes` bytes are allowed.
    /// With a digest, the decoded bytes must have it.
    ///
    /// # Errors
    /// I/O, if there can be no thread.
    pub fn start(
        input: Box<dyn Read + Send>,
        content: Option<Digest>,
        max_bytes: u64,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let (fill, full) = mpsc::sync_channel(CHUNKS);
        let (empty, refill) = mpsc::channel();
        for _ in 0..CHUNKS {
            // both ends are here: this cannot fail
            let _ = empty.send(Vec::new());
        }
        thread::Builder::new()
            .name("decode".into())
            .spawn(move || {
                if let Err(failure) = decode(input, &fill, &refill) {
                    // nobody may be there to hear it
                    let _ = fill.send(Message::Failed(failure));
                }
            })
            .map_err(|error| Failure::no_thread(&error))?;
        Ok(Self::over(full, empty, max_bytes, content, interrupt))
    }

    /// Bytes that are there and not packed, without a thread.
    pub fn of_memory(data: Vec<u8>, max_bytes: u64) -> Self {
        let (fill, full) = mpsc::sync_channel(2);
        // both fit, and the other end is here: this cannot fail
        let _ = fill.send(Message::Chunk(data));
        let _ = fill.send(Message::End { proven: false });
        Self::over(full, mpsc::channel().0, max_bytes, None, &Interrupt::default())
    }

    fn over(
        full: Receiver<Message>,
        empty: Sender<Vec<u8>>,
        max_bytes: u64,
        content: Option<Digest>,
        interrupt: &Interrupt,
    ) -> Self {
        Self {
            full,
            empty,
            chunk: Vec::new(),
            at: 0,
            ended: false,
            taken: 0,
            max_bytes,
            whole: content.is_some(),
            content: content.map(RunningDigest::new),
            interrupt: interrupt.clone(),
        }
    }

    /// The same stream, of which the caller knows that it has every byte: by a digest, a length, or a file's size.
    #[must_use]
    pub fn known_to_be_whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// Whether an archive that ends where the stream did has lost nothing. Known once it has ended.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The next block, or nothing at the end.
    ///
    /// # Errors
    /// What the decoder says; damaged, if a part of a block is all there is.
    pub fn block(&mut self) -> Result<Option<&[u8; BLOCK]>> {
        if !self.refill()? {
            return Ok(None);
        }
        let from = self.at;
        self.at = (from + BLOCK).min(self.chunk.len());
        let block = self.chunk.get(from..self.at).unwrap_or_default();
        // chunks are multiples of the block, so only the last can hold less
        match block.first_chunk::<BLOCK>() {
            Some(block) => Ok(Some(block)),
            None => Err(cut_short()),
        }
    }

    /// At least one and at most `max_bytes` bytes, without a copy.
    ///
    /// # Errors
    /// What the decoder says; damaged, if there are none.
    pub fn bytes(&mut self, max_bytes: u64) -> Result<&[u8]> {
        if !self.refill()? {
            return Err(cut_short());
        }
        let from = self.at;
        let length = usize::try_from(max_bytes).unwrap_or(usize::MAX).min(self.chunk.len() - from);
        self.at = from + length;
        Ok(self.chunk.get(from..self.at).unwrap_or_default())
    }

    /// Whether nothing more comes.
    ///
    /// # Errors
    /// What the decoder says.
    pub fn at_end(&mut self) -> Result<bool> {
        Ok(!self.refill()?)
    }

    /// Whether what comes next is less than a block.
    ///
    /// # Errors
    /// What the decoder says.
    pub fn has_less_than_a_block(&mut self) -> Result<bool> {
        Ok(!self.refill()? || self.chunk.len() - self.at < BLOCK)
    }

    /// Passes over `count` bytes.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            count -= self.bytes(count)?.len() as u64;
        }
        Ok(())
    }

    /// Passes over the padding behind an entry, which may be missing at the end of a whole stream.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn skip_padding(&mut self, count: u64) -> Result<()> {
        let end = self.taken_by_reader() + count;
        while self.taken_by_reader() < end {
            if !self.refill()? {
                return if self.whole { Ok(()) } else { Err(cut_short()) };
            }
            self.bytes(end - self.taken_by_reader())?;
        }
        Ok(())
    }

    /// Reads to the end, so that every checksum and digest on the way is checked, and shows each
    /// stretch of bytes.
    ///
    /// # Errors
    /// What the decoder says.
    pub fn drain(&mut self, mut look: impl FnMut(&[u8])) -> Result<()> {
        while self.refill()? {
            look(self.chunk.get(self.at..).unwrap_or_default());
            self.at = self.chunk.len();
        }
        Ok(())
    }

    /// Waits until there is something to take, or it is known why there is nothing.
    ///
    /// # Errors
    /// What the decoder says.
    pub fn ready(&mut self) -> Result<()> {
        self.refill().map(drop)
    }

    /// Bytes the reader has had so far.
    pub fn taken_by_reader(&self) -> u64 {
        self.taken - (self.chunk.len() - self.at) as u64
    }

    /// Whether there is a byte to take.
    fn refill(&mut self) -> Result<bool> {
        while self.at == self.chunk.len() {
            if self.ended {
                return Ok(false);
            }
            // the decoder may have ended already
            let _ = self.empty.send(std::mem::take(&mut self.chunk));
            self.at = 0;
            match self.receive()? {
                Message::Chunk(chunk) => self.chunk = chunk,
                Message::End { proven } => {
                    self.ended = true;
                    self.whole |= proven;
                    let checked = self.content.as_mut().map_or(Ok(()), RunningDigest::check);
                    checked.map_err(Failure::mismatch)?;
                }
                Message::Failed(failure) => return Err(failure),
            }
            if let Some(sum) = &mut self.content {
                sum.update(&self.chunk);
            }
            self.taken += self.chunk.len() as u64;
            if self.taken > self.max_bytes {
                return Err(Failure::damaged(format_args!(
                    "refused: the archive unpacks to more than {} bytes",
                    self.max_bytes
                ))
                .hint("--max-size allows more"));
            }
        }
        Ok(true)
    }

    fn receive(&self) -> Result<Message> {
        loop {
            self.interrupt.check()?;
            match self.full.recv_timeout(SIGNAL_CHECK_INTERVAL) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new(Kind::Io, "the decoder ended without a word"));
                }
            }
        }
    }
}

fn cut_short() -> Failure {
    Failure::damaged("the archive is cut short")
}

/// The other side: fills chunks until the input ends or nobody takes them.
fn decode(input: Box<dyn Read + Send>, fill: &SyncSender<Message>, refill: &Receiver<Vec<u8>>) -> Result<()> {
    let (mut decoded, compression) = decode::decoded(input)?;
    while let Ok(mut chunk) = refill.recv() {
        // the first time a chunk is used it gets its memory; afterwards this writes nothing
        chunk.resize(CHUNK_BYTES, 0);
        let (length, ended) = fill_up(&mut *decoded, &mut chunk)?;
        chunk.truncate(length);
        if (length > 0 && fill.send(Message::Chunk(chunk)).is_err()) || ended {
            break;
        }
    }
    let _ = fill.send(Message::End { proven: compression != Compression::Plain });
    Ok(())
}

fn fill_up(decoded: &mut dyn Read, chunk: &mut [u8]) -> Result<(usize, bool)> {
    let mut length = 0;
    while let Some(rest) = chunk.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match decoded.read(rest) {
            Ok(0) => return Ok((length, true)),
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::read(error)),
        }
    }
    Ok((length, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(data: Vec<u8>) -> Stream {
        let input = Box::new(std::io::Cursor::new(data));
        Stream::start(input, None, 1 << 30, &Interrupt::default()).expect("a thread")
    }

    #[test]
    fn every_byte_comes_once_and_in_order() {
        let data: Vec<u8> = (0..3 * CHUNK_BYTES + 700).map(|at| (at % 251) as u8).collect();
        let mut stream = stream(data.clone());
        let mut seen = stream.block().expect("a block").expect("not the end").to_vec();
        while seen.len() < data.len() {
            seen.extend_from_slice(stream.bytes(100_000).expect("bytes"));
        }
        assert!(seen == data);
        assert!(stream.block().expect("the end").is_none());
    }

    #[test]
    fn a_part_of_a_block_is_an_archive_cut_short() {
        assert!(stream(vec![0; 100]).block().is_err());
        assert!(stream(vec![0; 100]).skip(101).is_err());
        assert!(stream(vec![0; 100]).skip_padding(101).is_err());
        assert!(stream(vec![0; 100]).known_to_be_whole().skip_padding(101).is_ok());
    }

    #[test]
    fn more_than_allowed_is_refused() {
        let input = Box::new(std::io::repeat(0));
        let mut bomb = Stream::start(input, None, 1 << 20, &Interrupt::default()).expect("a thread");
        assert!(bomb.drain(|_| ()).expect_err("it is too large").is(Kind::Damaged));
    }
}

//! The decoded bytes of an archive. Another thread decodes them.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::archive::chunks::{Chunks, Fill};
use crate::archive::decode::{self, Compression};
use crate::archive::tar::BLOCK;
use crate::digest::{Digest, RunningDigest};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;

/// Enough that neither thread waits for the other to start.
const CHUNKS: usize = 6;
/// More chunks for layers that are read later: enough for much of most layers, and 6 MiB each. A decoder's
/// own window is not filled further either. The README documents this memory.
const CHUNKS_AHEAD: usize = 24;
/// How soon a signal is noticed while the input is slow.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How many decoded bytes are accepted, from one archive or from all layers of an image together.
#[derive(Clone, Debug)]
pub struct SizeLimit {
    max_bytes: u64,
    bytes: Arc<AtomicU64>,
}

impl SizeLimit {
    /// No more than `max_bytes`, in all streams that share this limit.
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, bytes: Arc::default() }
    }

    fn count(&self, bytes: usize) -> Result<()> {
        let before = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before.saturating_add(bytes as u64) <= self.max_bytes {
            return Ok(());
        }
        let line = format!("refused: the archive unpacks to more than {} bytes", self.max_bytes);
        Err(Failure::damaged(line).hint("raise the limit with --max-size"))
    }
}

/// The decoded bytes of an archive, in order.
#[derive(Debug)]
pub struct Stream {
    chunks: Chunks,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
    decoded_bytes: u64,
    limit: SizeLimit,
    /// Whether something other than an end mark proves that nothing is missing at the end.
    whole: bool,
    /// Whether the input is compressed, which proves it as well.
    is_compressed: Arc<AtomicBool>,
    /// The digest of the decoded bytes: this thread has more time for it than the decoder's thread.
    content: Option<RunningDigest>,
    interrupt: Interrupt,
}

impl Stream {
    /// Starts a thread that reads and decodes `input`; more decoded bytes than `limit` allows are
    /// refused. With a digest, the decoded bytes must have it.
    ///
    /// # Errors
    /// Those of pthread_create(3).
    pub fn start(
        input: Box<dyn Read + Send>,
        content: Option<Digest>,
        limit: SizeLimit,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let is_compressed = Arc::new(AtomicBool::new(false));
        let found = is_compressed.clone();
        let open = move || {
            let (decoded, compression) = decode::decoded(input).map_err(Failure::into_io)?;
            found.store(compression != Compression::Plain, Ordering::Relaxed);
            Ok(decoded)
        };
        let chunks = Chunks::start("decode", CHUNKS, Fill::Whole, open);
        Ok(Self {
            whole: content.is_some(),
            is_compressed,
            content: content.map(RunningDigest::new),
            interrupt: interrupt.clone(),
            ..Self::new(chunks.map_err(|error| Failure::no_thread(&error))?, limit)
        })
    }

    /// Decoded bytes in memory, without a thread.
    pub fn of_memory(data: Vec<u8>, limit: SizeLimit) -> Self {
        Self::new(Chunks::of_memory(data), limit)
    }

    fn new(chunks: Chunks, limit: SizeLimit) -> Self {
        Self {
            chunks,
            chunk: Vec::new(),
            at: 0,
            ended: false,
            decoded_bytes: 0,
            limit,
            whole: false,
            is_compressed: Arc::default(),
            content: None,
            interrupt: Interrupt::default(),
        }
    }

    /// The same stream, which the caller knows to be complete: by a digest, a length, or a file's size.
    #[must_use]
    pub fn known_to_be_whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// Whether an archive that ends with the stream is complete. Known when the stream has ended.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Lets the threads decode more before anything is read. If `current` was decoded ahead, too, its spare
    /// chunks are used.
    pub fn decode_ahead(&mut self, current: &mut Self) {
        if !current.chunks.hand_on(&self.chunks) {
            self.chunks.add(CHUNKS_AHEAD);
        }
    }

    /// Starts reading what was decoded ahead; from now on, the usual number of chunks is enough.
    pub fn begin(&mut self) {
        self.chunks.remove(CHUNKS_AHEAD);
    }

    /// The next block, or nothing at the end.
    ///
    /// # Errors
    /// Those of the decoder; damaged, if only a part of a block is left.
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

    /// Between one and `max_bytes` bytes, without a copy.
    ///
    /// # Errors
    /// Those of the decoder; damaged, if there are none.
    pub fn bytes(&mut self, max_bytes: u64) -> Result<&[u8]> {
        if !self.refill()? {
            return Err(cut_short());
        }
        let from = self.at;
        let length = usize::try_from(max_bytes).unwrap_or(usize::MAX).min(self.chunk.len() - from);
        self.at = from + length;
        Ok(self.chunk.get(from..self.at).unwrap_or_default())
    }

    /// Whether the stream is at its end.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn at_end(&mut self) -> Result<bool> {
        Ok(!self.refill()?)
    }

    /// Whether less than a block is left.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn has_less_than_a_block(&mut self) -> Result<bool> {
        Ok(!self.refill()? || self.chunk.len() - self.at < BLOCK)
    }

    /// Skips `count` bytes.
    ///
    /// # Errors
    /// Those of [`Self::bytes`].
    pub fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            count -= self.bytes(count)?.len() as u64;
        }
        Ok(())
    }

    /// Skips the padding after an entry, which can be missing at the end of a complete stream.
    ///
    /// # Errors
    /// Those of [`Self::bytes`].
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

    /// Reads to the end, so that every checksum and digest is checked, and passes each piece of data to
    /// `look`.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn drain(&mut self, mut look: impl FnMut(&[u8])) -> Result<()> {
        while self.refill()? {
            look(self.chunk.get(self.at..).unwrap_or_default());
            self.at = self.chunk.len();
        }
        Ok(())
    }

    /// Waits until bytes are available or the input has failed.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn ready(&mut self) -> Result<()> {
        self.refill().map(drop)
    }

    /// A copy of the bytes that are there without waiting.
    #[must_use]
    pub fn beginning(&self) -> Self {
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        Self::of_memory(rest.to_vec(), SizeLimit::new(u64::MAX))
    }

    /// Bytes read from this stream so far.
    pub fn taken_by_reader(&self) -> u64 {
        self.decoded_bytes - (self.chunk.len() - self.at) as u64
    }

    /// Waits for bytes if none are left. Returns whether there are any.
    fn refill(&mut self) -> Result<bool> {
        while self.at == self.chunk.len() {
            if self.ended {
                return Ok(false);
            }
            self.chunks.recycle(std::mem::take(&mut self.chunk));
            self.at = 0;
            self.chunk = self.receive()?;
            self.ended = self.chunk.is_empty();
            self.whole |= self.ended && self.is_compressed.load(Ordering::Relaxed);
            if let Some(content) = &mut self.content {
                content.update(&self.chunk);
                if self.ended {
                    content.check().map_err(Failure::mismatch)?;
                }
            }
            self.decoded_bytes += self.chunk.len() as u64;
            self.limit.count(self.chunk.len())?;
        }
        Ok(true)
    }

    fn receive(&self) -> Result<Vec<u8>> {
        loop {
            self.interrupt.check()?;
            let received = self.chunks.receive_timeout(SIGNAL_CHECK_INTERVAL).map_err(Failure::read)?;
            if let Some(chunk) = received {
                return Ok(chunk);
            }
        }
    }
}

fn cut_short() -> Failure {
    Failure::damaged("the archive is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::chunks::CHUNK_BYTES;
    use crate::failure::Kind;

    fn stream(data: Vec<u8>) -> Stream {
        let input = Box::new(std::io::Cursor::new(data));
        Stream::start(input, None, SizeLimit::new(1 << 30), &Interrupt::default()).expect("a thread")
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
        let mut bomb =
            Stream::start(input, None, SizeLimit::new(1 << 20), &Interrupt::default()).expect("a thread");
        assert!(bomb.drain(|_| ()).expect_err("it is too large").is(Kind::Damaged));
    }
}

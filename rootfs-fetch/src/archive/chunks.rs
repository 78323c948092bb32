//! Chunks of bytes that a thread fills ahead of their reader.
//!
//! Used chunks are filled again, so memory is bounded, and a chunk is still in the processor's cache.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SendError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

/// A multiple of the tar block, so large that a typical file is one write.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks of threads that have ended, for those that start: new memory costs more than to fill it.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// The reader's side.
#[derive(Debug)]
pub struct Chunks {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    /// Used chunks that are not filled again.
    surplus: usize,
}

/// How much of a chunk is filled before it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// What one read(2) returns: a pipe may be slow.
    Available,
    /// All of it, except at the end.
    Whole,
}

impl Chunks {
    /// Starts a thread that opens the input and fills `count` chunks ahead.
    ///
    /// # Errors
    /// As pthread_create(3).
    pub fn start<R: Read>(
        name: &str,
        count: usize,
        fill: Fill,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        // the number of chunks bounds both
        let (filled, full) = mpsc::channel();
        let (empty, refill) = mpsc::channel();
        let mut chunks = Self { full, empty, surplus: 0 };
        chunks.add(count);
        thread::Builder::new().name(name.into()).spawn(move || {
            if let Err(error) = open().and_then(|input| pass_on(input, fill, &filled, &refill)) {
                // the reader may be gone
                let _ = filled.send(Err(error));
            }
        })?;
        Ok(chunks)
    }

    /// Bytes in memory, as one chunk without a thread.
    pub fn of_memory(data: Vec<u8>) -> Self {
        let (filled, full) = mpsc::channel();
        for chunk in [data, Vec::new()] {
            // cannot fail: the receiver is alive
            let _ = filled.send(Ok(chunk));
        }
        Self { full, empty: mpsc::channel().0, surplus: 0 }
    }

    /// Fills `count` chunks more ahead.
    pub fn add(&mut self, count: usize) {
        for _ in 0..count {
            // the thread may have ended
            let _ = self.empty.send(Vec::new());
        }
    }

    /// Takes back what [`Self::add`] added, as chunks become free.
    pub fn remove(&mut self, count: usize) {
        self.surplus += count;
    }

    /// Gives a used chunk back.
    pub fn recycle(&mut self, chunk: Vec<u8>) {
        if self.surplus > 0 && !chunk.is_empty() {
            self.surplus -= 1;
            keep(chunk);
        } else if let Err(SendError(chunk)) = self.empty.send(chunk) {
            // the thread has ended
            keep(chunk);
        }
    }

    /// Waits for the next chunk, which is empty at the end.
    ///
    /// # Errors
    /// As the input; EPIPE after such an error.
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        self.full.recv().unwrap_or_else(|_| Err(Errno::PIPE.into()))
    }

    /// The same; nothing after the timeout.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn receive_timeout(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        match self.full.recv_timeout(timeout) {
            Ok(chunk) => chunk.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Errno::PIPE.into()),
        }
    }
}

/// Fills chunks until the input ends or the reader is gone.
fn pass_on(
    mut input: impl Read,
    fill: Fill,
    filled: &Sender<io::Result<Vec<u8>>>,
    refill: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Ok(mut chunk) = refill.recv() {
        if chunk.capacity() == 0 {
            chunk = spare().pop().unwrap_or_default();
        }
        // allocates when a chunk is used for the first time; afterwards this writes nothing
        chunk.resize(CHUNK_BYTES, 0);
        let (length, ended) = read(&mut input, &mut chunk, fill)?;
        chunk.truncate(length);
        if (length > 0 && filled.send(Ok(chunk)).is_err()) || ended {
            break;
        }
    }
    let _ = filled.send(Ok(Vec::new()));
    refill.try_iter().for_each(keep);
    Ok(())
}

fn spare() -> MutexGuard<'static, Vec<Vec<u8>>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(chunk: Vec<u8>) {
    // not bytes that were in memory before
    if chunk.capacity() == CHUNK_BYTES {
        spare().push(chunk);
    }
}

/// Reads into a chunk; how many bytes, and whether the input ended.
fn read(input: &mut impl Read, chunk: &mut [u8], fill: Fill) -> io::Result<(usize, bool)> {
    let mut length = 0;
    while let Some(rest) = chunk.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => return Ok((length, true)),
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if fill == Fill::Available {
            break;
        }
    }
    Ok((length, false))
}

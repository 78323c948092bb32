//! Chunks of bytes that a thread fills ahead of their reader.
//!
//! Used chunks are filled again, so memory is bounded, and a chunk is usually still in the processor's cache.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SendError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

/// A multiple of the tar block, so large that a typical file is one write.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Spare chunks of threads that have ended, for new ones: the first touch of new memory costs more than
/// filling it.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// The reader's side.
#[derive(Debug)]
pub struct Chunks {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    /// How many used chunks to pass on instead of filling them here again.
    surplus: usize,
    /// The reader that gets them.
    heir: Option<Sender<Vec<u8>>>,
}

/// How much of a chunk is filled before it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Whatever one read(2) returns: a pipe can be slow.
    Available,
    /// All of it, except at the end of the input.
    Whole,
}

impl Chunks {
    /// Starts a thread that opens the input and fills `count` chunks ahead.
    ///
    /// # Errors
    /// Those of pthread_create(3).
    pub fn start<R: Read>(
        name: &str,
        count: usize,
        fill: Fill,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        // the number of chunks bounds both
        let (filled, full) = mpsc::channel();
        let (empty, refill) = mpsc::channel();
        let mut chunks = Self { full, empty, surplus: 0, heir: None };
        chunks.add(count);
        thread::Builder::new().name(name.into()).spawn(move || {
            if let Err(error) = open().and_then(|input| pass_on(input, fill, &filled, &refill)) {
                // the reader may have ended
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
        Self { full, empty: mpsc::channel().0, surplus: 0, heir: None }
    }

    /// Fills `count` more chunks ahead.
    pub fn add(&mut self, count: usize) {
        for _ in 0..count {
            // the thread may have ended
            let _ = self.empty.send(Vec::new());
        }
    }

    /// Removes what [`Self::add`] added, as chunks become free.
    pub fn remove(&mut self, count: usize) {
        self.surplus += count;
    }

    /// Passes the chunks that [`Self::remove`] takes away on to `heir`. Returns whether there are any.
    pub fn hand_on(&mut self, heir: &Self) -> bool {
        let is_first = self.surplus > 0 && self.heir.is_none();
        if is_first {
            self.heir = Some(heir.empty.clone());
        }
        is_first
    }

    /// Gives a used chunk back.
    pub fn recycle(&mut self, chunk: Vec<u8>) {
        if self.surplus > 0 && !chunk.is_empty() {
            self.surplus -= 1;
            self.release(chunk);
        } else if let Err(SendError(chunk)) = self.empty.send(chunk) {
            // the thread has ended
            keep(chunk);
        }
    }

    /// Gives a chunk away.
    fn release(&self, chunk: Vec<u8>) {
        match &self.heir {
            Some(heir) => {
                if let Err(SendError(chunk)) = heir.send(chunk) {
                    keep(chunk);
                }
            }
            None => keep(chunk),
        }
    }

    /// Waits for the next chunk. It is empty at the end.
    ///
    /// # Errors
    /// Those of the input; EPIPE after such an error.
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        self.full.recv().unwrap_or_else(|_| Err(Errno::PIPE.into()))
    }

    /// The same; None after the timeout.
    ///
    /// # Errors
    /// Those of [`Self::receive`].
    pub fn receive_timeout(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        match self.full.recv_timeout(timeout) {
            Ok(chunk) => chunk.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Errno::PIPE.into()),
        }
    }
}

impl Drop for Chunks {
    /// A short input never needed all of them: the heir allocates the rest itself.
    fn drop(&mut self) {
        for _ in 0..self.surplus {
            self.release(Vec::new());
        }
    }
}

/// Fills chunks until the input or the reader ends.
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
    // only chunks of the full size: of_memory's have another
    if chunk.capacity() == CHUNK_BYTES {
        spare().push(chunk);
    }
}

/// Reads into a chunk. Returns how many bytes, and whether the input has ended.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn zeros(count: usize) -> Chunks {
        Chunks::start("zeros", count, Fill::Whole, || Ok(io::repeat(0))).expect("a thread")
    }

    fn receive(chunks: &Chunks) -> Vec<u8> {
        let patience = Duration::from_secs(60);
        chunks.receive_timeout(patience).expect("no error").expect("a chunk in time")
    }

    #[test]
    fn an_heir_fills_the_chunks_that_the_one_before_needs_no_longer() {
        let (mut first, heir) = (zeros(4), zeros(1));
        first.remove(3);
        assert!(first.hand_on(&heir));
        assert!(!first.hand_on(&zeros(1)));
        let own = receive(&heir);
        for _ in 0..2 {
            let used = receive(&first);
            let memory = used.as_ptr();
            first.recycle(used);
            let inherited = receive(&heir);
            assert_eq!(inherited.as_ptr(), memory);
        }
        // the third is not used when the first ends
        drop(first);
        assert_eq!(receive(&heir).len(), own.len());
    }

    #[test]
    fn what_was_never_lent_is_handed_to_nobody() {
        assert!(!zeros(2).hand_on(&zeros(1)));
    }
}

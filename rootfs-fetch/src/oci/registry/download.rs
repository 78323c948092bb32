//! Downloads of an image's layers, several at once, each read while it arrives.
//!
//! Layers are applied in order, so a layer that is not next is written to a file: in the cache, or, without
//! one, to an unnamed file next to DIRECTORY, and then only a few layers ahead. Its reader follows the
//! growing file. A layer that is next and has not started needs no file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::digest::{CheckedReader, Digest};
use crate::failure::{Failure, Result};
use crate::io::unnamed_file;
use crate::oci::cache::PartialBlob;
use crate::oci::layout::BlobReader;
use crate::oci::registry::repository::Repository;
use crate::progress::Progress;

/// The maximum number of concurrent downloads into files.
const MAX_TRANSFERS: usize = 3;
/// The maximum number of layers in unnamed files, without a cache.
const MAX_LAYERS_AHEAD: usize = 4;
const BUFFER_BYTES: usize = 128 * 1024;

/// A layer to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The downloads of the layers, each layer once.
#[derive(Debug)]
pub struct Downloads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    repository: Repository,
    temp_dir: PathBuf,
    blobs: Vec<Blob>,
    progress: Progress,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    slots: Vec<Slot>,
    /// The index of the layer that is being read.
    reading: usize,
    stopped: bool,
}

/// The state of a layer.
#[derive(Clone, Debug)]
enum Slot {
    Waiting,
    /// In the cache since an earlier run.
    Cached(Arc<File>),
    /// Partly in the file: the number of bytes.
    Partial(Option<Arc<File>>, u64),
    Whole(Arc<File>),
    Failed(Failure),
    /// Read directly, without a file.
    Direct,
}

impl Downloads {
    /// Starts fetching layers that are not in the cache, into files in `temp_dir` if there is no cache.
    ///
    /// # Errors
    /// I/O, if no thread can be started.
    pub fn begin(
        repository: Repository,
        blobs: Vec<Blob>,
        temp_dir: &Path,
        progress: &Progress,
    ) -> Result<Self> {
        let cached = |blob: &Blob| repository.cache().and_then(|cache| cache.find(&blob.digest, blob.size));
        let slots: Vec<Slot> = blobs
            .iter()
            .map(|blob| cached(blob).map_or(Slot::Waiting, |file| Slot::Cached(Arc::new(file))))
            .collect();
        let missing = slots.iter().filter(|slot| matches!(slot, Slot::Waiting)).count();
        let shared = Arc::new(Shared {
            repository,
            temp_dir: temp_dir.to_path_buf(),
            blobs,
            progress: progress.clone(),
            state: Mutex::new(State { slots, reading: 0, stopped: false }),
            changed: Condvar::new(),
        });
        for _ in 0..missing.min(MAX_TRANSFERS) {
            let shared = shared.clone();
            let thread = thread::Builder::new().name("fetch".into()).spawn(move || shared.work());
            thread.map_err(|error| Failure::no_thread(&error))?;
        }
        Ok(Self(shared))
    }

    /// The verified bytes of a layer. Reading a layer without a file waits for [`Self::begin_layer`].
    ///
    /// # Errors
    /// Damaged, for a digest that is not a layer's.
    pub fn open(&self, digest: &Digest) -> Result<BlobReader> {
        let index = self.0.index(digest);
        let index =
            index.ok_or_else(|| Failure::damaged(format_args!("{digest} is not a layer of the image")))?;
        Ok(Box::new(LayerReader { shared: self.0.clone(), index, bytes: None }))
    }

    /// Declares that a layer is read now; layers must be read in order.
    pub fn begin_layer(&self, digest: &Digest) {
        let shared = &self.0;
        let Some(at) = shared.index(digest) else { return };
        let mut state = shared.lock();
        state.reading = state.reading.max(at);
        if shared.repository.cache().is_none() {
            // applied layers need no file; a repeated layer is fetched again
            state.slots.iter_mut().take(at).for_each(|slot| *slot = Slot::Direct);
        }
        drop(state);
        shared.changed.notify_all();
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, index: usize, slot: Slot) {
        if let Some(place) = self.lock().slots.get_mut(index) {
            *place = slot;
        }
        self.changed.notify_all();
    }

    fn index(&self, digest: &Digest) -> Option<usize> {
        self.blobs.iter().position(|blob| blob.digest == *digest)
    }

    /// The bytes of a layer: directly, if it is its turn and it has no file.
    fn bytes(self: &Arc<Self>, index: usize) -> Result<BlobReader> {
        let slot = self.wait_for_source(index)?;
        let Some(Blob { digest, size }) = self.blobs.get(index).cloned() else {
            return Err(Failure::damaged("no such layer"));
        };
        let tail = |whole| TailReader { shared: self.clone(), index, at: 0, whole };
        Ok(match slot {
            Slot::Direct => {
                let transfer = self.progress.count(self.repository.blob(&digest, size)?);
                Box::new(CheckedReader::new(transfer, digest, Some(size)))
            }
            Slot::Cached(file) => {
                Box::new(CheckedReader::new(self.progress.count(tail(Some(file))), digest, Some(size)))
            }
            _ => Box::new(tail(None)),
        })
    }

    /// Waits until the source of a layer's bytes is known.
    fn wait_for_source(&self, index: usize) -> Result<Slot> {
        let has_cache = self.repository.cache().is_some();
        let mut state = self.lock();
        loop {
            let is_reading = state.reading >= index;
            match state.slots.get_mut(index) {
                Some(slot @ (Slot::Waiting | Slot::Direct)) if !has_cache => {
                    if is_reading {
                        *slot = Slot::Direct;
                        return Ok(Slot::Direct);
                    }
                }
                slot => return Ok(slot.cloned().unwrap_or(Slot::Waiting)),
            }
            if state.stopped {
                return Err(Failure::read(io::ErrorKind::BrokenPipe.into()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Fetches waiting layers in order.
    fn work(&self) {
        while let Some(index) = self.next() {
            if let Err(failure) = self.fetch(index) {
                self.set(index, Slot::Failed(failure));
                return;
            }
        }
    }

    fn next(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let waiting = state.slots.iter().position(|slot| matches!(slot, Slot::Waiting));
            let index = waiting?;
            // without a cache, the reader itself fetches the next layer
            let cached = self.repository.cache().is_some();
            let index = if cached { Some(index) } else { self.next_ahead(&state) };
            if let Some(slot) = index.and_then(|index| state.slots.get_mut(index)) {
                *slot = Slot::Partial(None, 0);
                return index;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A waiting layer that is at most [`MAX_LAYERS_AHEAD`] after the one that is being read.
    fn next_ahead(&self, state: &State) -> Option<usize> {
        let last = (state.reading + MAX_LAYERS_AHEAD).min(state.slots.len().saturating_sub(1));
        (state.reading + 1..=last).find(|&index| matches!(state.slots.get(index), Some(Slot::Waiting)))
    }

    fn fetch(&self, index: usize) -> Result<()> {
        let Some(Blob { digest, size }) = self.blobs.get(index).cloned() else { return Ok(()) };
        let transfer = self.progress.count(self.repository.blob(&digest, size)?);
        let mut checked = CheckedReader::new(transfer, digest.clone(), Some(size));
        let cache = self.repository.cache();
        let growing = cache.and_then(|cache| cache.create(&digest));
        let file = Arc::new(self.file(growing.as_ref())?);
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut at = 0;
        loop {
            let count = checked.read(&mut buffer).map_err(Failure::read)?;
            if count == 0 {
                break;
            }
            file.write_all_at(buffer.get(..count).unwrap_or_default(), at)
                .map_err(|error| self.write_failure(error))?;
            at += count as u64;
            if self.lock().stopped {
                return Ok(());
            }
            self.set(index, Slot::Partial(Some(file.clone()), at));
        }
        if let (Some(cache), Some(growing)) = (cache, growing) {
            cache.keep(growing, &digest);
        }
        self.set(index, Slot::Whole(file));
        Ok(())
    }

    /// The file for a layer.
    fn file(&self, growing: Option<&PartialBlob>) -> Result<File> {
        if let Some(growing) = growing {
            return growing.file().try_clone().map_err(|error| self.write_failure(error));
        }
        unnamed_file(&self.temp_dir, "store a layer")
    }

    fn write_failure(&self, error: io::Error) -> Failure {
        let failure = Failure::call("store a layer", "pwrite()", error);
        match self.repository.cache() {
            Some(_) => failure.hint("move the cache with --cache-dir, or use --no-cache"),
            None => failure,
        }
    }

    /// Waits until the file of a layer has bytes after `at`. Returns how many there are, if it still grows.
    fn bytes_after(&self, index: usize, at: u64) -> io::Result<(Arc<File>, Option<u64>)> {
        let mut state = self.lock();
        loop {
            match state.slots.get(index) {
                Some(Slot::Whole(file) | Slot::Cached(file)) => return Ok((file.clone(), None)),
                Some(Slot::Partial(Some(file), written)) if *written > at => {
                    return Ok((file.clone(), Some(*written)));
                }
                Some(Slot::Failed(failure)) => return Err(failure.clone().into_io()),
                Some(Slot::Waiting | Slot::Partial(..)) if !state.stopped => {}
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads a layer from its source, once that is known.
struct LayerReader {
    shared: Arc<Shared>,
    index: usize,
    bytes: Option<BlobReader>,
}

impl Read for LayerReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Some(bytes) => bytes.read(into),
            none => none.insert(self.shared.bytes(self.index).map_err(Failure::into_io)?).read(into),
        }
    }
}

/// Reads a file while it grows.
struct TailReader {
    shared: Arc<Shared>,
    index: usize,
    at: u64,
    /// The file, when it is complete.
    whole: Option<Arc<File>>,
}

impl Read for TailReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (file, written) = match &self.whole {
            Some(file) => (file.clone(), None),
            None => self.shared.bytes_after(self.index, self.at)?,
        };
        if written.is_none() && self.whole.is_none() {
            self.whole = Some(file.clone());
        }
        let most = written.map_or(u64::MAX, |written| written - self.at);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(into.len());
        let count = file.read_at(into.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

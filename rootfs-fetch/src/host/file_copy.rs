//! Copies the contents of files on one thread per processor, while one thread creates the files.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use chain::reporter::quoted;
use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use crate::failure::{Failure, Result};

/// The maximum number of threads; more do not make a disk faster.
const MAX_THREADS: usize = 8;
/// The number of files that wait for a thread, each with two descriptors.
const QUEUE: usize = 8;
/// Bytes for one copy_file_range(2).
const COPY_BYTES: usize = 1 << 30;

/// A file of the host, and the new file that gets its contents and time.
#[derive(Debug)]
pub struct FileCopy {
    /// The path of both.
    pub path: PathBuf,
    /// The host's.
    pub from: OwnedFd,
    /// The new one.
    pub to: OwnedFd,
    /// The length in bytes.
    pub length: u64,
    /// When the host's was modified.
    pub modified: Timespec,
}

impl FileCopy {
    fn make(&self) -> Result<()> {
        let failed =
            |call: &str, error| Failure::call(format_args!("copy {}", quoted(&self.path)), call, error);
        copy(&self.from, &self.to, self.length).map_err(|error| failed("copy_file_range()", error))?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: self.modified,
        };
        rustix::fs::futimens(&self.to, &times).map_err(|error| failed("utimensat()", error))
    }
}

/// Threads that copy files.
#[derive(Debug)]
pub struct Workers<'a> {
    queue: SyncSender<FileCopy>,
    failed: &'a Mutex<Option<Failure>>,
}

impl Workers<'_> {
    /// Copies a file; on another thread, if one is about to be free.
    ///
    /// # Errors
    /// I/O, also from an earlier file.
    pub fn copy(&self, file: FileCopy) -> Result<()> {
        if let Some(failure) = lock(self.failed).take() {
            return Err(failure);
        }
        match self.queue.try_send(file) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(file) | TrySendError::Disconnected(file)) => file.make(),
        }
    }
}

/// Starts the threads, and returns when all files of `work` are copied, or one has failed.
///
/// # Errors
/// Those of `work` and of the copies.
pub fn with_workers(work: impl FnOnce(&Workers<'_>) -> Result<()>) -> Result<()> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let failed = Mutex::new(None);
    let (sender, receiver) = mpsc::sync_channel(QUEUE);
    let receiver = Mutex::new(receiver);
    let done = thread::scope(|scope| {
        for _ in 1..processors.min(MAX_THREADS) {
            let copying = || copy_all(&receiver, &failed);
            // with fewer threads it only takes longer
            let _ = thread::Builder::new().name("copy".into()).spawn_scoped(scope, copying);
        }
        let done = work(&Workers { queue: sender, failed: &failed });
        copy_all(&receiver, &failed);
        done
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.and(failed.map_or(Ok(()), Err))
}

/// Copies files until there are no more, or one has failed.
fn copy_all(queue: &Mutex<Receiver<FileCopy>>, failed: &Mutex<Option<Failure>>) {
    loop {
        // one thread waits with the lock held, the others wait for the lock
        let next = lock(queue).recv();
        let Ok(file) = next else { return };
        if let Err(failure) = file.make() {
            lock(failed).get_or_insert(failure);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shares blocks if the file system can; else copies in the kernel, or in this process.
fn copy(from: &OwnedFd, to: &OwnedFd, length: u64) -> rustix::io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut rest = length;
    while rest > 0 {
        match rustix::fs::copy_file_range(from, None, to, None, COPY_BYTES) {
            // the file has shrunk
            Ok(0) => return Ok(()),
            Ok(count) => rest = rest.saturating_sub(count as u64),
            Err(Errno::INTR) => {}
            // across file systems before Linux 5.3, or not supported
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {
                return copy_here(from, to);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn copy_here(from: impl AsFd, to: impl AsFd) -> rustix::io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = rustix::io::read(&from, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            let written = rustix::io::write(&to, rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
}

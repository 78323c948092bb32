//! The cache of fetched blobs: files named by their digests.
//!
//! A file gets its name only when it is complete and verified, so concurrent and killed runs do no harm. Each
//! use verifies it again.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use chain::reporter::quoted;
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::destination::partial::{self, Sibling};
use crate::digest::{CheckedReader, Digest};
use crate::failure::{Failure, Kind, Result};

/// Where the cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheLocation {
    /// The user's cache directory; without one, nothing is cached.
    Default,
    /// This directory.
    Directory(PathBuf),
    /// There is no cache.
    Nowhere,
}

/// A directory of blobs, structured like an image layout: `blobs/sha256/…`.
#[derive(Debug)]
pub struct Cache {
    top: OwnedFd,
    path: PathBuf,
    given_up: AtomicBool,
}

/// A file that is being fetched, without a name or with a temporary one.
#[derive(Debug)]
pub struct PartialBlob {
    file: File,
    /// The directory and the temporary name, if the file system has no O_TMPFILE.
    named: Option<(OwnedFd, OsString)>,
}

impl PartialBlob {
    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A file with a temporary name, for NFS and old overlays, which have no O_TMPFILE.
    fn named(directory: OwnedFd, digest: &Digest) -> Option<Self> {
        remove_stale(&directory);
        let name = partial::passing_name(OsStr::new(&digest.hex()), Sibling::Partial).ok()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR).ok()?;
        // the lock shows that its creator is alive
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self { file: fd.into(), named: Some((directory, name)) })
    }
}

impl Drop for PartialBlob {
    fn drop(&mut self) {
        if let Some((directory, name)) = &self.named {
            // after the rename, no file has this name
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
        }
    }
}

/// Removes the files of killed runs.
fn remove_stale(directory: &OwnedFd) {
    let Ok(entries) = Dir::read_from(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !String::from_utf8_lossy(name.to_bytes()).contains(".partial-") {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else { continue };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
        }
    }
}

impl Cache {
    /// The user's cache.
    ///
    /// # Errors
    /// Why there is none.
    pub fn default_location() -> std::result::Result<Self, String> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let parent = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        let parent = parent.ok_or("nothing is cached: HOME is not set")?;
        // sudo can keep the user's HOME, and the user could not remove root's files there
        let existing = parent.ancestors().find_map(|path| rustix::fs::stat(path).ok());
        let me = rustix::process::geteuid().as_raw();
        if existing.is_some_and(|stat| stat.st_uid != me && me == 0) {
            return Err(format!(
                "nothing is cached: {} does not belong to root; choose another place with --cache-dir",
                quoted(&parent)
            ));
        }
        Self::open(&parent.join("rootfs-fetch")).map_err(|failure| format!("nothing is cached: {failure}"))
    }

    /// A cache in this directory, which is created if it is missing.
    ///
    /// # Errors
    /// I/O, denied.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |call: &str, error: std::io::Error| {
            Failure::call(format_args!("keep a cache in {}", quoted(path)), call, error)
        };
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder.create(path).map_err(|error| failed("mkdir()", error))?;
        let top = crate::tree::open_plain(path).map_err(|errno| failed("openat()", errno.into()))?;
        Ok(Self { top, path: path.to_path_buf(), given_up: AtomicBool::new(false) })
    }

    /// Stops caching, because the disk is full or not writable.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// The directory for an algorithm's files; no symlink is followed.
    fn directory(&self, digest: &Digest, make: bool) -> rustix::io::Result<OwnedFd> {
        let mut directory =
            self.top.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::MFILE))?;
        for name in ["blobs", digest.algorithm()] {
            if make {
                match rustix::fs::mkdirat(&directory, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            directory = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
        }
        Ok(directory)
    }

    /// Whether nothing has been cached yet.
    pub fn is_empty(&self) -> bool {
        rustix::fs::statat(&self.top, "blobs", AtFlags::SYMLINK_NOFOLLOW).is_err()
    }

    /// The unverified file with this digest and size.
    pub fn find(&self, digest: &Digest, size: u64) -> Option<File> {
        let file = self.open_file(digest)?;
        (file.metadata().ok()?.len() == size).then_some(file)
    }

    fn open_file(&self, digest: &Digest) -> Option<File> {
        let directory = self.directory(digest, false).ok()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::openat(directory, digest.hex(), flags, Mode::empty()).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| file.into())
    }

    /// A small, verified file; a damaged one is removed.
    pub fn document(&self, digest: &Digest, most: u64) -> Option<Vec<u8>> {
        let mut data = Vec::new();
        self.open_file(digest)?.take(most).read_to_end(&mut data).ok()?;
        if digest.matches(&data) {
            return Some(data);
        }
        self.forget(digest);
        None
    }

    /// Caches a small file, which the caller has verified.
    pub fn keep_document(&self, digest: &Digest, data: &[u8]) -> Result<()> {
        let Some(blob) = self.create(digest) else { return Ok(()) };
        crate::io::write_all(blob.file(), data)?;
        self.keep(blob, digest);
        Ok(())
    }

    /// A new file; None if none can be created.
    pub fn create(&self, digest: &Digest) -> Option<PartialBlob> {
        if self.given_up.load(Ordering::Relaxed) {
            return None;
        }
        let directory = self.directory(digest, true).ok()?;
        let mode = Mode::RUSR | Mode::WUSR;
        let unnamed = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(&directory, ".", unnamed, mode) {
            Ok(fd) => Some(PartialBlob { file: fd.into(), named: None }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                PartialBlob::named(directory, digest)
            }
            Err(_) => None,
        }
    }

    /// Gives a complete, verified file its name. On failure, it is merely not cached.
    pub fn keep(&self, blob: PartialBlob, digest: &Digest) {
        let Ok(directory) = self.directory(digest, true) else { return };
        let name = digest.hex();
        match &blob.named {
            Some((there, passing)) => {
                let _ = rustix::fs::renameat(there, passing, &directory, name);
            }
            None => {
                // through /proc, because AT_EMPTY_PATH needs a capability: open(2), O_TMPFILE
                let path = format!("/proc/self/fd/{}", blob.file.as_raw_fd());
                let link =
                    || rustix::fs::linkat(CWD, &path, &directory, name.as_str(), AtFlags::SYMLINK_FOLLOW);
                if link() == Err(Errno::EXIST) && self.find(digest, size(&blob.file)).is_none() {
                    // the file with that name has another size
                    self.forget(digest);
                    let _ = link();
                }
            }
        }
    }

    /// Removes a damaged file.
    pub fn forget(&self, digest: &Digest) {
        if let Ok(directory) = self.directory(digest, false) {
            let _ = rustix::fs::unlinkat(directory.as_fd(), digest.hex(), AtFlags::empty());
        }
    }

    /// Verifies a file and removes it if it is damaged. Returns whether it is intact.
    pub fn check(&self, digest: &Digest, size: u64) -> Result<bool> {
        let Some(file) = self.find(digest, size) else { return Ok(true) };
        let mut checked = CheckedReader::new(file, digest.clone(), Some(size));
        let read = std::io::copy(&mut checked, &mut std::io::sink());
        match read.map_err(Failure::read) {
            Ok(_) => Ok(true),
            Err(failure) if failure.is(Kind::Damaged) => {
                self.forget(digest);
                Ok(false)
            }
            Err(failure) => Err(failure.within(quoted(&self.path))),
        }
    }
}

fn size(file: &File) -> u64 {
    file.metadata().map_or(0, |meta| meta.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of a test's own, removed after it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rootfs-fetch-cache-{}-{name}", std::process::id()));
            Self(path)
        }

        fn files(&self) -> usize {
            std::fs::read_dir(self.0.join("blobs/sha256")).map_or(0, Iterator::count)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_kept_is_found_and_checked() {
        let scratch = Scratch::new("kept");
        let cache = Cache::open(&scratch.0).expect("a cache");
        let digest = Digest::of(b"abc");
        assert!(cache.document(&digest, 10).is_none() && cache.find(&digest, 3).is_none());
        cache.keep_document(&digest, b"abc").expect("it is kept");
        assert_eq!(cache.document(&digest, 10).as_deref(), Some(&b"abc"[..]));
        assert!(cache.find(&digest, 3).is_some() && cache.find(&digest, 4).is_none());
        assert!(cache.check(&digest, 3).expect("it is read"));
    }

    #[test]
    fn what_is_not_right_any_more_goes_and_may_come_again() {
        let scratch = Scratch::new("wrong");
        let cache = Cache::open(&scratch.0).expect("a cache");
        let digest = Digest::of(b"abc");
        for wrong in [&b"abd"[..], b"ab", b""] {
            cache.keep_document(&digest, b"abc").expect("it is kept");
            std::fs::write(scratch.0.join(digest.blob()), wrong).expect("it is changed");
            assert!(cache.document(&digest, 10).is_none());
            assert_eq!(scratch.files(), 0);
        }
        cache.keep_document(&digest, b"abc").expect("it is kept");
        std::fs::write(scratch.0.join(digest.blob()), "abd").expect("it is changed");
        assert!(!cache.check(&digest, 3).expect("it is read"));
        // a file with another size is replaced
        std::fs::write(scratch.0.join(digest.blob()), "longer").expect("it is changed");
        cache.keep_document(&digest, b"abc").expect("it is kept");
        assert!(cache.document(&digest, 10).is_some());
    }

    #[test]
    fn a_file_that_is_not_kept_leaves_nothing_even_with_a_passing_name() {
        let scratch = Scratch::new("passing");
        let cache = Cache::open(&scratch.0).expect("a cache");
        let digest = Digest::of(b"abc");
        drop(cache.create(&digest).expect("a file"));
        let directory = || cache.directory(&digest, true).expect("a directory");
        drop(PartialBlob::named(directory(), &digest).expect("a file"));
        assert_eq!(scratch.files(), 0);
        let blob = PartialBlob::named(directory(), &digest).expect("a file");
        crate::io::write_all(blob.file(), b"abc").expect("it is written");
        // the creator of this one is alive, that of the other one is not
        std::fs::write(scratch.0.join("blobs/sha256/x.partial-abcdef"), "").expect("a file");
        remove_stale(&directory());
        assert_eq!(scratch.files(), 1);
        cache.keep(blob, &digest);
        assert_eq!((scratch.files(), cache.document(&digest, 10).is_some()), (1, true));
    }

    #[test]
    fn a_link_in_the_cache_leads_nowhere() {
        let scratch = Scratch::new("link");
        let cache = Cache::open(&scratch.0).expect("a cache");
        std::os::unix::fs::symlink("/", scratch.0.join("blobs")).expect("a link");
        assert!(cache.create(&Digest::of(b"abc")).is_none());
    }
}

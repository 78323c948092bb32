//! Writing to descriptors, and files without a name.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;

use chain::reporter::quoted;
use rustix::fs::{CWD, Mode, OFlags};

use crate::failure::{Failure, Result};

static UMASK: OnceLock<Mode> = OnceLock::new();

/// Reads the caller's umask and keeps it in force, except for its bits for the owner. Must be called before
/// there are threads.
pub fn take_umask() {
    UMASK.get_or_init(|| {
        // umask(2) can only be read by setting it
        let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO) & (Mode::RWXG | Mode::RWXO);
        rustix::process::umask(mask);
        mask
    });
}

/// The file mode creation mask.
pub fn umask() -> Mode {
    take_umask();
    UMASK.get().copied().unwrap_or(Mode::empty())
}

/// Writes all bytes.
///
/// # Errors
/// Those of write(2).
pub fn write_all(fd: impl AsFd, mut rest: &[u8]) -> Result<()> {
    while !rest.is_empty() {
        match rustix::io::write(&fd, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::call("write it", "write()", error)),
        }
    }
    Ok(())
}

/// A file in `directory` without a name, which vanishes when it is closed.
///
/// # Errors
/// Those of openat(2) with O_TMPFILE; `reason` begins the message.
pub fn unnamed_file(directory: &Path, reason: &str) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR);
    opened.map(File::from).map_err(|error| {
        Failure::call(reason, format_args!("openat({}, O_TMPFILE)", quoted(directory)), error)
    })
}

//! Opens an archive that is a file.

use std::os::fd::OwnedFd;
use std::path::Path;

use chain::reporter::quoted;
use rustix::fs::{CWD, Mode, OFlags};

use crate::failure::{Failure, Result};

/// Opens an archive to read.
///
/// # Errors
/// Not found, denied or I/O.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| {
        Failure::call("open the archive", format_args!("openat({})", quoted(path)), error).or_not_found()
    })
}

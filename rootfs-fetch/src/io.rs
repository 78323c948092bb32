// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing to descriptors.

use std::os::fd::AsFd;

use crate::failure::{Failure, Result};

/// Writes all of some bytes.
///
/// # Errors
/// I/O.
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

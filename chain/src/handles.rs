// SPDX-License-Identifier: MIT OR Apache-2.0
//! The descriptors that calls of a plan open for later calls.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;

/// The name under which a plan opens a descriptor and later calls use it.
pub type FdSlot = &'static str;

/// The descriptors that are open while a plan is executed.
#[derive(Debug, Default)]
pub struct Handles(Vec<(FdSlot, OwnedFd)>);

impl Handles {
    /// Keeps a descriptor for later calls.
    pub fn hold(&mut self, slot: FdSlot, fd: OwnedFd) {
        self.0.retain(|(held, _)| *held != slot);
        self.0.push((slot, fd));
    }

    /// The descriptor that an earlier call opened.
    ///
    /// # Errors
    /// `EBADF` if no call has.
    pub fn get(&self, slot: FdSlot) -> Result<BorrowedFd<'_>, Errno> {
        self.0.iter().find(|(held, _)| *held == slot).map(|(_, fd)| fd.as_fd()).ok_or(Errno::EBADF)
    }
}

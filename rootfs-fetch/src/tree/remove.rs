//! Removes an entry of a tree, with what is below it.

use std::os::fd::BorrowedFd;

use chain::reporter::Quoted;
use system::removal;

use crate::failure::{Failure, Result};
use crate::tree::directories::Inode;

/// Removes `name` from `dir`, and everything below it. `gone` is called for each directory.
///
/// # Errors
/// Those of unlinkat(2); what could not be removed stays.
pub fn entry(dir: BorrowedFd<'_>, name: &[u8], gone: &mut dyn FnMut(Inode)) -> Result<()> {
    removal::remove(dir, name, &mut |stat| gone(Inode::of(stat)))
        .map_err(|error| Failure::entry_call(format_args!("remove {}", Quoted(name)), "unlinkat()", error))
}

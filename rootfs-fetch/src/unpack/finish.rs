// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last step: directories get owner, mode and time, the deepest first.

use chain::tell::Quoted;

use crate::directories::Origin;
use crate::failure::{Failure, Result};
use crate::policy::Policy;
use crate::report::Report;
use crate::tree::Tree;
use crate::unpack::look;

/// Gives every directory of a tree its owner, mode and time.
///
/// # Errors
/// I/O.
pub fn directories(tree: &mut Tree, policy: &Policy, report: &mut Report) -> Result<()> {
    for directory in tree.directories().unfinished() {
        if directory.look.is_none() && directory.origin == Origin::Found {
            continue;
        }
        let shown = Quoted(&directory.real);
        let fd = tree.open_real(&directory.real, directory.inode).map_err(|error| {
            Failure::call(format_args!("finish {shown}"), "openat(O_DIRECTORY|O_NOFOLLOW)", error)
        })?;
        look::of_directory(&fd, directory.look.as_deref(), policy, report)
            .map_err(|failure| failure.within(shown))?;
    }
    Ok(())
}

//! The last step: directories get their owner, mode and time, each after its contents.

use chain::reporter::Quoted;

use crate::failure::{Failure, Result};
use crate::io::umask;
use crate::tree::Tree;
use crate::tree::directories::Origin;
use crate::unpack::policy::Policy;
use crate::unpack::report::Report;
use crate::unpack::{acl_names, metadata};

/// Gives every directory of a tree its owner, mode and time.
pub fn directories(tree: &mut Tree, policy: &Policy, report: &mut Report) -> Result<()> {
    let mut held = None;
    let root = tree.root_inode();
    for inode in tree.directories().order() {
        let Some(directory) = tree.directories().finish(inode) else { continue };
        // --mode also counts for a DIRECTORY that existed before
        let named = policy.root_mode.filter(|_| inode == root);
        if directory.metadata.is_none() && directory.origin == Origin::Found && named.is_none() {
            continue;
        }
        let opened = if inode == root {
            tree.open_root()
        } else {
            tree.reach(directory.parent, held.take()).and_then(|parent| {
                let fd = Tree::open_in(&parent, &directory.leaf, inode);
                held = Some(parent);
                fd
            })
        };
        let fd = opened.map_err(|error| {
            let shown = tree.directories().real(inode);
            let call = "openat(O_DIRECTORY|O_NOFOLLOW)";
            Failure::entry_call(format_args!("finish {}", Quoted(&shown)), call, error)
        })?;
        let mut metadata = directory.metadata;
        if let Some(metadata) = &mut metadata {
            acl_names::resolve(tree, metadata);
        }
        let is_new_root = inode == root && directory.origin == Origin::Made;
        let mask = if is_new_root { umask().as_raw_mode() } else { 0 };
        if let Some(metadata) = metadata.as_mut() {
            metadata.mode = named.unwrap_or(metadata.mode & !mask);
        }
        let usual = named.unwrap_or(0o755 & !mask);
        metadata::finish_directory(&fd, metadata.as_deref(), usual, policy, report)
            .map_err(|failure| failure.within(Quoted(&tree.directories().real(inode))))?;
    }
    Ok(())
}

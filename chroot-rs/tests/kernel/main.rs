//! chroot-rs with a real kernel: its promises, tried from inside.
#![cfg(test)]

mod as_outside;
mod changes;
mod changes_marks;
mod changes_remains;
mod command;
mod credentials;
mod descriptors;
mod escapes;
mod filter;
mod free_ids;
mod hosts;
mod jail;
mod masked_paths;
mod mounts;
mod own_descriptors;
mod privileged_escapes;
mod programs;
mod reduced_privileges;
mod root_locations;
mod symlinks;
mod unusual_roots;

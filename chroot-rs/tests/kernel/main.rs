//! chroot-rs against a real kernel: what it promises, tried from inside.
#![cfg(test)]

mod changes;
mod command;
mod credentials;
mod descriptors;
mod escapes;
mod free_ids;
mod jail;
mod masked_paths;
mod mounts;
mod privileged_escapes;
mod programs;
mod reduced_privileges;
mod root_locations;
mod symlinks;
mod unusual_roots;

//! What is said to somebody who types an option of another program: docker's, bubblewrap's,
//! systemd-nspawn's, or one of ours at the wrong tool.
//!
//! The words are data: [`docker::FLAGS`], [`others::OPTIONS`], [`own::OPTIONS`]. The first is also the table
//! of docs/docker.md.

pub mod docker;
mod foreign;
pub mod others;
pub mod own;
mod values;

use foreign::{FETCH, find};
pub use foreign::{Foreign, Here};
pub use values::{image_for_directory, unjoined};

/// What a tool says of an option that it does not have; nothing if no program is known that has it.
///
/// `word` is the option as it was typed, with or without a value: `-it`, `--volume=/a:/b`.
pub fn advice(tool: &str, word: &str) -> Option<String> {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    if let Some(here) = find(docker::FLAGS, name) {
        return Some(here.advice(tool, name, "docker"));
    }
    let other = others::OPTIONS.iter().find_map(|(program, options)| Some((program, find(options, name)?)));
    // podman's --timeout is not that of a download
    let is_download = |owner: &str| owner == FETCH && other.is_some();
    if let Some((owner, written)) = own::owner(name).filter(|(owner, _)| !is_download(owner)) {
        return Some(format!("{name} is an option of {owner}: '{}'", foreign::in_place(owner, written)));
    }
    other.map(|(program, here)| here.advice(tool, name, program))
}

#[cfg(test)]
mod tests;

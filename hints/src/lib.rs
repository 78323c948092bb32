//! Hints for a user who types an option of another program: docker's, bubblewrap's, systemd-nspawn's, or
//! one of ours at the wrong tool.
//!
//! The texts are data: [`docker::FLAGS`], [`others::OPTIONS`], [`own::OPTIONS`]. The first is also the table
//! in docs/docker.md.

pub mod docker;
mod foreign;
pub mod others;
pub mod own;
mod values;

use foreign::{FETCH, find, find_among};
pub use foreign::{Foreign, Here};
pub use values::{docker_command, for_command, image_for_directory, unjoined, unjoined_word};

/// The hint for an option that a tool does not have, if a known program has it.
///
/// `word` is the option as the user typed it, with or without a value: `-it`, `--volume=/a:/b`. `next` is the
/// next word, which is the value if `word` has none: `--network none`.
pub fn advice(tool: &str, word: &str, next: &str) -> Option<String> {
    let (name, value) = word.split_once('=').unwrap_or((word, next));
    if tool == FETCH
        && let Some((program, option)) = find_among(others::FETCHERS, name)
    {
        return Some(option.advice(tool, name, value, program));
    }
    if let Some(flag) = find(docker::FLAGS, name) {
        return Some(flag.advice(tool, name, value, "docker"));
    }
    let other = find_among(others::OPTIONS, name);
    // podman's --timeout is not a download timeout
    let is_download = |owner: &str| owner == FETCH && other.is_some();
    if let Some((owner, written)) = own::owner(name).filter(|(owner, _)| !is_download(owner)) {
        return Some(format!("{name} is an option of {owner}: '{}'", foreign::in_place(owner, written)));
    }
    let other = other.map(|(program, option)| option.advice(tool, name, value, program));
    other.or_else(|| own::completions(tool, name))
}

#[cfg(test)]
mod tests;

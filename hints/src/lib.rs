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
    // podman's --timeout is not that of a download
    let is_download = |owner: &str| owner == "rootfs-fetch" && others::has(name);
    if let Some((owner, written)) = own::owner(name).filter(|(owner, _)| !is_download(owner)) {
        return Some(format!("{name} is an option of {owner}: '{}'", foreign::in_place(owner, written)));
    }
    others::OPTIONS.iter().find_map(|(program, options)| {
        let here = find(options, name)?;
        Some(here.advice(tool, name, program))
    })
}

fn find(options: &[Foreign], name: &str) -> Option<Here> {
    options.iter().find(|option| option.spellings.contains(&name)).map(|option| option.here)
}

#[cfg(test)]
mod tests;

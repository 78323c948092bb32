//! What is said to somebody who types an option of another program: docker's, bubblewrap's,
//! systemd-nspawn's, or one of ours at the wrong tool.
//!
//! The words are data: [`docker::FLAGS`], [`others::OPTIONS`], [`own::OPTIONS`]. The first is also the table
//! of docs/docker.md.

pub mod docker;
pub mod others;
pub mod own;
mod values;

pub use values::{image_for_directory, unjoined};

/// An option of another program.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// How it is typed: `-v`, `--volume`.
    pub spellings: &'static [&'static str],
    /// What does the same here.
    pub here: Here,
}

/// What does here what an option does elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// An option of a tool: the tool, and the option with its value as it is typed.
    Option(&'static str, &'static str),
    /// A line in which another program stands.
    Line(&'static str),
    /// There is nothing to do: why.
    Nothing(&'static str),
    /// It is not here: why, and what there is instead.
    NotHere(&'static str),
}

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
        return Some(format!("{name} is an option of {owner}: '{}'", in_place(owner, written)));
    }
    others::OPTIONS.iter().find_map(|(program, options)| {
        let here = find(options, name)?;
        Some(here.advice(tool, name, program))
    })
}

fn find(options: &[Foreign], name: &str) -> Option<Here> {
    options.iter().find(|option| option.spellings.contains(&name)).map(|option| option.here)
}

impl Here {
    fn advice(self, tool: &str, name: &str, program: &str) -> String {
        match self {
            Self::Option(owner, option) if owner == tool => format!("{program}'s {name} is '{option}' here"),
            Self::Option(owner, option) => {
                format!("{program}'s {name} is an option of {owner} here: '{}'", in_place(owner, option))
            }
            Self::Line(line) => format!("{program}'s {name} is a program in the chain: '{line}'"),
            Self::Nothing(why) => format!("{program}'s {name} is not needed: {why}"),
            Self::NotHere(why) => format!("{program}'s {name} is not here: {why}"),
        }
    }
}

/// An option in the line of its tool.
fn in_place(tool: &str, option: &str) -> String {
    match tool {
        "chroot-rs" => format!("chroot-rs {option} ubuntu-fs"),
        "rootfs-fetch" => format!("rootfs-fetch {option} docker://ubuntu ubuntu-fs"),
        _ => format!("{tool} {option} --"),
    }
}

#[cfg(test)]
mod tests;

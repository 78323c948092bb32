//! An option of another program, and what does the same here.

pub(crate) const UNSHARE: &str = "unshare-rs";
pub(crate) const CGEXEC: &str = "cgexec-rs";
pub(crate) const CHROOT: &str = "chroot-rs";
pub(crate) const FETCH: &str = "rootfs-fetch";

/// An option of another program.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// How it is typed: `-v`, `--volume`.
    pub spellings: &'static [&'static str],
    /// What does the same here.
    pub here: Here,
}

pub(crate) const fn option(spellings: &'static [&'static str], here: Here) -> Foreign {
    Foreign { spellings, here }
}

/// The entry for an option of this name.
pub(crate) fn find(options: &[Foreign], name: &str) -> Option<Here> {
    options.iter().find(|option| option.spellings.contains(&name)).map(|option| option.here)
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

impl Here {
    /// The line about an option of this name, for who typed it at a tool.
    pub(crate) fn advice(self, tool: &str, name: &str, program: &str) -> String {
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
pub(crate) fn in_place(tool: &str, option: &str) -> String {
    match tool {
        CHROOT => format!("chroot-rs {option} ubuntu-fs"),
        FETCH => format!("rootfs-fetch {option} docker://ubuntu ubuntu-fs"),
        _ => format!("{tool} {option} --"),
    }
}

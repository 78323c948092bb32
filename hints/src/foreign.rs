//! An option of another program, and what does the same here.

pub(crate) const UNSHARE: &str = "unshare-rs";
pub(crate) const CGEXEC: &str = "cgexec-rs";
pub(crate) const CHROOT: &str = "chroot-rs";
pub(crate) const FETCH: &str = "rootfs-fetch";

/// An option of another program.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// Its spellings: `-v`, `--volume`.
    pub spellings: &'static [&'static str],
    /// What does the same here.
    pub here: Here,
    /// What does the same as one of the option's values, if that differs: `--network none`. Capital letters
    /// stand for any text: `container:ID`.
    pub values: &'static [(&'static str, Here)],
}

pub(crate) const fn option(spellings: &'static [&'static str], here: Here) -> Foreign {
    Foreign { spellings, here, values: &[] }
}

/// The entry for an option of this name.
pub(crate) fn find<'a>(options: &'a [Foreign], name: &str) -> Option<&'a Foreign> {
    options.iter().find(|option| option.spellings.contains(&name))
}

impl Foreign {
    pub(crate) const fn with_values(self, values: &'static [(&'static str, Here)]) -> Self {
        Self { values, ..self }
    }

    /// The hint for a user who typed this option of `program` at `tool`; `value` may be its value.
    pub(crate) fn advice(&self, tool: &str, name: &str, value: &str, program: &str) -> String {
        match self.values.iter().find(|(known, _)| is_value(known, value)) {
            Some((known, here)) => here.advice(tool, &format!("{name} {known}"), program),
            None => self.here.advice(tool, name, program),
        }
    }
}

/// Whether `value` matches `known`. A known value matches up to its first capital letter, and then any text.
/// Without a capital letter, it matches itself, alone or followed by a comma or a colon and more.
fn is_value(known: &str, value: &str) -> bool {
    let word = known.split(|letter: char| letter.is_ascii_uppercase()).next().unwrap_or_default();
    match value.strip_prefix(word) {
        Some(rest) => word.len() < known.len() || rest.is_empty() || rest.starts_with([',', ':']),
        None => false,
    }
}

/// Finds an option in the lists of several programs, and returns it with the name of its program.
pub(crate) fn find_among<'a>(
    programs: &'a [(&'a str, &'a [Foreign])],
    name: &str,
) -> Option<(&'a str, &'a Foreign)> {
    programs.iter().find_map(|(program, options)| Some((*program, find(options, name)?)))
}

/// The equivalent of another program's option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// An option of one of our tools: the tool, and the option with its value as a user types it.
    Option(&'static str, &'static str),
    /// A command line, usually with another program in the chain.
    Line(&'static str),
    /// The same, for root only.
    RootLine(&'static str),
    /// The option is not needed in any chain, and why.
    Nothing(&'static str),
    /// The option is not needed at these tools, which do it by default, and how. In a chain without one of them,
    /// nothing does it.
    Default(&'static [&'static str], &'static str),
    /// There is no such option: why, or what to use instead.
    NotHere(&'static str),
}

impl Here {
    /// The hint for an option of `program` with this name that a user gave to `tool`.
    pub(crate) fn advice(self, tool: &str, name: &str, program: &str) -> String {
        match self {
            Self::Option(owner, option) if owner == tool => format!("{program}'s {name} is '{option}' here"),
            Self::Option(owner, option) => {
                format!("{program}'s {name} is an option of {owner} here: '{}'", in_place(owner, option))
            }
            Self::Line(line) => format!("{program}'s {name} is this command here: '{line}'"),
            Self::RootLine(line) => {
                format!("{program}'s {name} is this command here, as root: '{line}'")
            }
            Self::Nothing(why) => format!("{program}'s {name} is not needed: {why}"),
            Self::Default(tools, how) if tools.contains(&tool) => {
                format!("{program}'s {name} is not needed: {how}")
            }
            Self::Default(tools, how) => {
                let with = tools.first().map(|first| place(first, tool)).unwrap_or_default();
                format!("{program}'s {name} needs no option, only {with}: {how}")
            }
            Self::NotHere(why) => format!("{program}'s {name} is not an option here: {why}"),
        }
    }
}

/// Where a tool stands in a chain that has `other` already: 'unshare-rs -- cgexec-rs -- chroot-rs ubuntu-fs'.
fn place(tool: &str, other: &str) -> String {
    match (tool, other) {
        (CHROOT, UNSHARE | CGEXEC) => format!("'chroot-rs ubuntu-fs' after {other}"),
        (CHROOT, _) => "'chroot-rs ubuntu-fs'".to_string(),
        (UNSHARE, CGEXEC) => format!("'{tool} --' before {other}"),
        _ => format!("'{tool} --' before chroot-rs"),
    }
}

/// An option in a command line of its tool.
pub(crate) fn in_place(tool: &str, option: &str) -> String {
    match tool {
        CHROOT => format!("chroot-rs {option} ubuntu-fs"),
        FETCH => format!("rootfs-fetch {option} docker://ubuntu ubuntu-fs"),
        _ => format!("{tool} {option} --"),
    }
}

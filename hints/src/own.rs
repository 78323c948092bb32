//! Our own options, for a user who gives one to the wrong tool. A test writes own.txt from the definitions of
//! the options: `CHAIN_UPDATE=1 cargo test -p tests --test definitions manual`.

/// A line for each option: the tool, its short form if there is one, and the long form with its value.
pub const OPTIONS: &str = include_str!("../own.txt");

/// No hint recommends an option that deletes.
const NEVER_ADVISED: &str = "--replace";

/// One line of [`OPTIONS`].
struct Own {
    tool: &'static str,
    short: &'static str,
    /// With its value: `--bind SRC[:DST[:ro]]`.
    long: &'static str,
}

impl Own {
    fn parse(line: &'static str) -> Option<Self> {
        let (tool, rest) = line.split_once(' ')?;
        let (short, long) = match rest.split_once(' ') {
            Some((short, long)) if !short.starts_with("--") => (short, long),
            _ => ("", rest),
        };
        Some(Self { tool, short, long })
    }

    fn is(&self, name: &str) -> bool {
        name == self.short || self.long.split([' ', '[']).next() == Some(name)
    }
}

fn all() -> impl Iterator<Item = Own> {
    OPTIONS.lines().filter_map(Own::parse)
}

/// The tool that has an option, and the option with its value as a user types it.
pub(crate) fn owner(name: &str) -> Option<(&'static str, &'static str)> {
    all().find(|own| own.is(name) && name != NEVER_ADVISED).map(|own| (own.tool, own.long))
}

/// The options that begin with an ambiguous prefix: `--cpuset`.
pub(crate) fn completions(tool: &str, name: &str) -> Option<String> {
    let longs = all().filter(|own| own.tool == tool && own.long.starts_with(name));
    let names: Vec<&str> = longs.filter_map(|own| own.long.split([' ', '[']).next()).collect();
    let is_short_list = name.len() > "--c".len() && (2..=4).contains(&names.len());
    is_short_list.then(|| format!("did you mean {}?", names.join(" or ")))
}

/// Whether an option of a tool accepts a value only after `=`.
pub(crate) fn takes_joined_value(tool: &str, name: &str) -> bool {
    all().any(|own| own.tool == tool && own.is(name) && !own.long.contains(' ') && own.long.contains("[="))
}

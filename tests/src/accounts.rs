//! Ids that no account of this machine has.

use std::fs;

/// An id that is neither a user's nor a group's, and in no range of subordinate ids.
///
/// # Panics
/// If every id of the usual range is taken.
pub fn unused_id() -> u32 {
    let mut ranges = Vec::new();
    // passwd(5), group(5): the number is the third field
    for file in ["/etc/passwd", "/etc/group"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let number = |line: &str| line.split(':').nth(2)?.parse::<u32>().ok();
        ranges.extend(text.lines().filter_map(number).map(|id| id..id.saturating_add(1)));
    }
    // subuid(5), subgid(5): a name, the first number, how many
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let range = |line: &str| {
            let mut fields = line.split(':').skip(1).map(str::parse::<u32>);
            let (first, count) = (fields.next()?.ok()?, fields.next()?.ok()?);
            Some(first..first.saturating_add(count))
        };
        ranges.extend(text.lines().filter_map(range));
    }
    let unused = (54_321..65_000).find(|id| !ranges.iter().any(|range| range.contains(id)));
    unused.expect("a number that no account has")
}

//! Files of NEWROOT that belong to the caller's subordinate ids. chroot-rs alone maps only the caller's own
//! id, so these files belong to nobody inside: subuid(5), user_namespaces(7).

use std::path::Path;

use system::accounts::AccountFiles;
use system::idmap::IdKind;
use system::sys;

use crate::root::Root;

/// Files that distributions give to ids other than root.
const OF_OTHERS: [&str; 5] =
    ["etc/shadow", "var/mail", "var/spool/mail", "var/log/journal", "var/cache/apt/archives/partial"];

/// Whether the root has files whose owners `unshare-rs` before chroot-rs would map.
pub fn are_there(root: &Root) -> bool {
    let (uid, gid) = sys::effective_ids();
    let owners = OF_OTHERS.iter().filter_map(|path| root.owner_of(Path::new(path)));
    owners.into_iter().any(|(user, group)| {
        (user != uid && is_subordinate(IdKind::User, user, uid))
            || (group != gid && is_subordinate(IdKind::Group, group, uid))
    })
}

fn is_subordinate(kind: IdKind, id: u32, uid: u32) -> bool {
    let read = |path: &str| std::fs::read(path).unwrap_or_default();
    let accounts = AccountFiles::new(read("/etc/passwd"), Vec::new());
    let name = accounts.user_of(uid).map(|user| String::from_utf8_lossy(user.name).into_owned());
    let text = read(kind.subid_file());
    listed(&String::from_utf8_lossy(&text), id, uid, name.as_deref())
}

/// Whether a line of subuid(5) assigns the id to the user.
fn listed(text: &str, id: u32, uid: u32, name: Option<&str>) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split(':');
        let owner = fields.next().unwrap_or_default();
        let mut number = || fields.next()?.trim().parse::<u32>().ok();
        let (Some(first), Some(count)) = (number(), number()) else { return false };
        let offset = id.checked_sub(first);
        (owner == uid.to_string() || Some(owner) == name) && offset.is_some_and(|offset| offset < count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_subordinate_if_a_line_of_the_user_has_it() {
        let text = "bob:1:5\nalice:100000:65536\n1001:7:1\n";
        let has = |id| listed(text, id, 1001, Some("alice"));
        assert!(has(100_000) && has(165_535) && has(7));
        assert!(!has(165_536) && !has(1));
    }
}

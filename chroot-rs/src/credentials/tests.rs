//! GNU chroot's rules, one by one.

use super::*;

fn accounts() -> AccountFiles {
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nsync:x:4:65534:sync:/bin:/bin/sync\n7:x:70:71:::\n";
    let group = b"root:x:0:\ntty:x:5:sync\nadm:x:9:sync,root\n12:x:120:\n";
    AccountFiles::new(passwd.to_vec(), group.to_vec())
}

fn options(userspec: Option<&str>, groups: Option<&str>) -> CredentialOptions {
    CredentialOptions { userspec: userspec.map(OsString::from), groups: groups.map(OsString::from) }
}

fn resolve_in(ids: &MappedIds, userspec: Option<&str>, groups: Option<&str>) -> Result<Credentials, String> {
    let resolved = options(userspec, groups).resolve(&accounts(), ids, &mut Vec::new());
    resolved.map_err(|failure| failure.message)
}

fn resolve(userspec: Option<&str>, groups: Option<&str>) -> Result<Credentials, String> {
    resolve_in(&MappedIds::default(), userspec, groups)
}

/// uid, gid and groups of a `--userspec`, and of a `--groups` if there is one.
fn ids(userspec: &str, groups: Option<&str>) -> (Option<u32>, Option<u32>, Option<Vec<u32>>) {
    let found = resolve(Some(userspec), groups).unwrap();
    (found.uid, found.gid, found.groups)
}

#[test]
fn a_user_brings_its_group_and_the_groups_that_list_it() {
    for spec in ["sync", "sync:", "4", "+4", "4:"] {
        assert_eq!(ids(spec, None), (Some(4), Some(65534), Some(vec![65534, 5, 9])), "{spec}");
    }
    assert_eq!(ids("sync:tty", None), (Some(4), Some(5), Some(vec![5, 9])));
}

#[test]
fn a_name_comes_before_a_number_and_plus_means_the_number() {
    assert_eq!(ids("7:12", None).0, Some(70));
    assert_eq!(ids("7:12", None).1, Some(120));
    assert_eq!(ids("+7:+12", None), (Some(7), Some(12), Some(vec![])));
}

#[test]
fn a_group_alone_changes_nothing_else() {
    assert_eq!(ids(":tty", None), (None, Some(5), None));
    assert_eq!(ids(":", None), (None, None, None));
    assert_eq!(ids("", None), (None, None, None));
}

#[test]
fn a_number_that_nobody_has_needs_its_group() {
    assert_eq!(resolve(Some("4242"), None).unwrap_err(), "no group specified for unknown uid: 4242");
    assert_eq!(ids("4242:4343", None), (Some(4242), Some(4343), Some(vec![])));
}

#[test]
fn the_hint_of_a_number_is_about_numbers() {
    let hint = |userspec, groups| {
        let refused = options(userspec, groups).resolve(&accounts(), &MappedIds::default(), &mut Vec::new());
        refused.unwrap_err().hint.unwrap()
    };
    assert_eq!(hint(Some("4242"), None), "name its group: --userspec 4242:4242");
    assert_eq!(hint(Some("+4242:"), None), "name its group: --userspec 4242:4242");
    let range = "the number is out of range: the last id is 4294967294";
    assert_eq!(hint(Some("99999999999"), None), range);
    assert_eq!(hint(Some("0:4294967295"), None), range);
    assert_eq!(hint(None, Some("5,99999999999")), range);
    assert_eq!(hint(Some("nobody:5"), None), "names come from NEWROOT's own etc/passwd and etc/group");
}

#[test]
fn groups_are_exactly_what_is_listed() {
    assert_eq!(ids("sync", Some("")).2, Some(vec![]));
    assert_eq!(ids("sync", Some("adm,,+3,12,")).2, Some(vec![9, 3, 120]));
    assert_eq!(resolve(None, Some("tty")).unwrap().groups, Some(vec![5]));
}

#[test]
fn blanks_before_a_number_do_not_count() {
    assert_eq!(ids(" 4", None), (Some(4), Some(65534), Some(vec![65534, 5, 9])));
    assert_eq!(ids("\t+4: 5", Some(" +8765,4321")), (Some(4), Some(5), Some(vec![8765, 4321])));
    for list in [" ", " adm", "9 ", "+ 9"] {
        assert_eq!(resolve(None, Some(list)).unwrap_err(), format!("invalid group {list:?}"));
    }
}

#[test]
fn what_names_nobody_is_refused() {
    for spec in ["nobody", "0trail", "-1", "4294967295:1", "+root", "nobody.tty", "4 ", " sync"] {
        let said = resolve(Some(spec), None).unwrap_err();
        assert_eq!(said, format!("invalid user: \"{spec}\""));
    }
    assert_eq!(resolve(Some("root:x"), None).unwrap_err(), "invalid group: \"root:x\"");
    assert_eq!(resolve(None, Some("tty,x")).unwrap_err(), "invalid group \"x\"");
    assert_eq!(resolve(None, Some(" ")).unwrap_err(), "invalid group \" \"");
    assert_eq!(resolve(None, Some(",")).unwrap_err(), "invalid group list \",\"");
}

#[test]
fn a_dot_is_understood_and_said_to_be_wrong() {
    let mut notes = Vec::new();
    let found =
        options(Some("sync.tty"), None).resolve(&accounts(), &MappedIds::default(), &mut notes).unwrap();
    assert_eq!((found.uid, found.gid), (Some(4), Some(5)));
    assert_eq!(notes, ["warning: '.' should be ':': \"sync.tty\""]);
}

#[test]
fn without_the_options_nothing_changes() {
    assert!(!options(None, None).are_requested());
    assert_eq!(resolve(None, None).unwrap(), Credentials::default());
}

#[test]
fn whoever_is_no_longer_root_changes_no_groups() {
    let mut plan = Plan::new(chain::command::Command::shell("/bin/sh".into()));
    resolve(Some("sync"), None).unwrap().plan(&mut plan);
    assert_eq!(
        plan.lines(),
        ["setgroups(3, [65534, 5, 9])", "setresgid(65534, 65534, 65534)", "setresuid(4, 4, 4)"]
    );
}

#[test]
fn an_id_that_is_not_mapped_is_refused_before_anything_is_changed() {
    let refused = |userspec: Option<&str>, groups: Option<&str>| {
        resolve_in(&MappedIds::one(), userspec, groups).unwrap_err()
    };
    assert_eq!(refused(Some("sync"), None), "user 4 is not mapped in this user namespace");
    assert_eq!(refused(Some("root:tty"), None), "group 5 is not mapped in this user namespace");
    let denied = "cannot set supplementary groups: setgroups(2) is denied in this user namespace";
    assert_eq!(refused(None, Some("root")), denied);
}

#[test]
fn groups_nobody_asked_for_are_left_where_they_cannot_be_set() {
    let root = resolve_in(&MappedIds::one(), Some("root"), None).unwrap();
    assert_eq!((root.uid, root.gid, root.groups), (Some(0), Some(0), None));
}

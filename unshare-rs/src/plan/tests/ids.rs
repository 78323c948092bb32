//! Users and groups.

use super::*;
use crate::idmap::{Block, IdMap, IdRange};

fn block(inside: u32, outside: u32, count: u32) -> Block {
    Block::At(IdRange { inside, outside, count })
}

#[test]
fn an_ordinary_user_is_root_inside_with_all_subordinate_ids() {
    let lines = lines(&[], Privilege::None);
    assert_eq!(lines[0], "fork()");
    // the maps are started with the namespace, and awaited when only steps that need ids are left
    assert_eq!(lines[1], "unshare(CLONE_NEWUSER)");
    assert!(lines[5].contains("SIOCSIFFLAGS"), "{lines:?}");
    let map = "\"42\", \"0\", \"1000\", \"1\", \"1\", \"100000\", \"65536\", \"65537\", \"300000\", \"10\"";
    assert_eq!(
        lines[6..8],
        [
            format!("execve(\"/usr/bin/newuidmap\", [\"newuidmap\", {map}], environ)"),
            format!("execve(\"/usr/bin/newgidmap\", [\"newgidmap\", {map}], environ)"),
        ]
    );
}

#[test]
fn root_who_may_map_but_enter_no_namespace_maps_every_id() {
    let caller = Caller { may_map: true, ids: (0, 0), ..caller(Privilege::None) };
    let setup = setup_of(&[], &caller).unwrap();
    assert_eq!(setup.notes, [""; 0]);
    let lines = plan(setup, Command::shell("/bin/true".into())).lines();
    let map = |kind: &str| format!("write(</proc/42/{kind}_map>, \"0 0 4294967295\", 14)");
    assert_eq!(lines[2..4], [map("uid"), map("gid")]);
    let named = setup_of(&["--map-users=0:5:9"], &caller).unwrap();
    assert_eq!(named.ids.users, Some(MapWrite::ByRoot(IdMap::of_blocks(None, &[block(0, 5, 9)]).unwrap())));
}

#[test]
fn where_newgidmap_refuses_the_own_group_alone_is_mapped() {
    let lines = |kind| {
        let mut plan = Plan::new(Command::shell("/bin/true".into()));
        newuidmap::alone(kind, 42, 1000).into_iter().for_each(|step| plan.add(step));
        plan.lines()
    };
    assert_eq!(lines(IdKind::User), ["fork()", "write(</proc/42/uid_map>, \"0 1000 1\", 8)"]);
    let deny = "write(</proc/42/setgroups>, \"deny\", 4)";
    let map = "write(</proc/42/gid_map>, \"0 1000 1\", 8)";
    assert_eq!(lines(IdKind::Group), ["fork()", deny, map]);
}

#[test]
fn without_subordinate_ids_root_is_the_only_one_and_a_line_says_so() {
    let caller =
        Caller { find_newuidmap: |_| Err("newuidmap is missing".to_string()), ..caller(Privilege::None) };
    let setup = setup_of(&[], &caller).unwrap();
    assert_eq!(setup.notes, ["only user 0 and group 0 exist inside: newuidmap is missing"]);
    let lines = plan(setup, Command::shell("/bin/true".into())).lines();
    assert_eq!(
        lines[1..4],
        [
            "write(</proc/self/uid_map>, \"0 1000 1\", 8)",
            "write(</proc/self/setgroups>, \"deny\", 4)",
            "write(</proc/self/gid_map>, \"0 1000 1\", 8)",
        ]
    );
}

#[test]
fn map_options_imply_a_user_namespace() {
    assert_eq!(lines(&["-r"], Privilege::None)[0], "unshare(CLONE_NEWUSER)");
    assert_eq!(lines(&["-c"], Privilege::None)[1], "write(</proc/self/uid_map>, \"1000 1000 1\", 11)");
    assert_eq!(lines(&["-c", "-r"], Privilege::None)[1], "write(</proc/self/uid_map>, \"0 1000 1\", 8)");
}

#[test]
fn root_writes_ranges_from_outside_and_leaves_setgroups_allowed() {
    assert_eq!(
        lines(&["--map-users=0:100000:10", "--map-groups", "100000,0,10"], Privilege::Admin),
        [
            "fork()",
            "unshare(CLONE_NEWUSER)",
            "write(</proc/42/uid_map>, \"0 100000 10\", 11)",
            "write(</proc/42/gid_map>, \"0 100000 10\", 11)",
        ]
    );
}

#[test]
fn a_range_and_the_own_id_share_one_map() {
    let lines = lines(&["-c", "--map-auto", "-S", "5", "-G", "6"], Privilege::None);
    assert!(lines[2].contains("\"1000\", \"1000\", \"1\", \"0\", \"100000\", \"1000\""), "{lines:?}");
    assert_eq!(lines[4..], ["setgroups(0, [])", "setresgid(6, 6, 6)", "setresuid(5, 5, 5)"]);
}

#[test]
fn an_owner_is_taken_before_the_namespace_and_root_maps_from_outside() {
    assert_eq!(
        lines(&["--owner", "7:8", "-r"], Privilege::Admin),
        [
            "fork()",
            "setgroups(0, [])",
            "setresgid(8, 8, 8)",
            "setresuid(7, 7, 7)",
            "unshare(CLONE_NEWUSER)",
            "write(</proc/42/uid_map>, \"0 7 1\", 5)",
            "write(</proc/42/gid_map>, \"0 8 1\", 5)",
        ]
    );
}

#[test]
fn setgroups_stays_allowed_only_where_somebody_outside_maps_the_groups() {
    assert!(setup(&["-r", "--setgroups=allow"], Privilege::None).is_err());
    assert_eq!(
        lines(&["-U", "--setgroups=deny"], Privilege::None)[1],
        "write(</proc/self/setgroups>, \"deny\", 4)"
    );
    let lines = lines(&["-r", "--setgroups=allow"], Privilege::Admin);
    assert!(!lines.iter().any(|line| line.contains("deny")), "{lines:?}");
}

#[test]
fn root_gets_ids_that_no_account_has() {
    let lines = lines(&["--userns", "auto", "--uts"], Privilege::Admin);
    assert_eq!(
        lines[2..],
        [
            "setns(<user namespace>, CLONE_NEWUSER)",
            "flock(<lock>, LOCK_UN)",
            "setgroups(0, [])",
            "setresgid(0, 0, 0)",
            "setresuid(0, 0, 0)",
            "unshare(CLONE_NEWUTS)",
        ]
    );
}

#[test]
fn free_ids_need_root_and_go_with_no_other_ids() {
    let refused = |args: &[&str], privilege| setup(args, privilege).unwrap_err().message;
    assert_eq!(
        refused(&["--userns", "auto"], Privilege::None),
        "--userns auto needs root, because only root can map its ids"
    );
    for other in ["--map-root-user", "--setuid=1", "--map-users=0:1:1", "--setgroups=deny", "--user=file"] {
        let message = refused(&["--userns", "auto", other], Privilege::Admin);
        assert_eq!(message, "--userns auto cannot be combined with other options that choose ids", "{other}");
    }
}

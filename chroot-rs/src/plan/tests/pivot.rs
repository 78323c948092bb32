//! How the new root becomes the root directory.

use super::*;

#[test]
fn root_pivots_in_a_mount_namespace_of_its_own() {
    assert_eq!(
        lines_with(&["--no-mount"], &machine()),
        [
            "fchdir(<new root>)",
            "unshare(CLONE_NEWNS)",
            "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)",
            "open_tree(AT_FDCWD, \".\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)",
            "move_mount(<new root>, \"\", AT_FDCWD, \".\", MOVE_MOUNT_F_EMPTY_PATH)",
            "mount_setattr(<new root>, \"\", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_NODEV, \
             attr_clr=0, propagation=0 /* MS_??? */, userns_fd=0}, 32)",
            "fchdir(<new root>)",
            "pivot_root(\".\", \".\")",
            "umount2(\".\", MNT_DETACH)",
            "chdir(\"/\")",
        ]
    );
}

#[test]
fn an_ordinary_user_alone_gets_a_user_namespace_first() {
    let probe = MountProbe { privilege: Privilege::Unprivileged, ..machine() };
    let lines = lines(&probe);
    assert_eq!(lines[1], "unshare(CLONE_NEWNS|CLONE_NEWUSER)");
    assert_eq!(lines[2], "write(</proc/self/uid_map>, \"0 1000 1\", 8)");
}

#[test]
fn who_kept_the_own_id_in_a_user_namespace_keeps_it_inside() {
    let probe = MountProbe { privilege: Privilege::Unprivileged, inside: (1000, 1000), ..machine() };
    assert_eq!(lines(&probe)[2], "write(</proc/self/uid_map>, \"1000 1000 1\", 11)");
}

#[test]
fn the_old_root_goes_last_because_proc_and_sys_need_it() {
    let lines = lines(&machine());
    assert!(position(&lines, "mount(\"proc\"") < position(&lines, "pivot_root"));
    assert_eq!(
        lines[lines.len() - 3..],
        ["pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)", "chdir(\"/\")"]
    );
}

#[test]
fn older_kernels_mount_the_root_on_itself_by_path() {
    let root_mount = RootMount { has_open_tree: false, ..machine().root_mount };
    let lines = lines(&MountProbe { root_mount, ..machine() });
    assert_eq!(lines[0], "unshare(CLONE_NEWNS)");
    assert_eq!(lines[2..4], ["mount(\"fs\", \"fs\", NULL, MS_BIND|MS_REC, NULL)", "chdir(\"fs\")"]);
}

#[test]
fn a_root_that_cannot_be_moved_is_covered() {
    let root_mount = RootMount { covers_old_root: true, ..machine().root_mount };
    let lines = lines(&MountProbe { root_mount, ..machine() });
    assert_eq!(
        lines[lines.len() - 3..],
        ["mount(\".\", \"/\", NULL, MS_MOVE, NULL)", "chroot(\".\")", "chdir(\"/\")"]
    );
}

#[test]
fn plain_is_two_calls() {
    let plain = setup(&["--plain"], Err(WhyPlain::Requested)).unwrap();
    assert_eq!(plain.notes, [""; 0]);
    assert_eq!(plan(plain).lines(), ["chroot(\"fs\")", "chdir(\"/\")"]);
}

#[test]
fn a_read_only_root_is_so_before_anything_is_mounted_in_it() {
    let lines = lines_with(&["--read-only"], &machine());
    let at = position(&lines, "open_tree(AT_FDCWD, \".\"");
    assert!(lines[at + 1].starts_with("mount_setattr(<new root>"), "{lines:#?}");
    assert!(lines[at + 2].starts_with("move_mount(<new root>"), "{lines:#?}");
}

#[test]
fn mounts_of_outside_are_followed_where_that_is_asked_for_or_was_before() {
    let slave = "mount(NULL, \"/\", NULL, MS_REC|MS_SLAVE, NULL)".to_string();
    let before = MountProbe { is_slave: true, ..machine() };
    assert!(lines_with(&["--propagation=slave"], &machine()).contains(&slave));
    assert!(lines(&before).contains(&slave) && !lines(&machine()).contains(&slave));
    assert!(!lines_with(&["--propagation=private"], &before).contains(&slave));
}

#[test]
fn ids_that_no_account_has_own_the_root_before_they_are_entered() {
    let lines = lines_with(&["--userns=auto"], &MountProbe { privilege: Privilege::FreeIds, ..machine() });
    let order = [
        "unshare(CLONE_NEWNS)",
        "open_tree(AT_FDCWD, \".\"",
        "mount_setattr(<new root>, \"\", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_IDMAP",
        "move_mount(<new root>",
        "setns(<user namespace>",
        "setresuid(",
        "pivot_root(",
    ];
    let positions = order.map(|start| position(&lines, start));
    assert!(positions.is_sorted(), "{lines:#?}");
    // cgexec-rs made the cgroup namespace before the user namespace, so root of the machine owns it
    let free_ids = MountProbe { privilege: Privilege::FreeIds, ..machine() };
    let refused = setup(&["--userns=auto", "--cgroup=ro"], Ok(free_ids)).unwrap_err();
    assert!(refused.message.contains("root of the machine owns their namespace"), "{refused:?}");
    let refused = setup(&["--userns=auto"], Ok(machine())).unwrap_err();
    assert!(refused.message.contains("needs root of the machine"), "{refused:?}");
}

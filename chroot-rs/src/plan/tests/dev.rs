//! The devices of the new root.

use super::*;

#[test]
fn devices_are_made_by_root_and_shown_to_others() {
    assert!(
        lines(&machine())
            .contains(&"mknodat(AT_FDCWD, \"null\", S_IFCHR|0666, makedev(0x1, 0x3))".to_string())
    );
    let bound = lines(&with_dev(|dev| dev.mknod = false));
    let at = position(&bound, "mknodat(AT_FDCWD, \"null\", S_IFREG|0666)");
    assert_eq!(bound[at + 1], "mount(\"/dev/null\", \"null\", NULL, MS_BIND, NULL)");
}

#[test]
fn no_device_can_be_opened_but_those_of_dev() {
    let of_root = lines(&machine());
    let at = position(&of_root, "mknodat(AT_FDCWD, \"null\"");
    assert_eq!(of_root[at + 1], "mount(\"null\", \"null\", NULL, MS_BIND, NULL)");
    let remount = "mount(NULL, \".\", NULL, MS_NOSUID|MS_NODEV|MS_REMOUNT|MS_BIND, NULL)";
    assert!(position(&of_root, remount) > position(&of_root, "mount(\"mqueue\""));
    let all = "mount_setattr(<new root>, \"\", AT_EMPTY_PATH|AT_RECURSIVE, {attr_set=MOUNT_ATTR_NODEV,";
    assert!(position(&of_root, all) < position(&of_root, "mount(\"proc\""));
    let privileged = lines_with(&["--privileged"], &machine());
    assert!(!privileged.iter().any(|line| line.contains("NODEV,")), "{privileged:#?}");
    assert!(!privileged.contains(&remount.to_string()));
    let nosuid = lines_with(&["--nosuid"], &machine());
    position(&nosuid, &all.replace("=MOUNT", "=MOUNT_ATTR_NOSUID|MOUNT"));
}

#[test]
fn devices_of_outside_keep_their_modes_where_their_owner_exists_inside() {
    let read_only = "mount(NULL, \"null\", NULL, MS_RDONLY|MS_NOSUID|MS_NOEXEC|MS_REMOUNT|MS_BIND, NULL)";
    let bound =
        |has_host_root| lines(&with_dev(|dev| (dev.mknod, dev.has_host_root) = (false, has_host_root)));
    assert!(bound(true).contains(&read_only.to_string()));
    assert!(!bound(false).contains(&read_only.to_string()));
}

#[test]
fn the_umask_is_taken_back_after_the_devices() {
    let lines = lines(&machine());
    assert!(position(&lines, "umask(000)") < position(&lines, "mknodat"));
    assert!(position(&lines, "umask(022)") > position(&lines, "mount(\"mqueue\""));
}

#[test]
fn a_terminal_becomes_the_console() {
    let lines = lines(&with_dev(|dev| dev.terminal = Some("/dev/pts/3".into())));
    assert!(
        lines.contains(&"mount(\"/dev/pts/3\", \"console\", NULL, MS_BIND, NULL)".to_string()),
        "{lines:#?}"
    );
}

#[test]
fn without_a_tty_group_terminals_belong_to_the_user() {
    let lines = lines(&with_dev(|dev| dev.tty_group = false));
    assert!(!lines.iter().any(|line| line.contains("gid=5")), "{lines:#?}");
}

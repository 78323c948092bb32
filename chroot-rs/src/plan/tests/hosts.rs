//! The hostname in /etc/hosts.

use super::*;
use crate::hosts::Hosts;

fn with_hosts(change: impl FnOnce(&mut Hosts)) -> MountProbe {
    let content = b"127.0.1.1 box\n".to_vec();
    let mut hosts = Hosts { content, dir: "etc".into(), is_missing: false, is_writable: false };
    change(&mut hosts);
    MountProbe { hosts: Some(hosts), ..machine() }
}

const WRITE: &str = "openat(AT_FDCWD, \"hosts\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0644), fchmod(<hosts>, 0644), \
    write(<hosts>, \"127.0.1.1 box\\n\", 14)";

#[test]
fn a_file_with_the_hostname_is_made_in_memory_and_mounted_read_only() {
    let lines = lines(&with_hosts(|_| {}));
    let at = position(&lines, WRITE);
    assert!(at > position(&lines, "mount(\"mqueue\""), "{lines:#?}");
    assert_eq!(
        lines[at - 1..at + 7],
        [
            "fchdir(<new root/dev/shm>)",
            WRITE,
            "open_tree(AT_FDCWD, \"hosts\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC)",
            "mount_setattr(<hosts>, \"\", AT_EMPTY_PATH|AT_RECURSIVE, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, \
             propagation=0 /* MS_??? */, userns_fd=0}, 32)",
            "fchdir(<new root/etc>)",
            "move_mount(<hosts>, \"\", AT_FDCWD, \"hosts\", MOVE_MOUNT_F_EMPTY_PATH)",
            "fchdir(<new root/dev/shm>)",
            "unlinkat(AT_FDCWD, \"hosts\", 0)",
        ]
    );
}

#[test]
fn a_file_that_is_missing_is_made_where_it_is_forgotten() {
    let probe = with_hosts(|hosts| (hosts.is_missing, hosts.is_writable) = (true, true));
    let lines = lines_with(&["--ephemeral"], &probe);
    let at = position(&lines, "mknodat(AT_FDCWD, \"hosts\", S_IFREG|0644)");
    assert!(lines[at + 1].starts_with("move_mount(<hosts>"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("mount_setattr(<hosts>")), "{lines:#?}");
}

#[test]
fn a_file_that_is_missing_is_created_for_all_users_whatever_the_umask() {
    let probe = with_hosts(|hosts| hosts.is_missing = true);
    let probe = MountProbe { root_mount: RootMount { umask: 0o77, ..probe.root_mount }, ..probe };
    let lines = lines(&probe);
    let at = position(&lines, "mknodat(AT_FDCWD, \"hosts\", S_IFREG|0644)");
    assert_eq!(lines[at - 2..at + 2], ["fchdir(<new root/etc>)", "umask(022)", &lines[at], "umask(077)"]);
    assert!(lines[at + 2].starts_with("move_mount(<hosts>"), "{lines:#?}");
}

#[test]
fn what_the_caller_mounts_lies_over_it() {
    let lines = lines_with(&["--tmpfs=/tmp"], &with_hosts(|_| {}));
    assert!(
        position(&lines, "move_mount(<hosts>")
            < position(&lines, "mount(\"tmpfs\", \".\", \"tmpfs\", MS_NOSUID|MS_NODEV, \"mode=1777")
    );
}

#[test]
fn without_a_dev_there_is_no_place_to_make_it() {
    let probe = MountProbe { dev_dir: DirState::Missing, ..with_hosts(|_| {}) };
    assert!(!lines(&probe).iter().any(|line| line.contains("hosts")));
    assert!(lines_with(&["--ephemeral"], &probe).iter().any(|line| line.contains("<hosts>")));
}

//! Roots whose changes go to another place, and what is bound in them.

use super::*;
use crate::changes::Marks;
use crate::overlay::{Piece, PieceKind};

#[test]
fn what_is_written_to_an_ephemeral_root_goes_to_a_tmpfs_laid_over_it() {
    let of_root = lines_with(&["--ephemeral"], &machine());
    let at = position(&of_root, "fsopen(");
    assert_eq!(
        of_root[at..at + 12],
        [
            "fsopen(\"tmpfs\", FSOPEN_CLOEXEC)",
            "fsconfig(<changes>, FSCONFIG_CMD_CREATE, NULL, NULL, 0), fsmount(<changes>, FSMOUNT_CLOEXEC, 0)",
            "move_mount(<changes>, \"\", AT_FDCWD, \".\", MOVE_MOUNT_F_EMPTY_PATH)",
            "fchdir(<changes>)",
            "umask(000)",
            "mkdirat(AT_FDCWD, \"upper\", 0755)",
            "mkdirat(AT_FDCWD, \"work\", 0755)",
            "mkdirat(AT_FDCWD, \"root\", 0755)",
            "move_mount(<new root>, \"\", AT_FDCWD, \"root\", MOVE_MOUNT_F_EMPTY_PATH)",
            "mount(\"overlay\", \"root\", \"overlay\", 0, \"lowerdir=root,upperdir=upper,workdir=work\")",
            "chdir(\"root\")",
            "umask(022)",
        ]
    );
    let root_mount = RootMount { userxattr: true, ..machine().root_mount };
    let of_user = lines_with(&["--ephemeral"], &MountProbe { root_mount, ..machine() });
    assert!(of_user.iter().any(|line| line.ends_with("workdir=work,userxattr\")")), "{of_user:#?}");
}

#[test]
fn what_is_mounted_below_an_ephemeral_root_is_overlaid_too_or_said_to_be_hidden() {
    let overlay = OverlayProbe {
        nested: vec!["mnt".into(), "mnt/b".into()],
        hidden: vec!["etc/hosts".into()],
        ..OverlayProbe::default()
    };
    let probe = MountProbe { overlay, ..machine() };
    let lines = lines_with(&["--ephemeral=64m"], &probe);
    assert!(lines.contains(&"fsconfig(<changes>, FSCONFIG_SET_STRING, \"size\", \"64m\", 0)".to_string()));
    let overlays: Vec<_> = lines.iter().filter(|line| line.contains("\"overlay\"")).collect();
    let mount = |at: &str, lower: &str, number: &str| {
        let options = format!("lowerdir={lower},upperdir=upper{number},workdir=work{number}");
        format!("mount(\"overlay\", \"{at}\", \"overlay\", 0, \"{options}\")")
    };
    let expected =
        [mount("root", "lower", ""), mount("both-0", "lower-0", "-0"), mount("both-1", "lower-1", "-1")];
    assert_eq!(overlays, expected.iter().collect::<Vec<_>>());
    let taken =
        "open_tree(<new root/mnt/b>, \"\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH|AT_RECURSIVE)";
    assert!(position(&lines, taken) < position(&lines, "mount(\"overlay\", \"both-1\""));
    let at = position(&lines, "open_tree(AT_FDCWD, \"both-1\"");
    assert_eq!(
        lines[at + 1..at + 3],
        ["fchdir(<combined/mnt>)", "move_mount(<piece>, \"\", AT_FDCWD, \"b\", MOVE_MOUNT_F_EMPTY_PATH)"]
    );
    let said = "hidden: \"/etc/hosts\": its file system cannot be overlaid; show it with --bind";
    assert_eq!(notes(&["--ephemeral"], probe), [said]);
}

#[test]
fn where_the_whole_takes_no_overlay_each_entry_of_the_root_gets_one() {
    let piece =
        |name: &str, kind| Piece { name: name.into(), kind, mode: 0o755, ways: vec![("a".into(), 0o711)] };
    let pieces = vec![
        piece("bin", PieceKind::Link("usr/bin".into())),
        piece("proc", PieceKind::Empty),
        piece("run", PieceKind::ReadOnly),
        piece("usr", PieceKind::Overlaid),
    ];
    let overlay = OverlayProbe { pieces, foreign_owner: Some(0), ..OverlayProbe::default() };
    let probe = MountProbe { overlay, ..machine() };
    let lines = lines_with(&["--ephemeral"], &probe);
    let at = position(&lines, "symlinkat(\"usr/bin\", AT_FDCWD, \"root/bin\")");
    assert_eq!(lines[at + 1], "mkdirat(AT_FDCWD, \"root/proc\", 0755)");
    let at = position(&lines, "open_tree(<new root/run>");
    assert!(
        lines[at + 1].contains("MOUNT_ATTR_RDONLY") && lines[at + 2].contains("\"root/run\""),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("lowerdir=lower-3,upperdir=upper-3")), "{lines:#?}");
    assert!(lines.contains(&"mkdirat(AT_FDCWD, \"upper-3/a\", 0711)".to_string()), "{lines:#?}");
    let said = notes(&["--ephemeral"], probe.clone());
    assert!(said[0].starts_with("read-only: /run: "), "{said:?}");
    let whole = OverlayProbe { pieces: Vec::new(), ..probe.overlay.clone() };
    let refused = setup(&["--ephemeral"], Ok(MountProbe { overlay: whole, ..probe })).unwrap_err();
    assert_eq!(refused.message, "--ephemeral cannot change NEWROOT: its owner, user 0, has no id inside");
}

#[test]
fn sources_are_taken_before_the_first_mount_can_lie_over_them() {
    let lines = lines_with(&["--ephemeral", "--bind=/etc:/mnt:bind,noexec"], &machine());
    let source = position(&lines, "open_tree(AT_FDCWD, \"/etc\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC)");
    assert!(source < position(&lines, "open_tree(AT_FDCWD, \".\"") && source < position(&lines, "fsopen"));
    assert!(lines[source + 1].contains("attr_set=MOUNT_ATTR_NOEXEC"), "{lines:#?}");
}

#[test]
fn what_is_kept_goes_to_the_two_directories_of_an_overlay() {
    let overlay = OverlayProbe {
        missing: vec![("".into(), 0o700), ("upper".into(), 0o755), ("since".into(), 0o600)],
        nested: vec!["mnt".into()],
        ..OverlayProbe::default()
    };
    let probe = MountProbe { overlay, ..machine() };
    let lines = lines_with(&["--changes=/kept"], &probe);
    let at = position(&lines, "mkdirat(AT_FDCWD, \"/kept\", 0700)");
    assert!(lines[at + 1].ends_with("flock(<lock>, LOCK_EX|LOCK_NB)"), "{lines:#?}");
    assert_eq!(
        lines[at + 2..at + 4],
        ["mkdirat(AT_FDCWD, \"/kept/upper\", 0755)", "mknodat(AT_FDCWD, \"/kept/since\", S_IFREG|0600)"]
    );
    assert!(
        position(&lines, "open_tree(AT_FDCWD, \"/kept\"") < position(&lines, "open_tree(AT_FDCWD, \".\"")
    );
    let options =
        "lowerdir=lower,upperdir=changes/upper,workdir=changes/work,redirect_dir=off,index=off,metacopy=off";
    assert!(lines.iter().any(|line| line.contains(options)), "{lines:#?}");
    assert!(lines.iter().filter(|line| line.contains("\"overlay\"")).count() == 1);
    let said = "read-only: /mnt: --changes keeps only changes to NEWROOT's own file system";
    assert_eq!(notes(&["--changes=/kept"], probe), [said]);
    let probe = MountProbe {
        overlay: OverlayProbe { lacks_attributes: true, ..OverlayProbe::default() },
        ..machine()
    };
    let said = "directories of NEWROOT with files in them cannot be removed: \
        the file system of --changes keeps no user.* attributes, like tmpfs before Linux 6.6";
    assert_eq!(notes(&["--changes=/kept"], probe), [said]);
}

#[test]
fn changes_continue_with_the_marks_that_they_have() {
    let overlay = OverlayProbe {
        missing: vec![("".into(), 0o700), ("userxattr".into(), 0o600), ("upper".into(), 0o755)],
        marks: Marks::User,
        ..OverlayProbe::default()
    };
    let lines = lines_with(&["--changes=/kept"], &MountProbe { overlay, ..machine() });
    let at = position(&lines, "mknodat(AT_FDCWD, \"/kept/userxattr\", S_IFREG|0600)");
    // nothing has begun before it is recorded how
    assert_eq!(lines[at + 1], "mkdirat(AT_FDCWD, \"/kept/upper\", 0755)");
    let overlay = OverlayProbe { has_foreign_marks: true, ..OverlayProbe::default() };
    let refused = setup(&["--changes=/kept"], Ok(MountProbe { overlay, ..machine() })).unwrap_err();
    assert!(
        refused.message.starts_with("--changes cannot continue changes that the machine's root began: "),
        "{refused:?}"
    );
}

#[test]
fn what_is_left_of_discarded_changes_is_removed_under_the_lock() {
    let missing = vec![("upper".into(), 0o755), ("since".into(), 0o600)];
    let overlay = OverlayProbe { missing, has_discarded: true, ..OverlayProbe::default() };
    let lines = lines_with(&["--changes=/kept"], &MountProbe { overlay, ..machine() });
    let at = position(&lines, "unlinkat(AT_FDCWD, \"/kept/gone\", AT_REMOVEDIR)");
    assert!(lines[at - 1].ends_with("flock(<lock>, LOCK_EX|LOCK_NB)"), "{lines:#?}");
    assert_eq!(lines[at + 1], "mkdirat(AT_FDCWD, \"/kept/upper\", 0755)");
}

#[test]
fn changes_are_not_kept_on_a_network_file_system() {
    let overlay = OverlayProbe { network: Some("NFS"), ..OverlayProbe::default() };
    let refused = setup(&["--changes=/kept"], Ok(MountProbe { overlay, ..machine() })).unwrap_err();
    assert!(refused.message.starts_with("--changes cannot keep changes on NFS: "), "{refused:?}");
}

//! proc, sys and the control groups of the new root.

use chain::handover::Handover;

use super::*;

#[test]
fn where_the_kernel_gives_no_new_proc_the_callers_is_shown_and_its_processes_said() {
    for is_pid_1 in [false, true] {
        let probe = MountProbe { is_pid_1, proc_is_covered: true, ..machine() };
        let plan = lines(&probe);
        assert!(
            plan.contains(&"mount(\"/proc\", \".\", NULL, MS_BIND|MS_REC, NULL)".to_string()),
            "{plan:#?}"
        );
        assert!(!plan.iter().any(|line| line.contains("CLONE_NEWPID")), "{plan:#?}");
        let said = "processes outside stay visible, and root inside can get out: a part of /proc is covered";
        assert!(notes(&[], probe)[0].starts_with(said));
    }
}

#[test]
fn a_proc_and_a_sysfs_that_the_caller_does_not_have_are_skipped_and_the_processes_hidden() {
    let lacking =
        || MountProbe { is_pid_1: false, owns_net: false, lacks_proc: true, lacks_sys: true, ..machine() };
    let lines = lines(&lacking());
    let mounts = |line: &&String| line.contains("\"/proc\"") || line.contains("\"/sys\"");
    assert_eq!(lines.iter().find(mounts), None);
    assert!(lines.iter().any(|line| line.contains("CLONE_NEWPID")), "{lines:#?}");
    let said = "skipped /proc, /sys: the caller has none, and the kernel refuses new ones here";
    assert_eq!(notes(&[], lacking()), [said]);
    assert_eq!(notes(&["--no-mount"], lacking()), [""; 0]);
    let missing = MountProbe { proc_dir: DirState::Missing, sys_dir: DirState::Directory, ..lacking() };
    assert_eq!(
        notes(&[], missing)[1],
        "skipped /sys: the caller has none, and the kernel refuses new ones here"
    );
}

#[test]
fn in_a_pid_namespace_that_the_previous_tool_left_the_callers_proc_still_shows_its_processes() {
    let said = |words: &[&str], proc_dir| {
        let mut left = Handover::default();
        left.process_1 = Some(ProcessOne::Reaper);
        let probe = MountProbe { is_pid_1: false, proc_is_covered: true, proc_dir, ..machine() };
        let notes = resolve(words, Probe { handover: Some(left), ..probe_of(Ok(probe)) }).unwrap().notes;
        notes.iter().any(|note| note.starts_with("processes outside stay visible"))
    };
    assert!(said(&[], DirState::Directory));
    assert!(said(&["--ephemeral"], DirState::Missing));
    // no /proc, and nothing else shows them
    assert!(!said(&["--no-mount"], DirState::Directory));
    assert!(!said(&[], DirState::Missing));
}

#[test]
fn every_mount_lands_on_a_directory_entered_without_symlinks() {
    let lines = lines(&machine());
    for (directory, mount) in [
        ("fchdir(<new root/proc>)", "mount(\"proc\", \".\", \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)"),
        (
            "fchdir(<new root/sys>)",
            "mount(\"sysfs\", \".\", \"sysfs\", MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)",
        ),
        ("fchdir(<new root/dev>)", "mount(\"tmpfs\", \".\", \"tmpfs\", MS_NOSUID, \"mode=755,size=64k\")"),
    ] {
        assert_eq!(lines[position(&lines, directory) + 1], mount);
    }
}

#[test]
fn what_is_mounted_on_proc_and_sys_already_is_taken_away_or_covered_where_that_is_denied() {
    let existing = ExistingMounts { proc_mounts: 2, sys_mounts: 1, can_unmount: true };
    let root = MountProbe { existing, ..machine() };
    let after = |probe: &MountProbe, dir: &str, number| -> Vec<String> {
        let lines = lines(probe);
        let at = position(&lines, &format!("fchdir(<new root/{dir}>)"));
        lines.into_iter().skip(at + 1).take(number).collect()
    };
    let (away, proc) = ("umount2(\".\", MNT_DETACH)", "fchdir(<new root/proc>)");
    assert_eq!(after(&root, "proc", 4), [away, proc, away, proc]);
    assert_eq!(after(&root, "sys", 2), [away, "fchdir(<new root/sys>)"]);
    let covered =
        "mount(\"tmpfs\", \".\", \"tmpfs\", MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC, \"mode=755,size=4k\")";
    let user = MountProbe { existing: ExistingMounts { can_unmount: false, ..existing }, ..root };
    assert_eq!(after(&user, "proc", 2), [covered, proc]);
}

#[test]
fn never_all_of_the_callers_sys_is_shown_unless_every_right_is_kept() {
    let probe = MountProbe { owns_net: false, sys_parts: vec!["block", "class"], ..machine() };
    let taken = |words: &[&str]| -> Vec<String> {
        let lines = lines_with(words, &probe);
        lines.into_iter().filter(|line| line.starts_with("open_tree(AT_FDCWD, \"/sys")).collect()
    };
    let flags = "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)";
    let part = |path| format!("open_tree(AT_FDCWD, \"{path}\", {flags}");
    assert_eq!(taken(&[]), [part("/sys/block"), part("/sys/class")]);
    assert_eq!(taken(&["--privileged"]), [part("/sys")]);
}

#[test]
fn what_belongs_to_a_namespace_above_is_copied() {
    let lines = lines(&MountProbe { owns_pid: false, owns_net: false, ..machine() });
    assert!(lines.contains(&"mount(\"/proc\", \".\", NULL, MS_BIND|MS_REC, NULL)".to_string()), "{lines:#?}");
    let at = position(&lines, "open_tree(AT_FDCWD, \"/sys\"");
    assert!(lines[at + 1].starts_with("mount_setattr(<sys>"), "{lines:#?}");
    assert!(lines[at + 2].starts_with("move_mount(<sys>"), "{lines:#?}");
}

#[test]
fn the_switches_of_the_machine_are_covered_once_they_are_mounted() {
    use crate::mask::Cover;
    let masks = vec![
        ("proc", "sys".into(), Cover::ReadOnly),
        ("proc", "kcore".into(), Cover::File),
        ("sys", "firmware".into(), Cover::Directory),
    ];
    let lines = lines(&MountProbe { masks, ..machine() });
    let at = position(&lines, "mount(\"proc\"");
    assert_eq!(
        lines[at + 1..at + 5],
        [
            "fchdir(<new root/proc>)",
            "mount(\"sys\", \"sys\", NULL, MS_BIND, NULL)",
            "mount(NULL, \"sys\", NULL, MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC|MS_REMOUNT|MS_BIND, NULL)",
            "mount(\"/dev/null\", \"kcore\", NULL, MS_BIND, NULL)",
        ]
    );
    let at = position(&lines, "mount(\"sysfs\"");
    assert_eq!(lines[at + 1], "fchdir(<new root/sys>)");
    let covered = "mount(\"tmpfs\", \"firmware\", \"tmpfs\", MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)";
    assert_eq!(lines[at + 2], covered);
}

#[test]
fn directories_that_the_root_lacks_are_made_where_that_is_forgotten_and_said_else() {
    let probe = MountProbe { proc_dir: DirState::Missing, dev_dir: DirState::Missing, ..machine() };
    let said =
        "skipped /proc, /dev: NEWROOT does not have these directories: create them, or use --ephemeral";
    assert_eq!(notes(&[], probe.clone()), [said]);
    assert_eq!(notes(&["--ephemeral"], probe.clone()), [""; 0]);
    let lines = lines_with(&["--ephemeral"], &probe);
    let made = position(&lines, "mkdirat(AT_FDCWD, \"dev\", 0755)");
    assert!(made < position(&lines, "fchdir(<new root/dev>)") && made < position(&lines, "mount(\"proc\""));
}

#[test]
fn a_writable_sysfs_is_mounted_on_request_alone() {
    let writable = "mount(\"sysfs\", \".\", \"sysfs\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)".to_string();
    assert!(lines_with(&["--unmask"], &machine()).contains(&writable));
    assert!(!lines(&machine()).contains(&writable));
}

#[test]
fn the_commands_control_groups_are_shown_read_only_or_as_the_option_says() {
    let cgroup = CgroupProbe { owns_namespace: true, delegates: true };
    let probe = MountProbe { cgroup, ..machine() };
    let mounted = |words: &[&str], probe: &MountProbe| {
        let lines = lines_with(words, probe);
        lines.into_iter().find(|line| line.starts_with("mount(\"cgroup2\""))
    };
    let (flags, read_only) = ("MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)", "MS_RDONLY|");
    let shown = |flags: &str| Some(format!("mount(\"cgroup2\", \".\", \"cgroup2\", {flags}"));
    assert_eq!(mounted(&[], &probe), shown(&format!("{read_only}{flags}")));
    assert_eq!(mounted(&["--cgroup=ro"], &probe), shown(&format!("{read_only}{flags}")));
    assert_eq!(mounted(&["--cgroup=rw"], &probe), shown(flags));
    assert_eq!(mounted(&["--cgroup=none"], &probe), None);
    // with only parts of the caller's sysfs, the mount point exists only if an option asks for it
    let parts = MountProbe { owns_net: false, sys_parts: vec!["class"], ..probe };
    assert_eq!(mounted(&[], &parts), None);
    assert_eq!(mounted(&["--cgroup=rw"], &parts), shown(flags));
    let refused = setup(&["--cgroup=rw"], Ok(machine())).unwrap_err();
    assert!(refused.message.contains("there is no cgroup namespace for it"), "{refused:?}");
}

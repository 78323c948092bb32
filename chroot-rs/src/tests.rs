//! The plans of chroot-rs, as text: no right and no kernel is needed.

use super::*;
use crate::descriptors::EscapingFd;
use crate::probe::{Devices, OldRoot};

pub(crate) fn root() -> Probe {
    Probe {
        strategy: Strategy::Pivot,
        processes: Processes::Callers,
        proc_is_covered: false,
        initial: true,
        mode: 0o755,
        proc_dir: DirState::Directory,
        sys_dir: DirState::Directory,
        dev_dir: DirState::Directory,
        proc_mounts: 0,
        sys_mounts: 0,
        can_unmount: true,
        proc: FsProvision::Fresh,
        callers_proc: FsProvision::Fresh,
        sysfs: FsProvision::Fresh,
        mqueue: true,
        cgroup2: false,
        masks: Vec::new(),
        devices: Devices::Make,
        ids: crate::ids::Ids::default(),
        tty_group: true,
        terminal: None,
        escaping_fds: Vec::new(),
        umask: 0o22,
        old_root: OldRoot::Detached,
        caller: (1000, 1000),
        open_tree: true,
    }
}

fn lines(probe: &Probe) -> Vec<String> {
    let here = Root::open("/".into()).unwrap();
    let here = Root { path: "fs".into(), ..here };
    plan(here, probe, WriteMode::Persistent, Vec::new(), Command::shell("/bin/sh".into())).lines()
}

fn position(lines: &[String], start: &str) -> usize {
    lines
        .iter()
        .position(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in {lines:#?}"))
}

#[test]
fn root_pivots_in_a_mount_namespace_of_its_own() {
    let probe = Probe {
        proc_dir: DirState::Missing,
        sys_dir: DirState::Missing,
        dev_dir: DirState::Missing,
        ..root()
    };
    assert_eq!(
        lines(&probe),
        [
            "fchdir(<new root>)",
            "unshare(CLONE_NEWNS)",
            "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)",
            "open_tree(AT_FDCWD, \".\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)",
            "move_mount(<new root>, \"\", AT_FDCWD, \".\", MOVE_MOUNT_F_EMPTY_PATH)",
            "fchdir(<new root>)",
            "pivot_root(\".\", \".\")",
            "umount2(\".\", MNT_DETACH)",
            "chdir(\"/\")",
        ]
    );
}

#[test]
fn an_ordinary_user_alone_gets_a_user_namespace_first() {
    let probe = Probe { strategy: Strategy::PivotAsUser, ..root() };
    let lines = lines(&probe);
    assert_eq!(lines[1], "unshare(CLONE_NEWNS|CLONE_NEWUSER)");
    assert_eq!(lines[2], "write(</proc/self/uid_map>, \"0 1000 1\", 8)");
}

#[test]
fn where_other_processes_are_in_sight_it_starts_a_first_one_of_its_own() {
    let lines = lines(&Probe { processes: Processes::Own, ..root() });
    let at = position(&lines, "unshare(CLONE_NEWNS|CLONE_NEWPID)");
    assert_eq!(lines[at + 1], "fork()");
    assert!(at + 1 < position(&lines, "mount(\"proc\""));
}

#[test]
fn every_mount_lands_on_a_directory_entered_without_symlinks() {
    let lines = lines(&root());
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
    let root = Probe { proc_mounts: 2, sys_mounts: 1, ..root() };
    let after = |probe: &Probe, dir: &str, number| -> Vec<String> {
        let lines = lines(probe);
        let at = position(&lines, &format!("fchdir(<new root/{dir}>)"));
        lines.into_iter().skip(at + 1).take(number).collect()
    };
    let (away, proc) = ("umount2(\".\", MNT_DETACH)", "fchdir(<new root/proc>)");
    assert_eq!(after(&root, "proc", 4), [away, proc, away, proc]);
    assert_eq!(after(&root, "sys", 2), [away, "fchdir(<new root/sys>)"]);
    let covered =
        "mount(\"tmpfs\", \".\", \"tmpfs\", MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC, \"mode=755,size=4k\")";
    let user = Probe { can_unmount: false, ..root };
    assert_eq!(after(&user, "proc", 2), [covered, proc]);
}

#[test]
fn the_old_root_goes_last_because_proc_and_sys_need_it() {
    let lines = lines(&root());
    assert!(position(&lines, "mount(\"proc\"") < position(&lines, "pivot_root"));
    assert_eq!(
        lines[lines.len() - 3..],
        ["pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)", "chdir(\"/\")"]
    );
}

#[test]
fn devices_are_made_by_root_and_shown_to_others() {
    assert!(
        lines(&root()).contains(&"mknodat(AT_FDCWD, \"null\", S_IFCHR|0666, makedev(0x1, 0x3))".to_string())
    );
    let bound = lines(&Probe { devices: Devices::Bind, ..root() });
    let at = position(&bound, "mknodat(AT_FDCWD, \"null\", S_IFREG|0666)");
    assert_eq!(bound[at + 1], "mount(\"/dev/null\", \"null\", NULL, MS_BIND, NULL)");
}

#[test]
fn the_umask_is_taken_back_after_the_devices() {
    let lines = lines(&root());
    assert!(position(&lines, "umask(000)") < position(&lines, "mknodat"));
    assert!(position(&lines, "umask(022)") > position(&lines, "mount(\"mqueue\""));
}

#[test]
fn a_terminal_becomes_the_console() {
    let lines = lines(&Probe { terminal: Some("/dev/pts/3".into()), ..root() });
    assert!(
        lines.contains(&"mount(\"/dev/pts/3\", \"console\", NULL, MS_BIND, NULL)".to_string()),
        "{lines:#?}"
    );
}

#[test]
fn what_belongs_to_a_namespace_above_is_copied() {
    let lines = lines(&Probe { proc: FsProvision::Bind, sysfs: FsProvision::Bind, ..root() });
    assert!(lines.contains(&"mount(\"/proc\", \".\", NULL, MS_BIND|MS_REC, NULL)".to_string()), "{lines:#?}");
    let at = position(&lines, "open_tree(AT_FDCWD, \"/sys\"");
    assert!(lines[at + 1].starts_with("mount_setattr(<sys>"), "{lines:#?}");
    assert!(lines[at + 2].starts_with("move_mount(<sys>"), "{lines:#?}");
}

#[test]
fn the_switches_of_the_machine_are_covered_once_they_are_mounted() {
    use crate::mask::Cover;
    let masks = vec![
        ("proc", "sys", Cover::ReadOnly),
        ("proc", "kcore", Cover::File),
        ("sys", "firmware", Cover::Directory),
    ];
    let lines = lines(&Probe { masks, ..root() });
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
fn without_a_tty_group_terminals_belong_to_the_user() {
    let lines = lines(&Probe { tty_group: false, ..root() });
    assert!(!lines.iter().any(|line| line.contains("gid=5")), "{lines:#?}");
}

#[test]
fn descriptors_that_lead_out_are_kept_from_the_command() {
    let directory = EscapingFd { fd: 7, kind: "a directory", shown: "/root".into() };
    let lines = lines(&Probe { escaping_fds: vec![directory], ..root() });
    assert_eq!(lines[0], "fcntl(7</root>, F_SETFD, FD_CLOEXEC)");
}

#[test]
fn older_kernels_mount_the_root_on_itself_by_path() {
    let lines = lines(&Probe { open_tree: false, ..root() });
    assert_eq!(lines[0], "unshare(CLONE_NEWNS)");
    assert_eq!(lines[2..4], ["mount(\"fs\", \"fs\", NULL, MS_BIND|MS_REC, NULL)", "chdir(\"fs\")"]);
}

#[test]
fn plain_is_two_calls() {
    let here = Root { path: "fs".into(), ..Root::open("/".into()).unwrap() };
    assert_eq!(
        plain(here, &Options::default(), Command::shell("/bin/sh".into())).lines(),
        ["chroot(\"fs\")", "chdir(\"/\")"]
    );
}

#[test]
fn a_read_only_root_is_so_before_anything_is_mounted_in_it() {
    let here = Root { path: "fs".into(), ..Root::open("/".into()).unwrap() };
    let command = Command::shell("/bin/sh".into());
    let lines = plan(here, &root(), WriteMode::ReadOnly, Vec::new(), command).lines();
    let at = position(&lines, "open_tree(AT_FDCWD, \".\"");
    assert!(lines[at + 1].starts_with("mount_setattr(<new root>"), "{lines:#?}");
    assert!(lines[at + 2].starts_with("move_mount(<new root>"), "{lines:#?}");
}

#[test]
fn what_is_written_to_an_ephemeral_root_goes_to_a_tmpfs_laid_over_it() {
    let lines = |probe: &Probe| {
        let here = Root { path: "fs".into(), ..Root::open("/".into()).unwrap() };
        plan(here, probe, WriteMode::Ephemeral, Vec::new(), Command::shell("/bin/sh".into())).lines()
    };
    let of_root = lines(&root());
    let at = position(&of_root, "fsopen(");
    assert_eq!(
        of_root[at..at + 12],
        [
            "fsopen(\"tmpfs\", FSOPEN_CLOEXEC)",
            "fsmount(<changes>, FSMOUNT_CLOEXEC, 0)",
            "move_mount(<changes>, \"\", AT_FDCWD, \".\", MOVE_MOUNT_F_EMPTY_PATH)",
            "fchdir(<changes>)",
            "umask(000)",
            "mkdirat(AT_FDCWD, \"upper\", 0755)",
            "mkdirat(AT_FDCWD, \"work\", 0755)",
            "mkdirat(AT_FDCWD, \"root\", 0755)",
            "umask(022)",
            "move_mount(<new root>, \"\", AT_FDCWD, \"root\", MOVE_MOUNT_F_EMPTY_PATH)",
            "mount(\"overlay\", \"root\", \"overlay\", 0, \"lowerdir=root,upperdir=upper,workdir=work\")",
            "chdir(\"root\")",
        ]
    );
    let of_user = lines(&Probe { strategy: Strategy::PivotAsUser, initial: false, ..root() });
    assert!(of_user.iter().any(|line| line.ends_with("workdir=work,userxattr\")")), "{of_user:#?}");
}

//! The plans of chroot-rs, as text: no right and no kernel is needed.

use chain::Failure;
use chain::exec::Command;
use clap::{Args as _, FromArgMatches as _};

use super::*;
use crate::broken_variables::{Mended, Variable};
use crate::capabilities::Capabilities;
use crate::cgroup_view::CgroupProbe;
use crate::cli::Options;
use crate::descriptors::EscapingFd;
use crate::dev::Dev;
use crate::ids::Ids;
use crate::mounts::ExistingMounts;
use crate::overlay::{OverlayProbe, Piece, PieceKind};
use crate::probe::{MountProbe, Privilege, Probe, WhyPlain};
use crate::rights::CallerRights;
use crate::root::DirState;
use crate::root_mount::RootMount;
use crate::seccomp;
use system::accounts::AccountFiles;

/// All 41 capabilities.
fn root_of_the_machine() -> CallerRights {
    let known = Capabilities((1 << 41) - 1);
    CallerRights {
        known,
        permitted: known,
        inheritable: Capabilities::default(),
        ambient: Capabilities::default(),
        uid: 0,
        has_host_root: true,
        filter: seccomp::Privilege::Machine,
    }
}

/// Root of the machine, as process 1, with a complete new root.
fn machine() -> MountProbe {
    MountProbe {
        privilege: Privilege::Machine,
        rights: root_of_the_machine(),
        caller: (1000, 1000),
        inside: (0, 0),
        escaping_fds: Vec::new(),
        is_pid_1: true,
        proc_is_covered: false,
        owns_pid: true,
        owns_net: true,
        cgroup: CgroupProbe::default(),
        has_mount_setattr: true,
        masks: Vec::new(),
        sys_parts: Vec::new(),
        proc_dir: DirState::Directory,
        sys_dir: DirState::Directory,
        dev_dir: DirState::Directory,
        existing: ExistingMounts { can_unmount: true, ..ExistingMounts::default() },
        root_mount: RootMount {
            has_open_tree: true,
            mode: 0o755,
            umask: 0o22,
            userxattr: false,
            covers_old_root: false,
        },
        dev: Dev {
            mknod: true,
            has_host_root: true,
            is_limited: true,
            terminal: None,
            tty_group: true,
            mqueue: true,
            umask: 0o22,
        },
        has_unmapped_files: false,
        overlay: OverlayProbe::default(),
        is_slave: false,
    }
}

fn setup(words: &[&str], mounts: Result<MountProbe, WhyPlain>) -> Result<Setup, Failure> {
    let command = Options::augment_args(clap::Command::new("chroot-rs").no_binary_name(true));
    let options = Options::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap();
    let probe = Probe {
        root: Root { path: "fs".into(), ..Root::open("/".into()).unwrap() },
        is_current_root: false,
        accounts: AccountFiles::default(),
        ids: Ids::default(),
        broken_variables: Vec::new(),
        uid: 0,
        standard_pipes: Vec::new(),
        mounts,
        handover: None,
    };
    Setup::resolve(&options, probe, Command::shell("/bin/sh".into()))
}

/// The lines without those about rights, which rights/tests.rs has.
fn lines_with(words: &[&str], probe: &MountProbe) -> Vec<String> {
    let mut lines = plan(setup(words, Ok(probe.clone())).unwrap()).lines();
    let about_rights = ["keyctl(", "prctl(PR_CAP", "prctl(PR_SET_KEEPCAPS", "seccomp(", "capset("];
    lines.retain(|line| !about_rights.iter().any(|start| line.starts_with(start)));
    lines
}

fn lines(probe: &MountProbe) -> Vec<String> {
    lines_with(&[], probe)
}

fn notes(words: &[&str], probe: MountProbe) -> Vec<String> {
    setup(words, Ok(probe)).unwrap().notes
}

/// The machine with another /dev.
fn with_dev(change: impl FnOnce(&mut Dev)) -> MountProbe {
    let mut probe = machine();
    change(&mut probe.dev);
    probe
}

fn position(lines: &[String], start: &str) -> usize {
    lines
        .iter()
        .position(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in {lines:#?}"))
}

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
fn where_other_processes_are_in_sight_a_reaper_begins_a_namespace_without_them() {
    let probe = MountProbe { is_pid_1: false, ..machine() };
    let with_reaper = lines(&probe);
    let at = position(&with_reaper, "unshare(CLONE_NEWNS|CLONE_NEWPID)");
    let withdraw = "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE), setsid(), chdir(\"/\")";
    assert_eq!(with_reaper[at + 1..at + 4], ["fork()", withdraw, "fork()"]);
    assert!(at + 3 < position(&with_reaper, "mount(\"proc\""));
    let alone = lines_with(&["--no-init"], &probe);
    assert_eq!(alone[at + 1], "fork()");
    assert!(!alone.iter().any(|line| line == withdraw || line == "setsid()"), "{alone:#?}");
    assert_eq!(alone.len() + 2, with_reaper.len());
}

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
fn the_old_root_goes_last_because_proc_and_sys_need_it() {
    let lines = lines(&machine());
    assert!(position(&lines, "mount(\"proc\"") < position(&lines, "pivot_root"));
    assert_eq!(
        lines[lines.len() - 3..],
        ["pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)", "chdir(\"/\")"]
    );
}

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
fn without_a_tty_group_terminals_belong_to_the_user() {
    let lines = lines(&with_dev(|dev| dev.tty_group = false));
    assert!(!lines.iter().any(|line| line.contains("gid=5")), "{lines:#?}");
}

#[test]
fn descriptors_that_lead_out_are_kept_from_the_command() {
    let directory = EscapingFd { fd: 7, kind: "a directory", shown: "/root".into() };
    let lines = lines(&MountProbe { escaping_fds: vec![directory], ..machine() });
    assert_eq!(lines[0], "fcntl(7</root>, F_SETFD, FD_CLOEXEC)");
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
fn the_plan_ends_with_credentials_variables_and_working_directory() {
    let words = ["--plain", "--userspec=5:6", "--groups=7", "--workdir=/srv"];
    let setup = setup(&words, Err(WhyPlain::Requested)).unwrap();
    let root = Root::open("/".into()).unwrap();
    let mended = Mended::all(&[Variable::TmpDir], &root, &AccountFiles::default(), 5);
    let setup = Setup { mended, pipes: vec![1], ..setup };
    assert_eq!(
        plan(setup).lines(),
        [
            "chroot(\"fs\")",
            "chdir(\"/\")",
            "fchown(1, 5, -1)",
            "setgroups(1, [7])",
            "setresgid(6, 6, 6)",
            "setresuid(5, 5, 5)",
            "unsetenv(\"TMPDIR\")",
            "chdir(\"/srv\")",
        ]
    );
}

#[test]
fn rights_go_between_the_last_mount_and_the_command() {
    let words = ["--userspec=5:6", "--groups=7", "--cap-add=net_admin", "--no-mount"];
    let mut lines = plan(setup(&words, Ok(machine())).unwrap()).lines();
    let at = position(&lines, "chdir(\"/\")");
    let seccomp = position(&lines, "seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=");
    assert_eq!(seccomp, at + 2, "{lines:#?}");
    let mut after = lines.split_off(at + 1);
    after.remove(1);
    assert_eq!(
        after,
        [
            "keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)",
            "prctl(PR_SET_KEEPCAPS, 1)",
            "setgroups(1, [7])",
            "setresgid(6, 6, 6)",
            "setresuid(5, 5, 5)",
            "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {...})",
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, ..., 0, 0)",
        ]
    );
}

#[test]
fn process_1_has_no_more_rights_before_the_command_is_beside_it() {
    let probe = MountProbe { is_pid_1: false, ..machine() };
    let lines = plan(setup(&["--no-mount"], Ok(probe)).unwrap()).lines();
    let reaper = position(&lines, "prctl(PR_SET_DUMPABLE");
    // once for both, before the first of them is forked
    assert_eq!(position(&lines, "prctl(PR_CAPBSET_DROP"), reaper - 2, "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("PR_CAPBSET_DROP")).count(), 1, "{lines:#?}");
    assert_eq!(lines[reaper - 1], "fork()");
    assert!(lines[reaper + 1].starts_with("seccomp("), "{lines:#?}");
    assert!(lines[reaper + 2].starts_with("capset("), "{lines:#?}");
    assert_eq!(lines[reaper + 3], "fork()");
}

#[test]
fn rights_are_given_up_only_where_the_root_is_pivoted() {
    let refused = setup(&["--cap-drop=ALL"], Err(WhyPlain::NoAdmin)).unwrap_err();
    assert_eq!(
        refused.message,
        "an option limits rights, and here nothing could keep the command from getting them back"
    );
    assert_eq!(refused.hint.unwrap(), WhyPlain::NoAdmin.advice());
}

#[test]
fn what_a_default_leaves_out_is_noted_and_what_an_option_asks_for_is_refused() {
    let noted = setup(&[], Err(WhyPlain::NoAdmin)).unwrap().notes;
    let why =
        "that takes CAP_SYS_ADMIN, which 'unshare-rs --' before it gives in a user namespace of its own";
    assert_eq!(
        noted,
        [format!("this is a plain chroot(2) without mounts, and root inside can get out: {why}")]
    );
    let refused = setup(&["--read-only"], Err(WhyPlain::NoAdmin)).unwrap_err();
    assert_eq!(refused.message, "an option needs a mount, and none can be made here");
    assert_eq!(refused.hint.unwrap(), why);

    let link = MountProbe { dev_dir: DirState::Symlink, ..machine() };
    assert_eq!(notes(&[], link.clone()), ["skipped /dev: it is a symbolic link in the new root"]);
    assert!(notes(&["--no-mount"], link).is_empty());

    let old = MountProbe { owns_net: false, has_mount_setattr: false, ..machine() };
    assert!(!lines(&old).iter().any(|line| line.contains("/sys>")));
    let takes = "takes mount_setattr(2), Linux 5.12";
    assert_eq!(
        notes(&[], old.clone()),
        [
            "skipped /sys: it can be made read-only here only with mount_setattr(2), Linux 5.12".to_string(),
            format!("devices that lie in the new root can be opened: that {takes}")
        ]
    );
    let refused = setup(&["--nosuid"], Ok(old)).unwrap_err();
    assert_eq!(refused.message, format!("cannot take set-user-ID programs their rights: that {takes}"));
}

#[test]
fn options_leave_steps_out() {
    let masks = vec![("proc", "kcore".into(), crate::mask::Cover::File)];
    let way_out = EscapingFd { fd: 7, kind: "a directory", shown: "/root".into() };
    let probe = MountProbe { masks, escaping_fds: vec![way_out], is_pid_1: false, ..machine() };
    let words = ["--unmask", "--keep-fds", "--share-pid"];
    for gone in ["kcore", "FD_CLOEXEC", "CLONE_NEWPID"] {
        let has = |lines: Vec<String>| lines.iter().any(|line| line.contains(gone));
        assert!(has(lines(&probe)) && !has(lines_with(&words, &probe)), "{gone}");
    }
}

#[test]
fn a_read_only_root_is_so_before_anything_is_mounted_in_it() {
    let lines = lines_with(&["--read-only"], &machine());
    let at = position(&lines, "open_tree(AT_FDCWD, \".\"");
    assert!(lines[at + 1].starts_with("mount_setattr(<new root>"), "{lines:#?}");
    assert!(lines[at + 2].starts_with("move_mount(<new root>"), "{lines:#?}");
}

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
    let expected = [
        mount("root", "lower", ""),
        mount("root/mnt", "lower/mnt", "-0"),
        mount("root/mnt/b", "lower/mnt/b", "-1"),
    ];
    assert_eq!(overlays, expected.iter().collect::<Vec<_>>());
    let said = "hidden: \"/etc/hosts\", which takes no overlay: --bind shows it";
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
    let at = position(&lines, "open_tree(AT_FDCWD, \"lower/run\"");
    assert!(
        lines[at + 1].contains("MOUNT_ATTR_RDONLY") && lines[at + 2].contains("\"root/run\""),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("lowerdir=lower/usr,upperdir=upper-3")), "{lines:#?}");
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
fn directories_that_the_root_lacks_are_made_where_that_is_forgotten_and_said_else() {
    let probe = MountProbe { proc_dir: DirState::Missing, dev_dir: DirState::Missing, ..machine() };
    let said = "skipped /proc, /dev: NEWROOT has no such directory: mkdir, or --ephemeral, which makes them";
    assert_eq!(notes(&[], probe.clone()), [said]);
    assert_eq!(notes(&["--ephemeral"], probe.clone()), [""; 0]);
    let lines = lines_with(&["--ephemeral"], &probe);
    let made = position(&lines, "mkdirat(AT_FDCWD, \"dev\", 0755)");
    assert!(made < position(&lines, "fchdir(<new root/dev>)") && made < position(&lines, "mount(\"proc\""));
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
fn a_writable_sysfs_is_mounted_on_request_alone() {
    let writable = "mount(\"sysfs\", \".\", \"sysfs\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)".to_string();
    assert!(lines_with(&["--unmask"], &machine()).contains(&writable));
    assert!(!lines(&machine()).contains(&writable));
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
    assert_eq!(
        lines[at + 1..at + 3],
        ["mkdirat(AT_FDCWD, \"/kept/upper\", 0755)", "mknodat(AT_FDCWD, \"/kept/since\", S_IFREG|0600)"]
    );
    assert!(
        position(&lines, "open_tree(AT_FDCWD, \"/kept\"") < position(&lines, "open_tree(AT_FDCWD, \".\"")
    );
    let options =
        "lowerdir=lower,upperdir=changes/upper,workdir=changes/work,redirect_dir=off,index=off,metacopy=off";
    assert!(lines.iter().any(|line| line.contains(options)), "{lines:#?}");
    assert!(lines.iter().filter(|line| line.contains("\"overlay\"")).count() == 1);
    let said = "read-only: /mnt: --changes keeps what is written to NEWROOT's own file system";
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
    // with parts of the caller's sysfs there is a place only where it is asked for
    let parts = MountProbe { owns_net: false, sys_parts: vec!["class"], ..probe };
    assert_eq!(mounted(&[], &parts), None);
    assert_eq!(mounted(&["--cgroup=rw"], &parts), shown(flags));
    let refused = setup(&["--cgroup=rw"], Ok(machine())).unwrap_err();
    assert!(refused.message.contains("there is no cgroup namespace for it"), "{refused:?}");
}

#[test]
fn files_of_subordinate_ids_are_noted() {
    let probe = MountProbe { has_unmapped_files: true, ..machine() };
    let said = notes(&[], probe);
    assert!(said.iter().any(|note| note.contains("'unshare-rs --' before chroot-rs maps them")), "{said:?}");
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
    assert!(refused.message.contains("only root of the machine"), "{refused:?}");
}

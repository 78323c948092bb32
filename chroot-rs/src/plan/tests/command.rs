//! What the command has of descriptors, rights and ids, and its process 1.

use super::*;
use crate::broken_variables::{Mended, Variable};
use crate::descriptors::EscapingFd;
use crate::mount_request::MountRequests;

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
fn descriptors_that_lead_out_are_kept_from_the_command() {
    let directory = EscapingFd { fd: 7, kind: "a directory", shown: "/root".into() };
    let lines = lines(&MountProbe { escaping_fds: vec![directory], ..machine() });
    assert_eq!(lines[0], "fcntl(7</root>, F_SETFD, FD_CLOEXEC)");
}

#[test]
fn the_plan_ends_with_credentials_variables_and_working_directory() {
    let words = ["--plain", "--userspec=5:6", "--groups=7", "--workdir=/srv"];
    let setup = setup(&words, Err(WhyPlain::Requested)).unwrap();
    let root = Root::open("/".into()).unwrap();
    let (mounts, accounts) = (MountRequests::default(), AccountFiles::default());
    let mended = Mended::all(&[Variable::TmpDir], &root, &mounts, &accounts, 5);
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
fn a_home_that_the_user_cannot_enter_is_not_kept() {
    for (owner, home) in [(Some(0), Some("setenv(\"HOME\", \"/\", 1)")), (Some(5), None), (None, None)] {
        let probe = Probe { closed_home: owner, ..probe_of(Ok(machine())) };
        let lines = plan(resolve(&["--userspec=5:6"], probe).unwrap()).lines();
        let set = lines.iter().find(|line| line.starts_with("setenv(\"HOME\""));
        assert_eq!(set.map(String::as_str), home, "{owner:?}");
    }
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

//! The plans of unshare-rs as text. These tests need no rights and no kernel.

use std::path::Path;

use chain::{Failure, args};

use super::*;
use crate::caller::{Caller, Privilege};
use crate::cli::{Options, TOOL};
use system::idmap::SubidRange;

mod ids;
mod left_to_next;
mod processes;

/// The calls that protect the reaper.
const REAPER: &str = "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE), setsid(), chdir(\"/\")";

fn caller(privilege: Privilege) -> Caller {
    Caller {
        privilege,
        may_map: false,
        ids: (1000, 1000),
        pid: 42,
        next_takes: false,
        ranges: |_, _| {
            vec![SubidRange { first: 100_000, count: 65_536 }, SubidRange { first: 300_000, count: 10 }]
        },
        existing: |_| vec![SubidRange { first: 0, count: u32::MAX }],
        find_newuidmap: |kind| Ok(Path::new("/usr/bin").join(newuidmap::name(kind))),
    }
}

fn setup(args: &[&str], privilege: Privilege) -> Result<Setup, Failure> {
    setup_of(args, &caller(privilege))
}

fn setup_of(args: &[&str], caller: &Caller) -> Result<Setup, Failure> {
    let argv = std::iter::once("unshare-rs").chain(args.iter().copied());
    let matches = args::command::<Options>(&TOOL).try_get_matches_from(argv).unwrap();
    let options = <Options as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
    Setup::resolve(&options, caller)
}

fn lines(args: &[&str], privilege: Privilege) -> Vec<String> {
    let command = Command::shell("/bin/true".into());
    plan(setup(args, privilege).unwrap(), command).lines()
}

#[test]
fn without_options_root_gets_the_container_set() {
    assert_eq!(
        lines(&[], Privilege::Admin),
        [
            "unshare(CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWPID|CLONE_NEWNET)",
            "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)",
            "sethostname(\"container\", 9)",
            "ioctl(<socket>, SIOCSIFFLAGS, {ifr_name=\"lo\", ifr_flags=IFF_UP})",
            "fork()",
            REAPER,
            "fork()",
            "mount(\"proc\", \"/proc\", \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)",
        ]
    );
}

#[test]
fn named_namespaces_are_exactly_those() {
    assert_eq!(lines(&["-u"], Privilege::Admin), ["unshare(CLONE_NEWUTS)"]);
    assert_eq!(lines(&["--user"], Privilege::None), ["unshare(CLONE_NEWUSER)"]);
    assert_eq!(lines(&["-p"], Privilege::Admin), ["unshare(CLONE_NEWPID)", "fork()"]);
}

#[test]
fn proc_is_mounted_where_asked_and_after_the_fork() {
    assert_eq!(
        lines(&["-p", "--mount-proc=/x"], Privilege::Admin)[1..],
        [
            "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)",
            "fork()",
            "mount(\"proc\", \"/x\", \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)",
        ]
    );
}

#[test]
fn a_hostname_alone_renames_the_container() {
    let lines = lines(&["--hostname", "web"], Privilege::Admin);
    assert!(lines.contains(&"sethostname(\"web\", 3)".to_string()), "{lines:?}");
    assert!(lines[0].contains("CLONE_NEWPID"), "{lines:?}");
}

#[test]
fn shared_namespaces_are_left_as_they_are() {
    let plan = lines(&["--share", "net,uts"], Privilege::Admin);
    assert!(!plan[0].contains("NEWNET") && !plan[0].contains("NEWUTS"), "{plan:?}");
    assert!(!plan.iter().any(|line| line.contains("hostname") || line.contains("ioctl")), "{plan:?}");
    let plan = lines(&["--share", "pid"], Privilege::Admin);
    assert!(!plan.iter().any(|line| line.contains("fork") || line.contains("proc")), "{plan:?}");
}

#[test]
fn a_shared_hostname_is_not_changed() {
    let failure = setup(&["--share", "uts", "--hostname", "web"], Privilege::Admin).unwrap_err();
    assert_eq!(failure.message, "--hostname would rename this machine, because the UTS namespace is shared");
}

#[test]
fn an_ordinary_user_cannot_share_the_user_namespace() {
    let failure = setup(&["--share", "user,net"], Privilege::None).unwrap_err();
    assert_eq!(
        failure,
        Failure::new("an ordinary user needs a new user namespace to enter any other namespace")
            .hint("leave user out of --share")
    );
    assert!(setup(&["--share", "user,net"], Privilege::Admin).is_ok());
}

#[test]
fn shared_and_named_namespaces_do_not_mix() {
    assert!(setup(&["--share", "net", "-u"], Privilege::Admin).is_err());
}

#[test]
fn files_that_keep_namespaces_are_mounted_outside_and_that_of_a_pid_namespace_last() {
    assert_eq!(
        lines(&["--mount=/proc/version", "--pid=/no/such/file"], Privilege::Admin),
        [
            "fork()",
            "unshare(CLONE_NEWNS|CLONE_NEWPID)",
            "mount(\"/proc/42/ns/mnt\", \"/proc/version\", NULL, MS_BIND, NULL)",
            "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)",
            "fork()",
            "mknodat(AT_FDCWD, \"/no/such/file\", S_IFREG|0600)",
            "mount(\"/proc/42/ns/pid_for_children\", \"/no/such/file\", NULL, MS_BIND, NULL)",
        ]
    );
}

#[test]
fn clocks_are_moved_before_anyone_enters() {
    assert_eq!(
        lines(&["--monotonic", "-1.5", "--boottime=7"], Privilege::Admin),
        [
            "unshare(CLONE_NEWTIME)",
            "write(</proc/self/timens_offsets>, \"monotonic -2 500000000\", 22)",
            "write(</proc/self/timens_offsets>, \"boottime 7 0\", 12)",
            "fork()",
        ]
    );
}

#[test]
fn a_root_comes_before_its_proc_and_its_directory() {
    assert_eq!(
        lines(&["-m", "-R", "/r", "-w", "d", "--mount-proc", "--propagation", "slave"], Privilege::Admin)
            [1..],
        [
            "mount(NULL, \"/\", NULL, MS_REC|MS_SLAVE, NULL)",
            "chroot(\"/r\")",
            "chdir(\"/\")",
            "mount(\"proc\", \"/proc\", \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)",
            "chdir(\"d\")",
        ]
    );
}

#[test]
fn an_interpreter_that_is_opened_at_once_is_registered_before_the_root_changes() {
    let entry = ":x:M::abc::/bin/true:F";
    let lines = lines(&["-R", "/r", "-l", entry], Privilege::None);
    let at = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(at("register") < at("chroot"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("binfmt_misc\", \"/proc")).count(), 2, "{lines:?}");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let pairs =
        [["--init", "--no-init"], ["--mount-proc", "--no-mount-proc"], ["--kill-child", "--no-kill-child"]];
    for [one, other] in pairs {
        for args in [["unshare-rs", one, other], ["unshare-rs", other, one]] {
            let refused = args::command::<Options>(&TOOL).try_get_matches_from(args).unwrap_err();
            assert_eq!(refused.kind(), clap::error::ErrorKind::ArgumentConflict, "{args:?}");
        }
    }
    for args in [&["--no-init", "--share=pid"][..], &["--no-init", "--uts"]] {
        let message = setup(args, Privilege::Admin).unwrap_err().message;
        assert_eq!(message, "--no-init needs a new PID namespace, and there is none");
    }
}

#[test]
fn only_root_can_keep_a_namespace_in_a_file() {
    for args in [&["--uts=/kept"][..], &["-r", "--uts=/kept"]] {
        let message = "only root can keep the UTS namespace in a file, which is mounted outside";
        let refused = Failure::new(message).hint("run it as root, or without the file: --uts");
        assert_eq!(setup(args, Privilege::None).unwrap_err(), refused);
        assert!(setup(args, Privilege::Admin).is_ok());
    }
}

#[test]
fn options_are_shortened_and_joined_as_getopt_has_them() {
    assert_eq!(lines(&["-Urmpf"], Privilege::None)[0], "unshare(CLONE_NEWNS|CLONE_NEWUSER|CLONE_NEWPID)");
    assert_eq!(lines(&["--map-root"], Privilege::None)[0], "unshare(CLONE_NEWUSER)");
    assert_eq!(lines(&["-US5"], Privilege::None)[1], "setresuid(5, 5, 5)");
}

#[test]
fn a_hostname_is_what_the_kernel_takes() {
    for name in ["", &"x".repeat(65)] {
        let argv = ["unshare-rs", "--hostname", name];
        assert!(args::command::<Options>(&TOOL).try_get_matches_from(argv).is_err(), "{name:?}");
    }
    let argv = ["unshare-rs".to_string(), "--hostname".to_string(), "x".repeat(64)];
    assert!(args::command::<Options>(&TOOL).try_get_matches_from(argv).is_ok());
}

#[test]
fn with_the_container_set_clocks_are_moved_in_a_time_namespace_more() {
    let plan = lines(&["--share=none", "--boottime=7"], Privilege::Admin);
    assert!(plan[0].contains("CLONE_NEWTIME") && plan[0].contains("CLONE_NEWNET"), "{plan:?}");
    assert!(
        plan.contains(&"write(</proc/self/timens_offsets>, \"boottime 7 0\", 12)".to_string()),
        "{plan:?}"
    );
    assert_eq!(lines(&["--boottime=7"], Privilege::Admin)[0], "unshare(CLONE_NEWTIME)");
}

//! The plans of unshare-rs, as text: no right and no kernel is needed.

use std::path::Path;

use chain::{Failure, args};

use super::*;
use crate::caller::{Caller, Privilege};
use crate::cli::{Options, TOOL};
use crate::idmap::{Block, IdMap, IdRange};
use system::idmap::SubidRange;

/// What keeps the reaper out of reach.
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
        mapper: |kind| Ok(Path::new("/usr/bin").join(mapper::name(kind))),
    }
}

fn block(inside: u32, outside: u32, count: u32) -> Block {
    Block::At(IdRange { inside, outside, count })
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
fn an_ordinary_user_is_root_inside_with_all_subordinate_ids() {
    let lines = lines(&[], Privilege::None);
    assert_eq!(lines[0], "fork()");
    // the maps are begun with the namespace, and waited for when nothing is left that needs no id
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
    assert_eq!(named.ids.users, Some(MapWrite::ByRoot(IdMap::around(None, &[block(0, 5, 9)]).unwrap())));
}

#[test]
fn where_newgidmap_refuses_the_own_group_alone_is_mapped() {
    let shown = |kind| mapper::alone(kind, 42, 1000).iter().map(|(_, call)| call.shown().notation).collect();
    let (users, groups): (Vec<_>, Vec<_>) = (shown(IdKind::User), shown(IdKind::Group));
    assert_eq!(users, ["write(</proc/42/uid_map>, \"0 1000 1\", 8)"]);
    let deny = "write(</proc/42/setgroups>, \"deny\", 4)";
    assert_eq!(groups, [deny, "write(</proc/42/gid_map>, \"0 1000 1\", 8)"]);
}

#[test]
fn without_subordinate_ids_root_is_the_only_one_and_a_line_says_so() {
    let caller = Caller { mapper: |_| Err("newuidmap is missing".to_string()), ..caller(Privilege::None) };
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
fn named_namespaces_are_exactly_those() {
    assert_eq!(lines(&["-u"], Privilege::Admin), ["unshare(CLONE_NEWUTS)"]);
    assert_eq!(lines(&["--user"], Privilege::None), ["unshare(CLONE_NEWUSER)"]);
    assert_eq!(lines(&["-p"], Privilege::Admin), ["unshare(CLONE_NEWPID)", "fork()"]);
}

#[test]
fn map_options_imply_a_user_namespace() {
    assert_eq!(lines(&["-r"], Privilege::None)[0], "unshare(CLONE_NEWUSER)");
    assert_eq!(lines(&["-c"], Privilege::None)[1], "write(</proc/self/uid_map>, \"1000 1000 1\", 11)");
    assert_eq!(lines(&["-c", "-r"], Privilege::None)[1], "write(</proc/self/uid_map>, \"0 1000 1\", 8)");
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
fn a_reaper_is_process_one_of_a_container_and_elsewhere_by_option() {
    let with_reaper = ["unshare(CLONE_NEWPID)", "fork()", REAPER, "fork()"];
    let alone = ["unshare(CLONE_NEWPID)", "fork()"];
    assert_eq!(lines(&["-p", "--init"], Privilege::Admin), with_reaper);
    assert_eq!(lines(&["-p"], Privilege::Admin), alone);
    assert!(setup(&["-u", "--init"], Privilege::Admin).is_err());
    let has_reaper = |args: &[&str]| lines(args, Privilege::Admin).contains(&REAPER.to_string());
    assert!(has_reaper(&[]) && has_reaper(&["--init"]) && has_reaper(&["--kill-child"]));
    assert!(!has_reaper(&["--no-init"]));
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
fn a_command_that_outlives_its_parent_has_no_reaper_which_does_not() {
    for option in ["--no-kill-child", "--kill-child=TERM"] {
        assert!(!lines(&[option], Privilege::Admin).contains(&REAPER.to_string()));
        assert!(setup(&[option, "--init"], Privilege::Admin).is_err());
    }
}

/// The plan before one of our tools that takes what is left to it.
fn lines_before_a_link(args: &[&str], privilege: Privilege) -> Vec<String> {
    let caller = Caller { next_takes: true, ..caller(privilege) };
    plan(setup_of(args, &caller).unwrap(), Command::shell("chroot-rs".into())).lines()
}

#[test]
fn the_pid_namespace_is_left_to_the_link_that_starts_the_command() {
    let user = lines_before_a_link(&[], Privilege::None);
    assert!(!user.iter().any(|line| line.contains("CLONE_NEWPID") || line.contains("\"proc\"")), "{user:?}");
    assert_eq!(user.last().unwrap(), "setenv(\"CHAIN_PROCESS_1\", \"reaper\", 1)");
    let command = lines_before_a_link(&["--no-init", "--share=net"], Privilege::None);
    assert_eq!(command.last().unwrap(), "setenv(\"CHAIN_PROCESS_1\", \"command\", 1)");
}

#[test]
fn without_a_user_namespace_the_mount_namespace_is_left_to_it_as_well() {
    let root = |args: &[&str]| {
        let caller = Caller { next_takes: true, ids: (0, 0), ..caller(Privilege::Admin) };
        plan(setup_of(args, &caller).unwrap(), Command::shell("chroot-rs".into())).lines()
    };
    let lines = root(&[]);
    assert!(!lines.iter().any(|line| line.contains("CLONE_NEWNS") || line.contains("mount(")), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "setenv(\"CHAIN_PROCESS_1\", \"reaper mount\", 1)");
    // mounts that are asked for are made here
    for args in [&["--propagation=slave"] as &[_], &["--share=pid"]] {
        assert!(root(args).iter().any(|line| line.contains("CLONE_NEWNS")), "{args:?}");
    }
}

#[test]
fn what_is_asked_of_this_tool_alone_is_not_left_to_the_next() {
    for args in [
        &["--pid"] as &[_],
        &["--share=pid"],
        &["--share=mount"],
        &["--no-mount-proc"],
        &["--root=/r"],
        &["--fork"],
        &["--kill-child"],
        &["--no-kill-child"],
        &["--setuid=5"],
    ] {
        let lines = lines_before_a_link(args, Privilege::None);
        assert!(!lines.iter().any(|line| line.contains("setenv")), "{args:?}: {lines:?}");
    }
    // root by capabilities alone has none of them after execve(2)
    assert!(!lines_before_a_link(&[], Privilege::Admin).iter().any(|line| line.contains("setenv")));
}

#[test]
fn the_number_of_the_command_is_told_last_by_the_link_that_starts_it() {
    let args = ["--pid", "--pid-file=f"];
    let alone = lines(&args, Privilege::Admin);
    assert!(alone[0].starts_with("openat(AT_FDCWD, \"f\""), "{alone:?}");
    assert_eq!(alone.last().unwrap(), "write(<pid file>, \"<pid>\\n\")");
    let lines = lines_before_a_link(&args, Privilege::Admin);
    assert_eq!(lines.last().unwrap(), "setenv(\"CHAIN_PROCESS_1\", \"none <pid file> <proc>\", 1)");
}

#[test]
fn the_signal_of_the_parents_death_is_chosen_in_the_child() {
    assert_eq!(
        lines(&["-u", "--kill-child=TERM"], Privilege::Admin)[1..],
        ["fork()", "prctl(PR_SET_PDEATHSIG, SIGTERM)"]
    );
    assert_eq!(lines(&["-u", "--kill-child"], Privilege::Admin)[1..], ["fork()"]);
    assert_eq!(lines(&["-p", "--no-kill-child"], Privilege::Admin)[2], "prctl(PR_SET_PDEATHSIG, 0)");
    assert_eq!(lines(&["-u", "--no-kill-child"], Privilege::Admin), ["unshare(CLONE_NEWUTS)"]);
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
fn free_ids_are_left_to_a_next_tool_that_mounts_as_root_of_the_machine() {
    let caller = Caller { next_takes: true, ids: (0, 0), ..caller(Privilege::Admin) };
    let setup = setup_of(&["--userns", "auto"], &caller).unwrap();
    assert!(setup.left_to_next.free_ids && !setup.free_ids);
    let lines = plan(setup, Command::shell("/bin/true".into())).lines();
    assert_eq!(lines.last().unwrap(), "setenv(\"CHAIN_PROCESS_1\", \"reaper mount userns\", 1)");
    assert!(!lines.iter().any(|line| line.contains("NEWUSER")), "{lines:?}");
}

#[test]
fn free_ids_need_root_and_go_with_no_other_ids() {
    let refused = |args: &[&str], privilege| setup(args, privilege).unwrap_err().message;
    assert_eq!(
        refused(&["--userns", "auto"], Privilege::None),
        "--userns auto takes ids that only root may map"
    );
    for other in ["--map-root-user", "--setuid=1", "--map-users=0:1:1", "--setgroups=deny", "--user=file"] {
        let message = refused(&["--userns", "auto", other], Privilege::Admin);
        assert_eq!(message, "--userns auto chooses the ids, and no other option can", "{other}");
    }
}

//! The plans of unshare-rs, as text: no right and no kernel is needed.

use super::*;
use crate::world::World;

fn world(args: &[&str], privilege: Privilege) -> Result<World, (String, String)> {
    let argv = std::iter::once("unshare-rs").chain(args.iter().copied());
    let matches = args::command::<Options>(&TOOL).try_get_matches_from(argv).unwrap();
    let options = <Options as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
    World::from_options(&options, privilege)
}

fn lines(args: &[&str], privilege: Privilege) -> Vec<String> {
    let command = Command::shell("/bin/true".into());
    plan(&world(args, privilege).unwrap(), (1000, 1000), command).lines()
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
            "mount(\"proc\", \"/proc\", \"proc\", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)",
        ]
    );
}

#[test]
fn an_ordinary_user_gets_a_user_namespace_too_and_is_root_in_it() {
    let lines = lines(&[], Privilege::None);
    assert!(lines[0].contains("CLONE_NEWUSER"), "{lines:?}");
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
    let (wrong, _) = world(&["--share", "uts", "--hostname", "web"], Privilege::Admin).unwrap_err();
    assert_eq!(wrong, "--hostname would rename this machine: the UTS namespace is shared");
}

#[test]
fn shared_and_named_namespaces_do_not_mix() {
    assert!(world(&["--share", "net", "-u"], Privilege::Admin).is_err());
}

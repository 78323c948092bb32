//! What this tool leaves to the next one.

use super::*;

/// The plan if the command is one of our tools that takes over.
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
    // mounts that the user asks for are made here
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
    // root by capabilities alone loses them at execve(2)
    assert!(!lines_before_a_link(&[], Privilege::Admin).iter().any(|line| line.contains("setenv")));
}

#[test]
fn the_number_of_the_command_is_told_last_by_the_link_that_starts_it() {
    let args = ["--pid", "--pid-file=f"];
    let alone = lines(&args, Privilege::Admin);
    // one call to a step, so that an error names the file or the proc
    assert_eq!(
        alone[..2],
        [
            "openat(AT_FDCWD, \"f\", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644)",
            "openat(AT_FDCWD, \"/proc/self\", O_PATH|O_NOFOLLOW|O_CLOEXEC)"
        ]
    );
    assert_eq!(alone.last().unwrap(), "write(<pid file>, \"<pid>\\n\")");
    let lines = lines_before_a_link(&args, Privilege::Admin);
    assert_eq!(lines.last().unwrap(), "setenv(\"CHAIN_PROCESS_1\", \"none <pid file> <proc>\", 1)");
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

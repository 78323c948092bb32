//! Hints about switches of the kernel, of distributions and of container engines.
//!
//! If this machine lacks such a switch, the test simulates it: with files mounted over parts of /proc/sys, in
//! a private mount namespace, and with a seccomp filter that refuses what the switch would have refused.

use tests::{Run, seccomp};

use super::harness::{Ran, ran, script, tool, unshare};

/// A kind that the scripts here request only to be refused.
const CLONE_NEWTIME: i32 = 0x80;

const REFUSED: &str = "unshare-rs: cannot enter new user and time namespaces: \
    unshare(CLONE_NEWTIME|CLONE_NEWUSER): Operation not permitted (EPERM)";

/// A script under a filter that refuses a time namespace with this errno.
fn filtered(text: &str, errno: i32) -> Ran {
    let run = Run::new("sh").args(["-c", &format!("T={}\n{text}", tool().display())]);
    ran(run.with(|command| seccomp::refuse_unshare(command, CLONE_NEWTIME, errno)))
}

/// A script for a machine where a file in /proc/sys/kernel has this value; it runs `command`.
fn with_switch(name: &str, value: u32, command: &str) -> String {
    format!(
        "$T -rm sh -c 'mount -t tmpfs none /proc/sys/kernel; echo {value} >/proc/sys/kernel/{name}; {command}'"
    )
}

mod as_anyone {
    use super::*;

    const APPARMOR: &str = "apparmor_restrict_unprivileged_userns";
    const ADVICE: &str = "unshare-rs: hint: AppArmor denies user namespaces to programs without a profile: install \
        one, as in unshare-rs(1), NOTES, or as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0";

    #[test]
    #[ignore = "needs user namespaces"]
    fn apparmors_switch_is_named_when_the_namespace_is_refused() {
        let text = with_switch(APPARMOR, 1, "exec '$T' -UT true");
        filtered(&text, libc::EPERM).refused(&[REFUSED, ADVICE]);
    }

    #[test]
    #[ignore = "needs user namespaces and strace"]
    fn apparmors_switch_is_named_when_only_the_rights_in_the_namespace_are_refused() {
        // Ubuntu 24.04 allows the namespace, and refuses the next step
        let next = [
            (
                "write",
                "EPERM",
                "-r",
                "map user 0 inside to user 0 outside: write(</proc/self/uid_map>, \"0 0 1\", 5): Operation not permitted (EPERM)",
            ),
            (
                "mount",
                "EACCES",
                "-Um",
                "keep mounts from spreading outside: mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL): Permission denied (EACCES)",
            ),
        ];
        for (call, errno, options, failure) in next {
            let traced =
                format!("exec strace -o /dev/null --inject={call}:error={errno}:when=1 '$T' {options} true");
            let failure = format!("unshare-rs: cannot {failure}");
            script(&with_switch(APPARMOR, 1, &traced)).refused(&[&failure, ADVICE]);
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn debians_switch_is_named() {
        let text = with_switch("unprivileged_userns_clone", 0, "exec '$T' -UT true");
        let advice = "unshare-rs: hint: as root: sysctl kernel.unprivileged_userns_clone=1";
        filtered(&text, libc::EPERM).refused(&[REFUSED, advice]);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_switch_that_is_not_set_is_not_blamed_but_a_filter_is() {
        let advice = "unshare-rs: hint: a seccomp filter confines this process; if this is a \
            container, start it with --seccomp unconfined (chroot-rs) or --security-opt seccomp=unconfined (docker, podman)";
        for (switch, value) in [(APPARMOR, 0), ("unprivileged_userns_clone", 1)] {
            let text = with_switch(switch, value, "exec '$T' -UT true");
            filtered(&text, libc::EPERM).refused(&[REFUSED, advice]);
        }
        filtered("exec $T -UT true", libc::EPERM).refused(&[REFUSED, advice]);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_kind_that_the_kernel_does_not_have_is_named() {
        // exec keeps the process, whose list of kinds is covered by a shorter one
        let text =
            "$T -rm sh -c 'mount -t tmpfs none /proc/$$/ns; for n in cgroup ipc mnt net pid user uts; do
            touch /proc/$$/ns/$n; done; exec '$T' -UT true'";
        filtered(text, libc::EINVAL).refused(&[
            "unshare-rs: cannot enter new user and time namespaces: \
             unshare(CLONE_NEWTIME|CLONE_NEWUSER): Invalid argument (EINVAL)",
            "unshare-rs: hint: this kernel has no such namespace: time",
        ]);
        // a kernel that has all kinds is not blamed
        assert_eq!(filtered("exec $T -UT true", libc::EINVAL).err.lines().count(), 1);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn namespaces_that_nest_too_deep_are_told_from_a_limit() {
        let text = "c=true; for n in $(seq 40); do c=\"$T -r $c\"; done; $c";
        let ran = script(text);
        assert_eq!(ran.status, 125);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert!(lines[0].ends_with("unshare(CLONE_NEWUSER): No space left on device (ENOSPC)"), "{lines:?}");
        assert!(lines[1].ends_with(", or user namespaces nest deeper than 32"), "{lines:?}");
    }

    #[test]
    #[ignore = "needs user namespaces and strace"]
    fn a_kernel_without_a_table_of_interpreters_for_namespaces_is_named() {
        for (errno, advice) in [
            ("EPERM", "in a user namespace this needs Linux 6.7"),
            ("ENODEV", "this kernel has no binfmt_misc: modprobe binfmt_misc"),
        ] {
            // the child's second: proc, table
            let text = format!(
                "strace -o /dev/null -f -qq --inject=mount:error={errno}:when=2 $T -p --mount-binfmt true"
            );
            let ran = script(&text);
            assert_eq!(ran.status, 125, "{}", ran.err);
            assert_eq!(
                ran.err.lines().last(),
                Some(format!("unshare-rs: hint: {advice}").as_str()),
                "{}",
                ran.err
            );
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_proc_of_processes_that_belong_to_somebody_else_is_refused_with_the_way_out() {
        for option in ["--mount-proc", "--mount-binfmt"] {
            unshare(&["-r", option, "true"]).refused(&[
                "unshare-rs: cannot mount a proc that shows the processes inside: mount(\"proc\", \"/proc\", \"proc\", \
                 MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL): Operation not permitted (EPERM)",
                "unshare-rs: hint: this PID namespace belongs to another user namespace: create one with unshare-rs --pid",
            ]);
        }
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn an_id_that_is_not_mapped_is_named() {
        for (option, call, kind, map) in
            [("-S", "setresuid", "user", "uid_map"), ("-G", "setresgid", "group", "gid_map")]
        {
            let ran = unshare(&["-r", option, "54321", "true"]);
            let hint = format!(
                "unshare-rs: hint: {kind} 54321 is not mapped in this user namespace: see /proc/self/{map} and user_namespaces(7)"
            );
            assert_eq!((ran.status, ran.err.lines().last()), (125, Some(hint.as_str())), "{}", ran.err);
            assert!(
                ran.err.contains(&format!("{call}(54321, 54321, 54321): Invalid argument (EINVAL)")),
                "{}",
                ran.err
            );
        }
    }
}

/// With Debian's kernel: its switch, and no binfmt_misc namespaces before Linux 6.7.
mod in_vm {
    use std::fs;
    use std::os::unix::process::CommandExt as _;

    use super::*;

    fn as_user(args: &[&str]) -> Ran {
        ran(Run::new(tool()).args(args).with(|command| {
            command.uid(1000).gid(1000);
        }))
    }

    #[test]
    #[ignore = "needs Debian's kernel, whose switch no other test may see"]
    fn debians_own_switch_is_named_and_keeps_an_ordinary_user_out() {
        let switch = "/proc/sys/kernel/unprivileged_userns_clone";
        fs::write(switch, "0").unwrap();
        let ran = as_user(&["-U", "true"]);
        fs::write(switch, "1").unwrap();
        ran.refused(&[
            "unshare-rs: cannot enter a new user namespace: unshare(CLONE_NEWUSER): Operation not permitted (EPERM)",
            "unshare-rs: hint: as root: sysctl kernel.unprivileged_userns_clone=1",
        ]);
        as_user(&["-U", "true"]).ok();
    }

    #[test]
    #[ignore = "needs a kernel without binfmt_misc"]
    fn a_kernel_without_binfmt_misc_is_named() {
        let ran = unshare(&["--pid", "--mount-binfmt", "true"]);
        assert_eq!(ran.status, 125);
        assert!(
            ran.err.ends_with("hint: this kernel has no binfmt_misc: modprobe binfmt_misc\n"),
            "{}",
            ran.err
        );
    }
}

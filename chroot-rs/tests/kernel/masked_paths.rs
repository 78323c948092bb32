//! The switches of the machine: protected from accidents by root, and never covered for others.

use std::path::Path;

use tests::End;

use crate::jail::{Isolation, Jail};

/// Each is harmless if it is not refused: it writes the current value, and sysrq's help.
const SWITCHES: &str = "
    n=$(cat /proc/sys/vm/swappiness)
    (echo $n >/proc/sys/vm/swappiness) 2>/dev/null && echo writes a sysctl
    (echo h >/proc/sysrq-trigger) 2>/dev/null && echo pulls sysrq
    test -e /proc/timer_list && test -n \"$(head -c 1 /proc/timer_list)\" && echo reads timers
    touch /sys/x 2>/dev/null && echo makes a file in sys
    true";

/// The script's output if nothing is refused; some kernels are built without sysrq.
fn pulled() -> String {
    let says = [
        ("/proc/sys/vm/swappiness", "writes a sysctl\n"),
        ("/proc/sysrq-trigger", "pulls sysrq\n"),
        ("/proc/timer_list", "reads timers\n"),
    ];
    says.iter().filter(|(switch, _)| Path::new(switch).exists()).map(|(_, line)| *line).collect()
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn root_does_not_write_sysctls_or_sysrq() {
        let jail = Jail::new();
        for isolation in [Isolation::Default, Isolation::Chain] {
            let ended = jail.run(isolation, &[], SWITCHES).end().ended(End::Exit(0));
            assert_eq!((ended.out(), ended.err()), (String::new(), String::new()), "{isolation:?}");
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn unmask_leaves_them() {
        let out = Jail::new().run(Isolation::Default, &["--unmask"], SWITCHES).end().ok();
        assert_eq!(out, pulled());
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn chroot_leaves_them_too() {
        let script = format!("mount -t proc proc /proc; {SWITCHES}");
        let out = Jail::new().run(Isolation::Chroot, &[], &script).end().ok();
        assert_eq!(out.replace("makes a file in sys\n", ""), pulled());
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_user_reaches_no_switch_and_nothing_is_covered() {
        let jail = Jail::new();
        for isolation in [Isolation::Default, Isolation::Chain] {
            assert_eq!(jail.run(isolation, &[], SWITCHES).end().ok(), "", "{isolation:?}");
            let covered = jail.run(isolation, &[], "grep -c ' /proc/' /proc/self/mountinfo").end();
            // the machine's own /proc may have mounts below it
            let outside = crate::jail::mount_table().matches(" /proc/").count();
            assert!(covered.out().trim().parse::<usize>().unwrap() <= outside, "{isolation:?}");
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_container_inside_gets_a_proc_of_its_own() {
        let script = "unshare -Urpf --mount-proc /bin/sh -c 'echo $$ $(ls -d /proc/[0-9]* | wc -l)'";
        let ended = Jail::new().run(Isolation::Chain, &[], script).end();
        // the shell, ls and wc
        assert!(ended.out().starts_with("1 "), "{}{}", ended.out(), ended.err());
    }
}

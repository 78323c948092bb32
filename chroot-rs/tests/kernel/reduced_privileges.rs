//! Callers without a capability or at a limit. The tests need util-linux' setpriv and prlimit.

use tests::{End, Run, tools};

use crate::jail::Jail;
use crate::root_locations::run_outside;

const WHY: &str = "mounts need CAP_SYS_ADMIN: put 'unshare-rs --' before chroot-rs";

mod as_root {
    use super::*;

    mod on_host {
        use super::*;

        #[test]
        #[ignore = "needs root and busybox-static"]
        fn who_may_only_change_the_root_gets_a_chroot_and_is_told() {
            let jail = Jail::new();
            let run = |options: &[&str]| {
                Run::new("setpriv")
                    .arg("--bounding-set=-sys_admin")
                    .arg(tools().chroot())
                    .args(options)
                    .arg(jail.root.path(""))
                    .args(["/bin/sh", "-c", "echo inside"])
                    .end()
            };
            let ended = run(&[]).ended(End::Exit(0));
            let plain = "chroot-rs: this is a plain chroot(2) without mounts, and root inside can get out";
            assert_eq!((ended.out(), ended.err()), ("inside\n".into(), format!("{plain}: {WHY}\n")));
            let refused = run(&["--read-only"]).ended(End::Exit(125));
            let said = "chroot-rs: an option needs a mount, and none can be made here\n";
            assert_eq!(refused.err(), format!("{said}chroot-rs: hint: {WHY}\n"));
            // followed, if the caller may write the map of a user namespace
            let unshare = ["--bounding-set=-sys_admin", &tools().unshare().display().to_string(), "--"];
            let chain = Run::new("setpriv").args(unshare).arg(tools().chroot()).arg("--read-only");
            let script = "grep -c 4294967295 /proc/self/uid_map; cat /proc/self/setgroups";
            let ended = chain.arg(jail.root.path("")).args(["/bin/sh", "-c", script]).end();
            assert_eq!((ended.out(), ended.err()), ("1\nallow\n".into(), String::new()));
        }
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn only_a_mount_that_hides_a_part_of_proc_keeps_the_processes_outside_in_sight() {
        let script = r#"look='test -e /proc/$OUTSIDE && echo in sight || echo alone'
            below() { unshare --user --map-root-user --mount "$@"; }
            mount -t tmpfs t /proc/sys/fs/binfmt_misc; mount -t tmpfs t /proc/sys/fs/binfmt_misc
            "$3" "$1" /bin/sh -c "$look"; below "$3" "$1" /bin/sh -c "$look"
            mount -t tmpfs t /proc/fs; "$3" "$1" /bin/sh -c "$look"; below "$3" "$1" /bin/sh -c "$look""#;
        let ended = run_outside(&Jail::new(), script).end().ended(End::Exit(0));
        assert_eq!(ended.out(), "alone\nalone\nalone\nin sight\n", "{}", ended.err());
        let said = "chroot-rs: processes outside stay visible, and root inside can get out: \
            a part of /proc is covered, so the kernel refuses a new one; if this is a container, start it with \
            --security-opt systempaths=unconfined (docker), unmask=ALL (podman), procMount: Unmasked (Kubernetes)\n";
        assert_eq!(ended.err(), said);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_chain_runs_where_parts_of_proc_and_sys_are_masked() {
        let script = r#"mount -t tmpfs t /proc/fs; mount -t tmpfs t /sys/firmware; mount -o remount,bind,ro /sys
            unshare --user --map-root-user --mount -- $UNSHARE -- "$3" "$1" /bin/sh -c 'ls -d /proc/self/fd /sys/class'"#;
        let jail = Jail::new();
        let run = run_outside(&jail, script).env("UNSHARE", tools().unshare());
        let ended = run.end().ended(End::Exit(0));
        assert_eq!(ended.out(), "/proc/self/fd\n/sys/class\n", "{}", ended.err());
    }
}

mod as_user {
    use super::*;

    mod on_host {
        use super::*;

        #[test]
        #[ignore = "needs busybox-static and namespaces"]
        fn at_the_limit_of_processes_the_reason_is_told() {
            let jail = Jail::new();
            let run = Run::new("prlimit").args(["--nproc=1"]).arg(tools().chroot()).arg(jail.root.path(""));
            let ended = run.arg("/bin/true").end().ended(End::Exit(125));
            assert_eq!(
                ended.err(),
                "chroot-rs: cannot start a reaper as process 1: \
            fork(): Resource temporarily unavailable (EAGAIN)\n\
            chroot-rs: hint: the process limit is reached: raise ulimit -u, or pids.max of the control group\n"
            );
        }
    }
}

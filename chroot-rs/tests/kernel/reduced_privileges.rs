// SPDX-License-Identifier: MIT OR Apache-2.0
//! Callers without a capability or at a limit. The tests need util-linux' setpriv and prlimit.

use tests::{End, Run, tools};

use crate::jail::Jail;

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
            let plain = "chroot-rs: plain chroot(2), no mounts, and root inside could get out";
            assert_eq!(
                (ended.out(), ended.err()),
                ("inside\n".into(), format!("{plain}: that takes CAP_SYS_ADMIN\n"))
            );
            let refused = run(&["--read-only"]).ended(End::Exit(125));
            assert_eq!(
                refused.err(),
                "chroot-rs: a mount was asked for, and none can be made here\n\
            chroot-rs: hint: that takes CAP_SYS_ADMIN\n"
            );
        }
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
            chroot-rs: hint: a limit of processes is reached: ulimit -u, or pids.max of a control group\n"
            );
        }
    }
}

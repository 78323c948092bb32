//! Escapes that need root of the machine and no particular root directory: root of a user namespace cannot
//! use them.

use tests::{End, Run, Scratch, tools};

use crate::jail::{Isolation, Jail};

/// A device node created inside: the kernel's log, which every kernel has.
const NODE: &str =
    "rm -f /tmp/log; mknod /tmp/log c 1 11 && head -c 1 /tmp/log >/dev/null && cat /tmp/secret";

/// The mount namespaces of the machine: since Linux 6.12.
const NAMESPACES: &str = "escape namespaces $SECRET";

fn by_handle(jail: &Jail) -> String {
    format!("escape handle - {}", tests::file_handle::of(&jail.secret))
}

/// A jail whose owner may read a device node created in it.
fn jail() -> Jail {
    let jail = Jail::new();
    std::fs::copy(&jail.secret, jail.root.path("tmp/secret")).unwrap();
    jail
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn root_of_the_machine_with_every_right_gets_out_by_what_is_no_matter_of_directories() {
        let jail = jail();
        let since_6_12 = jail.escapes(Isolation::Chroot, NAMESPACES);
        for isolation in [Isolation::Chroot, Isolation::Default, Isolation::Chain] {
            let privileged = ["--privileged"];
            let options = if isolation == Isolation::Chroot { &[][..] } else { &privileged };
            let escapes = |trick: &str| jail.escapes_with(isolation, options, trick);
            for trick in [NODE, &by_handle(&jail)] {
                assert!(escapes(trick), "{isolation:?} {trick}");
            }
            assert_eq!(escapes(NAMESPACES), since_6_12, "{isolation:?}");
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn by_default_root_of_the_machine_is_held() {
        let jail = jail();
        for isolation in [Isolation::Default, Isolation::Chain] {
            for trick in [NODE, NAMESPACES, &by_handle(&jail)] {
                assert!(!jail.escapes_with(isolation, &[], trick), "{isolation:?} {trick}");
            }
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn a_copy_in_memory_is_made_only_where_this_program_is_process_1() {
        let (jail, kept) = (Jail::new(), Scratch::new());
        let kept = kept.path("changes").into_os_string().into_string().unwrap();
        let begins_again = |run: Run, options: &[&str]| {
            let run = run.arg(tools().chroot()).args(["--cap-add", "SYS_PTRACE", "--dry-run"]).args(options);
            let plan = run.arg(jail.root.path("")).arg("/bin/true").end().ended(End::Exit(0)).err();
            assert!(plan.contains("become \"/bin/true\""), "{plan}");
            plan.contains("begin again as a copy in memory")
        };
        let outside = || Run::new("env");
        assert!(begins_again(outside(), &[]));
        // a dynamic program makes one for its libraries
        if cfg!(not(target_feature = "crt-static")) {
            return;
        }
        assert!(!begins_again(outside(), &["--share-pid"]));
        assert!(!begins_again(outside(), &["--no-init"]));
        let as_process_1 = || Run::new("unshare").args(["--pid", "--fork", "--mount-proc"]);
        assert!(!begins_again(as_process_1(), &[]));
        assert!(begins_again(as_process_1(), &["--changes", &kept]));
        // what unshare-rs leaves to chroot-rs becomes process 1 in any case
        let after = || Run::new("env").arg("CHAIN_PROCESS_1=reaper");
        assert!(begins_again(after(), &["--share-pid"]));
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn a_user_namespace_holds_root_too() {
        let jail = jail();
        for trick in [NODE, NAMESPACES, &by_handle(&jail)] {
            assert!(!jail.escapes(Isolation::User, trick), "{trick}");
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn an_ordinary_user_is_held() {
        let jail = jail();
        for isolation in [Isolation::Default, Isolation::Chain, Isolation::User] {
            for trick in [NODE, NAMESPACES, &by_handle(&jail)] {
                assert!(!jail.escapes(isolation, trick), "{isolation:?} {trick}");
            }
        }
    }
}

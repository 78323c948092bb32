//! Escapes that need root of the machine and no particular root directory: root of a user namespace cannot
//! use them.

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

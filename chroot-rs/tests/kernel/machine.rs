// SPDX-License-Identifier: MIT OR Apache-2.0
//! What root of the machine can do whatever its root directory is, and root of a user namespace cannot.

use crate::house::{House, Lock};

/// A device node of the machine's, made inside: the kernel's log, which is in every kernel.
const NODE: &str =
    "rm -f /tmp/log; mknod /tmp/log c 1 11 && head -c 1 /tmp/log >/dev/null && cat /tmp/secret";

/// The machine's mount namespaces: since Linux 6.12.
const NAMESPACES: &str = "escape namespaces $SECRET";

fn by_handle(house: &House) -> String {
    format!("escape handle - {}", tests::handle::of(&house.secret))
}

/// A house whose owner may read a device node that is made in it.
fn house() -> House {
    let house = House::new();
    std::fs::copy(&house.secret, house.root.path("tmp/secret")).unwrap();
    house
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn root_of_the_machine_gets_out_by_what_is_no_matter_of_directories() {
        let house = house();
        for lock in [Lock::Chroot, Lock::Default, Lock::Chain] {
            for trick in [NODE, &by_handle(&house)] {
                assert!(house.gets_out(lock, trick), "{lock:?} {trick}");
            }
            let since_6_12 = house.gets_out(Lock::Chroot, NAMESPACES);
            assert_eq!(house.gets_out(lock, NAMESPACES), since_6_12, "{lock:?}");
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn a_user_namespace_holds_root_too() {
        let house = house();
        for trick in [NODE, NAMESPACES, &by_handle(&house)] {
            assert!(!house.gets_out(Lock::User, trick), "{trick}");
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn an_ordinary_user_is_held() {
        let house = house();
        for lock in [Lock::Default, Lock::Chain, Lock::User] {
            for trick in [NODE, NAMESPACES, &by_handle(&house)] {
                assert!(!house.gets_out(lock, trick), "{lock:?} {trick}");
            }
        }
    }
}

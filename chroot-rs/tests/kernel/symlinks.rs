//! A root whose owner placed symlinks where the tool mounts or reads something.

use std::fs;
use std::os::unix::fs::symlink;

use tests::End;

use crate::jail::{Isolation, Jail, mount_table};

/// Possible targets of a link: the machine's own directory, by name and by `..`.
const OUTSIDE: [&str; 2] = ["/", "../../../../../../../../../"];

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_link_in_place_of_a_mount_point_is_left_out_aloud() {
        for name in ["proc", "sys", "dev"] {
            for outside in OUTSIDE {
                let mounts = mount_table();
                let jail = Jail::new();
                fs::remove_dir(jail.root.path(name)).unwrap();
                symlink(format!("{outside}{name}"), jail.root.path(name)).unwrap();
                let ended = jail.run(Isolation::Default, &[], "echo inside").end().ended(End::Exit(0));
                assert_eq!(ended.out(), "inside\n");
                let said = format!("chroot-rs: skipped /{name}: it is a symbolic link in the new root\n");
                assert_eq!(ended.err(), said);
                assert_eq!(mount_table(), mounts);
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_lies_below_dev_is_covered_and_never_followed() {
        for outside in OUTSIDE {
            let mounts = mount_table();
            let jail = Jail::new();
            for name in ["pts", "shm", "mqueue", "null"] {
                symlink(format!("{outside}dev/{name}"), jail.root.path("dev").join(name)).unwrap();
            }
            let script = "test ! -L /dev/pts && test -c /dev/null && ls /dev/pts";
            assert_eq!(jail.run(Isolation::Default, &[], script).end().ok(), "ptmx\n");
            assert_eq!(mount_table(), mounts);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_passwd_that_points_outside_names_no_shell() {
        for outside in OUTSIDE {
            let jail = Jail::new();
            let passwd = jail.root.path("etc/passwd");
            fs::remove_file(&passwd).unwrap();
            symlink(format!("{outside}{}", jail.secret.display()), &passwd).unwrap();
            // resolved as a process inside would resolve it: to nothing
            let ended = jail.run(Isolation::Default, &[], "cat /etc/passwd").end();
            assert_eq!(ended.end, End::Exit(1), "{}", ended.out());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn an_etc_that_points_outside_names_no_user_of_the_machine() {
        for outside in OUTSIDE {
            let jail = Jail::new();
            fs::remove_dir_all(jail.root.path("etc")).unwrap();
            symlink(format!("{outside}etc"), jail.root.path("etc")).unwrap();
            let options = ["--userspec=daemon"];
            let ended = jail.run(Isolation::Default, &options, "id").end().ended(End::Exit(125));
            assert!(ended.err().starts_with("chroot-rs: invalid user: \"daemon\"\n"), "{}", ended.err());
        }
    }
}

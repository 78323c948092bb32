//! Namespaces kept in files, and none kept if a later step fails.

use super::harness::script;

mod as_root {
    use super::*;

    /// A script in a new directory, `$d`, in a private mount namespace.
    fn in_private(text: &str) -> String {
        script(&format!(
            "d=$(mktemp -d); $T -m sh -c 'd='$d' T='$T'; mount -t tmpfs none $d; mount --make-private $d; cd $d
                {text}' 2>&1; rmdir $d"
        ))
        .ok()
    }

    #[test]
    #[ignore = "needs root"]
    fn a_file_that_was_made_goes_again_when_a_later_step_fails() {
        let said = in_private(
            "for o in --uts=made --pid=made \"--uts=one --net=made --ipc=three\"; do
                $T $o -R /no/such/root true; echo $?; ls; done; grep -c nsfs /proc/self/mountinfo",
        );
        let refused = "unshare-rs: cannot change the root directory: \
            chroot(\"/no/such/root\"): No such file or directory (ENOENT)\n125\n";
        assert_eq!(said, format!("{}0\n", refused.repeat(3)));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_file_that_was_there_stays_and_is_let_go_when_a_later_step_fails() {
        let said = in_private(
            "echo mine >u; echo mine >p; $T --uts=u --pid=p -R /no/such/root true; cat u p
                grep -c nsfs /proc/self/mountinfo",
        );
        assert!(said.ends_with("(ENOENT)\nmine\nmine\n0\n"), "{said}");
    }

    #[test]
    #[ignore = "needs root"]
    fn a_file_that_cannot_be_bound_goes_again() {
        // a mount namespace cannot be kept on a shared mount, and the one that was kept before it is released
        let said = in_private("mount --make-shared $d; $T --uts=u --mount=m true; echo $?; ls");
        assert!(said.contains("hint: ") && said.ends_with("\n125\n"), "{said}");
    }

    #[test]
    #[ignore = "needs root"]
    fn nothing_is_kept_for_a_command_that_cannot_start() {
        let said = in_private(
            "for o in --net=made --pid=made \"--uts=one --net=made --fork\"; do
                $T $o /nosuch; echo $?; $T $o /etc >/dev/null 2>&1; echo $?; ls; done
                grep -c nsfs /proc/self/mountinfo",
        );
        let refused = "unshare-rs: command not found: \"/nosuch\"\n127\n126\n";
        assert_eq!(said, format!("{}0\n", refused.repeat(3)));
    }

    #[test]
    #[ignore = "needs root"]
    fn the_command_has_no_child_that_it_did_not_start() {
        let said = in_private("$T --net=n cat /proc/thread-self/children; ls");
        assert_eq!(said, "n\n");
    }

    #[test]
    #[ignore = "needs root"]
    fn what_is_taken_back_is_told() {
        let said = in_private("$T --explain --uts=u -w /no/such/directory true 2>&1 | tail -n 2");
        assert_eq!(
            said,
            "unshare-rs: release the UTS namespace: umount2(\"u\", MNT_DETACH)  # umount2(2)\n\
             unshare-rs: remove its file: unlinkat(AT_FDCWD, \"u\", 0)  # unlinkat(2)\n"
        );
    }
}

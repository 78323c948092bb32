//! The devices that a command can use: files in version 1, a BPF program in version 2.

use super::*;

/// Whether a script that redirects to a device succeeds.
fn opens(options: &[&str], redirection: &str) -> bool {
    let ended = shell(options, &format!("true {redirection} && echo opened"));
    assert!(ended.err().is_empty() || ended.err().contains("not permitted"), "{}", ended.err());
    ended.out() == "opened\n"
}

fn rules_hold() {
    // every machine has the kernel's log, and no container's /dev has it
    assert!(opens(&[], "</dev/kmsg"));
    let fuse = ["--device", "c 10:229 rwm"];
    assert!(opens(&fuse, "</dev/null >/dev/null"));
    assert!(!opens(&fuse, "</dev/kmsg"));
    let read = ["--device", "c 10:229 rwm", "--device", "/dev/kmsg:r"];
    assert!(opens(&read, "</dev/kmsg"));
    assert!(!opens(&read, ">/dev/kmsg"));
    assert!(opens(&["--device", "a *:* rwm"], "</dev/kmsg >/dev/null"));
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn only_the_usual_devices_and_those_of_the_rules_can_be_used() {
        rules_hold();
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs the VM"]
    fn in_version_2_a_program_says_which_devices_can_be_used() {
        tests::vm::only_here();
        rules_hold();
    }
}

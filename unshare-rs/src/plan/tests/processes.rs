//! The reaper, the command and the parent.

use super::*;

#[test]
fn a_reaper_is_process_one_of_a_container_and_elsewhere_by_option() {
    let with_reaper = ["unshare(CLONE_NEWPID)", "fork()", REAPER, "fork()"];
    let alone = ["unshare(CLONE_NEWPID)", "fork()"];
    assert_eq!(lines(&["-p", "--init"], Privilege::Admin), with_reaper);
    assert_eq!(lines(&["-p"], Privilege::Admin), alone);
    assert!(setup(&["-u", "--init"], Privilege::Admin).is_err());
    let has_reaper = |args: &[&str]| lines(args, Privilege::Admin).contains(&REAPER.to_string());
    assert!(has_reaper(&[]) && has_reaper(&["--init"]) && has_reaper(&["--kill-child"]));
    assert!(!has_reaper(&["--no-init"]));
}

#[test]
fn a_command_that_outlives_its_parent_has_no_reaper_which_does_not() {
    for option in ["--no-kill-child", "--kill-child=TERM"] {
        assert!(!lines(&[option], Privilege::Admin).contains(&REAPER.to_string()));
        assert!(setup(&[option, "--init"], Privilege::Admin).is_err());
    }
}

#[test]
fn the_signal_of_the_parents_death_is_chosen_in_the_child() {
    assert_eq!(
        lines(&["-u", "--kill-child=TERM"], Privilege::Admin)[1..],
        ["fork()", "prctl(PR_SET_PDEATHSIG, SIGTERM)"]
    );
    assert_eq!(lines(&["-u", "--kill-child"], Privilege::Admin)[1..], ["fork()"]);
    assert_eq!(lines(&["-p", "--no-kill-child"], Privilege::Admin)[2], "prctl(PR_SET_PDEATHSIG, 0)");
    assert_eq!(lines(&["-u", "--no-kill-child"], Privilege::Admin), ["unshare(CLONE_NEWUTS)"]);
}

//! Tests that need no control group.

use super::*;

#[test]
fn what_contradicts_itself_is_refused_before_anything_happens() {
    for (options, wrong) in [
        (vec!["--memory-swap", "1M"], "the following required arguments were not provided: --memory <BYTES>"),
        (
            vec!["-m", "2M", "--memory-swap", "1M"],
            "--memory-swap is memory and swap together, so it cannot be less than --memory",
        ),
        (vec!["--exec", "--keep"], "the argument '--exec' cannot be used with '--keep'"),
        (vec!["-g", ":x", "-m", "1M"], "-g joins a group as it is; limits need a new group"),
        (
            vec!["--manager", "none", "-m", "1M"],
            "'--manager none' creates no group, and limits, reports and names need one",
        ),
        (
            vec!["--report-file", "/nowhere/x"],
            "cannot write the report to /nowhere/x: its directory does not exist",
        ),
        (vec!["--set", "x.y=1"], "cannot limit: no mounted hierarchy has the controller x"),
    ] {
        let ended = shell(&options, "echo ran").ended(End::Exit(125));
        assert!(ended.err().starts_with(&format!("cgexec-rs: {wrong}")), "{}", ended.err());
        assert_eq!(ended.out(), "");
    }
}

#[test]
fn what_cgexec_users_type_is_accepted() {
    assert_eq!(
        shell(&["-b", "--sticky", "--manager", "none"], "echo ran").ended(End::Exit(0)).out(),
        "ran\n"
    );
}

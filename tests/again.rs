//! `tests/again`, which runs failed tests of a program once more.

use tests::run::{End, Ended, Run};
use tests::scratch::{Scratch, write_script};

/// `tests/again` with a program that prints as libtest does. `runs` has the failed tests and the status of each run, in order.
fn again(runs: &[(&[&str], i32)]) -> Ended {
    let scratch = Scratch::new();
    let (again, program) = (scratch.path("again"), scratch.path("program"));
    write_script(&again, include_str!("again"));
    let mut script = String::from("echo x >>$0-runs; echo \"arguments: $*\"\ncase $(wc -l <$0-runs) in\n");
    for (number, (failed, status)) in (1..).zip(runs) {
        let listed: String = failed.iter().map(|name| format!("    {name}\n")).collect();
        let output =
            format!("\nfailures:\n\n---- a ----\n    text\n\nfailures:\n{listed}\ntest result: here\n");
        script += &format!("{number}) printf %s '{output}'; exit {status};;\n");
    }
    write_script(&program, &(script + "esac\n"));
    Run::new(again).arg(program).args(["--ignored", "as_root::"]).env("TMPDIR", scratch.path("")).end()
}

/// How often the program ran.
fn times(ended: &Ended) -> usize {
    ended.out().matches("arguments: ").count()
}

#[test]
fn a_test_that_passes_alone_is_flaky() {
    let ended = again(&[(&["a::b", "c"], 101), (&[], 0)]);
    assert_eq!(ended.end, End::Exit(0));
    let out = ended.out();
    assert!(out.contains("\narguments: --exact a::b c --include-ignored --test-threads=1\n"), "{out}");
    assert!(out.ends_with("flaky: program a::b\nflaky: program c\n"), "{out}");
    assert_eq!(out.matches("\ntest result").count(), 1, "{out}");
}

#[test]
fn a_test_that_fails_again_is_a_failure() {
    let ended = again(&[(&["a::b", "c"], 101), (&["c"], 101)]);
    assert_eq!((ended.end, times(&ended)), (End::Exit(101), 2));
    assert!(!ended.out().contains("flaky"), "{}", ended.out());
}

#[test]
fn more_than_three_failures_are_not_flaky() {
    let ended = again(&[(&["a", "b", "c", "d"], 101)]);
    assert_eq!((ended.end, times(&ended)), (End::Exit(101), 1));
}

#[test]
fn any_other_end_is_kept() {
    let of = |failed: &[&str], status| {
        let ended = again(&[(failed, status)]);
        (ended.end, times(&ended))
    };
    assert_eq!(of(&[], 0), (End::Exit(0), 1));
    // usage, an abort, and failures without a list of them
    assert_eq!(of(&["a"], 1), (End::Exit(1), 1));
    assert_eq!(of(&["a"], 134), (End::Exit(134), 1));
    assert_eq!(of(&[], 101), (End::Exit(101), 1));
}

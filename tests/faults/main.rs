//! Each single call of each plan refused: one line says which, nothing stays behind.

use tests::{Link, Scratch, Snapshot, Trace};

use errnos::errnos;
use fault::{COMMAND, faults};
use outcome::{judge, without_places};

mod errnos;
mod fault;
mod fetch;
mod outcome;
mod table;

/// Makes each call of each plan fail with each errno that is `chosen`; the table of what followed.
#[track_caller]
fn refuse(chosen: impl Fn(&str) -> bool) -> table::Table {
    let before = Snapshot::take();
    let root = Scratch::busybox_root();
    let mut table = table::Table::default();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for plan in Link::plans(&root) {
        // the first run also takes away what a killed one had to leave, and says what is left out
        // traced as well, because that keeps newuidmap from its rights
        let quiet = Trace::new().run(plan.words(COMMAND)).ended.err();
        let before_plan = count;
        for fault in faults(&plan) {
            for errno in errnos(&fault.call.name).filter(|errno| chosen(errno)) {
                count += 1;
                let shown = format!("{} number {} {errno}: {}", plan.name, fault.nth, fault.call.text());
                let ended = fault.run(&plan, errno);
                if let Some(left) = before.left() {
                    panic!("{shown}\n  left behind: {left}");
                }
                match judge(&fault, errno, &ended, &quiet) {
                    Ok(outcome) => {
                        let said = without_places(&outcome.said, &root.path(""));
                        table.add(plan.name, &fault.call.name, errno, &outcome.status, &said);
                    }
                    Err(why) => wrong.push(format!("{shown}\n  {why}")),
                }
            }
        }
        // seen with --nocapture: what a green result is worth
        println!("{}: {} calls refused", plan.name, count - before_plan);
    }
    assert!(count > 20, "only {count} calls to refuse");
    assert!(wrong.is_empty(), "refused:\n{}", wrong.join("\n"));
    table
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn each_call_that_is_refused_is_named_once_and_leaves_nothing() {
        refuse(|errno| errno == "EPERM");
    }
}

mod on_host {
    use super::*;

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn each_call_fails_with_each_errno_of_its_page_as_the_table_says() {
        refuse(|_| true).check(table::world());
    }

    #[test]
    #[ignore = "needs strace"]
    fn rootfs_fetch_says_each_call_that_fails_and_leaves_no_directory() {
        let mut table = table::Table::default();
        let wrong = fetch::Fetch::new().refuse(&mut table);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        table.check(format!("{}, rootfs-fetch", table::caller()));
    }
}

//! Refuses each call of each plan once: one line names it, and nothing stays behind.

use std::fs;

use tests::{End, Link, Scratch, Snapshot, Trace};

use errnos::errnos;
use fault::{COMMAND, faults};
use outcome::{judge, without_places};

mod errnos;
mod fault;
mod fetch;
mod outcome;
mod table;

/// Makes each call of each plan fail with each errno that is `chosen`. Returns the table of results.
#[track_caller]
fn refuse(chosen: impl Fn(&str) -> bool) -> table::Table {
    let before = Snapshot::take();
    let root = Scratch::busybox_root();
    let mut table = table::Table::default();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for plan in Link::plans(&root) {
        // the first run also removes what a killed run left, and prints what it skips; it is traced as well,
        // because tracing takes newuidmap's rights
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
        // printed with --nocapture: shows how much was tested
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

    #[test]
    #[ignore = "needs strace, busybox-static and namespaces"]
    fn a_file_with_the_hostname_that_cannot_be_made_is_named() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        fs::write(root.path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let chain = Link::unshare().then(Link::chroot(&root), "unshare, chroot");
        for (name, nth, said) in [
            ("fchmod", 1, "cannot write a hosts file that has the hostname: openat(AT_FDCWD, \"hosts\", "),
            ("open_tree", 2, "cannot create a mount of it: open_tree(AT_FDCWD, \"hosts\", "),
            ("unlinkat", 1, "cannot remove its name there: unlinkat(AT_FDCWD, \"hosts\", 0)"),
        ] {
            let ended = Trace::new().fail(name, nth).run(chain.words(COMMAND)).ended;
            let err = ended.err();
            assert_eq!((ended.end, ended.out().as_str()), (End::Exit(125), ""), "{name}: {err}");
            assert!(err.contains(&format!("chroot-rs: {said}")) && err.ends_with(" (EPERM)\n"), "{err}");
        }
        assert_eq!(before.left(), None);
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

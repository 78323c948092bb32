//! The number of system calls of a start. `tests/benches/start` measures times; this test asserts the part
//! that does not depend on the machine: it notices an additional call.

use std::ffi::OsString;

use tests::accounts::unused_id;
use tests::snapshot::turn;
use tests::{Link, Scratch, Trace};

/// The system calls of a link and all its processes, from its start to that of the command.
fn calls_before_the_command(link: &Link) -> usize {
    let words: Vec<OsString> = ["env", "-i", "PATH=/bin"]
        .map(OsString::from)
        .into_iter()
        .chain(link.words(["/bin/busybox", "true"]))
        .collect();
    let calls = Trace::new().run(words).calls;
    let started = |program: &str| {
        let of = |args: &str| args.split(", ").nth(1).is_some_and(|argv| argv.contains(program));
        calls.iter().position(|call| call.name == "execve" && call.worked() && of(&call.args))
    };
    let begin = started("-rs\"").expect("the tool in the log");
    let end = started("/bin/busybox\"").expect("the command in the log");
    end - begin
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root, strace and busybox-static"]
    fn no_link_makes_more_system_calls_than_it_needs() {
        let _turn = turn();
        let root = Scratch::busybox_root();
        // the most that was counted in 30 runs of a debug build; a release makes about a tenth less. What the waiting
        // parent does before the command starts varies by 3. Of chroot-rs' calls 28 take a capability each from the
        // bounding set, which process 1 inherits, and about as many are its masks; in a container, 13 read NEWROOT's hosts file
        let budgets = [
            ("unshare", 76),
            ("cgexec", 68),
            ("chroot", 256),
            ("unshare, cgexec, chroot", 378),
            ("cgexec, unshare, chroot", 373),
        ];
        let counted: Vec<_> =
            Link::all(&root).iter().map(|link| (link.name, calls_before_the_command(link))).collect();
        // printed with --nocapture
        println!("{counted:?}");
        for ((name, calls), (budgeted, budget)) in counted.into_iter().zip(budgets) {
            assert_eq!(name, budgeted);
            assert!(calls <= budget, "{name} makes {calls} system calls, and {budget} would do");
            assert!(calls > budget / 3, "{name} makes {calls} system calls: not all were seen");
        }
    }

    #[test]
    #[ignore = "needs root and strace"]
    fn no_more_of_a_long_table_of_mounts_is_read_than_it_takes() {
        let _turn = turn();
        let scratch = Scratch::new();
        let many = "cd \"$1\" && mount -t tmpfs none . && mkdir a && mount -t tmpfs none a &&
            for i in $(seq 40); do mkdir a/$i c$i && mount --bind a/$i a/$i || exit; done
            for i in $(seq 25); do mount --rbind a c$i || exit; done
            shift; exec \"$@\"";
        let words =
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", many, "sh"].map(OsString::from);
        let words = words.into_iter().chain([scratch.path(".").into()]).chain(Link::cgexec().words(["true"]));
        let traced = Trace::new().only("execve,read").run(words);
        assert_eq!(traced.ended.end, tests::End::Exit(0), "{}", traced.ended.err());
        let is_start =
            |args: &str| args.split(", ").next().is_some_and(|program| program.ends_with("/cgexec-rs\""));
        let start = traced.calls.iter().position(|call| call.name == "execve" && is_start(&call.args));
        let reads =
            traced.calls.iter().skip(start.expect("cgexec-rs in the log")).filter(|call| call.name == "read");
        // a reader that takes them line by line makes more than 20 calls
        assert!((1..12).contains(&reads.clone().count()), "{}", reads.count());
    }

    #[test]
    #[ignore = "needs root, strace and setpriv"]
    fn a_user_without_a_name_is_asked_for_once() {
        let _turn = turn();
        let id = unused_id();
        let setpriv = ["setpriv", &format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups"];
        let words = setpriv.map(OsString::from).into_iter().chain(Link::unshare().words(["true"]));
        let traced = Trace::new().only("execve").run(words);
        let asked =
            traced.calls.iter().filter(|call| call.worked() && call.args.contains("\"getent\"")).count();
        assert_eq!(asked, 1, "{}", traced.ended.err());
    }
}

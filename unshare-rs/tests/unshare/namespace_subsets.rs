//! Every subset of the eight kinds of namespaces: exactly the requested ones are new.

use super::harness::{Ran, run, unshare};

/// Each kind's short option and its file in /proc/PID/ns.
const KINDS: [(char, &str); 8] = [
    ('m', "mnt"),
    ('u', "uts"),
    ('i', "ipc"),
    ('n', "net"),
    ('p', "pid"),
    ('U', "user"),
    ('C', "cgroup"),
    ('T', "time"),
];

fn files() -> Vec<String> {
    KINDS.iter().map(|(_, file)| format!("/proc/self/ns/{file}")).collect()
}

fn all_subsets() -> impl Iterator<Item = Vec<(char, &'static str)>> {
    (1..256u32).map(|subset| {
        let bits = KINDS.iter().enumerate().filter(move |(bit, _)| subset & (1 << bit) != 0);
        bits.map(|(_, kind)| *kind).collect()
    })
}

/// The namespaces that a command under unshare-rs does not share with this process.
fn enter(subset: &[(char, &str)]) -> Ran {
    let options: String = subset.iter().map(|(short, _)| short).collect();
    let files = files();
    let mut args = vec![format!("-{options}"), "--".into(), "readlink".into()];
    args.extend(files);
    unshare(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn new_ones(before: &str, after: &str) -> Vec<&'static str> {
    let pairs = KINDS.iter().zip(before.lines().zip(after.lines()));
    pairs.filter(|(_, (before, after))| before != after).map(|((_, file), _)| *file).collect()
}

fn ours() -> String {
    let files = files();
    run("readlink", &files.iter().map(String::as_str).collect::<Vec<_>>()).ok()
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn each_subset_of_kinds_is_entered_and_no_other_kind() {
        let ours = ours();
        for subset in all_subsets() {
            let asked: Vec<&str> = subset.iter().map(|(_, file)| *file).collect();
            assert_eq!(new_ones(&ours, &enter(&subset).ok()), asked);
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn each_subset_with_a_user_namespace_is_entered_and_every_other_is_refused_with_the_reason() {
        let ours = ours();
        for subset in all_subsets() {
            let asked: Vec<&str> = subset.iter().map(|(_, file)| *file).collect();
            let ran = enter(&subset);
            if asked.contains(&"user") {
                // lo needs a right that no map gives, but the new namespace has it until execve(2)
                assert_eq!(new_ones(&ours, &ran.ok()), asked);
            } else {
                assert_eq!((ran.status, ran.out.as_str()), (125, ""), "{asked:?}");
                let lines: Vec<&str> = ran.err.lines().collect();
                assert!(lines[0].ends_with(": Operation not permitted (EPERM)"), "{lines:?}");
                assert_eq!(
                    lines[1..],
                    [
                        "unshare-rs: hint: an ordinary user can do this only in a new user namespace: add --map-root-user (-r)"
                    ]
                );
            }
        }
    }
}

//! The same command lines given to util-linux' unshare(1) and to unshare-rs.
//!
//! Both must end the same way and print the same on standard output. Intended differences are in `DIFFERENT`,
//! each with its reason.

use std::ffi::OsStr;

use super::harness::{run, script, tool};

/// Command lines that behave the same, for root and for an ordinary user.
const SAME: &[&[&str]] = &[
    &["-Ur", "id", "-u"],
    &["-Ur", "cat", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups"],
    &["-Uc", "cat", "/proc/self/uid_map", "/proc/self/gid_map"],
    &["-U", "id", "-u"],
    &["--map-user=5", "id", "-u"],
    &["--map-user", "5", "--map-group=6", "cat", "/proc/self/uid_map", "/proc/self/gid_map"],
    &["--map-root-user", "--uts", "true"],
    &["--map-root", "true"],
    &["-Urmpf", "--mount-proc", "readlink", "/proc/self"],
    &["-rmf", "sh", "-c", "exit 3"],
    &["-rf", "sh", "-c", "kill -TERM $$"],
    &["-c", "--keep-caps", "grep", "CapAmb", "/proc/self/status"],
    &["-c", "grep", "CapEff", "/proc/self/status"],
    &["-rT", "--monotonic", "1000", "--boottime=2000", "cat", "/proc/self/timens_offsets"],
    &["-rm", "--propagation", "slave", "grep", "-c", "shared:", "/proc/self/mountinfo"],
    &["-rm", "grep", "-c", "shared:", "/proc/self/mountinfo"],
    &["-r", "-w", "/proc", "pwd"],
    &["-r", "-R", "/usr", "-w", "/bin", "/bin/pwd"],
    &["-U", "--setgroups", "deny", "cat", "/proc/self/setgroups"],
    &["-r", "-S", "0", "id", "-u"],
    &["-r", "--kill-child=TERM", "true"],
    &["-r", "no-such-command"],
    &["-r", "/"],
    &["-r", "env", "-i"],
];

/// Command lines that behave differently: ours, util-linux', each as `STATUS OUTPUT`, and the reason.
const DIFFERENT: &[(&[&str], &str, &str, &str)] = &[
    (&["--no-such-option"], "125 ", "1 ", "125 tells our failure from the command's"),
    (&["--monotonic", "1", "-r", "true"], "0 ", "1 ", "an offset implies the namespace it is for"),
    (&["-rp", "sh", "-c", "/bin/true; /bin/true; echo $$"], "0 1", "2 ", "-p always forks"),
    (&["-rf", "sh", "-c", "kill -KILL $$"], "137 ", "1 ", "2.38 fails to end by SIGKILL: util-linux#2614"),
    (
        &["-rn", "cat", "/sys/class/net/lo/operstate"],
        "0 ",
        "0 ",
        "lo is brought up, which /sys of the outside hides",
    ),
    (&["-S", "root", "-r", "true"], "0 ", "1 ", "users have names"),
];

fn told(program: impl AsRef<OsStr>, args: &[&str]) -> String {
    let ran = run(program, args);
    format!("{} {}", ran.status, ran.out)
}

fn compare() {
    let ours = tool();
    for args in SAME {
        assert_eq!(told(&ours, args), told("unshare", args), "{args:?}");
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn both_do_the_same() {
        compare();
    }

    #[test]
    #[ignore = "needs root"]
    fn both_map_ranges_the_same_as_root() {
        for args in [
            "--map-users=0,100000,10 --map-groups=0,100000,10 cat /proc/self/setgroups",
            "-r --map-users=100000,0,10 cat /proc/self/uid_map",
        ] {
            let args: Vec<&str> = args.split(' ').collect();
            let ours = run(tool(), &args);
            // 2.38 uses newuidmap(1) for ranges even as root, who then needs a line in /etc/subuid
            assert_eq!((ours.status, ours.err.as_str()), (0, ""), "{args:?}");
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn both_do_the_same() {
        compare();
    }

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn both_map_the_first_range_of_subordinate_ids_and_ours_maps_the_others_too() {
        // util-linux before 2.39 has one id less: https://github.com/util-linux/util-linux/issues/4457
        for map in ["uid_map", "gid_map"] {
            let firsts = |program: &str| {
                script(&format!("{program} -r --map-auto awk '{{print $1, $2}}' /proc/self/{map} | sort -n"))
                    .ok()
            };
            let (ours, theirs) = (firsts("$T"), firsts("unshare"));
            assert!(ours.starts_with(&theirs), "{ours}{theirs}");
            let file = map.replace("id_map", "id");
            let ranges = script(&format!("grep -c \"^$(id -un):\" /etc/sub{file}")).ok();
            assert_eq!(
                ours.lines().count().to_string(),
                (ranges.trim().parse::<usize>().unwrap() + 1).to_string()
            );
        }
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs user namespaces and util-linux"]
    fn known_differences_are_those_and_have_a_reason() {
        let ours = tool();
        for (args, left, right, why) in DIFFERENT {
            let starts =
                |said: &str, wanted: &str| assert!(said.starts_with(wanted), "{args:?} ({why}): {said}");
            starts(&told(&ours, args), left);
            starts(&told("unshare", args), right);
        }
    }
}

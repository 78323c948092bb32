//! The hostname, as programs inside look it up.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tests::{End, Run, tools};

use crate::jail::{Isolation, Jail};
use crate::root_locations::has_overlay;

const OWN: &str = "127.0.0.1 localhost\n";
const CONTAINER: &str = "127.0.1.1 container\n";

fn jail(hosts: Option<&str>) -> Jail {
    let jail = Jail::new();
    let path = jail.root.path("etc/hosts");
    match hosts {
        Some(hosts) => fs::write(path, hosts).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    jail
}

/// /etc/hosts as a command in the chain sees it.
fn seen(jail: &Jail, options: &[&str]) -> String {
    jail.run(Isolation::Chain, options, "cat /etc/hosts").end().ended(End::Exit(0)).out()
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_hostname_of_a_container_resolves_and_the_root_stays_as_it_is() {
        let jail = jail(Some(OWN));
        let script = "hostname -i; cat /etc/hosts; grep -c container /proc/self/mountinfo; ls /dev/shm";
        let out = jail.run(Isolation::Chain, &[], script).end().ended(End::Exit(0)).out();
        assert_eq!(out, format!("127.0.1.1\n{OWN}{CONTAINER}0\n"));
        assert_eq!(fs::read_to_string(jail.root.path("etc/hosts")).unwrap(), OWN);
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn where_the_hostname_is_known_or_the_machines_nothing_is_mounted() {
        let known = "127.0.0.1 localhost Container # ours\n";
        assert_eq!(seen(&jail(Some(known)), &[]), known);
        let jail = jail(Some(OWN));
        assert_eq!(seen(&jail, &["--no-hosts"]), OWN);
        if system::namespace::NamespaceKind::UTS.is_initial() {
            assert_eq!(jail.run(Isolation::Default, &[], "cat /etc/hosts").end().ok(), OWN);
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_is_not_for_the_command_is_not_shown_in_it() {
        let jail = jail(None);
        // readable only by root
        fs::write(jail.root.path("etc/secret"), "hunter2\n").unwrap();
        fs::set_permissions(jail.root.path("etc/secret"), Permissions::from_mode(0o600)).unwrap();
        symlink("secret", jail.root.path("etc/hosts")).unwrap();
        let mounts = "grep -c container /proc/self/mountinfo; grep -c /etc/ /proc/self/mountinfo; true";
        assert_eq!(jail.run(Isolation::Chain, &[], mounts).end().ok(), "0\n0\n");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_change_is_kept_refused_or_forgotten_with_all_others() {
        let jail = jail(Some(OWN));
        let script = "echo 10.0.0.1 db >>/etc/hosts && tail -n 1 /etc/hosts";
        let refused = jail.run(Isolation::Chain, &[], script).end().ended(End::Exit(1));
        assert!(refused.err().contains("Read-only file system"), "{}", refused.err());
        if has_overlay() {
            let out = jail.run(Isolation::Chain, &["--ephemeral"], script).end().ok();
            assert_eq!(out, "10.0.0.1 db\n");
            assert_eq!(fs::read_to_string(jail.root.path("etc/hosts")).unwrap(), OWN);
        }
        assert_eq!(jail.run(Isolation::Chain, &["--no-hosts"], script).end().ok(), "10.0.0.1 db\n");
        assert_eq!(fs::read_to_string(jail.root.path("etc/hosts")).unwrap(), format!("{OWN}10.0.0.1 db\n"));
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_the_caller_shows_there_is_left_alone() {
        let jail = jail(Some(OWN));
        let theirs = jail.root.path("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("hosts"), "1.2.3.4 theirs\n").unwrap();
        let (file, dir) = (theirs.join("hosts"), theirs.as_path());
        for bind in
            [format!("--bind={}:/etc/hosts", file.display()), format!("--bind={}:/etc", dir.display())]
        {
            assert_eq!(seen(&jail, &[&bind]), "1.2.3.4 theirs\n", "{bind}");
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_missing_file_is_created_empty_to_mount_on() {
        let jail = jail(None);
        let all = format!("{OWN}::1 localhost\n{CONTAINER}");
        let hosts = jail.root.path("etc/hosts");
        let changes = format!("--changes={}", jail.root.path("changes").display());
        fs::create_dir(jail.root.path("changes")).unwrap();
        let none = "ls: /etc/hosts: No such file or directory\n";
        for option in ["--no-hosts", "--read-only", changes.as_str()] {
            if option == changes && !has_overlay() {
                continue;
            }
            let seen = jail.run(Isolation::Chain, &[option], "ls /etc/hosts 2>&1; true").end();
            assert_eq!(seen.out(), none, "{option}: {}", seen.err());
        }
        if has_overlay() {
            assert_eq!(seen(&jail, &["--ephemeral"]), all);
        }
        assert!(!hosts.exists());
        // the second run finds the file of the first, whatever the umask was
        let script = "umask 077; exec \"$1\" \"$2\" \"$3\" cat /etc/hosts";
        for _ in 0..2 {
            let run = Run::new("sh").args(["-c", script, "sh"]).args([tools().unshare(), tools().chroot()]);
            assert_eq!(run.arg(jail.root.path("")).end().ok(), all);
            let made = fs::metadata(&hosts).unwrap();
            assert_eq!((made.len(), made.permissions().mode() & 0o7777), (0, 0o644));
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn where_a_missing_file_cannot_be_created_the_command_runs_without_it() {
        let jail = jail(None);
        let root = jail.root.path("").display().to_string();
        // root may write to a directory of any mode
        let script = format!(
            "unshare-rs --user --map-root-user --mount -- sh -c 'mount --bind {root} {root} && \
             mount -o remount,ro,bind {root} && exec unshare-rs -- chroot-rs {root} busybox ls /etc/hosts'"
        );
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", tools().dir().display());
        let ended = Run::new("sh").args(["-c", &script]).env("PATH", path).end();
        assert_eq!(ended.err(), "ls: /etc/hosts: No such file or directory\n");
        assert!(!jail.root.path("etc/hosts").exists());
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_link_is_covered_and_what_it_leads_to_is_not() {
        let jail = jail(None);
        let hosts = jail.root.path("etc/hosts");
        symlink("/nowhere/hosts", &hosts).unwrap();
        assert!(seen(&jail, &[]).ends_with(CONTAINER));
        fs::remove_file(&hosts).unwrap();
        symlink("static", &hosts).unwrap();
        fs::write(jail.root.path("etc/static"), OWN).unwrap();
        let out = jail.run(Isolation::Chain, &[], "cat /etc/hosts /etc/static").end().ok();
        assert_eq!(out, format!("{OWN}{CONTAINER}{OWN}"));
        // a link that leads out is resolved inside
        fs::remove_file(&hosts).unwrap();
        symlink(&jail.secret, &hosts).unwrap();
        assert!(!seen(&jail, &[]).contains(crate::jail::SECRET));
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_umask_hides_it_from_nobody() {
        let jail = jail(Some(OWN));
        let script = "umask 077; exec \"$1\" \"$2\" \"$3\" stat -c '%a %u' /etc/hosts";
        let run = Run::new("sh").args(["-c", script, "sh"]).args([tools().unshare(), tools().chroot()]);
        assert_eq!(run.arg(jail.root.path("")).end().ok(), "644 0\n");
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_proc_of_outside_that_was_left_on_the_root_is_not_read() {
        let jail = jail(None);
        let root = jail.root.path("").display().to_string();
        let left = format!(
            "mount -t proc proc {root}/proc && ln -s /proc/$$/environ {root}/etc/hosts && \
             exec unshare-rs -- chroot-rs {root} busybox cat /etc/hosts"
        );
        let ended = Run::new("unshare")
            .args(["-m", "sh", "-c", left.as_str()])
            .env("SECRET", "hunter2")
            .env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", tools().dir().display()))
            .end();
        assert!(!ended.out().contains("hunter2"), "{}", ended.out());
    }
}

//! What a command inside has in common with one outside: its ids, its output, its isolation.

use std::fs;

use nix::unistd::geteuid;
use tests::accounts::unused_id;
use tests::{End, Run, Scratch, tools};

use crate::jail::{Isolation, Jail};
use crate::root_locations::has_overlay;

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn who_keeps_the_own_id_has_it_inside_and_no_capability() {
        let jail = Jail::new();
        let words = ["--map-current-user", "--"].map(Into::into).into_iter();
        let run = Run::new(tools().unshare()).args(words.chain([tools().chroot().into_os_string()]));
        let script = "id -u; grep -E 'CapEff|CapAmb' /proc/self/status";
        let out = run.arg(jail.root.path("")).args(["/bin/sh", "-c", script]).end().ended(End::Exit(0)).out();
        let (uid, sets) = out.split_once('\n').unwrap();
        assert_eq!(uid, geteuid().to_string());
        // root has its capabilities because of its id
        let ambient = "CapAmb:\t0000000000000000\n";
        let none = format!("CapEff:\t0000000000000000\n{ambient}");
        assert!(if geteuid().is_root() { sets.ends_with(ambient) } else { sets == none }, "{sets}");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn directories_that_are_made_for_a_mount_are_open_to_all_whatever_the_umask() {
        if !has_overlay() {
            return;
        }
        let (jail, shown) = (Jail::new(), Scratch::new());
        let bind = format!("--bind={}:/made/for/it", shown.path("").display());
        let script = "umask 077; exec \"$1\" --ephemeral \"$2\" \"$3\" stat -c %a /made /made/for";
        let run = Run::new("sh").args(["-c", script, "sh"]).arg(tools().chroot()).arg(bind);
        assert_eq!(run.arg(jail.root.path("")).end().ok(), "755\n755\n");
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn another_user_can_open_a_pipe_again_by_the_name_of_standard_output() {
        let jail = Jail::new();
        for isolation in [Isolation::Default, Isolation::Chain] {
            let script = "id -u; echo out >/dev/stdout; echo err >/dev/stderr";
            let ended = jail.run(isolation, &["--userspec=1000"], script).end().ended(End::Exit(0));
            assert_eq!((ended.out(), ended.err()), ("1000\nout\n".into(), "err\n".into()), "{isolation:?}");
        }
    }

    #[test]
    #[ignore = "needs root, setpriv and busybox-static"]
    fn what_systemd_mounts_below_proc_takes_no_isolation_from_a_user() {
        let (jail, id) = (Jail::new(), unused_id().to_string());
        let script = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 77
            exec setpriv --reuid=$1 --regid=$1 --clear-groups \"$2\" \"$3\" sh -c 'echo $$'";
        let run = Run::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
        let ended = run.arg(id).arg(tools().chroot()).arg(jail.root.path("")).end();
        // a kernel without binfmt_misc
        if ended.end != End::Exit(77) {
            assert_eq!((ended.out().as_str(), ended.err().as_str()), ("2\n", ""));
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids, and busybox-static"]
    fn files_of_subordinate_ids_are_noted_where_chroot_rs_alone_maps_one_id() {
        let jail = Jail::new();
        fs::write(jail.root.path("etc/shadow"), "").unwrap();
        let owner = |id: &str| {
            let run = Run::new(tools().unshare()).args(["--", "chown", id]);
            run.arg(jail.root.path("etc/shadow")).end().ok()
        };
        owner("5");
        let script = "stat -c %u /etc/shadow";
        let alone = jail.run(Isolation::Default, &[], script).end().ended(End::Exit(0));
        let chain = jail.run(Isolation::Chain, &[], script).end().ok();
        owner("0");
        let said = "chroot-rs: files of NEWROOT belong to your subordinate ids, which do not exist inside: \
            'unshare-rs --' before chroot-rs maps them\n";
        assert_eq!((alone.err().as_str(), chain.as_str()), (said, "5\n"));
    }
}

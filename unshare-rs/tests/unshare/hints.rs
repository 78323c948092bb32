//! Each hint, on a system that causes it. Kernel switches are in their own file.

use tests::accounts::unused_id;

use super::harness::{Ran, script, unshare};

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_limit_of_namespaces_is_no_full_disk() {
        script("$T -r sh -c 'echo 0 >/proc/sys/user/max_uts_namespaces; exec '$T' -u true'").refused(&[
            "unshare-rs: cannot enter a new UTS namespace: unshare(CLONE_NEWUTS): No space left on device (ENOSPC)",
            "unshare-rs: hint: the disk is not full: the namespace limit is reached: user.max_uts_namespaces is 0 (sysctl)",
        ]);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_masked_proc_is_named() {
        let ran = script("$T -rm sh -c 'mount -t tmpfs none /proc/fs; exec '$T' -Urpm --mount-proc true'");
        ran.refused(&[
            "unshare-rs: cannot mount a proc that shows the processes inside: mount(\"proc\", \"/proc\", \"proc\", \
             MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL): Operation not permitted (EPERM)",
            "unshare-rs: hint: /proc/fs is mounted over a part of /proc, so the kernel refuses a new one; if this is \
             a container, start it with --security-opt systempaths=unconfined (docker), unmask=ALL (podman), \
             procMount: Unmasked (Kubernetes) or --unmask (chroot-rs)",
        ]);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_clock_below_zero_is_refused_with_its_range() {
        let ran = unshare(&["-r", "--monotonic=-999999999", "true"]);
        assert_eq!(ran.status, 125);
        assert!(ran.err.contains("hint: a clock inside must be between 0"), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn contradictions_are_refused_before_anything_is_done() {
        unshare(&["-u", "--init", "true"]).refused(&[
            "unshare-rs: --init needs a new PID namespace, and there is none",
            "unshare-rs: hint: add --pid",
        ]);
        unshare(&["--map-users=0:1:5", "--map-users=4:9:1", "true"]).refused(&[
            "unshare-rs: id 4 inside is mapped twice",
            "unshare-rs: hint: ranges of user ids cannot overlap, inside or outside: user_namespaces(7)",
        ]);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn dockers_words_are_no_files() {
        unshare(&["-r", "--net=host", "true"]).refused(&[
            "unshare-rs: --net=host keeps a new network namespace in a file named host",
            "unshare-rs: hint: to share the machine's: --share net; for the file: --net=./host",
        ]);
        unshare(&["-r", "--net=none", "true"]).refused(&[
            "unshare-rs: --net=none keeps a new network namespace in a file named none",
            "unshare-rs: hint: to enter a new one without a file: --net; for the file: --net=./none",
        ]);
        unshare(&["-r", "--net=bridge", "true"]).refused(&[
            "unshare-rs: --net=bridge keeps a new network namespace in a file named bridge",
            "unshare-rs: hint: for a connected network: 'pasta --config-net -- unshare-rs --share net,user --'; \
             for the file: --net=./bridge",
        ]);
        assert!(!std::path::Path::new("bridge").exists());
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_value_that_became_the_command_is_told() {
        for (line, hint) in [
            (["-r", "--net", "host"], "docker's --net host is '--share net' here"),
            (
                ["-r", "-u", "1000"],
                "docker's -u is an option of chroot-rs here: 'chroot-rs --userspec USER[:GROUP] ubuntu-fs'",
            ),
            (["-r", "--kill-child", "TERM"], "join the value to its option: '--kill-child=TERM'"),
        ] {
            let ran = unshare(&line);
            let [.., command] = line;
            let said = format!("unshare-rs: command not found: \"{command}\"\nunshare-rs: hint: {hint}\n");
            assert_eq!((ran.status, ran.err), (127, said));
        }
        // after -- comes the command
        let ran = unshare(&["-r", "--net", "--", "host"]);
        assert!(ran.err.contains("it is not in any directory of PATH"), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn who_has_no_id_inside_learns_how_to_get_one() {
        script("$T --user -- $T --user true").refused(&[
            "unshare-rs: cannot enter a new user namespace: unshare(CLONE_NEWUSER): Operation not permitted (EPERM)",
            "unshare-rs: hint: your user or group has no id in this user namespace: \
             map it with unshare-rs --map-root-user, or change to a mapped id with --setuid 0 --setgid 0",
        ]);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_rule_for_setgroups_that_comes_too_late_says_where_it_is_made() {
        script("$T -r -- $T --setgroups deny true").refused(&[
            "unshare-rs: cannot deny setgroups(2) inside: write(</proc/self/setgroups>, \"deny\", 4): \
             Operation not permitted (EPERM)",
            "unshare-rs: hint: groups are mapped here already, so setgroups(2) can no longer be \
             allowed or denied: --user creates a namespace without a map",
        ]);
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn a_directory_keeps_no_namespace() {
        let ran =
            script("d=$(mktemp -d); cd $d; mkdir dir; $T -rm -- $T --uts=dir true; s=$?; rm -r $d; exit $s");
        assert!(
            ran.err.ends_with(
                "unshare-rs: hint: dir is a directory, but only a file can keep a namespace: dir/FILE\n"
            ),
            "{}",
            ran.err
        );
    }

    #[test]
    #[ignore = "needs user namespaces"]
    fn an_option_that_was_read_as_the_command_has_a_hint() {
        let ran = unshare(&["-r", "--", "--net", "true"]);
        let hint =
            "unshare-rs: hint: put options before the operands of this tool: this word was read as COMMAND";
        assert_eq!(
            (ran.status, ran.err),
            (127, format!("unshare-rs: command not found: \"--net\"\n{hint}\n"))
        );
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn a_range_of_other_peoples_ids_is_refused_with_the_file() {
        let ran = unshare(&["--map-users", "0:0:10", "true"]);
        assert_eq!(ran.status, 125);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(lines[0], "newuidmap: uid range [0-10) -> [0-10) not allowed");
        assert!(lines[1].ends_with(": Operation not permitted (EPERM)"), "{lines:?}");
        assert_eq!(
            lines[2],
            "unshare-rs: hint: it maps only your own id and those that /etc/subuid lists for you"
        );
    }

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn a_range_of_other_peoples_groups_is_refused_with_the_file() {
        let ran = unshare(&["--map-groups", "0:0:10", "true"]);
        assert_eq!(ran.status, 125);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(lines[0], "newgidmap: gid range [0-10) -> [0-10) not allowed");
        assert!(lines[2].contains("those that /etc/subgid lists for you"), "{lines:?}");
    }

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn a_file_for_a_namespace_takes_root() {
        assert!(!nix::unistd::geteuid().is_root(), "root's command would leave a mount on this machine");
        for options in ["", "-r"] {
            let ran =
                script(&format!("f=$(mktemp); $T {options} --uts=$f true; s=$?; cat $f; rm $f; exit $s"));
            assert_eq!(ran.status, 125);
            let said = "unshare-rs: only root can keep the UTS namespace in a file, which is mounted outside\n\
                unshare-rs: hint: run it as root, or without the file: --uts\n";
            assert_eq!(ran.err, said);
        }
    }

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn without_new_rights_one_id_is_left_and_a_line_says_so() {
        let ran = script("setpriv --no-new-privs $T id -u");
        assert_eq!((ran.status, ran.out.as_str()), (0, "0\n"));
        assert!(ran.err.ends_with("gains no rights here: no_new_privs is set\n"), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1);
    }
}

mod as_root {
    use super::*;

    /// A script in a private mount namespace, in which `alone` runs a command as a user without an account.
    fn as_user_without_name(text: &str) -> Ran {
        script(&format!(
            "d=$(mktemp -d); chmod 755 $d; cp $T $d/t; $T -m sh -c '
                alone() {{ setpriv --reuid=$ID --regid=$ID --clear-groups \"$@\"; }}
                T='$d'/t; ID={id}; cd /; {text}'; s=$?; rm -r $d; exit $s",
            id = unused_id()
        ))
    }

    #[test]
    #[ignore = "needs root"]
    fn without_a_line_in_subuid_the_line_to_add_is_told() {
        let ran = as_user_without_name("mount --bind /dev/null /etc/subuid; alone $T id -u");
        assert_eq!((ran.status, ran.out.as_str()), (0, "0\n"), "{}", ran.err);
        assert_eq!(
            ran.err,
            format!(
                "unshare-rs: only user 0 and group 0 exist inside: \
                 /etc/subuid has no line for this user; as root, add one such as {}:100000:65536\n",
                unused_id()
            )
        );
    }

    #[test]
    #[ignore = "needs root"]
    fn a_newuidmap_without_its_rights_is_told() {
        let ran = as_user_without_name(
            "echo $ID:100000:65536 >/run/ids.$$; mount --bind /run/ids.$$ /etc/subuid
             mount --bind /run/ids.$$ /etc/subgid; rm /run/ids.$$
             mount --bind /bin/true /usr/bin/newuidmap; alone $T id -u",
        );
        assert_eq!((ran.status, ran.out.as_str()), (0, "0\n"), "{}", ran.err);
        assert!(
            ran.err.ends_with("/usr/bin/newuidmap is not set-user-ID root: chmod u+s /usr/bin/newuidmap\n"),
            "{}",
            ran.err
        );
    }

    #[test]
    #[ignore = "needs root"]
    fn a_newuidmap_that_is_missing_is_told_with_its_package() {
        let ran = as_user_without_name(
            "echo $ID:100000:65536 >/run/ids.$$; mount --bind /run/ids.$$ /etc/subuid
             mount --bind /run/ids.$$ /etc/subgid; rm /run/ids.$$
             d=${T%/t}; mkdir $d/b; cp $(which sh setpriv id) $d/b; mount --bind $d/b /usr/bin
             PATH=/usr/bin; alone $T id -u",
        );
        assert_eq!((ran.status, ran.out.as_str()), (0, "0\n"), "{}", ran.err);
        assert_eq!(
            ran.err,
            "unshare-rs: only user 0 and group 0 exist inside: \
             newuidmap is missing: install the package uidmap or shadow-utils\n"
        );
    }

    #[test]
    #[ignore = "needs root"]
    fn ids_that_another_service_has_come_from_getsubids() {
        // newuidmap(1) finds no such service and uses the files, which have a longer range
        let ran = as_user_without_name(
            "d=${T%/t}; mkdir $d/b; printf \"#!/bin/sh\\necho 0: \\$2\\$1 700000 1000\\n\" >$d/b/getsubids
             echo subid: elsewhere >$d/nsswitch; echo someone:x:$ID:$ID::/:/bin/sh >$d/passwd
             echo someone:700000:65536 >$d/ids; chmod 755 $d/b/getsubids
             mount --bind $d/nsswitch /etc/nsswitch.conf; mount --bind $d/passwd /etc/passwd
             mount --bind $d/ids /etc/subuid; mount --bind $d/ids /etc/subgid
             export PATH=$d/b:$PATH; alone $T -r --map-auto awk \"{print \\$1, \\$2, \\$3}\" /proc/self/uid_map",
        );
        let expected = format!("0 {} 1\n1 700000 1000\n", unused_id());
        assert_eq!((ran.status, ran.out.as_str()), (0, expected.as_str()), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs root"]
    fn another_group_than_that_of_the_account_leaves_one_id() {
        let ran = as_user_without_name(
            "d=${T%/t}; echo someone:x:$ID:12::/:/bin/sh >$d/passwd; echo someone:700000:65536 >$d/ids
             mount --bind $d/passwd /etc/passwd; mount --bind $d/ids /etc/subuid; mount --bind $d/ids /etc/subgid
             alone $T id -u; alone $T --map-auto id -u",
        );
        let why = format!(
            "newuidmap maps nothing for this process: its group is {}, not 12, the primary group of someone: \
             exit newgrp or sg first",
            unused_id()
        );
        assert_eq!((ran.status, ran.out.as_str()), (125, "0\n"), "{}", ran.err);
        assert_eq!(
            ran.err,
            format!(
                "unshare-rs: only user 0 and group 0 exist inside: {why}\n\
                 unshare-rs: cannot map user ids: {why}\nunshare-rs: hint: --map-root-user does not need it\n"
            )
        );
    }

    #[test]
    #[ignore = "needs root"]
    fn a_newuidmap_whose_owner_has_no_id_here_is_told() {
        let ran = script(
            "d=$(mktemp -d); chmod 755 $d; cp $T $d/t; cd /
             $T --userns auto -- setpriv --reuid=1 --regid=1 --clear-groups $d/t --map-users 0:0:9 -- id; s=$?; rm -r $d; exit $s",
        );
        assert_eq!(ran.status, 125);
        let why = "gains no rights here: its owner does not exist in this user namespace";
        assert!(ran.err.lines().next().is_some_and(|line| line.ends_with(why)), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs root"]
    fn in_a_chroot_mounts_cannot_be_kept_inside_and_the_hint_leads_to_a_run() {
        let text = "d=$(mktemp -d); $T -m sh -c 'd='$d'; mount -t tmpfs none $d; mkdir $d/proc $d/r $d/r/proc
            cp '$T' $d/r/t; mount -t proc proc $d/r/proc; chroot $d/r /t -- /t --version
            chroot $d/r /t --propagation unchanged -- /t --version'; rmdir $d";
        let ran = script(text);
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert!(ran.out.starts_with("unshare-rs "), "{}", ran.err);
        let hint = "unshare-rs: hint: the root directory is not a mount point here, as in a chroot(2): skip this step with \
            --propagation unchanged";
        assert_eq!(ran.err.lines().nth(1), Some(hint), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_fuse_mount_of_a_user_alone_is_named() {
        // the kernel refuses root before it asks the file system, so no server has to answer
        let text = "d=$(mktemp -d); $T -m sh -c 'exec 9<>/dev/fuse
            mount -i -t fuse -o fd=9,rootmode=40000,user_id=7,group_id=7 none '$d'; '$T' --wd '$d' true'; s=$?; rmdir $d; exit $s";
        let ran = script(text);
        assert_eq!(ran.status, 125, "{}", ran.err);
        let hint = "is a FUSE file system of user 7, which no other user can enter: mount it with -o allow_other, or run \
            this as user 7\n";
        assert!(ran.err.ends_with(hint), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs root"]
    fn an_interpreter_of_foreign_programs_without_the_flag_f_is_named() {
        // since Linux 6.7 each user namespace has its own table
        let text = "d=$(mktemp -d); cd $d; head -c 200 /dev/zero >p
            printf '\\177ELF\\2\\1\\1' | dd of=p conv=notrunc status=none; printf '\\2\\0\\53' | dd of=p bs=1 seek=16 conv=notrunc status=none
            chmod +x p; $T -r --load-interp ':sparc:M:18:\\x2b\\x00::/no/such/qemu:' --pid ./p; s=$?; cd /; rm -r $d; exit $s";
        let ran = script(text);
        if ran.err.contains("6.7") {
            return;
        }
        assert_eq!(ran.status, 126, "{}", ran.err);
        let what = "it is a program for machine 43 of elf(5), and the emulator that binfmt_misc names does not exist";
        assert_eq!(ran.err.lines().next().unwrap(), format!("unshare-rs: cannot run \"./p\": {what}"));
        assert!(ran.err.contains("hint: the binfmt_misc entry needs the flag F"), "{}", ran.err);
    }

    #[test]
    #[ignore = "needs root"]
    fn a_map_without_the_own_id_is_told_from_one_with_it() {
        let mapped = "$T --map-users 0:3000000:65536 --map-groups 0:3000000:65536";
        let ran = script(&format!("{mapped} -- $T -r true"));
        assert_eq!(ran.status, 125);
        assert!(ran.err.contains("hint: your user or group has no id in this user namespace"), "{}", ran.err);
        assert_eq!(script(&format!("{mapped} --setuid 0 --setgid 0 -- $T --uts id -u")).ok(), "0\n");
    }

    #[test]
    #[ignore = "needs root"]
    fn a_chroot_keeps_user_namespaces_away_and_that_is_told() {
        let ran = as_user_without_name(
            "d=${T%/t}; mkdir $d/proc; mount -t proc proc $d/proc; chroot $d /t -U /t; s=$?; umount $d/proc; exit $s",
        );
        ran.refused(&[
            "unshare-rs: cannot enter a new user namespace: unshare(CLONE_NEWUSER): Operation not permitted (EPERM)",
            "unshare-rs: hint: the caller runs in a chroot(2), where the kernel refuses this; enter that root with chroot-rs instead of chroot(8)",
        ]);
    }

    #[test]
    #[ignore = "needs root"]
    fn namespaces_are_kept_in_files_that_are_made_and_not_on_a_shared_mount() {
        // on one processor, because Linux 6.18 orders mount namespaces by numbers that it gives per processor
        let text = "d=$(mktemp -d); taskset -c 0 $T -m sh -c 'd='$d'; mount -t tmpfs none $d; mount --make-private $d
            '$T' --mount=$d/m --uts=$d/u --pid=$d/p --net=$d/n --hostname kept true || exit
            nsenter --uts=$d/u --net=$d/n hostname; grep -c nsfs /proc/self/mountinfo
            mount --make-shared $d; '$T' --mount=$d/m2 true; echo $?' 2>&1; rmdir $d";
        let said = script(text).ok();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.get(..2), Some(&["kept", "4"][..]), "{said}");
        assert!(lines[2].ends_with("Invalid argument (EINVAL)"), "{said}");
        assert!(lines[3].contains("is a shared mount, which cannot keep a mount namespace"), "{said}");
        assert_eq!(lines[4..], ["125"]);
    }
}

//! What is noted where a default cannot be had, and what options leave out.

use super::*;
use crate::descriptors::EscapingFd;

#[test]
fn what_a_default_leaves_out_is_noted_and_what_an_option_asks_for_is_refused() {
    let noted = setup(&[], Err(WhyPlain::NoAdmin)).unwrap().notes;
    let why = "mounts need CAP_SYS_ADMIN: put 'unshare-rs --' before chroot-rs";
    assert_eq!(
        noted,
        [format!("this is a plain chroot(2) without mounts, and root inside can get out: {why}")]
    );
    let refused = setup(&["--read-only"], Err(WhyPlain::NoAdmin)).unwrap_err();
    assert_eq!(refused.message, "an option needs a mount, and none can be made here");
    assert_eq!(refused.hint.unwrap(), why);

    let link = MountProbe { dev_dir: DirState::Symlink, ..machine() };
    assert_eq!(notes(&[], link.clone()), ["skipped /dev: it is a symbolic link in the new root"]);
    assert!(notes(&["--no-mount"], link).is_empty());

    let old = MountProbe { owns_net: false, has_mount_setattr: false, ..machine() };
    assert!(!lines(&old).iter().any(|line| line.contains("/sys>")));
    let needs = "needs mount_setattr(2), Linux 5.12";
    assert_eq!(
        notes(&[], old.clone()),
        [
            format!("devices in the new root can be opened: that {needs}"),
            "skipped /sys: it can be made read-only here only with mount_setattr(2), Linux 5.12".to_string()
        ]
    );
    let refused = setup(&["--nosuid"], Ok(old)).unwrap_err();
    assert_eq!(refused.message, format!("cannot ignore set-user-ID bits: that {needs}"));
}

#[test]
fn options_leave_steps_out() {
    let masks = vec![("proc", "kcore".into(), crate::mask::Cover::File)];
    let way_out = EscapingFd { fd: 7, kind: "a directory", shown: "/root".into() };
    let probe = MountProbe { masks, escaping_fds: vec![way_out], is_pid_1: false, ..machine() };
    let words = ["--unmask", "--keep-fds", "--share-pid"];
    for gone in ["kcore", "FD_CLOEXEC", "CLONE_NEWPID"] {
        let has = |lines: Vec<String>| lines.iter().any(|line| line.contains(gone));
        assert!(has(lines(&probe)) && !has(lines_with(&words, &probe)), "{gone}");
    }
}

#[test]
fn files_of_subordinate_ids_are_noted() {
    let probe = MountProbe { has_unmapped_files: true, ..machine() };
    let said = notes(&[], probe);
    assert!(said.iter().any(|note| note.contains("'unshare-rs --' before chroot-rs maps them")), "{said:?}");
}

#[test]
fn where_other_containers_see_it_nobody_reaches_the_process_before_it_becomes_the_command() {
    let out_of_reach = "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)";
    let probe = MountProbe { is_pid_1: false, rights: root_of_the_machine(), ..machine() };
    let lines = plan(setup(&["--share-pid"], Ok(probe.clone())).unwrap()).lines();
    let at = position(&lines, out_of_reach);
    assert!(position(&lines, "pivot_root(") < at && at < position(&lines, "capset("), "{lines:#?}");
    // with a PID namespace of its own only process 1 is there
    let alone = lines_with(&[], &probe);
    assert!(!alone.iter().any(|line| line == out_of_reach), "{alone:#?}");
}

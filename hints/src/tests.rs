use super::*;

#[test]
fn dockers_word_is_told_in_the_words_of_the_tool_that_has_it() {
    assert_eq!(advice("chroot-rs", "-v").as_deref(), Some("docker's -v is '--bind SRC:DST[:ro]' here"));
    assert_eq!(
        advice("unshare-rs", "--volume=/a:/b").as_deref(),
        Some("docker's --volume is an option of chroot-rs here: 'chroot-rs --bind SRC:DST[:ro] ubuntu-fs'")
    );
    assert_eq!(
        advice("unshare-rs", "-it").as_deref(),
        Some(
            "docker's -it is not needed: the command has the caller's terminal and standard input: leave it out"
        )
    );
}

#[test]
fn our_own_word_at_the_wrong_tool_names_the_right_one() {
    let said = advice("cgexec-rs", "--bind").unwrap_or_default();
    assert!(said.starts_with("--bind is an option of chroot-rs: 'chroot-rs --bind SRC"), "{said}");
    assert_eq!(
        advice("chroot-rs", "--mount-proc").as_deref(),
        Some("--mount-proc is an option of unshare-rs: 'unshare-rs --mount-proc[=DIR] --'")
    );
}

#[test]
fn no_advice_deletes() {
    for tool in ["unshare-rs", "cgexec-rs", "chroot-rs"] {
        let said = advice(tool, "--replace").expect("podman has it");
        assert!(said.contains("is not needed"), "{said}");
    }
}

#[test]
fn what_nobody_has_gets_no_advice() {
    assert_eq!(advice("unshare-rs", "--frobnicate"), None);
}

#[test]
fn no_spelling_means_two_things() {
    let mut seen = std::collections::BTreeSet::new();
    for flag in docker::FLAGS {
        assert!(!flag.spellings.is_empty());
        for spelling in flag.spellings {
            assert!(spelling.starts_with('-') && seen.insert(*spelling), "{spelling}");
        }
    }
}

#[test]
fn a_value_that_became_the_command_is_told() {
    let said = |option, value| unjoined("unshare-rs", option, value).unwrap_or_default();
    assert_eq!(said("--net", "host"), "docker's --net is '--share net' here");
    assert_eq!(
        said("-u", "1000"),
        "docker's -u is an option of chroot-rs here: 'chroot-rs --userspec USER[:GROUP] ubuntu-fs'"
    );
    assert!(said("-rp", "8080:80").starts_with("docker's -p is a program in the chain: 'pasta "));
    assert_eq!(said("--kill-child", "TERM"), "a value is joined to its option: '--kill-child=TERM'");
    for (option, value) in [("--net=x", "host"), ("--fork", "1"), ("-m", "mak"), ("-c", "1")] {
        assert_eq!(unjoined("unshare-rs", option, value), None, "{option} {value}");
    }
}

#[test]
fn a_root_that_is_missing_may_be_an_image() {
    let said = |path| image_for_directory(path).unwrap_or_default();
    let then = "an image becomes a directory first: 'rootfs-fetch docker://";
    assert_eq!(said("ubuntu:24.04"), format!("{then}ubuntu:24.04 ubuntu-fs', then chroot-rs ubuntu-fs"));
    assert_eq!(said("quay.io/a/b"), format!("{then}quay.io/a/b b-fs', then chroot-rs b-fs"));
    assert_eq!(said("debian-fs"), format!("{then}debian debian-fs', then chroot-rs debian-fs"));
    for path in ["/no/such/root", "./r", "Root", "r/", ""] {
        assert_eq!(image_for_directory(path), None, "{path}");
    }
}

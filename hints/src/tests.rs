use super::*;

#[test]
fn dockers_word_is_told_in_the_words_of_the_tool_that_has_it() {
    assert_eq!(advice("chroot-rs", "-v", "").as_deref(), Some("docker's -v is '--bind SRC:DST[:ro]' here"));
    assert_eq!(
        advice("unshare-rs", "--volume=/a:/b", "").as_deref(),
        Some("docker's --volume is an option of chroot-rs here: 'chroot-rs --bind SRC:DST[:ro] ubuntu-fs'")
    );
    assert_eq!(
        advice("unshare-rs", "-it", "").as_deref(),
        Some("docker's -it is not needed: the command inherits your terminal and standard input")
    );
}

#[test]
fn a_device_is_bound_on_its_own_because_those_in_a_bound_directory_cannot_be_opened() {
    for (word, device) in [("--dev-bind", "/dev/fuse"), ("--gpus", "/dev/dri/renderD128")] {
        let said = advice("chroot-rs", word, "").unwrap_or_default();
        assert!(said.ends_with(&format!("one by one: chroot-rs --bind {device}")), "{said}");
    }
}

#[test]
fn the_limit_of_user_namespaces_is_only_for_users_to_set() {
    // root's chain has no user namespace, so it would change the machine
    let said = advice("unshare-rs", "--disable-userns", "").unwrap_or_default();
    assert!(said.contains("as an ordinary user: unshare-rs -- sh -c 'echo 0 >/proc/sys/user/"), "{said}");
}

#[test]
fn what_need_not_exist_is_bound_by_bind_try() {
    let said = advice("chroot-rs", "--ro-bind-try", "").unwrap_or_default();
    assert_eq!(said, "bwrap's --ro-bind-try is '--bind-try SRC:DST:ro' here");
}

#[test]
fn our_own_word_at_the_wrong_tool_names_the_right_one() {
    let said = advice("cgexec-rs", "--bind", "").unwrap_or_default();
    assert!(said.starts_with("--bind is an option of chroot-rs: 'chroot-rs --bind SRC"), "{said}");
    assert_eq!(
        advice("chroot-rs", "--mount-proc", "").as_deref(),
        Some("--mount-proc is an option of unshare-rs: 'unshare-rs --mount-proc[=DIR] --'")
    );
}

#[test]
fn the_value_of_an_option_chooses_the_advice() {
    let said = |word, next| advice("unshare-rs", word, next).unwrap_or_default();
    let lo = "docker's --network none is not needed: a container has only the interface lo by default";
    assert_eq!(said("--network", "none"), lo);
    assert_eq!(said("--network=none", "ubuntu"), lo);
    assert_eq!(said("--network", "host"), "docker's --network host is '--share net' here");
    assert!(
        said("--network=container:web", "")
            .starts_with("docker's --network container:ID is this command here, as root: 'nsenter ")
    );
    let unconfined = "docker's --security-opt seccomp=unconfined is '--seccomp unconfined' here";
    assert_eq!(advice("chroot-rs", "--security-opt", "seccomp=unconfined").as_deref(), Some(unconfined));
    assert!(said("--mount", "type=tmpfs,target=/x").contains("'chroot-rs --tmpfs DST[:SIZE] ubuntu-fs'"));
    assert!(said("--pid=container:web", "").contains("enter the namespace with nsenter(1)"));
    let set_id =
        "docker's --security-opt no-new-privileges:false is not needed: set-user-ID programs work by default";
    assert_eq!(advice("chroot-rs", "--security-opt", "no-new-privileges:false").as_deref(), Some(set_id));
    let checked = "podman's --tls-verify is not needed: certificates are checked by default";
    for next in ["docker://ubuntu", "true"] {
        assert_eq!(advice("rootfs-fetch", "--tls-verify", next).as_deref(), Some(checked));
    }
    assert!(
        advice("rootfs-fetch", "--src-tls-verify=false", "")
            .is_some_and(|said| said.contains("--insecure-tls"))
    );
    // a word that only begins like a known one
    assert!(said("--restart", "nothing").contains("let a service manager restart it"));
    assert!(said("--restart", "on-failure:3").contains("'until "));
    assert!(said("--userns", "nomap").contains("'--userns auto'"));
}

#[test]
fn a_default_of_another_tool_is_no_default_here() {
    for (word, next, owner, here) in [
        ("--network", "none", "unshare-rs", "'unshare-rs --' before"),
        ("--net=none", "", "unshare-rs", "'unshare-rs --' before"),
        ("--ipc", "private", "unshare-rs", "'unshare-rs --' before"),
        ("--unshare-all", "", "unshare-rs", "'unshare-rs --' before"),
        ("--cgroupns", "private", "cgexec-rs", "'cgexec-rs --' before"),
        ("--proc", "/proc", "chroot-rs", "'chroot-rs ubuntu-fs' after"),
    ] {
        for tool in ["unshare-rs", "cgexec-rs", "chroot-rs"] {
            let said = advice(tool, word, next).unwrap_or_default();
            let expected = match tool == owner {
                true => " is not needed: ".to_string(),
                false => format!(" needs no option, only {here} "),
            };
            assert!(said.contains(&expected), "{tool}: {said}");
        }
    }
    assert_eq!(
        advice("chroot-rs", "--network", "none").as_deref(),
        Some(
            "docker's --network none needs no option, only 'unshare-rs --' before chroot-rs: a container has only the interface lo by default"
        )
    );
}

#[test]
fn only_host_shares_what_is_the_machines() {
    for word in ["--network", "--net", "--pid", "--ipc", "--uts", "--userns", "--cgroupns"] {
        let said = |value| advice("unshare-rs", word, value).unwrap_or_default();
        let shares = |said: &str| said.contains("'--share ") || said.contains("'cgexec-rs --no-cgroupns");
        assert!(shares(&said("host")), "{}", said("host"));
        for value in ["", "mynet", "macvlan", "private", "ns:/run/x", "container:web", "hosts"] {
            assert!(!shares(&said(value)), "{word} {value}: {}", said(value));
        }
    }
    for (value, what) in [
        ("seccomp=./profile.json", "'--seccomp FILE'"),
        ("seccomp=unconfined", "'--seccomp unconfined'"),
        ("no-new-privileges=false", "is not needed"),
        ("proc-opts=hidepid=2", "is not an option here"),
    ] {
        let said = advice("chroot-rs", "--security-opt", value).unwrap_or_default();
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn a_letter_of_tar_is_one_of_tar_at_the_tool_that_unpacks() {
    for (letter, said) in [
        ("-x", "tar's -x is not needed: rootfs-fetch always unpacks: 'rootfs-fetch root.tar.gz my-root'"),
        (
            "-C",
            "tar's -C is not needed: the directory is the last operand: 'rootfs-fetch root.tar.gz my-root'",
        ),
        ("-t", "tar's -t is '--dry-run' here"),
        ("--override-arch", "skopeo's --override-arch is '--platform OS/ARCH' here"),
    ] {
        assert_eq!(advice("rootfs-fetch", letter, "").as_deref(), Some(said));
    }
    assert!(advice("chroot-rs", "-x", "").is_some_and(|said| said.starts_with("systemd-nspawn's -x is ")));
    assert_eq!(advice("chroot-rs", "--override-arch", ""), None);
}

#[test]
fn no_advice_deletes() {
    for tool in ["unshare-rs", "cgexec-rs", "chroot-rs"] {
        let said = advice(tool, "--replace", "").expect("podman has it");
        assert!(said.contains("is not needed"), "{said}");
    }
}

#[test]
fn what_nobody_has_gets_no_advice() {
    assert_eq!(advice("unshare-rs", "--frobnicate", ""), None);
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
    assert_eq!(said("--net", "host"), "docker's --net host is '--share net' here");
    assert!(said("--net", "none").starts_with("docker's --net none is not needed: "));
    assert_eq!(
        said("-u", "1000"),
        "docker's -u is an option of chroot-rs here: 'chroot-rs --userspec USER[:GROUP] ubuntu-fs'"
    );
    assert!(said("-rp", "8080:80").starts_with("docker's -p is this command here: 'pasta "));
    assert_eq!(said("--kill-child", "TERM"), "join the value to its option: '--kill-child=TERM'");
    for (option, value) in [
        ("--explain", "short"),
        ("--explain", "see"),
        ("--list", "json"),
        ("--apply", "force"),
        ("--report", "json"),
        ("--report", "runexec"),
    ] {
        let tools = ["cgexec-rs", "chroot-rs"];
        let said = tools.iter().find_map(|tool| unjoined(tool, option, value));
        assert_eq!(said.unwrap_or_default(), format!("join the value to its option: '{option}={value}'"));
    }
    assert_eq!(unjoined("unshare-rs", "--net", "json"), None);
    for (option, value) in [("--net=x", "host"), ("--fork", "1"), ("-m", "mak"), ("-c", "1")] {
        assert_eq!(unjoined("unshare-rs", option, value), None, "{option} {value}");
    }
}

#[test]
fn a_command_of_docker_is_told() {
    let said = |word| for_command("unshare-rs", None, word).unwrap_or_default();
    assert_eq!(said("pull"), "docker's pull is rootfs-fetch here: 'rootfs-fetch docker://ubuntu ubuntu-fs'");
    assert!(said("run").starts_with("docker's run is a chain here: "));
    assert!(said("docker://ubuntu").contains("'rootfs-fetch docker://ubuntu ubuntu-fs'"));
    assert_eq!(for_command("unshare-rs", None, "host"), None);
    assert!(for_command("unshare-rs", Some("--net"), "host").is_some());
}

#[test]
fn a_word_with_which_several_options_begin_is_completed() {
    let said = advice("cgexec-rs", "--cpuset", "0");
    assert_eq!(said.as_deref(), Some("did you mean --cpuset-cpus or --cpuset-mems?"));
    assert_eq!(advice("cgexec-rs", "--c", ""), None);
}

#[test]
fn a_root_that_is_missing_may_be_an_image() {
    let said = |path| image_for_directory(path).unwrap_or_default();
    let then = "unpack the image into a directory first: 'rootfs-fetch docker://";
    assert_eq!(said("ubuntu:24.04"), format!("{then}ubuntu:24.04 ubuntu-fs', then chroot-rs ubuntu-fs"));
    assert_eq!(said("quay.io/a/b"), format!("{then}quay.io/a/b b-fs', then chroot-rs b-fs"));
    assert_eq!(said("debian-fs"), format!("{then}debian debian-fs', then chroot-rs debian-fs"));
    assert_eq!(said("docker://a/b:1"), format!("{then}a/b:1 b-fs', then chroot-rs b-fs"));
    let archive = "unpack the image into a directory first: 'rootfs-fetch distro:alpine alpine-fs', then chroot-rs alpine-fs";
    assert_eq!(said("distro:alpine"), archive);
    assert!(said("host:").contains("'rootfs-fetch host: ubuntu-fs'"));
    for path in ["/no/such/root", "./r", "Root", "r/", ""] {
        assert_eq!(image_for_directory(path), None, "{path}");
    }
}

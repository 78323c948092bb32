//! A package manager inside: it needs many ids, setgroups(2), devices, and its own /proc. Also the packages
//! of these tools, installed and tried there.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::{Debian, End, Ended, Link, Run, Snapshot, snapshot, tools};

/// The control file for a package with one file and one script, which creates a user and gives it files.
const CONTROL: &str = "Package: guest\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n\
    Description: makes a user of the system\nDepends: adduser\n";
const AFTERWARDS: &str = "#!/bin/sh\nset -e\n\
    adduser --system --group --home /var/lib/guest --gecos '' guest\n\
    install -o guest -g adm -m 640 /dev/null /var/lib/guest/log\n";

/// A command in a Debian root, in a container of the test's user.
fn inside(debian: &Debian, command: &[&str]) -> Run {
    inside_with(debian, &[], command)
}

/// The same, with options of chroot-rs.
fn inside_with(debian: &Debian, options: &[&str], command: &[&str]) -> Run {
    let root = debian.root();
    let mut words: Vec<OsString> = vec![tools().chroot().into()];
    words.extend(options.iter().map(OsString::from));
    words.extend(["--".into(), root.into()]);
    debian.run(&Link::unshare().then(Link::new("chroot", words), "unshare, chroot"), command)
}

fn make_package(debian: &Debian) {
    fs::create_dir_all(debian.path("srv/guest/DEBIAN")).unwrap();
    fs::write(debian.path("srv/guest/DEBIAN/control"), CONTROL).unwrap();
    fs::write(debian.path("srv/guest/DEBIAN/postinst"), AFTERWARDS).unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(debian.path("srv/guest/DEBIAN/postinst"), executable).unwrap();
    inside(debian, &["dpkg-deb", "--build", "/srv/guest", "/srv/guest.deb"]).end().ok();
}

fn install(debian: &Debian) -> Ended {
    inside(debian, &["apt-get", "install", "--yes", "/srv/guest.deb"]).end()
}

mod as_anyone {
    use super::*;

    mod in_debian {
        use super::*;

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn a_package_that_makes_a_user_is_installed_and_its_files_have_several_owners() {
            let _before = Snapshot::take();
            let debian = Debian::new();
            make_package(&debian);
            let said = install(&debian).ok();
            assert!(said.contains("Setting up guest (1)"), "{said}");
            let owners = ["stat", "-c", "%U:%G", "/var/lib/guest", "/var/lib/guest/log", "/etc/passwd"];
            assert_eq!(inside(&debian, &owners).end().ok(), "guest:guest\nguest:adm\nroot:root\n");
            // and outside, each of them is another user
            let owner = |path| fs::metadata(debian.path(path)).unwrap().uid();
            assert_ne!(owner("var/lib/guest"), owner("etc/passwd"));
            // the test's user owns what root owns inside, unless it is the machine's root
            assert_eq!(owner("etc/passwd"), nix::unistd::geteuid().as_raw());
            inside(&debian, &["apt-get", "purge", "--yes", "guest"]).end().ok();
        }

        mod with_packages {
            use super::*;

            #[test]
            #[ignore = "needs a root of Debian's and what dist/make makes"]
            fn the_debian_packages_bring_all_of_each_tool_work_and_leave_nothing() {
                let _turn = snapshot::turn();
                let debian = Debian::new();
                // this root was created without manual pages and documentation
                fs::remove_dir_all(debian.path("etc/dpkg/dpkg.cfg.d")).unwrap();
                let debs = made("deb");
                assert_eq!(debs.len(), TOOLS.len(), "{debs:?}");
                for deb in debs {
                    fs::copy(&deb, debian.path("srv").join(deb.file_name().unwrap())).unwrap();
                }
                let run = |script: &str| inside(&debian, &["sh", "-ec", script]).end().ok();
                run("apt-get install --yes --no-install-recommends /srv/*.deb");
                for tool in TOOLS {
                    assert_brings_all(&debian, tool);
                }
                assert_eq!(run("dpkg --verify unshare-rs cgexec-rs chroot-rs rootfs-fetch"), "");
                assert_chain_works(&debian, "/usr/bin");
                // AppArmor before version 4 would reject the profiles, so they are not installed
                assert_eq!(run("ls /etc/apparmor.d 2>&1 | grep -c -e -rs || true"), "0\n");
                run("mkdir -p /etc/apparmor.d/abi && touch /etc/apparmor.d/abi/4.0");
                run(
                    "dpkg-reconfigure unshare-rs && cmp /usr/share/unshare-rs/apparmor /etc/apparmor.d/unshare-rs",
                );
                run("apt-get purge --yes unshare-rs cgexec-rs chroot-rs rootfs-fetch");
                let left =
                    "find / -xdev -name '*-rs*' ! -path '/srv/*' ! -path '/proc/*' ! -path '/var/lib/apt/*'";
                assert_eq!(run(&format!("{left} ! -path '/var/log/*' ! -path '/var/cache/*'")), "");
            }

            #[test]
            #[ignore = "needs a root of Debian's and what dist/make makes"]
            fn the_tarball_unpacked_below_usr_local_works() {
                let _turn = snapshot::turn();
                let debian = Debian::new();
                let [tarball] = &made("gz")[..] else { panic!("one tarball") };
                let into = ["--quiet", "--into"].map(OsStr::new);
                let fetch = Run::new(tools().fetch()).args(into).arg(tarball).arg(debian.path("usr/local"));
                assert_eq!(fetch.end().ended(End::Exit(0)).err(), "");
                for file in [
                    "share/man/man7/exec-chain.7.gz",
                    "share/man/man1/chroot-rs.1.gz",
                    "share/zsh/site-functions/_chroot-rs",
                ] {
                    assert!(debian.path("usr/local").join(file).is_file(), "{file}");
                }
                assert_chain_works(&debian, "/usr/local/bin");
            }

            /// The files of a tool that users find under other names than its own.
            fn assert_brings_all(debian: &Debian, tool: &str) {
                let files = [
                    format!("usr/share/man/man1/{tool}.1.gz"),
                    format!("usr/share/bash-completion/completions/{tool}"),
                    format!("usr/share/zsh/vendor-completions/_{tool}"),
                    format!("usr/share/fish/vendor_completions.d/{tool}.fish"),
                    format!("usr/share/doc/{tool}/copyright"),
                ];
                for file in files {
                    assert!(debian.path(&file).is_file(), "{file}");
                }
                let version = inside(debian, &[tool, "--version"]).end().ok();
                assert_eq!(version, format!("{tool} {}\n", env!("CARGO_PKG_VERSION")));
                let depends = inside(debian, &["dpkg-query", "-W", "-f", "${Depends}", tool]).end().ok();
                assert_eq!(depends, "", "{tool} is static");
            }

            /// A chain of the installed tools, in a root that they created.
            fn assert_chain_works(debian: &Debian, place: &str) {
                let script = format!(
                    "for tool in unshare-rs cgexec-rs chroot-rs rootfs-fetch; do
                         test $(command -v $tool) = {place}/$tool
                     done
                     rootfs-fetch --quiet host:sh,uname /srv/root
                     unshare-rs -- cgexec-rs --manager none -- chroot-rs /srv/root /bin/sh -c 'uname -n; echo $$'
                     unshare-rs -- chroot-rs --privileged /srv/root /bin/sh -c 'echo privileged'"
                );
                let path = ("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
                // the filter refuses user namespaces to the machine's root, as docker's does; a user already
                // has one
                let options: &[&str] =
                    if nix::unistd::geteuid().is_root() { &["--seccomp", "unconfined"] } else { &[] };
                let ended = inside_with(debian, options, &["sh", "-ec", &script]).env(path.0, path.1).end();
                // process 1 is the reaper
                assert_eq!(ended.ended(End::Exit(0)).out(), "container\n2\nprivileged\n");
            }
        }
    }
}

const TOOLS: [&str; 4] = ["cgexec-rs", "chroot-rs", "rootfs-fetch", "unshare-rs"];

/// What `dist/make` built: in `CHAIN_DIST`, set by tests/run, or built now.
#[track_caller]
fn made(extension: &str) -> Vec<PathBuf> {
    let dist = env::var_os("CHAIN_DIST").map_or_else(make, PathBuf::from);
    let files = fs::read_dir(&dist).unwrap().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn make() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Run::new(top.join("dist/make")).patience(Duration::from_secs(20 * 60)).end().ok();
    top.join("target/dist")
}

mod in_tree {
    use super::*;

    mod with_apparmor {
        use super::*;

        #[test]
        #[ignore = "needs the parser of AppArmor 4"]
        fn apparmor_takes_each_profile_and_sees_the_rule_in_it() {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let apparmor = top.join(".cache/apparmor").canonicalize().unwrap();
            let libraries = apparmor.join("usr/lib/x86_64-linux-gnu");
            for tool in ["unshare-rs", "chroot-rs"] {
                // the rules as the parser reads them; nothing goes to the kernel or to a cache
                let parser = Run::new(libraries.join("ld-linux-x86-64.so.2"))
                    .arg("--library-path")
                    .arg(&libraries)
                    .arg(apparmor.join("usr/sbin/apparmor_parser"))
                    .arg("--base")
                    .arg(apparmor.join("etc/apparmor.d"))
                    .args(["--config-file=/dev/null", "--skip-kernel-load", "--skip-cache", "--debug"])
                    .arg(top.join("dist/apparmor").join(tool));
                let ended = parser.end().ended(End::Exit(0));
                let said = ended.out() + &ended.err();
                for rule in [&format!("Name:\t\t{tool}\n"), "\nuserns,\n", "Mode: unconfined\n"] {
                    assert!(said.contains(rule), "{rule:?} is not in {said}");
                }
            }
        }
    }
}

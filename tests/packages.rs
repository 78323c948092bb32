// SPDX-License-Identifier: MIT OR Apache-2.0
//! A package manager inside: it wants many ids, setgroups(2), devices, and its own /proc.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tests::{Debian, Ended, Link, Run, Snapshot};

/// What makes a package of one file and one script, which makes a user and gives it files.
const CONTROL: &str = "Package: guest\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n\
    Description: makes a user of the system\nDepends: adduser\n";
const AFTERWARDS: &str = "#!/bin/sh\nset -e\n\
    adduser --system --group --home /var/lib/guest --gecos '' guest\n\
    install -o guest -g adm -m 640 /dev/null /var/lib/guest/log\n";

/// A command in a Debian, in a container of whoever runs this.
fn inside(debian: &Debian, command: &[&str]) -> Run {
    debian.run(&Link::unshare().then(debian.chroot(), "unshare, chroot"), command)
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
            // and outside each of them is somebody else
            let owner = |path| fs::metadata(debian.path(path)).unwrap().uid();
            assert_ne!(owner("var/lib/guest"), owner("etc/passwd"));
            // whoever is not root of the machine owns what root owns inside
            assert_eq!(owner("etc/passwd"), nix::unistd::geteuid().as_raw());
            inside(&debian, &["apt-get", "purge", "--yes", "guest"]).end().ok();
        }
    }
}

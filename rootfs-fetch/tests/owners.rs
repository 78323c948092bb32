//! The owners of files, their permissions, and their other attributes.
#![cfg(test)]

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use tests::fetch::{As, Outcome, Scratch, feed, is_root};
use tests::tar::{Head, Tar};

#[test]
fn an_ordinary_user_owns_everything_and_no_program_runs_as_that_user_for_others() {
    let who = if is_root() { As::Nobody } else { As::Caller };
    let scratch = Scratch::new();
    let tar = Tar::new().entry(&Head::new(b'0', "su").mode(0o4755), b"").dir("tmp", 0o1777);
    let outcome = scratch.feed(who, &tar.end(), &["-", "root"]);
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: 1 set-id program of other owners lost that bit: only root can keep owners\n\
         rootfs-fetch: root: 1 file, 0 B\n"
    );
    let root = scratch.work().join("root");
    assert_eq!(root.join("su").metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(root.join("tmp").metadata().unwrap().mode() & 0o7777, 0o1777);
}

#[test]
fn an_access_control_list_in_text_becomes_the_kernels() {
    let access = b"user::rw-,user:lisa:r--:1234,group::r--,group:77:rw-,mask::rw-,other::---";
    let default = b"user::rwx,group::r-x,other::r-x";
    let tar = Tar::new()
        .pax(&[("SCHILY.acl.default", default)])
        .dir("d", 0o755)
        .pax(&[("SCHILY.acl.access", access)])
        .entry(&Head::new(b'0', "d/f").mode(0o660), b"");
    // version 2, then for each entry its kind, its permissions and its user or group
    let of = |entries: &[(u16, u16, u32)]| {
        let bytes = entries.iter().flat_map(|(tag, perm, id)| {
            [&tag.to_le_bytes()[..], &perm.to_le_bytes()[..], &id.to_le_bytes()[..]].concat()
        });
        [2, 0, 0, 0].into_iter().chain(bytes).collect::<Vec<u8>>()
    };
    let nobody = u32::MAX;
    let wanted_access =
        of(&[(1, 6, nobody), (2, 4, 1234), (4, 4, nobody), (8, 6, 77), (16, 6, nobody), (32, 0, nobody)]);
    let wanted_default = of(&[(1, 7, nobody), (4, 5, nobody), (32, 5, nobody)]);
    for &who in As::all() {
        let scratch = Scratch::new();
        let outcome = scratch.feed(who, &tar.clone().end(), &["-q", "-", "root"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{who:?}");
        let get = |name: &str, attribute: &str| {
            let mut value = [0; 256];
            let path = scratch.work().join("root").join(name);
            let length = rustix::fs::lgetxattr(path, attribute, &mut value[..]).expect("it has a list");
            value[..length].to_vec()
        };
        assert_eq!(get("d/f", "system.posix_acl_access"), wanted_access, "{who:?}");
        assert_eq!(get("d", "system.posix_acl_default"), wanted_default, "{who:?}");
        assert_eq!(scratch.work().join("root/d/f").metadata().unwrap().mode() & 0o7777, 0o660);
    }
}

#[test]
fn a_list_that_names_somebody_means_who_has_that_name_in_the_tree() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .pax(&[("SCHILY.acl.default", b"user::rwx,group::r-x,group:keepers:r-x,mask::r-x,other::---")])
        .dir("journal", 0o750)
        // after the list, and always with a number other than root's
        .file("etc/group", b"root:x:0:\nkeepers:x:4321:\n");
    let outcome = scratch.feed(As::Caller, &tar.end(), &["-q", "-", "root"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let mut value = [0; 256];
    let path = scratch.work().join("root/journal");
    let length = rustix::fs::lgetxattr(path, "system.posix_acl_default", &mut value[..]).unwrap();
    assert_eq!(value[..length][4 + 2 * 8..][..8], [8, 0, 5, 0, 0xe1, 0x10, 0, 0]);
    // the names of this machine do not matter
    let tar = Tar::new()
        .file("etc/passwd", b"")
        .pax(&[("SCHILY.acl.access", b"user::rw-,user:root:r--,group::r--,mask::r--,other::---")]);
    let outcome = scratch.feed(As::Caller, &tar.file("f", b"").end(), &["-", "other"]);
    assert!(outcome.stderr.contains("1 extended attribute skipped"), "{outcome:?}");
}

#[test]
fn an_access_control_list_that_is_none_is_left_out_and_counted() {
    let scratch = Scratch::new();
    let tar = Tar::new().pax(&[("SCHILY.acl.access", b"user:lisa:rw-,user::rwz")]).file("f", b"x");
    let outcome = scratch.feed(As::Caller, &tar.end(), &["-", "root"]);
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: 1 extended attribute skipped: not permitted, or not supported by the file system\n\
         rootfs-fetch: root: 1 file, 1 B\n"
    );
}

mod as_user {
    use super::*;

    /// The tool, or another program, as root of a namespace with all of the caller's ids.
    fn inside(scratch: &Scratch, words: &[&str]) -> std::process::Output {
        let mut command = scratch.as_who(As::Caller, "unshare");
        command.args(["--user", "--map-root-user", "--map-auto", "--"]).args(words);
        command.output().expect("unshare starts")
    }

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn every_owner_is_kept_in_a_namespace_with_ranges_and_so_is_set_id() {
        let scratch = Scratch::new();
        let owned = |name: &str, id: u32, mode| {
            let mut head = Head::new(b'0', name).mode(mode);
            head.uid = format!("{id:07o}\0").into_bytes();
            head.gid = head.uid.clone();
            head
        };
        let tar = Tar::new()
            .entry(&owned("su", 0, 0o4755), b"")
            .entry(&owned("man", 6, 0o2755), b"")
            .entry(&owned("home", 1000, 0o640), b"")
            .entry(&owned("nobody", 65534, 0o600), b"");
        std::fs::write(scratch.work().join("a.tar"), tar.end()).unwrap();
        let tool = scratch.path("tool").display().to_string();
        // out of reach of other users, because otherwise there would be a line that it is not
        let output = inside(&scratch, &[&tool, "--mode", "0700", "a.tar", "root"]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "rootfs-fetch: root: 4 files, 0 B\n");
        let names = ["root/su", "root/man", "root/home", "root/nobody"];
        let stat = [&["stat", "-c", "%u:%g %a"][..], &names].concat();
        let output = inside(&scratch, &stat);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "0:0 4755\n6:6 2755\n1000:1000 640\n65534:65534 600\n"
        );
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn set_id_programs_within_reach_of_others_are_told_and_those_out_of_it_are_not() {
        let scratch = Scratch::new();
        let mode = |path: std::path::PathBuf, mode| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        // from /tmp on, whatever made it
        for path in [scratch.path(""), scratch.work()] {
            mode(path, 0o755);
        }
        let tar = Tar::new().entry(&Head::new(b'0', "su").mode(0o4755), b"").end();
        let said = |args: &[&str]| {
            let outcome = scratch.feed(As::Caller, &tar, args);
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            outcome.stderr.contains("1 program with set-user-ID, set-group-ID or capabilities can be run")
        };
        assert!(said(&["-", "open"]));
        assert!(!said(&["--mode", "0700", "-", "closed"]));
        mode(scratch.work(), 0o700);
        assert!(!said(&["-", "below"]));
    }

    #[test]
    #[ignore = "needs root, for attributes of links and devices, and their modes"]
    fn a_name_that_is_no_text_keeps_its_attributes_and_its_mode() {
        let scratch = Scratch::new();
        let record: &[(&str, &[u8])] = &[("SCHILY.xattr.trusted.it", b"kept")];
        let tar = Tar::new()
            .pax(record)
            .entry(&Head::new(b'6', b"pipe\xff").mode(0o4620), b"")
            .pax(record)
            .symlink(b"link\xff", b"anywhere\xff");
        let outcome = scratch.feed(As::Caller, &tar.end(), &["-q", "-", "root"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        for name in [&b"pipe\xff"[..], b"link\xff"] {
            let path = scratch.work().join("root").join(std::ffi::OsStr::from_bytes(name));
            let mut value = [0; 16];
            let length = rustix::fs::lgetxattr(&path, "trusted.it", &mut value[..]).expect("it has one");
            assert_eq!(&value[..length], b"kept");
        }
        let pipe = scratch.work().join("root").join(std::ffi::OsStr::from_bytes(b"pipe\xff"));
        assert_eq!(pipe.metadata().unwrap().mode() & 0o7777, 0o4620);
    }
}

mod modes {
    use super::*;

    fn mode_of(scratch: &Scratch, name: &str) -> u32 {
        scratch.work().join(name).symlink_metadata().unwrap().mode() & 0o7777
    }

    /// Runs the tool in a shell with this umask.
    fn masked(scratch: &Scratch, umask: &str, archive: &[u8], args: &str) -> Outcome {
        let mut shell = scratch.as_who(As::Caller, "sh");
        let line = format!("umask {umask}; exec {} {args}", scratch.path("tool").display());
        shell.args(["-c", &line]);
        feed(shell, archive)
    }

    #[test]
    fn the_callers_umask_is_for_the_directory_itself_and_not_for_what_is_in_it() {
        let tar = Tar::new()
            .entry(&Head::new(b'5', "./").mode(0o777), b"")
            .entry(&Head::new(b'0', "a").mode(0o666), b"")
            .entry(&Head::new(b'5', "d").mode(0o777), b"")
            .entry(&Head::new(b'6', "pipe").mode(0o666), b"")
            .end();
        for (umask, args, expected) in [
            ("077", "-q - root", 0o700),
            ("022", "-q - root", 0o755),
            ("000", "-q - root", 0o777),
            ("0777", "-q - root", 0o700),
            ("077", "-q --mode 0711 - root", 0o711),
        ] {
            let scratch = Scratch::new();
            let outcome = masked(&scratch, umask, &tar, args);
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{umask}");
            let modes: Vec<u32> =
                ["root", "root/a", "root/d", "root/pipe"].map(|name| mode_of(&scratch, name)).to_vec();
            assert_eq!(modes, [expected, 0o666, 0o777, 0o666], "{umask} {args}");
        }
        // also without an entry for it
        let scratch = Scratch::new();
        assert_eq!(masked(&scratch, "027", &Tar::new().file("a", b"x").end(), "-q - root").code, Some(0));
        assert_eq!(mode_of(&scratch, "root"), 0o750);
    }

    #[test]
    fn the_configuration_of_an_image_has_the_callers_umask() {
        let scratch = Scratch::new();
        let layout = tests::layout::Layout::new(scratch.work().join("image"));
        layout.write_index(&[layout.image_of(&[])]);
        assert_eq!(masked(&scratch, "027", b"", "--config c.json image").code, Some(0));
        assert_eq!(mode_of(&scratch, "c.json"), 0o640);
    }

    #[test]
    fn a_device_is_its_owners_alone_and_programs_within_reach_are_told() {
        if !tests::fetch::is_root() {
            return;
        }
        let mut device = Head::new(b'3', "null").mode(0o666);
        device.device = (1, 3);
        let tar = Tar::new()
            .entry(&device, b"")
            .entry(&Head::new(b'0', "su").mode(0o4755), b"")
            .entry(&Head::new(b'0', "data").mode(0o2644), b"")
            .end();
        for (args, mode) in [("--devices - root", 0o600), ("--devices=keep-mode - root", 0o666)] {
            let scratch = Scratch::new();
            let outcome = masked(&scratch, "022", &tar, args);
            assert_eq!((outcome.code, mode_of(&scratch, "root/null")), (Some(0), mode), "{outcome:?}");
            let line = "rootfs-fetch: 1 program with set-user-ID, set-group-ID or capabilities can be run \
                by every user of this machine: to prevent that, put root into a directory of mode 0700";
            assert_eq!(outcome.stderr.lines().next(), Some(line));
            let scratch = Scratch::new();
            let outcome = masked(&scratch, "077", &tar, args);
            assert!(!outcome.stderr.contains("can be run"), "{outcome:?}");
        }
    }
}

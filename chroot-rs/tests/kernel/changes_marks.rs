//! What marks a file in kept changes: whoever is inside must not be able to forge it.

use std::fs;
use std::path::Path;

use rustix::fs::XattrFlags;
use tests::{End, Run, tools};

use crate::changes::Tried;
use crate::root_locations::has_overlay;

fn set(path: &Path, name: &str) {
    rustix::fs::setxattr(path, name, b"y", XattrFlags::empty()).unwrap();
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root, busybox-static and overlay"]
    fn attributes_of_a_user_inside_remove_none_of_roots_files() {
        let tried = Tried::new();
        if !has_overlay() || !tried.keeps_attributes() {
            return;
        }
        fs::create_dir_all(tried.root.path("srv/d/sub")).unwrap();
        fs::write(tried.root.path("srv/d/file"), "root's\n").unwrap();
        fs::write(tried.root.path("srv/d/w"), "root's\n").unwrap();
        tried.change("chmod 777 /srv/d; cd /srv/d; rm w; : >w");
        // setfattr(1) inside does this; the kernel stores it under the same name
        set(&tried.dir().join("upper/srv/d"), "user.overlay.opaque");
        set(&tried.dir().join("upper/srv/d/w"), "user.overlay.whiteout");
        tried.change("test -e /srv/d/sub && test -e /srv/d/w && test -s /srv/d/file");
        assert_eq!(tried.list(), "changed \"/srv/d\"\nchanged \"/srv/d/w\"\n");
        tried.run(&["--apply"], &[]).ok();
        assert_eq!((tried.read("srv/d/file"), tried.read("srv/d/w")), ("root's\n".into(), String::new()));
        assert!(tried.root.path("srv/d/sub").is_dir());
        let mut value = [0u8; 4];
        let length =
            rustix::fs::getxattr(tried.root.path("srv/d/w"), "user.overlay.whiteout", &mut value).unwrap();
        assert_eq!(value[..length], *b"y");
    }

    #[test]
    #[ignore = "needs root, busybox-static and overlay"]
    fn changes_that_began_in_a_user_namespace_keep_their_marks_for_root() {
        let tried = Tried::new();
        if !has_overlay() || !tried.keeps_attributes() {
            return;
        }
        let inside =
            || Run::new("unshare").args(["--user", "--map-root-user", "--mount"]).arg(tools().chroot());
        let replace = "rm -r /opaque; mkdir /opaque; echo f >/opaque/f";
        let ended = tried.run_by(inside(), &[], &["/bin/sh", "-euc", replace]);
        ended.ended(End::Exit(0));
        // root continues them
        tried.change("test ! -e /opaque/gone; rm -r /old; mkdir /old");
        let listed = "removed \"/old/sub\"\ncreated \"/opaque/f\"\nremoved \"/opaque/gone\"\n";
        assert_eq!(tried.list(), listed);
        assert_eq!(tried.run_by(inside(), &["--list"], &[]).ok(), listed);
        tried.run(&["--apply"], &[]).ok();
        assert!(!tried.root.path("opaque/gone").exists() && !tried.root.path("old/sub").exists());
        // the next ones begin as root's
        tried.change("rm -r /opaque; mkdir /opaque");
        assert!(!tried.dir().join("userxattr").exists());
        assert_eq!(tried.list(), "removed \"/opaque/f\"\n");
        for (options, command) in [(&[][..], &["/bin/true"][..]), (&["--list"], &[]), (&["--apply"], &[])] {
            let refused = tried.run_by(inside(), options, command).ended(End::Exit(125)).err();
            let hint = "chroot-rs: hint: run chroot-rs as root outside all user namespaces: with sudo, and without \
                unshare-rs\n";
            assert!(refused.contains("the machine's root began") && refused.ends_with(hint), "{refused}");
        }
    }
}

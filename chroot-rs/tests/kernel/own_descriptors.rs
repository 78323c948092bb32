//! Until execve(2) has found the command, /proc/self/fd contains all descriptors of the process, and an
//! ordinary symlink in the root can lead there. So no descriptor that leads out may be open while a path
//! inside is resolved.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use nix::unistd::geteuid;
use tests::{End, Run, Scratch, Trace, deadline, tools};

/// Possible numbers of the tool's descriptors.
const NUMBERS: std::ops::Range<u32> = 3..20;

/// A root with links to descriptors, and a directory outside with a program.
struct Place {
    root: Scratch,
    outside: Scratch,
}

impl Place {
    fn new() -> Self {
        let (root, outside) = (Scratch::busybox_root(), Scratch::new());
        for number in NUMBERS {
            symlink(format!("/proc/self/fd/{number}"), root.path(format!("link-{number}"))).unwrap();
        }
        fs::write(outside.path("marker"), "escaped\n").unwrap();
        fs::create_dir(outside.path("kept")).unwrap();
        outside.install(tests::scratch::busybox(), "");
        Self { root, outside }
    }

    /// Options that make the tool open something outside; NEWROOT is the next argument.
    fn plans(&self) -> Vec<Vec<OsString>> {
        let chroot = || OsString::from(tools().chroot());
        let path = |path: &str| OsString::from(self.outside.path(path));
        let mut plans = vec![
            vec![chroot()],
            vec![chroot(), "--changes".into(), path("kept")],
            vec![chroot(), "--ephemeral".into()],
            vec![chroot(), "--read-only".into(), "--bind".into(), path("kept:/mnt")],
            vec![tools().unshare().into(), "--pid-file".into(), path("pid"), "--".into(), chroot()],
        ];
        if geteuid().is_root() {
            plans.push(vec![chroot(), "--userns".into(), "auto".into()]);
        }
        plans
    }

    /// With a directory outside the root that the caller left open.
    fn run(&self, plan: &[OsString], words: &[OsString]) -> Run {
        let (program, args) = plan.split_first().unwrap();
        let open = File::open(self.outside.path("")).unwrap();
        Run::new(program).args(args).args(words).leaving_open(open)
    }
}

/// Looks for files outside, from a directory and from those above.
const LOOK: &str = "for at in . .. ../.. ../../.. ../../../..; do cat $at/marker 2>/dev/null; done
    test -d ./$1 && echo the processes outside";

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn no_working_directory_leads_through_a_descriptor_of_the_tool() {
        let place = Place::new();
        let outside = std::process::id().to_string();
        for plan in place.plans() {
            for number in NUMBERS {
                let link = format!("/link-{number}");
                let root = place.root.path("").into_os_string();
                let words = ["-w".into(), link.into(), root, "/bin/sh".into(), "-c".into(), LOOK.into()];
                let words: Vec<OsString> =
                    words.into_iter().chain(["sh".into(), outside.clone().into()]).collect();
                let ended = place.run(&plan, &words).end();
                assert_eq!(ended.out(), "", "{plan:?} {number}: {}", ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn no_command_is_found_through_a_descriptor_of_the_tool() {
        let place = Place::new();
        for plan in place.plans() {
            for (number, way) in NUMBERS.flat_map(|number| ["", "../"].map(|way| (number, way))) {
                let command = format!("/link-{number}/{way}busybox");
                let root = place.root.path("").into_os_string();
                let words = [root, command.into(), "echo".into(), "escaped".into()];
                let ended = place.run(&plan, &words).end();
                assert_eq!(ended.out(), "", "{plan:?} {number} {way}: {}", ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_missing_working_directory_is_not_made_outside() {
        let place = Place::new();
        let config = place.outside.path("config.json");
        let above = place.outside.path("");
        let above = above.strip_prefix("/").unwrap().to_path_buf();
        let process = PathBuf::from(format!("/proc/{}/root", std::process::id()));
        let mut ways = vec![(process.join(above).join("new"), "--share-pid")];
        ways.extend(NUMBERS.map(|number| (format!("/link-{number}/new").into(), "--no-init")));
        for (way, option) in ways {
            fs::write(&config, format!(r#"{{"config": {{"WorkingDir": "{}"}}}}"#, way.display())).unwrap();
            let plan =
                [tools().chroot().into(), "--image-config".into(), config.clone().into(), option.into()];
            let words = [place.root.path("").into_os_string(), "/bin/true".into()];
            let ended = place.run(&plan, &words).end();
            assert!(!place.outside.path("new").exists(), "{}: {}", way.display(), ended.err());
            assert_eq!(ended.end, End::Exit(125), "{}: {}", way.display(), ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static, namespaces and strace"]
    fn a_link_in_the_place_of_a_new_working_directory_is_not_followed() {
        let place = Place::new();
        let (root, config) = (place.root.path(""), place.outside.path("config.json"));
        fs::write(&config, r#"{"config": {"WorkingDir": "/srv/new"}}"#).unwrap();
        let (new, victim) = (root.join("srv/new"), root.join("victim"));
        fs::create_dir_all(root.join("srv")).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o700)).unwrap();
        let command = [
            tools().chroot().into_os_string(),
            "--no-mount".into(),
            "--image-config".into(),
            config.into(),
            root.into(),
            "/bin/true".into(),
        ];
        let traced = std::thread::scope(|scope| {
            let run = scope.spawn(|| Trace::new().only("mkdirat").slow("mkdirat").run(command));
            deadline::until("the new directory", || fs::remove_dir(&new).ok());
            symlink("/victim", &new).unwrap();
            run.join().unwrap()
        });
        assert_eq!(fs::metadata(&victim).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(traced.ended.end, End::Exit(125), "{}", traced.ended.err());
    }
}

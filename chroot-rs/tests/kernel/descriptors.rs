//! Descriptors that the caller leaves open: those that lead out are closed, those for the command are passed
//! on.

use std::fs::File;
use std::io::{IoSlice, Seek as _};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};

use nix::fcntl::{OFlag, open};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::stat::Mode;
use tests::{Run, Scratch, tools};

use crate::jail::{Isolation, Jail, SECRET};

const ISOLATIONS: [Isolation; 4] =
    [Isolation::Default, Isolation::Chain, Isolation::Waiting, Isolation::User];

fn opened(path: &str, flags: OFlag) -> OwnedFd {
    open(path, flags | OFlag::O_CLOEXEC, Mode::empty()).unwrap()
}

/// Uses an open directory.
fn directory(fd: RawFd) -> String {
    format!(
        "mount -t proc proc /proc 2>/dev/null
        cat /proc/self/fd/{fd}/$SECRET; cd /proc/self/fd/{fd} && cat ./$SECRET"
    )
}

/// Enters an open mount namespace.
fn namespace(fd: RawFd) -> String {
    format!(
        "mount -t proc proc /proc 2>/dev/null
        exec nsenter --mount=/proc/self/fd/{fd} /bin/cat $SECRET"
    )
}

fn escape(way: &str, fd: RawFd) -> String {
    format!("escape {way} $SECRET {fd}")
}

/// A socket with a queued message that contains a directory outside the root.
fn socket_with_directory() -> UnixDatagram {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let directory = File::open("/").unwrap();
    let fds = [directory.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(ours.as_raw_fd(), &[IoSlice::new(b"x")], &message, MsgFlags::empty(), None).unwrap();
    theirs
}

/// This process, which stays outside.
fn process() -> OwnedFd {
    system::sys::pidfd_open(std::process::id().cast_signed()).unwrap()
}

/// A descriptor that leads out, by name, and the way to use it.
type Way = (&'static str, OwnedFd, fn(RawFd) -> String);

fn ways() -> Vec<Way> {
    vec![
        ("a directory", opened("/", OFlag::O_RDONLY), directory),
        ("a directory as a path", opened("/", OFlag::O_PATH), directory),
        ("a mount namespace", opened("/proc/self/ns/mnt", OFlag::O_RDONLY), namespace),
        ("a mount namespace as a path", opened("/proc/self/ns/mnt", OFlag::O_PATH), namespace),
        ("a process", process(), |fd| escape("pidfd", fd)),
        ("a socket", socket_with_directory().into(), |fd| escape("socket", fd)),
    ]
}

fn escapes(
    jail: &Jail,
    isolation: Isolation,
    options: &[&str],
    fd: OwnedFd,
    way: fn(RawFd) -> String,
) -> bool {
    let script = way(fd.as_raw_fd());
    jail.run(isolation, options, &script).leaving_open(fd).end().out().contains(SECRET)
}

/// Which of these descriptors the command has, each under its number.
fn passed(isolation: Isolation, fds: Vec<(&'static str, OwnedFd)>, count: &str) -> String {
    let tests = fds.iter().map(|(name, fd)| {
        format!("test -e /proc/self/fd/{0} || test -L /proc/self/fd/{0} && echo {name}\n", fd.as_raw_fd())
    });
    let script = tests.collect::<String>() + "true";
    let jail = Jail::new();
    let run = jail.run(isolation, &[], &script).env("LISTEN_FDS", count);
    fds.into_iter().fold(run, |run, (_, fd)| run.leaving_open(fd)).end().ok()
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn each_way_leads_out_of_chroot() {
        let jail = Jail::new();
        for (name, fd, way) in ways() {
            assert!(escapes(&jail, Isolation::Chroot, &[], fd, way), "{name}");
        }
    }

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn keep_fds_leaves_them_open_for_who_asks() {
        let jail = Jail::new();
        for (name, fd, way) in ways() {
            // some of these ways need a right, too
            let options = ["--keep-fds", "--privileged"];
            assert!(escapes(&jail, Isolation::Default, &options, fd, way), "{name}");
        }
    }
}

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn none_leads_out_of_the_new_root() {
        let jail = Jail::new();
        for isolation in ISOLATIONS {
            for options in [&[][..], &["--privileged"]] {
                for (name, fd, way) in ways() {
                    assert!(!escapes(&jail, isolation, options, fd, way), "{isolation:?} {options:?} {name}");
                }
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_directory_as_standard_input_leads_nowhere_either() {
        let jail = Jail::new();
        let root = jail.root.path("");
        for keep in [None, Some("--keep-fds")] {
            let ended = Run::new("sh")
                .args(["-c", "exec \"$@\" </", "sh"])
                .arg(tools().chroot())
                .args(keep)
                .arg(&root)
                .args(["/bin/sh", "-c", &directory(0)])
                .env("SECRET", &jail.secret)
                .end();
            assert_eq!(ended.out().contains(SECRET), keep.is_some(), "{keep:?}: {}", ended.err());
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn what_is_meant_for_the_command_is_passed_on() {
        let scratch = Scratch::new();
        let mut file = File::create_new(scratch.path("file")).unwrap();
        file.rewind().unwrap();
        // a jobserver of make(1) is such a pipe
        let (reader, writer) = std::io::pipe().unwrap();

        let event = OwnedFd::from(EventFd::new().unwrap());
        let fds: Vec<(&str, OwnedFd)> = vec![
            ("file", file.into()),
            ("reader", reader.into()),
            ("writer", writer.into()),
            ("device", opened("/dev/null", OFlag::O_RDWR)),
            ("network", UdpSocket::bind("0.0.0.0:0").unwrap().into()),
            ("event", event),
            ("directory", opened("/", OFlag::O_RDONLY)),
            ("status", opened("/proc/self/status", OFlag::O_RDONLY)),
            ("master", opened("/dev/ptmx", OFlag::O_RDWR | OFlag::O_NOCTTY)),
            ("local", UnixDatagram::unbound().unwrap().into()),
        ];
        assert_eq!(passed(Isolation::Default, fds, ""), "file\nreader\nwriter\ndevice\n");
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn the_sockets_of_a_service_are_passed_on_and_its_directories_are_not() {
        let scratch = Scratch::new();
        let fds = || -> Vec<(&str, OwnedFd)> {
            let _ = std::fs::remove_file(scratch.path("socket"));
            vec![
                ("listener", UnixListener::bind(scratch.path("socket")).unwrap().into()),
                ("directory", opened("/", OFlag::O_RDONLY)),
            ]
        };
        assert_eq!(passed(Isolation::Service, fds(), "1000"), "listener\n");
        assert_eq!(passed(Isolation::Service, fds(), "0"), "");
        // LISTEN_FDS for another PID does not affect the command
        assert_eq!(passed(Isolation::Default, fds(), "1000"), "");
    }
}

//! A root file system, a secret file outside it, and the ways to change the root to it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tests::scratch::busybox;
use tests::{Run, Scratch, tools};

/// The text of the secret.
pub(crate) const SECRET: &str = "this is outside";

/// A root with a shell, in a directory with another file, which must not be readable from inside.
pub(crate) struct Jail {
    _outer: Scratch,
    /// The root.
    pub(crate) root: Scratch,
    /// The file outside.
    pub(crate) secret: PathBuf,
}

/// The mounts of the machine, as this process sees them.
pub(crate) fn mount_table() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// Whether chroot(1) is GNU's: busybox has one without options.
pub(crate) fn has_gnu_chroot() -> bool {
    Run::new("chroot").arg("--version").end().out().contains("GNU")
}

/// How the root is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// chroot(1), in a mount namespace, so that mount tricks do not affect the machine.
    Chroot,
    /// chroot-rs without options.
    Default,
    /// The same, as from a service manager: with descriptors that `LISTEN_FDS` counts.
    Service,
    /// The chain: namespaces, including a PID namespace, then chroot-rs.
    Chain,
    /// The same, with a process 1 that waits with the old root.
    Waiting,
    /// chroot-rs in a user namespace whose root is the caller.
    User,
}

impl Jail {
    pub(crate) fn new() -> Self {
        let (outer, root) = (Scratch::new(), Scratch::busybox_root());
        // a second root inside, for another change of the root
        fs::create_dir_all(root.path("sub/bin")).unwrap();
        root.install(busybox(), "sub/bin");
        for applet in ["sh", "chroot", "cat"] {
            symlink("busybox", root.path("sub/bin").join(applet)).unwrap();
        }
        root.install(&tools().escape(), "bin");
        let secret = outer.path("secret");
        fs::write(&secret, SECRET).unwrap();
        Self { _outer: outer, root, secret }
    }

    /// A shell script inside, which knows the path of the secret (`$SECRET`) and the PID of a process outside
    /// (`$OUTSIDE`).
    pub(crate) fn run(&self, isolation: Isolation, options: &[&str], script: &str) -> Run {
        self.run_in(self.root.path(""), isolation, options, script)
    }

    /// The same with another path to the root.
    pub(crate) fn run_in(&self, root: PathBuf, isolation: Isolation, options: &[&str], script: &str) -> Run {
        let mut words: Vec<OsString> = match isolation {
            Isolation::Chroot => {
                ["unshare", "--mount", "--propagation", "private", "chroot"].map(OsString::from).to_vec()
            }
            Isolation::Default => vec![tools().chroot().into()],
            Isolation::Service => {
                let start = ["/bin/sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh"].map(OsString::from);
                start.into_iter().chain([tools().chroot().into()]).collect()
            }
            Isolation::Chain => vec![tools().unshare().into(), "--".into(), tools().chroot().into()],
            Isolation::User => {
                let user = ["--user", "--map-root-user", "--"].map(OsString::from);
                [tools().unshare().into()].into_iter().chain(user).chain([tools().chroot().into()]).collect()
            }
            Isolation::Waiting => {
                let wait = ["--", "/bin/sh", "-c", "\"$@\"; exit $?", "sh"].map(OsString::from);
                let tool = [tools().chroot().into()];
                [tools().unshare().into()].into_iter().chain(wait).chain(tool).collect()
            }
        };
        words.extend(options.iter().map(OsString::from));
        words.extend([root.into(), "/bin/sh".into(), "-c".into(), script.into()]);
        let (program, args) = words.split_first().unwrap();
        Run::new(program)
            .args(args)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("SECRET", &self.secret)
            .env("OUTSIDE", std::process::id().to_string())
    }

    /// Whether the script read the secret, by default or with all rights: the root itself must hold, and not
    /// only because a right is missing.
    #[track_caller]
    pub(crate) fn escapes(&self, isolation: Isolation, script: &str) -> bool {
        let with_every_right =
            || isolation != Isolation::Chroot && self.escapes_with(isolation, &["--privileged"], script);
        self.escapes_with(isolation, &[], script) || with_every_right()
    }

    /// Whether the script read the secret with these options.
    #[track_caller]
    pub(crate) fn escapes_with(&self, isolation: Isolation, options: &[&str], script: &str) -> bool {
        self.run(isolation, options, script).end().out().contains(SECRET)
    }
}

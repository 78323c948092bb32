//! Each way to the command that must not change it: one tool, or all three in a row.

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::run::Run;
use crate::scratch::Scratch;
use crate::tools::tools;

/// A command line that ends where the command begins.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name in failed tests.
    pub name: &'static str,
    words: Vec<OsString>,
    /// Whether the command sees the scratch root as its `/`.
    pub changes_root: bool,
}

impl Link {
    /// Each tool alone, and the chain in both orders, with `root` as the new root.
    pub fn all(root: &Scratch) -> [Self; 5] {
        [
            Self::unshare(),
            Self::cgexec(),
            Self::chroot(root),
            Self::unshare().then(Self::cgexec(), "unshare, cgexec, chroot").then_chroot(root),
            Self::cgexec().then(Self::unshare(), "cgexec, unshare, chroot").then_chroot(root),
        ]
    }

    /// The container's namespaces.
    pub fn unshare() -> Self {
        Self::new("unshare", [tools().unshare().into(), "--".into()])
    }

    /// A control group without limits.
    pub fn cgexec() -> Self {
        Self::new("cgexec", [tools().cgexec().into(), "--".into()])
    }

    /// Each plan that a tool makes for the caller: what can fail, and what must be explained.
    pub fn plans(root: &Scratch) -> Vec<Self> {
        let option = |mut link: Self, name, options: &[&str]| {
            link.name = name;
            link.words.splice(1..1, options.iter().map(OsString::from));
            link
        };
        let mut plans = vec![
            Self::unshare(),
            option(
                Self::unshare(),
                "unshare --user",
                &["--user", "--map-root-user", "--uts", "--hostname", "box", "--pid", "--mount-proc"],
            ),
            Self::cgexec(),
            Self::chroot(root),
        ];
        if nix::unistd::geteuid().is_root() {
            let limits = ["--memory", "50M", "--pids-limit", "20", "--cpus", "1.5"];
            plans.push(option(Self::cgexec(), "cgexec with limits", &limits));
            // the paths of its groups tell the child's calls apart; no other run has them
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("chain-test-named{:x}{number:03x}", std::process::id());
            let named = ["--name", &name, "--pids-limit", "20"];
            plans.push(option(Self::cgexec(), "cgexec with a name", &named));
            plans.push(option(Self::chroot(root), "chroot --plain", &["--plain"]));
        }
        plans
    }

    /// The same, with `option` as the first option of the first tool.
    pub fn with(mut self, option: &str) -> Self {
        self.words.insert(1, option.into());
        self
    }

    /// A new root.
    pub fn chroot(root: &Scratch) -> Self {
        let words = [tools().chroot().into(), "--".into(), root.path("").into()];
        Self { changes_root: true, ..Self::new("chroot", words) }
    }

    /// Another link.
    pub fn new(name: &'static str, words: impl IntoIterator<Item = OsString>) -> Self {
        Self { name, words: words.into_iter().collect(), changes_root: false }
    }

    /// This link, and then another one.
    pub fn then(mut self, next: Self, name: &'static str) -> Self {
        self.words.extend(next.words);
        Self { name, changes_root: self.changes_root || next.changes_root, ..self }
    }

    fn then_chroot(self, root: &Scratch) -> Self {
        let name = self.name;
        self.then(Self::chroot(root), name)
    }

    /// Its words with a command after them.
    pub fn words(&self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Vec<OsString> {
        self.words.iter().cloned().chain(command.into_iter().map(Into::into)).collect()
    }

    /// A run of it with a command.
    #[track_caller]
    pub fn run(&self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Run {
        let words = self.words(command);
        let (program, args) = words.split_first().expect("a link has a program");
        Run::new(program).args(args)
    }

    /// Words as a line for a shell.
    pub fn typed(words: &[OsString]) -> String {
        let quote = |word: &OsString| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
        words.iter().map(quote).collect::<Vec<_>>().join(" ")
    }

    /// The path for the command of the file at `inside` in `root`.
    pub fn place(&self, root: &Scratch, inside: &str) -> OsString {
        if self.changes_root { Path::new("/").join(inside).into() } else { root.path(inside).into() }
    }
}

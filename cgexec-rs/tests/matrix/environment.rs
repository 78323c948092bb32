//! The places in which cgexec-rs is started.

use std::ffi::OsString;

use tests::{End, tools};

use crate::outcome::{Expected, Outcome, RunMode};

/// An environment, and how to get there.
#[derive(Clone, Debug)]
pub struct Environment {
    pub name: &'static str,
    /// Words before cgexec-rs.
    words: fn() -> Vec<OsString>,
    /// Why nothing can be limited there, in the words of the refusal.
    refusal: Option<&'static str>,
    kind: Kind,
}

/// What becomes of processes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing but what cgexec-rs does.
    Plain,
    /// cgexec-rs is the first of a PID namespace.
    Init,
    /// It is the main process of a service, whose other processes systemd ends.
    Service,
    /// Another cgexec-rs waits around it, ends what is left, and says what it saw.
    Inside,
}

impl Environment {
    /// In the order of the page.
    pub fn all() -> Vec<Self> {
        vec![
            Self::root(),
            Self::root_on_v1(),
            Self::cgroup_namespace(),
            Self::delegated(),
            Self::in_namespaces("a user's group, in namespaces"),
            Self::root_with_systemd(),
            Self::service(),
            Self::undelegated_service(),
            Self::login(),
            Self::in_namespaces("a login with systemd, in namespaces"),
            Self::sudo(),
            Self::user_without_a_group(),
            Self::read_only(),
        ]
    }

    fn new(name: &'static str, kind: Kind, words: fn() -> Vec<OsString>) -> Self {
        Self { name, words, refusal: None, kind }
    }

    pub fn root() -> Self {
        Self::new("root: version 2 without systemd, and version 1 with 2 beside it", Kind::Plain, Vec::new)
    }

    pub fn root_on_v1() -> Self {
        Self::new("root: version 1 alone", Kind::Plain, Vec::new)
    }

    pub fn delegated() -> Self {
        Self::new("a user's group", Kind::Plain, Vec::new)
    }

    pub fn root_with_systemd() -> Self {
        Self::new("root with systemd", Kind::Plain, Vec::new)
    }

    pub fn login() -> Self {
        Self::new("a login with systemd", Kind::Plain, Vec::new)
    }

    /// As the caller's own root in new user and PID namespaces.
    pub fn in_namespaces(name: &'static str) -> Self {
        Self::new(name, Kind::Init, || vec![tools().unshare().into(), "--".into()])
    }

    /// A cgroup namespace whose mounts are of the one around it.
    pub fn cgroup_namespace() -> Self {
        Self::new("root below another cgexec-rs: a cgroup namespace, the outer mounts", Kind::Inside, || {
            let mut words: Vec<OsString> = vec![tools().cgexec().into()];
            // the controllers for limits inside must be enabled
            let handed_on = ["-m", "max", "--pids-limit", "max", "--cpu-quota", "max", "--"];
            words.extend(handed_on.map(OsString::from));
            words
        })
    }

    pub fn service() -> Self {
        Self::new("a service with Delegate=yes", Kind::Service, || {
            words("systemd-run -q --wait --pipe -p Delegate=yes")
        })
    }

    /// A service that systemd has not delegated: no scope outlives it.
    pub fn undelegated_service() -> Self {
        Self {
            refusal: Some(" is a service, and systemd has not delegated its group"),
            ..Self::new("a service without it", Kind::Service, || words("systemd-run -q --wait --pipe"))
        }
    }

    /// A user whose systemd runs, without any of the variables that a login sets.
    pub fn sudo() -> Self {
        Self::new("a user by sudo, with systemd", Kind::Plain, || {
            let mut to_user = words("setpriv --reuid 1000 --regid 1000 --init-groups env -i");
            to_user.push(format!("PATH={}", std::env::var("PATH").unwrap_or_default()).into());
            to_user
        })
    }

    pub fn user_without_a_group() -> Self {
        Self {
            refusal: Some(" is not writable here"),
            ..Self::new("a user without a group or systemd, either version", Kind::Plain, Vec::new)
        }
    }

    pub fn read_only() -> Self {
        Self {
            refusal: Some("/sys/fs/cgroup is mounted read-only, as in a container"),
            ..Self::new("root, mounted read-only", Kind::Plain, || {
                let script = "mount --bind /sys/fs/cgroup /sys/fs/cgroup && \
                              mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"";
                let mut words: Vec<OsString> = vec![tools().unshare().into(), "--mount".into()];
                words.extend(["--", "sh", "-c", script, "sh"].map(OsString::from));
                words
            })
        }
    }

    /// The words of a run in it.
    pub fn words(&self, mode: RunMode, outcome: Outcome) -> Vec<OsString> {
        let cgexec: OsString = tools().cgexec().into();
        let mut all = (self.words)();
        for around in outcome.around() {
            all.push(cgexec.clone());
            all.extend(around.iter().chain(&["--"]).map(OsString::from));
            if outcome.has_shell_between() {
                all.extend(["sh", "-c", "\"$@\"; exit $?", "sh"].map(OsString::from));
            }
        }
        all.extend([cgexec, mode.option().into()]);
        // where nothing can be limited, what is fine is a run without limits
        if self.refusal.is_none() || outcome != Outcome::Fine {
            all.extend(outcome.limits().iter().map(OsString::from));
        }
        all.extend(["--", "sh", "-c", outcome.script()].map(OsString::from));
        all
    }

    /// One more run, which takes away what an earlier one had to leave.
    pub fn one_more(&self) -> Vec<OsString> {
        let limits = ["-m", "60M", "--pids-limit", "20", "--cpus", "1", "--", "true"];
        let mut all = (self.words)();
        all.push(tools().cgexec().into());
        all.extend(limits.iter().skip(if self.refusal.is_some() { 6 } else { 0 }).map(OsString::from));
        all
    }

    /// What a cell has to be.
    ///
    /// # Errors
    /// Why there is no such cell.
    pub fn expects(&self, mode: RunMode, outcome: Outcome) -> Result<Expected, &'static str> {
        if let Some(refusal) = self.refusal {
            return match outcome {
                Outcome::Fine => {
                    Ok(Expected { end: End::Exit(7), out: "fine\n", line: format!("{refusal}; ") })
                }
                Outcome::Killed => Err("nothing is limited there, so nothing ran that could be killed"),
                Outcome::MissingController => {
                    Ok(Expected { end: End::Exit(125), out: "", line: outcome.said().into() })
                }
                _ => Ok(Expected { end: End::Exit(125), out: "", line: refusal.into() }),
            };
        }
        // the last link of a chain with a PID namespace leaves a parent beside process 1 in any case
        let ends_chain = self.kind == Kind::Init && !outcome.has_shell_between();
        let says = mode == RunMode::Wait || outcome.is_refused() || ends_chain;
        let line = match (says, outcome) {
            (_, Outcome::Killed) if self.kind == Kind::Inside => "SIGKILL came from elsewhere",
            (false, Outcome::OwnOom) if self.kind == Kind::Inside => {
                "the memory limit of a group that the command created was hit"
            }
            (false, Outcome::ForkLimit) if self.kind == Kind::Inside => {
                "the limit of processes of a group that the command created was hit"
            }
            (true, _) => outcome.said(),
            // the run around it has a parent that stayed
            (false, Outcome::OomAbove | Outcome::OomAboveShell) => "the memory limit of 20 MiB was hit",
            // the one between says that, and takes what was counted with it
            (false, Outcome::OomAboveTwice) => "memory ran out above this group",
            (false, Outcome::ForkLimitAbove) => "the limit of 6 processes was hit",
            (false, _) => "",
        };
        let end = outcome.status().map_or_else(|| self.killed(), End::Exit);
        // process 1 and the parent of the command are in the group too
        let out =
            if self.kind == Kind::Init && outcome == Outcome::ForkLimit { "1\n2\n" } else { outcome.out() };
        Ok(Expected { end, out, line: line.into() })
    }

    /// How a signal that ended the command, or cgexec-rs, comes out.
    fn killed(&self) -> End {
        match self.kind {
            // as systemd-run(1) tells any signal
            Kind::Service => End::Exit(255),
            Kind::Init | Kind::Plain | Kind::Inside => End::Signal(9),
        }
    }

    /// Whether what the command leaves ends without cgexec-rs, or was never started.
    pub fn ends_leftovers(&self) -> bool {
        self.kind != Kind::Plain || self.refusal.is_some()
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

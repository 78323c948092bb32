//! The environments in which cgexec-rs is started.

use std::ffi::OsString;

use tests::{End, tools};

use crate::outcome::{Expected, Outcome, RunMode};

/// An environment, and how to enter it.
#[derive(Clone, Debug)]
pub struct Environment {
    pub name: &'static str,
    /// The command line before cgexec-rs.
    words: fn() -> Vec<OsString>,
    /// If nothing can be limited there: the reason in the message.
    refusal: Option<&'static str>,
    kind: EnvironmentKind,
}

/// What ends processes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EnvironmentKind {
    /// Only cgexec-rs.
    Plain,
    /// cgexec-rs is process 1 of a PID namespace.
    Init,
    /// It is the main process of a service, whose other processes are killed by systemd.
    Service,
    /// Another cgexec-rs waits around it, kills the remaining processes, and reports.
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

    fn new(name: &'static str, kind: EnvironmentKind, words: fn() -> Vec<OsString>) -> Self {
        Self { name, words, refusal: None, kind }
    }

    pub fn root() -> Self {
        Self::new(
            "root: version 2 without systemd, and version 1 with 2 beside it",
            EnvironmentKind::Plain,
            Vec::new,
        )
    }

    pub fn root_on_v1() -> Self {
        Self::new("root: version 1 alone", EnvironmentKind::Plain, Vec::new)
    }

    pub fn delegated() -> Self {
        Self::new("a user's group", EnvironmentKind::Plain, Vec::new)
    }

    pub fn root_with_systemd() -> Self {
        Self::new("root with systemd", EnvironmentKind::Plain, Vec::new)
    }

    pub fn login() -> Self {
        Self::new("a login with systemd", EnvironmentKind::Plain, Vec::new)
    }

    /// As the caller's own root, in new user and PID namespaces.
    pub fn in_namespaces(name: &'static str) -> Self {
        Self::new(name, EnvironmentKind::Init, || vec![tools().unshare().into(), "--".into()])
    }

    /// A cgroup namespace whose mounts belong to the surrounding one.
    pub fn cgroup_namespace() -> Self {
        Self::new(
            "root below another cgexec-rs: a cgroup namespace, the outer mounts",
            EnvironmentKind::Inside,
            || {
                let mut words: Vec<OsString> = vec![tools().cgexec().into()];
                // the controllers for limits inside must be enabled
                let handed_on = ["-m", "max", "--pids-limit", "max", "--cpu-quota", "max", "--"];
                words.extend(handed_on.map(OsString::from));
                words
            },
        )
    }

    pub fn service() -> Self {
        Self::new("a service with Delegate=yes", EnvironmentKind::Service, || {
            words("systemd-run -q --wait --pipe -p Delegate=yes")
        })
    }

    /// A service without delegation by systemd: no scope outlives it.
    pub fn undelegated_service() -> Self {
        Self {
            refusal: Some(" is a service, and systemd has not delegated its group"),
            ..Self::new("a service without it", EnvironmentKind::Service, || {
                words("systemd-run -q --wait --pipe")
            })
        }
    }

    /// A user with a running systemd, but without any of the variables that a login sets.
    pub fn sudo() -> Self {
        Self::new("a user by sudo, with systemd", EnvironmentKind::Plain, || {
            let mut to_user = words("setpriv --reuid 1000 --regid 1000 --init-groups env -i");
            to_user.push(format!("PATH={}", std::env::var("PATH").unwrap_or_default()).into());
            to_user
        })
    }

    pub fn user_without_a_group() -> Self {
        Self {
            refusal: Some(" is not writable here"),
            ..Self::new("a user without a group or systemd, either version", EnvironmentKind::Plain, Vec::new)
        }
    }

    pub fn read_only() -> Self {
        Self {
            refusal: Some("/sys/fs/cgroup is mounted read-only, as in a container"),
            ..Self::new("root, mounted read-only", EnvironmentKind::Plain, || {
                let script = "mount --bind /sys/fs/cgroup /sys/fs/cgroup && \
                              mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"";
                let mut words: Vec<OsString> = vec![tools().unshare().into(), "--mount".into()];
                words.extend(["--", "sh", "-c", script, "sh"].map(OsString::from));
                words
            })
        }
    }

    /// The command line of a run in it.
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
        // if nothing can be limited, only a run without limits succeeds
        if self.refusal.is_none() || outcome != Outcome::Fine {
            all.extend(outcome.limits().iter().map(OsString::from));
        }
        all.extend(["--", "sh", "-c", outcome.script()].map(OsString::from));
        all
    }

    /// One more run, which removes what an earlier one had to leave.
    pub fn one_more(&self) -> Vec<OsString> {
        let limits = ["-m", "60M", "--pids-limit", "20", "--cpus", "1", "--", "true"];
        let mut all = (self.words)();
        all.push(tools().cgexec().into());
        all.extend(limits.iter().skip(if self.refusal.is_some() { 6 } else { 0 }).map(OsString::from));
        all
    }

    /// The expected result of a cell.
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
        // the last link of a chain with a PID namespace always leaves a parent next to process 1
        let ends_chain = self.kind == EnvironmentKind::Init && !outcome.has_shell_between();
        let says = mode == RunMode::Wait || outcome.is_refused() || ends_chain;
        let line = match (says, outcome) {
            (_, Outcome::Killed) if self.kind == EnvironmentKind::Inside => "SIGKILL came from elsewhere",
            (false, Outcome::OwnOom) if self.kind == EnvironmentKind::Inside => {
                "the memory limit of a group that the command created was hit"
            }
            (false, Outcome::ForkLimit) if self.kind == EnvironmentKind::Inside => {
                "the limit of processes of a group that the command created was hit"
            }
            (true, _) => outcome.said(),
            // the run around it has a supervisor
            (false, Outcome::OomAbove | Outcome::OomAboveShell) => "the memory limit of 20 MiB was hit",
            // the run in between prints that, and its counters are lost
            (false, Outcome::OomAboveTwice) => "memory ran out above this group",
            (false, Outcome::ForkLimitAbove) => "the limit of 6 processes was hit",
            (false, _) => "",
        };
        let end = outcome.status().map_or_else(|| self.killed(), End::Exit);
        // process 1 and the command's parent are in the group, too
        let out = if self.kind == EnvironmentKind::Init && outcome == Outcome::ForkLimit {
            "1\n2\n"
        } else {
            outcome.out()
        };
        Ok(Expected { end, out, line: line.into() })
    }

    /// How a signal that ended the command, or cgexec-rs, is reported.
    fn killed(&self) -> End {
        match self.kind {
            // as systemd-run(1) reports any signal
            EnvironmentKind::Service => End::Exit(255),
            EnvironmentKind::Init | EnvironmentKind::Plain | EnvironmentKind::Inside => End::Signal(9),
        }
    }

    /// Whether the command's background processes end without cgexec-rs, or were never started.
    pub fn ends_leftovers(&self) -> bool {
        self.kind != EnvironmentKind::Plain || self.refusal.is_some()
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

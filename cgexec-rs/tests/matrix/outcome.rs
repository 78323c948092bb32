//! The ways in which a run can end, and how a test causes them.

use tests::End;

/// Whether there is a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// No: cgexec-rs becomes the command.
    Exec,
    /// Yes, as the command's parent.
    Wait,
}

impl RunMode {
    pub const ALL: [Self; 2] = [Self::Exec, Self::Wait];

    pub const fn option(self) -> &'static str {
        match self {
            Self::Exec => "--exec",
            Self::Wait => "--wait",
        }
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Fine,
    OwnOom,
    OomAbove,
    OomAboveShell,
    OomAboveTwice,
    ForkLimit,
    ForkLimitAbove,
    Throttled,
    Daemon,
    BadValue,
    MissingController,
    Killed,
}

/// The expected result of a cell.
#[derive(Debug)]
pub struct Expected {
    pub end: End,
    pub out: &'static str,
    /// A part of the expected message; empty if there must be none.
    pub line: String,
}

/// How long background processes sleep: a number that no other process uses.
pub const SLEEP: &str = "98765";

impl Outcome {
    pub const ALL: [Self; 12] = [
        Self::Fine,
        Self::OwnOom,
        Self::OomAbove,
        Self::OomAboveShell,
        Self::OomAboveTwice,
        Self::ForkLimit,
        Self::ForkLimitAbove,
        Self::Throttled,
        Self::Daemon,
        Self::BadValue,
        Self::MissingController,
        Self::Killed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::OwnOom => "own limit of memory",
            Self::OomAbove => "a limit of memory above",
            Self::OomAboveShell => "the same, a shell between",
            Self::OomAboveTwice => "the same, two groups above",
            Self::ForkLimit => "fork refused",
            Self::ForkLimitAbove => "fork refused above, a shell between",
            Self::Throttled => "throttled",
            Self::Daemon => "a daemon left",
            Self::BadValue => "bad value",
            Self::MissingController => "missing controller",
            Self::Killed => "cgexec-rs killed",
        }
    }

    /// The command.
    pub const fn script(self) -> &'static str {
        match self {
            Self::Fine => "echo fine; exit 7",
            Self::OwnOom | Self::OomAbove | Self::OomAboveShell | Self::OomAboveTwice => {
                "exec tail /dev/zero"
            }
            Self::ForkLimitAbove => "for i in 1 2 3 4 5 6 7 8; do sleep 3 & done; exit 4",
            Self::ForkLimit => "for i in 1 2 3 4 5 6 7 8; do sleep 3 & echo $i; done; exit 4",
            // processor time in ticks of a hundredth of a second: proc_pid_stat(5); with as few programs as
            // possible, because a fraction of a processor makes their starts slow; systemd would replace
            // variables in braces by its own
            Self::Throttled => {
                "now() { IFS=\". \" read s h _ </proc/uptime; t=$s$h; }; now; a=$t; (while :; do :; done) & sleep 0.7; \
                 read _ _ _ _ _ _ _ _ _ _ _ _ _ x y _ </proc/$!/stat; now; kill -9 $!; \
                 [ $((x + y)) -lt $(((t - a) * 6 / 10)) ] && echo held; exit 5"
            }
            Self::Daemon => "setsid sleep 98765 >/dev/null 2>&1 </dev/null & sleep 0.1; echo left; exit 3",
            Self::BadValue | Self::MissingController => "echo ran",
            Self::Killed => {
                "setsid sleep 98765 >/dev/null 2>&1 </dev/null & sleep 98765 >/dev/null 2>&1 </dev/null; :"
            }
        }
    }

    /// The run's limits.
    pub const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Fine => &["-m", "60M", "--pids-limit", "20"],
            Self::OwnOom => &["-m", "20M", "--memory-swap-max", "0"],
            Self::OomAbove | Self::OomAboveShell | Self::OomAboveTwice => {
                &["-m", "80M", "--memory-swap-max", "0"]
            }
            Self::ForkLimitAbove => &["--pids-limit", "50"],
            Self::ForkLimit => &["--pids-limit", "5"],
            Self::Throttled => &["--cpus", "0.1"],
            Self::Daemon | Self::Killed => &["--pids-limit", "20"],
            Self::BadValue => &["--set", "pids.max=many"],
            Self::MissingController => &["--set", "nonesuch.x=1"],
        }
    }

    /// The limits of the surrounding runs, from the outermost on.
    pub const fn around(self) -> &'static [&'static [&'static str]] {
        const MEMORY: &[&str] = &["--wait", "--no-cgroupns", "-m", "20M", "--memory-swap-max", "0"];
        match self {
            Self::OomAbove | Self::OomAboveShell => &[MEMORY],
            Self::OomAboveTwice => &[MEMORY, &["--wait", "--no-cgroupns", "-m", "70M"]],
            Self::ForkLimitAbove => &[&["--wait", "--no-cgroupns", "--pids-limit", "6"]],
            _ => &[],
        }
    }

    /// Whether each surrounding run is that of a shell, which waits in the same group.
    pub const fn has_shell_between(self) -> bool {
        matches!(self, Self::OomAboveShell | Self::OomAboveTwice | Self::ForkLimitAbove)
    }

    /// The exit status, if limits can be set and no signal ends it.
    pub const fn status(self) -> Option<i32> {
        match self {
            Self::Fine => Some(7),
            Self::OwnOom | Self::OomAbove | Self::Killed => None,
            // a shell's status for a signal
            Self::OomAboveShell | Self::OomAboveTwice => Some(137),
            // a shell's status for a failed fork
            Self::ForkLimit | Self::ForkLimitAbove => Some(2),
            Self::Throttled => Some(5),
            Self::Daemon => Some(3),
            Self::BadValue | Self::MissingController => Some(125),
        }
    }

    /// The command's standard output.
    pub const fn out(self) -> &'static str {
        match self {
            Self::Fine => "fine\n",
            Self::ForkLimit => "1\n2\n3\n4\n",
            Self::Throttled => "held\n",
            Self::Daemon => "left\n",
            _ => "",
        }
    }

    /// The message of cgexec-rs, if there is a supervisor.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Fine | Self::Daemon | Self::Killed => "",
            Self::OwnOom => "the memory limit of 20 MiB was hit: 1 process killed",
            Self::OomAbove | Self::OomAboveShell | Self::OomAboveTwice => "memory ran out above this group",
            Self::ForkLimitAbove => "the limit of processes of ",
            Self::ForkLimit => "the limit of 5 processes was hit: ",
            Self::Throttled => "the limit of 0.1 processors slowed the command down: in ",
            Self::BadValue => "cannot limit pids.max to many: write(",
            Self::MissingController => "cannot limit: no mounted hierarchy has the controller nonesuch",
        }
    }

    /// For the page.
    pub fn done(self) -> String {
        format!("`{} -- sh -c '{}'`", self.limits().join(" "), self.script().replace('|', "\\|"))
    }

    /// Whether it fails before the command runs.
    pub const fn is_refused(self) -> bool {
        matches!(self, Self::BadValue | Self::MissingController)
    }
}

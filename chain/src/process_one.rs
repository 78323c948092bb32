//! Which process is process 1 of a new PID namespace.

use std::path::Path;

use crate::Plan;
use crate::call::ForkOptions;
use crate::command::Command;
use crate::supervise::Ended;

/// Programs that only work as process 1.
const INITS: [&str; 7] =
    ["init", "systemd", "s6-svscan", "s6-overlay-suexec", "runit", "runit-init", "openrc-init"];

/// Process 1 of a PID namespace. The kernel drops signals that it does not catch, and its end ends the
/// namespace: pid_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessOne {
    /// A process that only reaps. The command is process 2, and signals act on it as usual.
    Reaper,
    /// The command.
    Command,
}

impl ProcessOne {
    /// Starts process 1 in the PID namespace that the plan has just created, then the command, which
    /// continues the plan. `limit_reaper` adds the steps that take the reaper's rights away, down to those of
    /// the command.
    pub fn plan(self, plan: &mut Plan, limit_reaper: impl FnOnce(&mut Plan)) {
        match self {
            Self::Reaper => {
                plan.start_reaper(limit_reaper);
                let reason = "start process 2, for the command, and wait for it";
                plan.fork(reason, ForkOptions::default());
            }
            Self::Command => {
                let options = ForkOptions { child_is_init: true, ..ForkOptions::default() };
                plan.fork("start process 1 and wait for it", options);
            }
        }
    }
}

/// Whether a command is an init, which can fail as process 2.
pub fn is_init(command: &Command) -> bool {
    let name = Path::new(&command.program).file_name().unwrap_or_default();
    INITS.iter().any(|init| name == *init)
}

/// Prints a hint if an init has failed as process 2.
pub fn plan_advice(plan: &mut Plan, tool: &'static str) {
    plan.on_exit(move |reporter, ended| {
        if matches!(ended, Ended::Exited(1..=124)) {
            reporter.hint(format_args!("an init must be process 1: run it with {tool} --no-init"));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_init_is_known_by_its_name() {
        let is_init = |program: &str| is_init(&Command::shell(program.into()));
        assert!(is_init("/sbin/init") && is_init("/lib/systemd/systemd") && is_init("init"));
        assert!(!is_init("/bin/sh") && !is_init("/etc/init.d/x"));
    }
}

//! The options about the child and the parent that waits for it.

use std::path::PathBuf;

use nix::sys::signal::Signal;

/// How COMMAND is started.
#[derive(Debug, Default, clap::Args)]
pub struct ProcessOptions {
    /// Run COMMAND as a child and stay until it ends; implied by --pid and --time
    #[arg(short, long)]
    pub fork: bool,

    /// Send the child SIGNAL when this process dies [default: KILL, even without
    /// this option]; implies --fork
    #[arg(long, value_name = "SIGNAL", num_args = 0..=1, require_equals = true,
        default_missing_value = "KILL", value_parser = signal)]
    pub kill_child: Option<Signal>,

    /// Let the child outlive this process
    #[arg(long, conflicts_with = "kill_child")]
    pub no_kill_child: bool,

    /// Pass signals on to the child (already the default); implies --fork
    #[arg(long)]
    pub forward_signals: bool,

    /// Run a reaper as process 1 and COMMAND as process 2, as in a container; needs a new
    /// PID namespace
    #[arg(long)]
    pub init: bool,

    /// Run COMMAND as process 1 of a container, for systemd and other inits; the kernel
    /// drops signals that process 1 does not catch
    #[arg(long, conflicts_with = "init")]
    pub no_init: bool,

    /// Write the PID of COMMAND, as seen from outside, to FILE
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
}

impl ProcessOptions {
    /// Whether an option implies a child.
    pub fn imply_fork(&self) -> bool {
        self.fork || self.kill_child.is_some() || self.forward_signals || self.init
    }

    /// Whether an option is about the parent, so that this tool must stay as the parent.
    pub fn describe_parent(&self) -> bool {
        self.fork || self.kill_child.is_some() || self.no_kill_child || self.forward_signals
    }
}

/// A signal by name, with or without SIG, or by number: signal(7).
fn signal(text: &str) -> Result<Signal, String> {
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let by_number = || text.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    let signal = format!("SIG{short}").parse().ok().or_else(by_number);
    signal.ok_or_else(|| "no such signal: kill -l lists them".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_with_or_without_sig_and_a_number() {
        for text in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(signal(text), Ok(Signal::SIGTERM));
        }
        assert!(signal("NOSUCH").is_err());
        assert!(signal("0").is_err());
    }
}

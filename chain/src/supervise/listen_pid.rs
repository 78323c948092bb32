//! Descriptors that a service manager passes on: sd_listen_fds(3).
//!
//! `LISTEN_PID` is the number of the process that they are for. A process that forks for the command
//! has another number than the command, which would then not take them.

use system::sys;

const VARIABLE: &str = "LISTEN_PID";
/// The same as a pidfd of the process, by its inode: systemd 259.
const BY_INODE: &str = "LISTEN_PIDFDID";

/// Whether what is passed on is for this process.
pub(super) fn is_own() -> bool {
    std::env::var(VARIABLE).is_ok_and(|pid| pid == std::process::id().to_string())
}

/// Lets it be for this process, the child of the one that it was for.
pub(super) fn take() {
    // out of memory is all that can happen, and then the command does not take it
    let _ = sys::set_variable(VARIABLE, std::process::id().to_string());
    let _ = sys::unset_variable(BY_INODE);
}

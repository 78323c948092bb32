//! Descriptors that a service manager passes on: sd_listen_fds(3).
//!
//! `LISTEN_PID` is the PID of the process that they are for. After a fork, the command's PID differs, so it
//! would not accept them.

use system::sys;

const VARIABLE: &str = "LISTEN_PID";
/// The same as the inode of the process's pidfd: systemd 259.
const BY_INODE: &str = "LISTEN_PIDFDID";

/// Whether the descriptors are for this process.
pub(super) fn is_own() -> bool {
    std::env::var(VARIABLE).is_ok_and(|pid| pid == std::process::id().to_string())
}

/// Marks them as meant for this process, a child of the process that they were meant for.
pub(super) fn take() {
    // this fails only without memory, and then the command does not use them
    let _ = sys::set_variable(VARIABLE, std::process::id().to_string());
    let _ = sys::unset_variable(BY_INODE);
}

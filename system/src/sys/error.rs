//! Converts rustix's errors to nix's, which all other code uses.

use nix::errno::Errno;

pub(super) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

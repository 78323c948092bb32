//! Errors of rustix as those of nix, which all others are.

use nix::errno::Errno;

pub(super) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

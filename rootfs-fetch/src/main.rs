//! The door of rootfs-fetch.

use std::process::ExitCode;

fn main() -> ExitCode {
    rootfs_fetch::run(std::env::args_os().collect())
}

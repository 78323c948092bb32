//! The entry point of rootfs-fetch. The code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rootfs_fetch::run(std::env::args_os().collect())
}

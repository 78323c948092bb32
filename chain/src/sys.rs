// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls that nix does not have, and every `unsafe` of the project.
//!
//! One call a function, one `unsafe` a block; what keeps each one sound stands
//! at its SAFETY line. Errors are errno values, as the manual pages list them.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use libc::{c_char, c_int};
use nix::errno::Errno;

/// Writes a whole line to standard error, and lets a failure pass.
///
/// Where the caller closed descriptor 2, the number may be one we opened since:
/// ours are all close-on-exec, an inherited one never is, so that tells them apart.
pub fn say(line: &[u8]) {
    if inherited(2) {
        write_all(2, line);
    }
}

/// Writes to standard output what the user asked to read there (`--help`).
pub fn print(text: &[u8]) {
    if inherited(1) {
        write_all(1, text);
    }
}

fn inherited(fd: c_int) -> bool {
    // SAFETY: F_GETFD takes any number and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

fn write_all(fd: c_int, mut rest: &[u8]) {
    // SAFETY: `inherited` has just seen it open, and nothing else runs in this process.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    while !rest.is_empty() {
        match nix::unistd::write(fd, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// Ends the process at once: no destructors, no exit handlers, nothing flushed.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit takes any status and does not return.
    unsafe { libc::_exit(status) }
}

/// The argument vector the C library was given.
pub fn argv(argc: c_int, argv: *const *const c_char) -> &'static [*const c_char] {
    let len = usize::try_from(argc).unwrap_or(0);
    if argv.is_null() {
        return &[];
    }
    // SAFETY: called with what main() was given: `argc` pointers that live as long as the process.
    unsafe { std::slice::from_raw_parts(argv, len) }
}

/// The bytes of a C string that lives as long as the process, as an argument does.
pub fn c_bytes(text: *const c_char) -> &'static [u8] {
    // SAFETY: main()'s arguments are NUL-terminated and never freed.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

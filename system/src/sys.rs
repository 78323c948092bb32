//! The system calls that nix does not have, and every `unsafe` of the project except the heap's.
//!
//! One call per function, one `unsafe` per block; the SAFETY line says why it is sound. Errors are errno
//! values, as in the manual pages.

mod bpf;
mod cgroup_namespace;
mod credentials;
mod descriptors;
mod error;
mod files;
mod mounts;
mod process;
mod rights;
mod user_namespace;

use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

pub use bpf::attach_device_program;
pub use cgroup_namespace::cgroup_namespace;
pub use credentials::*;
use descriptors::inherited;
pub use descriptors::{close_all_but, close_inherited, close_on_exec, inherited_descriptors, with_fd};
pub use files::*;
pub use mounts::*;
use process::forget_signal;
pub use process::{
    Change, OWN_PROGRAM, drop_code_pages, execve, execve_open, fork, fork_into, is_ignored, is_sealed_copy,
    kill, next_change, overwrite_arguments, overwrite_environment, own_arguments, pending, pidfd_open,
    sealed_copy, set_death_signal, set_ignored, set_process_name, spawn, unblock,
};
pub use rights::*;
pub use user_namespace::user_namespace;

/// Writes a whole line to standard error, and ignores a failure.
///
/// If the caller closed descriptor 2, the number can belong to a descriptor that we have opened. All of ours
/// are close-on-exec, and an inherited one never is.
pub fn write_stderr(line: &[u8]) {
    if inherited(2) {
        // there is nowhere to report it
        let _ = write_all(2, line);
    }
}

/// How many columns the terminal at standard error has, 0 if that is unknown; None if standard error is not a
/// terminal.
pub fn stderr_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok().filter(|_| inherited(2))?;
    Some(size.ws_col.into())
}

/// Writes text that the user asked for, such as `--help`, to standard output. A reader that has closed its end of a
/// pipe has read what it wanted.
///
/// # Errors
/// Those of write(2); EBADF if the caller closed descriptor 1.
pub fn write_stdout(text: &[u8]) -> nix::Result<()> {
    if inherited(1) { write_all(1, text) } else { Err(Errno::EBADF) }
}

fn write_all(fd: c_int, mut rest: &[u8]) -> nix::Result<()> {
    // SAFETY: `inherited` has just seen that it is open, and this process has no other thread.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let pipe: SigSet = std::iter::once(Signal::SIGPIPE).collect();
    let mut before = SigSet::empty();
    // a closed pipe must not end us; the signal's disposition belongs to the command and stays
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&pipe), Some(&mut before));
    let mut written = Ok(());
    while !rest.is_empty() && written.is_ok() {
        match nix::unistd::write(fd, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => {
                forget_signal(&pipe);
                break;
            }
            Err(error) => written = Err(error),
        }
    }
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    written
}

/// Ends the process at once: no destructors, no exit handlers, nothing flushed.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit accepts any status and does not return.
    unsafe { libc::_exit(status) }
}

/// The arguments of this process, byte for byte, from its C entry point: on some systems, std has them only
/// with its runtime.
///
/// # Safety
/// `argc` and `argv` are those of `main()`: C11 5.1.2.2.1.
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    if argv.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller guarantees `argc` pointers.
    let argv = unsafe { std::slice::from_raw_parts(argv, usize::try_from(argc).unwrap_or(0)) };
    process::remember_arguments(argv);
    argv.iter()
        .map(|&arg| {
            // SAFETY: the caller guarantees that each is a C string.
            let arg = unsafe { CStr::from_ptr(arg) };
            OsStr::from_bytes(arg.to_bytes()).to_owned()
        })
        .collect()
}

/// Sets IFF_UP on an interface of this network namespace; the kernel gives `lo` its address.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the namespace, `ENODEV`.
///
/// # Source
/// netdevice(7).
pub fn bring_up(interface: &str) -> Result<(), Errno> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = c_char::from_ne_bytes([from]);
    }
    // IFF_UP is 1, so it fits
    request.ifr_ifru.ifru_flags = 1;
    // musl's ioctl takes an int, glibc's a long
    let set_flags = libc::SIOCSIFFLAGS as libc::Ioctl;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), set_flags, &raw const request) };
    Errno::result(result).map(drop)
}

/// setenv(3): sets a variable for the command.
///
/// # Errors
/// `ENOMEM`; `EINVAL` for a name that is empty or holds `=`.
pub fn set_variable(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Result<(), Errno> {
    let (name, value) = (c_string(name.as_ref())?, c_string(value.as_ref())?);
    // SAFETY: both are C strings, and this process has no other thread that reads the environment.
    let result = unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
    Errno::result(result).map(drop)
}

/// unsetenv(3).
///
/// # Errors
/// `EINVAL` for a name that is empty or holds `=`.
pub fn unset_variable(name: impl AsRef<OsStr>) -> Result<(), Errno> {
    let name = c_string(name.as_ref())?;
    // SAFETY: it is a C string, and this process has no other thread that reads the environment.
    let result = unsafe { libc::unsetenv(name.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Clears the environment, except these variables.
///
/// # Errors
/// `ENOMEM`; `EINVAL` for a name that is empty or holds `=`.
pub fn keep_environment(names: &[OsString]) -> Result<(), Errno> {
    let kept: Vec<_> = names.iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
    // SAFETY: one thread, and no reference into the environment: `kept` is a copy.
    unsafe { libc::clearenv() };
    kept.into_iter().try_for_each(|(name, value)| set_variable(name, value))
}

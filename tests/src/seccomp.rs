//! A seccomp filter as a container has one: it refuses a single thing, in all that is started below.
//!
//! seccomp(2), "Filters": a little program that looks at the number and the arguments of each call.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use libc::{sock_filter, sock_fprog};

/// Makes unshare(2) fail with `errno` for whom `command` starts, where it is asked for any of `flags`.
pub fn refuse_unshare(command: &mut Command, flags: i32, errno: i32) {
    let number = u32::try_from(libc::SYS_unshare).expect("numbers of calls are small");
    // where the low half of the first argument lies in struct seccomp_data
    let argument = if cfg!(target_endian = "big") { 20 } else { 16 };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let jump = libc::BPF_JMP | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let filter = [
        step(load, 0, 0, 0),
        step(jump | libc::BPF_JEQ, 0, 3, number),
        step(load, 0, 0, argument),
        step(jump | libc::BPF_JSET, 0, 1, flags.cast_unsigned()),
        step(answer, 0, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let mut filter = filter;
        let program = sock_fprog { len: 6, filter: filter.as_mut_ptr() };
        // SAFETY: sets a flag; who has no right to a filter needs it: seccomp(2).
        done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        // SAFETY: the program and its six steps live through the call, which copies them.
        done(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) })
    };
    // SAFETY: between fork and exec only prctl(2) runs: no lock, no allocation.
    unsafe { command.pre_exec(install) };
}

fn step(code: u32, if_true: u8, if_false: u8, value: u32) -> sock_filter {
    let code = u16::try_from(code).expect("codes have 16 bits");
    sock_filter { code, jt: if_true, jf: if_false, k: value }
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

//! Filters of system calls for what a test starts.
//!
//! seccomp(2), "Filters": a small program that checks the number and the arguments of each call.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use libc::{sock_filter, sock_fprog};

// linux/bpf_common.h
const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_K;
const ANSWER: u32 = libc::BPF_RET | libc::BPF_K;

/// The sixth argument of a call that is a question to the filters: see [`answer_questions`].
pub const QUESTION: u32 = 0x5e7a_11ed;

/// The errno of a question about a call that no filter refuses. The kernel does not use it.
pub const ALLOWED: i32 = 4000;

/// In the process of `command`, turns each call whose sixth argument is [`QUESTION`] into a question: the call is not
/// made, and fails with [`ALLOWED`], unless a filter that is loaded later has another errno for it. If two filters
/// refuse a call, the later one chooses the errno.
pub fn answer_questions(command: &mut Command) {
    install(
        command,
        [
            step(LOAD, 0, 0, argument(5, Half::Lower)),
            step(JUMP | libc::BPF_JEQ, 0, 3, QUESTION),
            step(LOAD, 0, 0, argument(5, Half::Upper)),
            step(JUMP | libc::BPF_JEQ, 0, 1, 0),
            step(ANSWER, 0, 0, libc::SECCOMP_RET_ERRNO | ALLOWED.cast_unsigned()),
            step(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
        ],
    );
}

/// In the process of `command`, makes unshare(2) with any of `flags` fail with `errno`, as a container's filter does.
pub fn refuse_unshare(command: &mut Command, flags: i32, errno: i32) {
    let number = u32::try_from(libc::SYS_unshare).expect("numbers of calls are small");
    install(
        command,
        [
            step(LOAD, 0, 0, 0),
            step(JUMP | libc::BPF_JEQ, 0, 3, number),
            step(LOAD, 0, 0, argument(0, Half::Lower)),
            step(JUMP | libc::BPF_JSET, 0, 1, flags.cast_unsigned()),
            step(ANSWER, 0, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
            step(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
        ],
    );
}

/// A half of an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Lower,
    Upper,
}

/// The offset of a half of an argument in struct seccomp_data.
fn argument(number: u32, half: Half) -> u32 {
    let first = (half == Half::Upper) == cfg!(target_endian = "big");
    16 + 8 * number + if first { 0 } else { 4 }
}

/// Loads a filter in the process of `command`.
fn install(command: &mut Command, filter: [sock_filter; 6]) {
    let install = move || {
        let mut filter = filter;
        let program = sock_fprog { len: 6, filter: filter.as_mut_ptr() };
        // SAFETY: sets a flag, without which an ordinary user cannot install a filter: seccomp(2).
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

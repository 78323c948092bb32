//! `report FILE [ARG]...` writes what it received to FILE (`-`: standard output), one line each, so that a
//! test can compare it with what was sent.
#![no_main]

use std::ffi::{CStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

system::main!(report);

/// The C entry point avoids std's start-up code, which would itself change SIGPIPE and open closed standard
/// descriptors.
fn report(args: Vec<OsString>) -> i32 {
    // before anything is opened here
    let descriptors = descriptors();
    let mut text = String::new();
    let mut say = |what: &str, value: &str| {
        // a String takes every write
        let _ = writeln!(text, "{what} {value}");
    };
    for arg in args.iter().skip(2) {
        say("arg", &hex(arg.as_bytes()));
    }
    for entry in environment() {
        say("env", &hex(&entry));
    }
    descriptors.iter().for_each(|each| say("fd", each));
    say("umask", &format!("{:03o}", umask()));
    let cwd = std::env::current_dir().map(|dir| dir.display().to_string());
    say("cwd", &cwd.unwrap_or_else(|why| why.to_string()));
    say("nice", &nice().to_string());
    say("blocked", &numbers(is_blocked));
    say("ignored", &numbers(is_ignored));
    let written = match args.get(1) {
        Some(file) if file != "-" => fs::write(file, text).is_ok(),
        _ => system::sys::write_stdout(text.as_bytes()).is_ok(),
    };
    i32::from(!written)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `environ` in its original order; std's copy omits entries without `=`.
fn environment() -> Vec<Vec<u8>> {
    unsafe extern "C" {
        static mut environ: *const *const libc::c_char;
    }
    // SAFETY: one thread, and nothing here writes the environment.
    let mut next = unsafe { environ };
    let mut entries = Vec::new();
    loop {
        // SAFETY: the vector ends with a null pointer, where this loop ends too.
        let entry = unsafe { *next };
        if entry.is_null() {
            return entries;
        }
        // SAFETY: what is not null is a C string.
        entries.push(unsafe { CStr::from_ptr(entry) }.to_bytes().to_vec());
        next = next.wrapping_add(1);
    }
}

/// `NUMBER DEVICE:INODE FLAGS` of each open descriptor below 4096.
fn descriptors() -> Vec<String> {
    (0..4096)
        .filter_map(|number| {
            // SAFETY: all zeroes is a valid stat, which holds only integers.
            let mut stat: libc::stat = unsafe { std::mem::zeroed() };
            // SAFETY: fstat takes any number and writes only the stat that it is given.
            let open = unsafe { libc::fstat(number, &raw mut stat) } == 0;
            // SAFETY: F_GETFL takes any number and touches no memory.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
            open.then(|| format!("{number} {}:{} {flags:o}", stat.st_dev, stat.st_ino))
        })
        .collect()
}

fn umask() -> u32 {
    let all = nix::sys::stat::Mode::empty();
    let mask = nix::sys::stat::umask(all);
    nix::sys::stat::umask(mask);
    mask.bits()
}

fn nice() -> i32 {
    // SAFETY: takes three numbers and touches no memory.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// The numbers of the signals for which `is_so` is true.
fn numbers(is_so: impl Fn(i32) -> bool) -> String {
    (1..=64).filter(|signal| is_so(*signal)).map(|signal| signal.to_string()).collect::<Vec<_>>().join(",")
}

fn is_blocked(signal: i32) -> bool {
    // SAFETY: all zeroes is a valid set, an empty one.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: without a new set it only writes the old one to its argument.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    // SAFETY: a set that was just filled, and any number.
    unsafe { libc::sigismember(&raw const set, signal) == 1 }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeroes is a valid action, the default one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action it only writes the old one to its argument.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } == 0;
    known && action.sa_sigaction == libc::SIG_IGN
}

//! The costs of a start that do not depend on the machine's load: system calls, page faults, instructions;
//! and the memory of the processes that stay.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::comparisons::words;
use crate::fixtures::Fixtures;

/// What is counted, with all child processes.
const WHOLE: [&str; 8] = [
    "FS/bin/true",
    "floor FS GROUPS /bin/true",
    "unshare-rs -- cgexec-rs -- chroot-rs FS /bin/true",
    "unshare-rs -- FS/bin/true",
    "cgexec-rs -- FS/bin/true",
    "chroot-rs FS /bin/true",
    "chroot-rs --plain FS /bin/true",
    "chroot FS /bin/true",
];

/// Links that become the command without a fork, so that their instructions can be counted one by one.
const STAGES: [&str; 5] = [
    "unshare-rs --uts -- FS/bin/true",
    "cgexec-rs --manager none -- FS/bin/true",
    "chroot-rs --plain FS /bin/true",
    "unshare --uts FS/bin/true",
    "chroot FS /bin/true",
];

/// Prints the three tables.
pub fn print(fixtures: &Fixtures) {
    println!("| whole command | system calls | page faults |\n| --- | --- | --- |");
    for line in WHOLE {
        if let (Some(calls), Some(faults)) = (calls(line, fixtures), faults(line, fixtures)) {
            println!("| `{line}` | {calls} | {faults} |");
        }
    }
    println!("\n| stage, until it becomes the command | instructions |\n| --- | --- |");
    for line in STAGES {
        if let Some(instructions) = instructions(line, fixtures) {
            println!("| `{line}` | {instructions} |");
        }
    }
    println!("\n| stays behind | its own memory (Pss) |\n| --- | --- |");
    for (name, kib) in parents(fixtures) {
        println!("| {name} | {kib} KiB |");
    }
}

fn command(line: &str, fixtures: &Fixtures) -> Command {
    let words = words(line, fixtures);
    let mut command = Command::new(words.first().expect("a program"));
    command.args(words.get(1..).unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn calls(line: &str, fixtures: &Fixtures) -> Option<usize> {
    let log = fixtures.work.join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&log).args(words(line, fixtures));
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let worked = strace.status().ok()?.success();
    let log = fs::read_to_string(log).ok()?;
    let calls = log.lines().filter(|line| !line.contains("resumed>") && !line.contains(" --- "));
    worked.then(|| calls.count())
}

/// The page faults of all processes that were waited for.
fn faults(line: &str, fixtures: &Fixtures) -> Option<i64> {
    let child = command(line, fixtures).spawn().ok()?;
    // SAFETY: all zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    let pid = i32::try_from(child.id()).ok()?;
    // SAFETY: both live through the call.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    (waited == pid && status == 0).then_some(usage.ru_minflt)
}

/// The instructions of the process itself, from its first one to the exec of the command, counted in single
/// steps.
fn instructions(line: &str, fixtures: &Fixtures) -> Option<u64> {
    let mut command = command(line, fixtures);
    // SAFETY: ptrace is a single system call, which is allowed between fork and exec.
    unsafe { command.pre_exec(|| ptrace(libc::PTRACE_TRACEME, 0, 0)) };
    let child = command.spawn().ok()?;
    let pid = i32::try_from(child.id()).ok()?;
    let _ = waitpid(Pid::from_raw(pid), None).ok()?;
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    ptrace(libc::PTRACE_SETOPTIONS, pid, options.into()).ok()?;
    let mut steps = 0;
    loop {
        ptrace(libc::PTRACE_SINGLESTEP, pid, 0).ok()?;
        match waitpid(Pid::from_raw(pid), None).ok()? {
            WaitStatus::Stopped(..) => steps += 1,
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => break,
            _ => return None,
        }
    }
    let _ = nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::SIGKILL);
    let _ = waitpid(Pid::from_raw(pid), None);
    Some(steps)
}

fn ptrace(request: libc::c_uint, pid: i32, data: i64) -> std::io::Result<()> {
    // SAFETY: none of the requests used here reads or writes our memory.
    let result = unsafe { libc::ptrace(request, pid, 0, data) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// The tools that stay while a chain's command runs.
fn parents(fixtures: &Fixtures) -> Vec<(String, u64)> {
    let line = "unshare-rs -- cgexec-rs -- chroot-rs FS /bin/sleep 1000";
    let Ok(mut chain) = command(line, fixtures).spawn() else { return Vec::new() };
    // until the command runs
    let running =
        || tests::snapshot::descendants(chain.id()).values().any(|what| what.contains("sleep 1000"));
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !running() && std::time::Instant::now() < deadline {
        thread::yield_now();
    }
    let ours: Vec<u32> =
        std::iter::once(chain.id()).chain(tests::snapshot::descendants(chain.id()).into_keys()).collect();
    let parents = ours.into_iter().filter_map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_string();
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let kib = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix(" kB")?;
        name.ends_with("-rs").then_some((name, kib.trim().parse().ok()?))
    });
    let parents = parents.collect();
    let pid = i32::try_from(chain.id()).unwrap_or_default();
    let _ = nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::SIGTERM);
    let _ = chain.wait();
    parents
}

//! Ends the whole chain at any moment, in any way: no process and nothing else outlives it.

use std::fmt::{self, Display};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getsid};

use tests::{Link, Rng, Scratch, Snapshot, deadline, terminal};

/// How to end a chain.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A signal to its first process.
    Signal(Signal),
    /// SIGKILL to any of its processes that is a tool: a supervisor, a helper, the reaper.
    AnyTool,
    /// A signal to its process group, as from a key.
    Group(Signal),
    /// Closing the terminal's window.
    Close,
}

const WAYS: [Way; 9] = [
    Way::AnyTool,
    Way::AnyTool,
    Way::Signal(Signal::SIGKILL),
    Way::Signal(Signal::SIGTERM),
    Way::Signal(Signal::SIGINT),
    Way::Signal(Signal::SIGHUP),
    Way::Group(Signal::SIGINT),
    Way::Group(Signal::SIGTERM),
    Way::Close,
];

impl Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "{signal}"),
            Self::AnyTool => f.write_str("SIGKILL to one of its tools"),
            Self::Group(signal) => write!(f, "{signal} to the group"),
            Self::Close => f.write_str("a closed terminal"),
        }
    }
}

/// A command that only ends by itself after the test.
const COMMAND: [&str; 2] = ["sleep", "1000"];

/// The chain in both orders.
fn orders(root: &Scratch) -> [Link; 2] {
    let chroot = || Link::chroot(root);
    let (unshare, cgexec) = (Link::unshare(), Link::cgexec());
    [
        unshare.clone().then(cgexec.clone(), "").then(chroot(), "unshare, cgexec, chroot"),
        cgexec.then(unshare, "").then(chroot(), "cgexec, unshare, chroot"),
    ]
}

/// Starts a chain and ends it after `pause`. Checks how its first process ended.
fn end(chain: &Link, way: Way, pause: Duration, rng: &mut Rng) -> Result<(), String> {
    let words = chain.words(COMMAND);
    let (program, args) = words.split_first().expect("a chain has a program");
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = if let Way::Close = way {
        let (window, child) = terminal::open_with(command);
        // not to wait for anything: the moment is random
        thread::sleep(pause);
        drop(window);
        child
    } else {
        let mut child = command.process_group(0).spawn().expect("a chain");
        thread::sleep(pause);
        let pid = Pid::from_raw(child.id().cast_signed());
        match way {
            Way::Group(signal) => killpg(pid, signal).expect("a group to send a signal to"),
            Way::Signal(signal) => kill(pid, signal).expect("a process to send a signal to"),
            Way::AnyTool => {
                let tools: Vec<_> = std::iter::once(pid).chain(tools_below(child.id())).collect();
                let tool = *rng.choose(&tools);
                // the reaper leads a session
                let is_missed = tool == pid || getsid(Some(tool)) == Ok(tool);
                // the chain may have ended meanwhile
                let _ = kill(tool, Signal::SIGKILL);
                if !is_missed && goes_on(&mut child) {
                    kill(pid, Signal::SIGKILL).expect("a process to send a signal to");
                }
            }
            Way::Close => {}
        }
        child
    };
    ended(&mut child, way)
}

/// The processes below one that are tools of ours.
fn tools_below(pid: u32) -> Vec<Pid> {
    let below = tests::snapshot::descendants(pid).into_iter();
    let tools = below.filter(|(_, what)| what.split(' ').nth(1).is_some_and(|name| name.ends_with("-rs:")));
    tools.map(|(pid, _)| Pid::from_raw(pid.cast_signed())).collect()
}

/// Whether a chain reaches its command without one of its tools, because that was a helper that had already
/// made its steps.
fn goes_on(child: &mut Child) -> bool {
    let is_command = |what: &str| what.split(' ').nth(1) == Some("sleep:");
    deadline::until("a chain to end or to come to its command", || {
        let below = tests::snapshot::descendants(child.id());
        match child.try_wait().expect("a child") {
            Some(_) => Some(false),
            None => below.values().any(|what| is_command(what)).then_some(true),
        }
    })
}

/// Checks that the first process ends, and by the signal that it got.
fn ended(child: &mut Child, way: Way) -> Result<(), String> {
    let status = deadline::until(&format!("a chain to end by {way}"), || child.try_wait().expect("a child"));
    let signal = match way {
        Way::Signal(signal) | Way::Group(signal) => signal,
        Way::Close => Signal::SIGHUP,
        // the others report in different ways that one of them is gone
        Way::AnyTool if !status.success() => return Ok(()),
        Way::AnyTool => Signal::SIGKILL,
    } as i32;
    // the failure to pass on a terminal that is gone can come before the signal
    let failed = matches!(way, Way::Close) && status.code() == Some(chain::FAILED);
    let by_it = status.signal() == Some(signal) || status.code() == Some(128 + signal) || failed;
    if by_it { Ok(()) } else { Err(format!("ended by {status:?}, not by {way}")) }
}

/// Ends chains at random moments.
fn kill_chains(runs: usize) {
    let before = Snapshot::take();
    let root = Scratch::busybox_root();
    let mut rng = Rng::new();
    let orders = orders(&root);
    for order in &orders {
        order.run(["true"]).end().ok();
    }
    // the chain needs about as long to start; after that it only waits
    let started = Instant::now();
    orders.iter().for_each(|order| drop(order.run(["true"]).end().ok()));
    let whole = started.elapsed();
    let (mut wrong, mut slowest) = (Vec::new(), Duration::ZERO);
    for number in 0..runs {
        let way = *rng.choose(&WAYS);
        let order = rng.choose(&orders);
        let pause = rng.duration_up_to(whole);
        if let Err(why) = end(order, way, pause, &mut rng) {
            wrong.push(format!("run {number}, {}, after {pause:?}: {why}", order.name));
        }
        // no process outlives the one that started it
        let killed = Instant::now();
        before.all_ended();
        slowest = slowest.max(killed.elapsed());
        if number % 50 == 49 {
            // the next run removes a group of a killed run
            Link::cgexec().run(["true"]).end().ok();
            before.unchanged();
        }
    }
    println!("the last process of a chain was gone {slowest:?} after the first at the latest");
    Link::cgexec().run(["true"]).end().ok();
    before.unchanged();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

mod on_host {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn five_hundred_chains_ended_at_any_moment_leave_nothing() {
        kill_chains(500);
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs the VM"]
    fn chains_ended_at_any_moment_leave_nothing_on_version_2_alone() {
        tests::vm::only_here();
        kill_chains(25);
    }
}

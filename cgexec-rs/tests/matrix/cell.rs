//! Runs a cell of the matrix.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::run::Ended;
use tests::{Run, deadline};

use crate::environment::Environment;
use crate::machine_state::{groups, processes};
use crate::outcome::{Expected, Outcome, RunMode, SLEEP};

/// Emulation is slow, and systemd removes an empty scope with a delay.
const CELL_TIMEOUT: Duration = Duration::from_secs(40);

/// Runs every cell of each environment, and fails with a list of the differences.
#[track_caller]
pub fn run_all(environments: &[Environment]) {
    let mut wrong = String::new();
    for environment in environments {
        for mode in RunMode::ALL {
            for outcome in Outcome::ALL {
                let begin = Instant::now();
                let cell = format!("{} | {} | {}", environment.name, mode.option(), outcome.name());
                let result = match environment.expects(mode, outcome) {
                    Ok(expected) => run(environment, mode, outcome, &expected),
                    Err(why) => {
                        println!("{cell}: no such cell: {why}");
                        continue;
                    }
                };
                println!("{cell}: {} ms", begin.elapsed().as_millis());
                if let Err(why) = result {
                    let _ = writeln!(wrong, "{cell}: {why}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn run(
    environment: &Environment,
    mode: RunMode,
    outcome: Outcome,
    expected: &Expected,
) -> Result<(), String> {
    let before = groups();
    let running = start(environment.words(mode, outcome)).start();
    if outcome == Outcome::Killed {
        kill_cgexec(mode, outcome)?;
    }
    let ended = running.end();
    as_expected(&ended, expected)?;
    sleepers_are_as_documented(environment, mode, outcome)?;
    nothing_is_left(environment, mode, outcome, &before)
}

fn start(words: Vec<OsString>) -> Run {
    let (program, args) = words.split_first().expect("a program");
    Run::new(program).args(args).patience(CELL_TIMEOUT)
}

fn as_expected(ended: &Ended, expected: &Expected) -> Result<(), String> {
    let (out, err) = (ended.out(), ended.err());
    let own = |line: &&str| line.starts_with("cgexec-rs: ");
    let said = if expected.line.is_empty() {
        // a shell may print a message of its own, and unshare-rs one about ids
        !err.lines().any(|line| own(&line))
    } else {
        err.lines().filter(own).any(|line| line.contains(&expected.line))
    };
    if ended.end == expected.end && out == expected.out && said {
        return Ok(());
    }
    Err(format!("{:?} {out:?} {err:?} instead of {expected:?}", ended.end))
}

/// Sends SIGKILL to cgexec-rs, or to the process that it became, once the command has started all its
/// processes.
fn kill_cgexec(mode: RunMode, outcome: Outcome) -> Result<(), String> {
    deadline::wait("the command", CELL_TIMEOUT, || (sleepers().len() == 2).then_some(()))?;
    let script = outcome.script();
    let found = processes(|words| {
        let is_it = match (mode, words) {
            (RunMode::Exec, [shell, ..]) => shell == "sh",
            (RunMode::Wait, [tool, ..]) => tool.ends_with("cgexec-rs"),
            _ => false,
        };
        is_it && words.iter().any(|word| word == script)
    });
    // the process that keeps a scope has the same arguments, but no child
    let is_parent = |pid: &&i32| {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        mode == RunMode::Exec || children.is_ok_and(|children| !children.is_empty())
    };
    // another run may surround it, which is older
    let at = found.iter().rev().find(is_parent).copied().ok_or("no cgexec-rs to be killed")?;
    kill(Pid::from_raw(at), Signal::SIGKILL).map_err(|errno| format!("kill({at}): {errno}"))
}

fn sleepers() -> Vec<i32> {
    processes(|words| matches!(words, [sleep, long, ..] if sleep == "sleep" && long == SLEEP))
}

/// The command's background processes: a parent kills them; after a killed parent, the next run does; without
/// a parent, they stay.
fn sleepers_are_as_documented(
    environment: &Environment,
    mode: RunMode,
    outcome: Outcome,
) -> Result<(), String> {
    let stays = match (outcome, mode) {
        _ if environment.ends_leftovers() => false,
        (Outcome::Daemon, RunMode::Exec) => true,
        (Outcome::Killed, _) => true,
        _ => false,
    };
    if stays {
        // the command may have ended before the process in the background has become sleep(1)
        deadline::wait("what was left in the background", CELL_TIMEOUT, || {
            (!sleepers().is_empty()).then_some(())
        })?;
    } else {
        deadline::wait("what was left to end", CELL_TIMEOUT, || sleepers().is_empty().then_some(()))?;
    }
    if stays && mode == RunMode::Exec {
        for pid in sleepers() {
            // if it has vanished meanwhile, that is fine
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        deadline::wait("them to end", CELL_TIMEOUT, || sleepers().is_empty().then_some(()))?;
    }
    Ok(())
}

/// Nothing is left, if necessary after another run, when the supervisor was killed or there was none.
fn nothing_is_left(
    environment: &Environment,
    mode: RunMode,
    outcome: Outcome,
    before: &BTreeSet<PathBuf>,
) -> Result<(), String> {
    let new = || groups().difference(before).cloned().collect::<Vec<_>>();
    let gone = |patience| deadline::wait("", patience, || new().is_empty().then_some(())).is_ok();
    let by_the_next = outcome == Outcome::Killed || mode == RunMode::Exec;
    // systemd has to remove an empty scope
    let scope = new().iter().any(|group| group.to_string_lossy().contains(".scope"));
    let waits = outcome != Outcome::Killed && scope;
    if outcome != Outcome::Killed {
        // a process closes its output before it leaves its group, and the next run removes only empty groups
        let has_processes = |group: &PathBuf| {
            fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|procs| !procs.is_empty())
        };
        let all_left = || (!new().iter().any(has_processes)).then_some(());
        deadline::wait("the groups to be empty", CELL_TIMEOUT, all_left)?;
    }
    if by_the_next && !new().is_empty() && !(waits && gone(CELL_TIMEOUT)) {
        start(environment.one_more()).end().ok();
    }
    if gone(CELL_TIMEOUT) && sleepers().is_empty() {
        return Ok(());
    }
    Err(format!("{:?} is left, and processes {:?}", new(), sleepers()))
}

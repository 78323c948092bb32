//! Ends a command that runs for too long, or uses too much processor time.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chain::Reporter;
use nix::sys::signal::Signal;
use nix::unistd::{SysconfVar, sysconf};
use system::sys;

use crate::cgroup;
use crate::counters::Counters;
use crate::group::Group;
use crate::time_limit::{OutOfTime, Span, TimeLimits};
use crate::version::Version;

/// The shortest time between two checks: a command can exceed its limit by this time on each processor.
const SHORTEST: Duration = Duration::from_millis(5);

/// What the supervisor watches.
pub struct TimeWatch {
    limits: TimeLimits,
    /// The group with all processes of the run.
    group: PathBuf,
    clock: Option<CpuClock>,
    /// The time of the first check.
    started: Option<Instant>,
    /// When SIGTERM was sent.
    asked: Option<Instant>,
    /// Which limit was reached, for the report.
    reached: Rc<Cell<Option<OutOfTime>>>,
}

/// The file that counts the processor time of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuClock {
    file: PathBuf,
    version: Version,
}

impl CpuClock {
    /// The group's own counter: cpu.stat in version 2, which needs no controller, otherwise cpuacct.usage.
    pub fn of<'a>(groups: impl Iterator<Item = &'a Group>) -> Option<Self> {
        let mut groups: Vec<&Group> = groups.collect();
        groups.sort_by_key(|group| group.version == Version::V1);
        groups.into_iter().find_map(|Group { version, path, .. }| {
            let parent = path.parent().unwrap_or(path);
            let (version, file) = match version {
                Version::V2 => (Version::V2, "cpu.stat"),
                Version::V1 if parent.join("cpuacct.usage").exists() => (Version::V1, "cpuacct.usage"),
                Version::V1 => return None,
            };
            Some(Self { file: path.join(file), version })
        })
    }

    /// The processor time so far; None if the group is gone.
    fn read(&self) -> Option<Duration> {
        match self.version {
            Version::V2 => Counters::read(&self.file).get("usage_usec").map(Duration::from_micros),
            Version::V1 => {
                let text = fs::read_to_string(&self.file).ok()?;
                text.trim().parse().ok().map(Duration::from_nanos)
            }
        }
    }
}

impl TimeWatch {
    pub fn new(
        limits: TimeLimits,
        group: PathBuf,
        clock: Option<CpuClock>,
        reached: Rc<Cell<Option<OutOfTime>>>,
    ) -> Self {
        Self { limits, group, clock, started: None, asked: None, reached }
    }

    /// Checks the clocks, and ends the command if its time is over. Returns the time until the next check.
    pub fn look(&mut self, reporter: &Reporter, child: i32) -> Option<Duration> {
        let now = Instant::now();
        let ran = now.saturating_duration_since(*self.started.get_or_insert(now));
        if let Some(asked) = self.asked {
            return self.kill_survivors(reporter, child, now.saturating_duration_since(asked));
        }
        let used = self.limits.cpu.and_then(|_| self.clock.as_ref()?.read());
        match next_look(&self.limits, used, ran, processors()) {
            Ok(wait) => wait,
            Err(reached) => {
                self.asked = Some(now);
                self.reached.set(Some(reached));
                self.ask_to_end(reporter, child, reached);
                Some(self.limits.kill_after)
            }
        }
    }

    /// Sends SIGTERM to every process, and SIGCONT, so that stopped ones get it: like timeout(1).
    fn ask_to_end(&self, reporter: &Reporter, child: i32, reached: OutOfTime) {
        let of = match (reached, self.limits.cpu, self.limits.wall) {
            (OutOfTime::Cpu, Some(cpu), _) => format!(" of {} of processor time", Span(cpu)),
            (OutOfTime::Wall, _, Some(wall)) => format!(" of {}", Span(wall)),
            _ => String::new(),
        };
        let mut pids = cgroup::processes(&self.group);
        if !pids.contains(&child) {
            // the child, even if it has moved out of the group
            pids.push(child);
        }
        reporter.message(format_args!("the limit{of} was hit: SIGTERM to {}", processes(pids.len())));
        explain(reporter, "ask the command to end", &self.group, "SIGTERM");
        for signal in [Signal::SIGTERM, Signal::SIGCONT] {
            for pid in &pids {
                // a process that has ended in between is fine
                let _ = sys::kill(*pid, signal as i32);
            }
        }
    }

    /// Sends SIGKILL to the remaining processes when their time to end is over.
    fn kill_survivors(&self, reporter: &Reporter, child: i32, asked: Duration) -> Option<Duration> {
        if let Some(wait) = self.limits.kill_after.checked_sub(asked).filter(|wait| !wait.is_zero()) {
            return Some(wait);
        }
        let count = cgroup::processes(&self.group).len().max(1);
        let after = Span(self.limits.kill_after);
        reporter.message(format_args!("still running after {after}: SIGKILL to {}", processes(count)));
        explain(reporter, "end the command", &self.group, "SIGKILL");
        let _ = cgroup::kill(&self.group);
        let _ = sys::kill(child, Signal::SIGKILL as i32);
        None
    }
}

fn explain(reporter: &Reporter, reason: &str, group: &Path, signal: &str) {
    if reporter.verbosity().shows_steps() {
        let call = format!("kill(<each process of {}>, {signal})", group.display());
        reporter.step(reason, call, "kill(2)");
    }
}

fn processes(count: usize) -> String {
    if count == 1 { "1 process".to_string() } else { format!("{count} processes") }
}

/// How many processors can be busy at once.
fn processors() -> u32 {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    online.and_then(|count| u32::try_from(count).ok()).unwrap_or(1).max(1)
}

/// How long nothing can happen, or which limit was reached. The remaining processor time lasts at least as
/// long as all processors together need to use it up.
fn next_look(
    limits: &TimeLimits,
    used: Option<Duration>,
    ran: Duration,
    processors: u32,
) -> Result<Option<Duration>, OutOfTime> {
    let left = |limit: Duration, now: Duration| limit.checked_sub(now).filter(|left| !left.is_zero());
    let cpu = limits.cpu.zip(used).map(|(limit, used)| left(limit, used).ok_or(OutOfTime::Cpu));
    let cpu = cpu.transpose()?.map(|left| (left / processors).max(SHORTEST));
    let wall = limits.wall.map(|limit| left(limit, ran).ok_or(OutOfTime::Wall)).transpose()?;
    Ok(cpu.into_iter().chain(wall).min())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn it_looks_again_when_all_processors_could_have_used_the_rest() {
        let limits = TimeLimits { cpu: Some(ms(2000)), ..TimeLimits::default() };
        let next = |used| next_look(&limits, Some(ms(used)), ms(9_999_999), 4);
        assert_eq!(next(0), Ok(Some(ms(500))));
        assert_eq!(next(1999), Ok(Some(SHORTEST)));
        assert_eq!(next(2000), Err(OutOfTime::Cpu));
        assert_eq!(next(2001), Err(OutOfTime::Cpu));
        assert_eq!(next_look(&limits, None, ms(1), 4), Ok(None), "a group that is gone uses nothing");
    }

    #[test]
    fn the_limit_that_can_be_reached_first_decides() {
        let limits = TimeLimits { cpu: Some(ms(2000)), wall: Some(ms(3000)), ..TimeLimits::default() };
        let next = |used, ran| next_look(&limits, Some(ms(used)), ms(ran), 2);
        assert_eq!(next(0, 0), Ok(Some(ms(1000))));
        assert_eq!(next(0, 2500), Ok(Some(ms(500))));
        assert_eq!(next(100, 3000), Err(OutOfTime::Wall));
        assert_eq!(next_look(&TimeLimits::default(), None, ms(1), 2), Ok(None));
    }

    #[test]
    fn processor_time_is_counted_where_version_2_is_or_by_cpuacct() {
        let top = std::env::temp_dir().join(format!("cgexec-clock-{}", std::process::id()));
        fs::create_dir_all(top.join("acct/x")).unwrap();
        fs::create_dir_all(top.join("v2/x")).unwrap();
        fs::write(top.join("acct/cpuacct.usage"), "").unwrap();
        fs::write(top.join("acct/x/cpuacct.usage"), "1500000000\n").unwrap();
        fs::write(top.join("v2/x/cpu.stat"), "usage_usec 2500000\nuser_usec 1\n").unwrap();
        let group = |version, path: &str| Group::new(version, top.join(path));
        let [pids, acct, v2] =
            [group(Version::V1, "pids/x"), group(Version::V1, "acct/x"), group(Version::V2, "v2/x")];
        let read = |groups: &[&Group]| CpuClock::of(groups.iter().copied()).and_then(|clock| clock.read());
        assert_eq!(read(&[&pids, &acct]), Some(ms(1500)));
        assert_eq!(read(&[&pids, &acct, &v2]), Some(ms(2500)));
        assert_eq!(read(&[&pids]), None);
        fs::remove_dir_all(top).unwrap();
    }
}

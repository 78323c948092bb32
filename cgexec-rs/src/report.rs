//! The output when the command has ended: the limits that were hit, and the report.

mod runexec;

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use chain::Reporter;
use chain::command::Command;
use chain::supervise::Ended;
use serde::{Serialize, Serializer};

use crate::cli::ReportFormat;
use crate::group::Group;
use crate::group_path::shown;
use crate::limits::Limit;
use crate::limits::size::{Approximate, Bytes};
use crate::oom::{AncestorOoms, Cause, lines, seconds};
use crate::outcome::Outcome;
use crate::report_output::ReportOutput;
use crate::run_mode::RunMode;
use crate::stats::Stats;
use crate::stats_reader;
use crate::time_limit::OutOfTime;
use crate::version::Version;

/// The facts that are known before the command starts.
#[derive(Debug)]
pub struct Report {
    /// The report; without one, only the limits that were hit are printed.
    pub output: Option<ReportOutput>,
    pub command: Vec<String>,
    pub manager: &'static str,
    /// The groups, the version 2 group first.
    pub groups: Vec<Group>,
    /// How often memory had run out in the outer groups.
    pub ancestors: AncestorOoms,
    /// When the command started; only for a report.
    pub started: Option<Instant>,
    /// Which time limit was reached, when the command has ended.
    pub out_of_time: Option<Rc<Cell<Option<OutOfTime>>>>,
}

/// The report, as in report.schema.json.
#[derive(Serialize)]
struct Json<'a> {
    version: u8,
    command: &'a [String],
    group: String,
    manager: &'static str,
    hierarchy: &'static str,
    exit: Exit,
    reason: &'static str,
    wall_usec: u64,
    #[serde(flatten)]
    stats: &'a Stats,
    #[serde(serialize_with = "as_map")]
    limits: Vec<(&'a str, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Exit {
    Code(i32),
    Signal(i32),
}

fn as_map<S: Serializer>(pairs: &[(&str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

impl Report {
    /// The report of a run that creates groups.
    pub fn of(outcome: &Outcome, mode: &RunMode, command: &Command) -> Option<Self> {
        let Outcome::Create(place) = outcome else { return None };
        let groups: Vec<Group> = place.v2().into_iter().chain(place.v1()).cloned().collect();
        let looks = mode.report.is_some() || groups.iter().any(|group| !group.limits.is_empty());
        let looked_at = groups.iter().filter(|_| looks);
        Some(Self {
            output: mode.report.clone(),
            command: command.argv.iter().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            manager: if place.scope.is_some() { "systemd" } else { "cgroupfs" },
            ancestors: AncestorOoms::of(looked_at),
            groups,
            // the first clock read touches three pages
            started: mode.report.is_some().then(Instant::now),
            out_of_time: None,
        })
    }

    /// Prints which limits were hit, and the report if there is one.
    pub fn print(self, reporter: &Reporter, ended: Ended) {
        let wall = self.started.map(|started| started.elapsed()).unwrap_or_default();
        let limits: Vec<Limit> = self.groups.iter().flat_map(|group| group.limits.clone()).collect();
        // without a limit of ours, an outer one can only have killed
        let killed = matches!(ended, Ended::Killed(_) | Ended::Exited(128..));
        if self.output.is_none() && limits.is_empty() && !killed {
            return;
        }
        let out_of_time = self.out_of_time.as_ref().and_then(|reached| reached.get());
        let read = match self.output {
            Some(_) => stats_reader::read(&self.groups),
            None => stats_reader::read_for_lines(&self.groups, &limits, ended),
        };
        let stats = Stats { out_of_time, ..read };
        for line in lines(&stats, ended, &limits, &self.ancestors) {
            reporter.message(line);
        }
        if let Some(output) = &self.output {
            let text = match output.format {
                ReportFormat::Json => self.json(&stats, ended, wall),
                ReportFormat::Human => human(&stats, ended, wall),
                ReportFormat::Runexec => runexec::lines(&stats, ended, microseconds(wall)).join("\n"),
            };
            output.write(&text, reporter);
        }
    }

    /// The report as one line of JSON.
    pub fn json(&self, stats: &Stats, ended: Ended, wall: Duration) -> String {
        let group = self.groups.first().map(|group| shown(&group.path).display().to_string());
        let json = Json {
            version: 1,
            command: &self.command,
            group: group.unwrap_or_default(),
            manager: self.manager,
            hierarchy: self.hierarchy(),
            exit: match ended {
                Ended::Exited(code) => Exit::Code(code),
                Ended::Killed(signal) => Exit::Signal(signal),
            },
            reason: Cause::of(stats, ended).word(),
            wall_usec: microseconds(wall),
            stats,
            limits: self.limits(),
        };
        // this only fails for a map with keys that are not text
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Each file that was written, with its current contents.
    fn limits(&self) -> Vec<(&str, String)> {
        let mut limits: Vec<(&str, String)> = Vec::new();
        for group in &self.groups {
            for (_, setting) in &group.settings {
                let name = setting.file.as_str();
                if !limits.iter().any(|(known, _)| *known == name) {
                    // devices.deny and similar files are write-only
                    let Ok(text) = fs::read_to_string(group.path.join(name)) else { continue };
                    limits.push((name, text.trim().to_string()));
                }
            }
        }
        limits
    }

    fn hierarchy(&self) -> &'static str {
        let has = |version| self.groups.iter().any(|group| group.version == version);
        match (has(Version::V1), has(Version::V2)) {
            (true, true) => "hybrid",
            (true, false) => "v1",
            _ => "v2",
        }
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn human(stats: &Stats, ended: Ended, wall: Duration) -> String {
    let Stats { cpu, memory, pids, io, leftovers, .. } = stats;
    let mut parts = vec![match ended {
        Ended::Exited(code) => format!("exit {code}"),
        Ended::Killed(signal) => format!("signal {signal}"),
    }];
    parts.push(format!("wall {}", seconds(microseconds(wall))));
    if let Some(usage) = cpu.get("usage_usec") {
        let split = cpu.get("user_usec").zip(cpu.get("system_usec"));
        let split =
            split.map(|(user, system)| format!(" (user {}, system {})", seconds(user), seconds(system)));
        parts.push(format!("cpu {}{}", seconds(usage), split.unwrap_or_default()));
    }
    if let Some(peak) = memory.peak {
        let limit = memory.limit.flatten().map(|limit| format!(" of {}", Bytes(limit)));
        parts.push(format!("memory {}{}", Approximate(peak), limit.unwrap_or_default()));
    }
    parts.extend(memory.uncounted.map(|why| format!("memory not counted: {why}")));
    if let Some(peak) = memory.swap_peak.filter(|peak| *peak > 0) {
        parts.push(format!("swap {}", Approximate(peak)));
    }
    if let Some(peak) = pids.peak {
        let limit = pids.limit.flatten().map(|limit| format!(" of {limit}"));
        parts.push(format!("processes {peak}{}", limit.unwrap_or_default()));
    }
    if !io.is_empty() {
        let sum = |name| Approximate(io.iter().filter_map(|disk| disk.counters.get(name)).sum());
        parts.push(format!("read {}, written {}", sum("rbytes"), sum("wbytes")));
    }
    parts.extend(stats.out_of_time.map(|reached| match reached {
        OutOfTime::Cpu => "reason: cpu time".to_string(),
        OutOfTime::Wall => "reason: wall time".to_string(),
    }));
    match leftovers {
        0 => {}
        1 => parts.push("1 process left".to_string()),
        count => parts.push(format!("{count} processes left")),
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests;

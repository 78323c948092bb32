// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run used and why it ended, for people or as JSON. The fields are in report.schema.json.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chain::Reporter;
use chain::supervise::Ended;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use system::sys;

use crate::cli::ReportFormat;
use crate::group::Group;
use crate::hierarchy::Version;
use crate::json::{Object, quoted};
use crate::limits::Limit;
use crate::limits::size::{About, Bytes};
use crate::oom::{AncestorOoms, Cause, lines, seconds};
use crate::stats::{Most, Stats};

/// A named pipe that nobody reads is not waited for: the groups are still there, and every signal is blocked.
fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(file)?.write_all(text)
}

/// What is known before the command starts.
#[derive(Debug)]
pub struct Report {
    /// How it reads; nothing for only the limits that were hit.
    pub form: Option<ReportFormat>,
    /// Where it goes; standard error otherwise.
    pub file: Option<PathBuf>,
    /// The command, as text.
    pub command: Vec<String>,
    /// Who made the group.
    pub manager: &'static str,
    /// The groups, version 2 first.
    pub groups: Vec<Group>,
    /// The groups above, before.
    pub above: AncestorOoms,
    /// When it started, where that is told.
    pub started: Option<Instant>,
}

impl Report {
    /// Says which limits were hit, and what the run used where that was asked for.
    pub fn say(self, reporter: &Reporter, ended: Ended) {
        let wall = self.started.map(|started| started.elapsed()).unwrap_or_default();
        let limits: Vec<Limit> = self.groups.iter().flat_map(|group| group.limits.clone()).collect();
        // a limit above us can only have killed
        let killed = matches!(ended, Ended::Killed(_) | Ended::Exited(128..));
        if self.form.is_none() && limits.is_empty() && !killed {
            return;
        }
        let stats = Stats::of(&self.groups);
        for line in lines(&stats, ended, &limits, &self.above) {
            reporter.message(line);
        }
        let text = match self.form {
            None => return,
            Some(ReportFormat::Json) => self.json(&stats, ended, wall),
            Some(ReportFormat::Human) => human(&stats, ended, wall),
        };
        match (&self.file, self.form) {
            (Some(file), _) => {
                if let Err(why) = write(file, format!("{text}\n").as_bytes()) {
                    let why = match why.raw_os_error() {
                        Some(errno) if errno == Errno::ENXIO as i32 => "nobody reads the pipe".to_string(),
                        _ => why.kind().to_string(),
                    };
                    reporter.message(format_args!("cannot write the report to {}: {why}", file.display()));
                }
            }
            (None, Some(ReportFormat::Json)) => sys::write_stderr(format!("{text}\n").as_bytes()),
            (None, _) => reporter.message(text),
        }
    }

    /// The report as one line of JSON: report.schema.json.
    pub fn json(&self, stats: &Stats, ended: Ended, wall: Duration) -> String {
        let mut report = Object::default();
        report.number("version", 1u8).list("command", self.command.iter().map(|arg| quoted(arg)));
        let group = self.groups.first().map_or_else(String::new, |group| group.path.display().to_string());
        report.text("group", &group).text("manager", self.manager).text("hierarchy", self.hierarchy());
        let mut exit = Object::default();
        match ended {
            Ended::Exited(code) => exit.number("code", code),
            Ended::Killed(signal) => exit.number("signal", signal),
        };
        report.object("exit", exit).text("reason", Cause::of(stats, ended).word());
        report.number("wall_usec", u64::try_from(wall.as_micros()).unwrap_or(u64::MAX));
        let cpu = stats.cpu;
        let mut part = Object::default();
        part.maybe("usage_usec", cpu.usage).maybe("user_usec", cpu.user).maybe("system_usec", cpu.system);
        part.maybe("nr_periods", cpu.periods).maybe("nr_throttled", cpu.throttled);
        part.maybe("throttled_usec", cpu.throttled_usec);
        report.object("cpu", part).object("memory", memory(stats));
        let mut pids = Object::default();
        pids.maybe("peak", stats.pids_peak);
        most(&mut pids, stats.pids_limit).maybe("denied", stats.pids_denied);
        report.object("pids", pids);
        report.list(
            "io",
            stats.io.iter().map(|(disk, counts)| {
                let mut part = Object::default();
                part.text("dev", disk);
                for (key, count) in counts {
                    part.number(key, *count);
                }
                part.finish()
            }),
        );
        let mut pressure = Object::default();
        for (name, some, full) in &stats.pressure {
            let mut part = Object::default();
            part.number("some_usec", *some).number("full_usec", *full);
            pressure.object(name, part);
        }
        report.object("pressure", pressure).number("leftovers", stats.leftovers);
        report.raw("limits", &self.limits().finish());
        report.finish()
    }

    /// Each file that was written, as it reads now.
    fn limits(&self) -> Object {
        let mut limits = Object::default();
        let files = self.groups.iter().flat_map(|group| {
            group.settings.iter().map(|(_, setting)| (setting.file.as_str(), group.path.join(&setting.file)))
        });
        let mut known: Vec<&str> = Vec::new();
        for (name, path) in files {
            if !known.contains(&name) {
                known.push(name);
                limits.text(name, fs::read_to_string(path).unwrap_or_default().trim());
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

fn memory(stats: &Stats) -> Object {
    let mut part = Object::default();
    part.maybe("peak", stats.memory_peak).maybe("swap_peak", stats.swap_peak);
    most(&mut part, stats.memory_limit);
    for (name, counts) in [("events", &stats.events), ("events_local", &stats.own_events)] {
        let mut events = Object::default();
        for (name, count) in counts {
            events.number(name, *count);
        }
        part.object(name, events);
    }
    part
}

/// null says "no limit", nothing says "not known".
fn most(part: &mut Object, limit: Most) -> &mut Object {
    match limit {
        Some(Some(limit)) => part.number("limit", limit),
        Some(None) => part.raw("limit", "null"),
        None => part,
    }
}

fn human(stats: &Stats, ended: Ended, wall: Duration) -> String {
    let mut parts = vec![match ended {
        Ended::Exited(code) => format!("exit {code}"),
        Ended::Killed(signal) => format!("signal {signal}"),
    }];
    parts.push(format!("wall {}", seconds(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX))));
    if let Some(usage) = stats.cpu.usage {
        let split = stats.cpu.user.zip(stats.cpu.system);
        let split =
            split.map(|(user, system)| format!(" (user {}, system {})", seconds(user), seconds(system)));
        parts.push(format!("cpu {}{}", seconds(usage), split.unwrap_or_default()));
    }
    if let Some(peak) = stats.memory_peak {
        let limit = stats.memory_limit.flatten().map(|limit| format!(" of {}", Bytes(limit)));
        parts.push(format!("memory {}{}", About(peak), limit.unwrap_or_default()));
    }
    if let Some(peak) = stats.swap_peak.filter(|peak| *peak > 0) {
        parts.push(format!("swap {}", About(peak)));
    }
    if let Some(peak) = stats.pids_peak {
        let limit = stats.pids_limit.flatten().map(|limit| format!(" of {limit}"));
        parts.push(format!("processes {peak}{}", limit.unwrap_or_default()));
    }
    let sum = |name: &str| -> u64 {
        let counts = stats.io.iter().flat_map(|(_, counts)| counts);
        counts.filter(|(key, _)| key == name).map(|(_, count)| count).sum()
    };
    if !stats.io.is_empty() {
        parts.push(format!("read {}, written {}", About(sum("rbytes")), About(sum("wbytes"))));
    }
    match stats.leftovers {
        0 => {}
        1 => parts.push("1 process left".to_string()),
        count => parts.push(format!("{count} processes left")),
    }
    parts.join(", ")
}

/// Whether a report can be written to a file: looked at before the command runs for hours.
///
/// # Errors
/// Why not.
pub fn can_write(file: &Path) -> Result<(), String> {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if file.is_dir() {
        return Err("it is a directory".to_string());
    }
    match (file.exists(), parent.is_dir()) {
        (true, _) if sys::is_writable(file) => Ok(()),
        (true, _) => Err("it is not writable".to_string()),
        (false, true) if sys::is_writable(parent) => Ok(()),
        (false, true) => Err("its directory is not writable".to_string()),
        (false, false) => Err("its directory does not exist".to_string()),
    }
}

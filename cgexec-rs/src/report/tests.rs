//! Reports keep their schema, whatever was counted: no right is needed.

use ::tests::json_schema::{Fields as _, Value, parse, validate};

use super::*;
use crate::counters::Counters;
use crate::limits::Pids;
use crate::stats::{DiskStats, MemoryStats, PidsStats, Stall};

fn counters(list: &[(&str, u64)]) -> Counters {
    Counters(list.iter().map(|(name, count)| (name.to_string(), *count)).collect())
}

fn schema() -> Value {
    parse(include_str!("../../report.schema.json")).unwrap()
}

fn report() -> Report {
    let mut group = Group::new(Version::V2, "/nowhere/x".into());
    group.limit(&Limit::Pids(Pids(Some(7)))).unwrap();
    Report {
        output: Some(ReportOutput { format: ReportFormat::Json, file: None }),
        command: vec!["echo".into(), "a \"b\"\n\\ é\u{7}".into()],
        manager: "cgroupfs",
        groups: vec![group],
        ancestors: AncestorOoms::default(),
        started: Some(Instant::now()),
        out_of_time: None,
    }
}

#[track_caller]
fn keeps_the_schema(stats: &Stats, ended: Ended) -> Value {
    let json = parse(&report().json(stats, ended, Duration::from_millis(5))).unwrap();
    assert_eq!(validate(&schema(), &json, ""), [""; 0]);
    json
}

#[test]
fn a_report_of_a_kernel_that_counts_nothing_keeps_the_schema() {
    let json = keeps_the_schema(&Stats::default(), Ended::Exited(3));
    assert_eq!(json.number("exit/code"), 3.0);
    assert_eq!(json.number("wall_usec"), 5000.0);
    assert_eq!(json.text("reason"), "exited");
}

#[test]
fn a_report_of_everything_keeps_the_schema() {
    let memory = MemoryStats {
        peak: Some(1),
        uncounted: None,
        swap_peak: Some(2),
        limit: Some(None),
        events_local: counters(&[("oom", 1), ("oom_kill", 1)]),
        events: counters(&[("oom_kill", 1)]),
        full_below: false,
    };
    let stats = Stats {
        memory,
        cpu: counters(&[("usage_usec", 1), ("throttled_usec", 2)]),
        pids: PidsStats { peak: Some(3), limit: Some(Some(7)), denied: Some(0), ..PidsStats::default() },
        io: vec![DiskStats { dev: "8:0".into(), counters: counters(&[("rbytes", 4)]) }],
        pressure: [("cpu", Stall { some_usec: 1, full_usec: 2 })].into(),
        leftovers: 1,
        out_of_time: None,
    };
    let json = keeps_the_schema(&stats, Ended::Killed(9));
    assert_eq!(json.number("exit/signal"), 9.0);
    assert_eq!(json.text("reason"), "oom-own-limit");
    assert_eq!(json.at("memory/limit"), &Value::Null);
    assert_eq!(json.number("pids/limit"), 7.0);
}

#[test]
fn every_byte_of_the_command_is_in_the_report() {
    let json = keeps_the_schema(&Stats::default(), Ended::Exited(0));
    let command = vec![Value::String("echo".into()), Value::String("a \"b\"\n\\ é\u{7}".into())];
    assert_eq!(json.at("command"), &Value::Array(command));
}

#[test]
fn the_schema_refuses_what_is_not_a_report() {
    let schema = schema();
    let good = report().json(&Stats::default(), Ended::Exited(0), Duration::ZERO);
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"reason\":\"exited\"", "\"reason\":\"bored\""),
        ("\"leftovers\":0", "\"leftovers\":-1"),
        ("\"leftovers\":0", "\"leftovers\":0,\"new\":1"),
        ("\"wall_usec\":0,", ""),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        assert!(!validate(&schema, &parse(&bad).unwrap(), "").is_empty(), "{to}");
    }
}

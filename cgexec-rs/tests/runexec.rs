//! One run, measured by BenchExec's runexec and by cgexec-rs inside it: docs/measure.md.
#![cfg(test)]

use std::path::PathBuf;
use std::time::Duration;

use tests::{End, Run, Scratch, tools};

/// runexec from PyPI, in a separate directory; None if it cannot be downloaded.
fn runexec(scratch: &Scratch) -> Option<PathBuf> {
    let venv = scratch.path("venv");
    let steps = [
        vec!["python3".to_string(), "-m".into(), "venv".into(), venv.display().to_string()],
        vec![
            venv.join("bin/pip").display().to_string(),
            "--quiet".into(),
            "install".into(),
            "benchexec".into(),
        ],
    ];
    for step in &steps {
        let step = step.join(" ");
        let ended = Run::new("sh").args(["-c", &step]).patience(Duration::from_secs(240)).end();
        if !matches!(ended.end, End::Exit(0)) {
            eprintln!("not compared, runexec is not to be had: {step}: {}", ended.err());
            return None;
        }
    }
    Some(venv.join("bin/runexec"))
}

/// The numbers in lines `name=NUMBERunit`.
#[track_caller]
fn number(lines: &str, name: &str) -> f64 {
    let value = lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = value.unwrap_or_else(|| panic!("no {name} in {lines}"));
    value.trim_end_matches(['s', 'B']).parse().unwrap()
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and control groups"]
    fn time_and_memory_are_those_that_runexec_measures() {
        let scratch = Scratch::new();
        let Some(runexec) = runexec(&scratch) else { return };
        let report = scratch.path("report").display().to_string();
        let output = scratch.path("output").display().to_string();
        // about one second of processor time, in two processes, and 60 MB
        let script = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; \
            x=$(head -c 60000000 /dev/zero | tr '\\0' x); sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done'";
        let cgexec = tools().cgexec().display().to_string();
        let options = ["--report=runexec", "--report-file", &report, "--", "sh", "-c", script];
        let mut apart = Vec::new();
        // only runexec measures the start and the end of cgexec-rs, which a busy machine makes slower
        for _ in 0..10 {
            let run =
                Run::new(&runexec).args(["--no-container", "--output", &output, "--", &cgexec]).args(options);
            let theirs = run.patience(Duration::from_secs(120)).end().ended(End::Exit(0)).out();
            let ours = std::fs::read_to_string(&report).unwrap();
            assert_eq!(number(&ours, "returnvalue"), number(&theirs, "returnvalue"));
            apart = ["walltime", "cputime", "memory"]
                .into_iter()
                .map(|name| (name, number(&ours, name), number(&theirs, name)))
                .filter(|(_, ours, theirs)| (ours - theirs).abs() > 0.02 * theirs)
                .collect();
            if apart.is_empty() {
                return;
            }
        }
        panic!("more than 2 % apart: {apart:?}");
    }
}

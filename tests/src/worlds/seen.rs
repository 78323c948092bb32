//! Compares the logs of the worlds with the known differences.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Expected, KnownKind};
use super::list::World;
use crate::session;

/// How many lines of a difference are repeated at the end.
const MAX_DIFFERENCE_LINES: usize = 14;

/// The results from the logs.
#[derive(Debug, Default)]
pub struct Seen {
    /// By world and session.
    sessions: BTreeMap<(String, String), Outcome>,
    /// The worlds whose script has started.
    begun: BTreeSet<String>,
    over: BTreeSet<String>,
    /// The session whose difference is being read.
    last: Option<(String, String)>,
    /// World and session: those that differed, and ran when they were tried again.
    flaky: Vec<String>,
}

/// The result of a session.
#[derive(Debug, Default)]
struct Outcome {
    /// As its page says.
    ran: bool,
    /// The difference, line by line.
    difference: Vec<String>,
}

impl Seen {
    /// Parses a line of [`World::run`], with anything before it; ignores other lines.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_end();
        let begun = line.split_once("begins: world ").and_then(|(_, words)| words.split(' ').next());
        self.begun.extend(begun.map(String::from));
        let Some((_, words)) = line.split_once("[session] ") else {
            let last = self.last.as_ref().and_then(|last| self.sessions.get_mut(last));
            match (last, line.strip_prefix('|')) {
                (Some(outcome), Some(text)) => {
                    outcome.difference.push(text.strip_prefix(' ').unwrap_or(text).to_string());
                }
                _ => self.last = None,
            }
            return;
        };
        match *words.split_whitespace().collect::<Vec<_>>() {
            [world, "over"] => {
                self.over.insert(world.to_string());
            }
            [world, session, how, ..] => {
                let ran = how == "ran";
                // another program wrote into the line, such as the kernel
                let is_whole = ran || how == "failed";
                let difference = if is_whole { Vec::new() } else { vec![format!("the log has: {line}")] };
                let id = (world.to_string(), session.to_string());
                self.last = Some(id.clone());
                let first = self.sessions.insert(id, Outcome { ran, difference });
                if ran && first.is_some_and(|first| !first.ran) {
                    self.flaky.push(format!("{world} {session}"));
                }
            }
            _ => {}
        }
    }

    /// Whether the log has any result of this world.
    pub fn has(&self, world: &World) -> bool {
        self.begun.contains(world.name)
            || self.over.contains(world.name)
            || self.sessions.keys().any(|(name, _)| name == world.name)
    }

    /// The sessions that ran as their page shows only when they were tried again, each after its world.
    pub fn flaky(&self) -> &[String] {
        &self.flaky
    }

    /// The results that differ from the known ones, a line each, with the difference indented below it.
    pub fn surprises(&self, world: &World, expected: &Expected) -> Vec<String> {
        let mut found = Vec::new();
        if !self.over.contains(world.name) {
            found.push("did not come to its end".to_string());
        }
        let mut not_tried = Vec::new();
        for session in session::all().filter(|session| world.has(session)).map(|session| session.id()) {
            let known = expected.of(world, &session);
            let is_either =
                known.and_then(|at| expected.0.get(at)).is_some_and(|known| known.kind == KnownKind::Either);
            let outcome = self.sessions.get(&(world.name.to_string(), session.clone()));
            match (outcome, known) {
                (Some(_), _) if is_either => {}
                (Some(Outcome { ran: true, .. }), None) | (Some(Outcome { ran: false, .. }), Some(_)) => {}
                (Some(Outcome { ran: true, .. }), Some(_)) => {
                    found.push(format!("runs as its page says: {session}"));
                }
                (Some(outcome), None) => {
                    found.push(format!("went otherwise: {session}{}", shortened(&outcome.difference)));
                }
                (None, _) => not_tried.push(session),
            }
        }
        if let [first, others @ ..] = not_tried.as_slice() {
            found.push(format!("was not tried: {first}, and {} more", others.len()));
        }
        found
    }
}

/// The lines of a difference. If there are too many, the expected ones are removed first, except for the
/// commands, then those in the middle: the end has the actual output.
fn shortened(difference: &[String]) -> String {
    let mut lines: Vec<&str> = difference.iter().map(String::as_str).collect();
    if lines.len() > MAX_DIFFERENCE_LINES {
        lines.retain(|line| as_expected(line).is_none_or(|text| text.starts_with("$ ")));
    }
    let head = if lines.len() > MAX_DIFFERENCE_LINES { MAX_DIFFERENCE_LINES / 2 } else { lines.len() };
    let tail = lines.len().saturating_sub(MAX_DIFFERENCE_LINES / 2).max(head);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        if number == head {
            text.push_str(&format!("\n    ({} more lines stand in the log)", tail - head));
        }
        if number < head || number >= tail {
            text.push_str(&format!("\n    | {line}"));
        }
    }
    text
}

/// The text after the numbers of a line that was expected and printed.
fn as_expected(line: &str) -> Option<&str> {
    line.trim_start_matches(|each: char| each.is_ascii_digit() || each == ' ').strip_prefix("| ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(log: &str) -> Seen {
        let mut seen = Seen::default();
        log.lines().for_each(|line| seen.line(line));
        seen
    }

    /// The unexpected results in a world where all other sessions ran.
    fn surprises(name: &str, log: &str) -> Vec<String> {
        let world = World::named(name).expect("a world");
        let mut all = String::new();
        for session in session::all().filter(|session| world.has(session)) {
            all.push_str(&format!("[session] {name} {} ran (0.1 s)\n", session.id()));
        }
        seen(&format!("{all}{log}\n[session] {name} over\n")).surprises(world, &Expected::read(""))
    }

    #[test]
    fn a_difference_stands_below_the_session_that_went_otherwise() {
        let log =
            "[session] terminal README.md#1 failed (2.0 s)\r\n| - 0\r\n| + 1\r\nothers\n| no part of it";
        assert_eq!(surprises("terminal", log), ["went otherwise: README.md#1\n    | - 0\n    | + 1"]);
    }

    #[test]
    fn a_session_that_runs_the_second_time_is_flaky() {
        let log = "[session] terminal README.md#1 failed (2.0 s)\n| - 0\n[session] terminal README.md#1 ran (2.0 s)";
        assert_eq!(surprises("terminal", log), [""; 0]);
        assert_eq!(seen(log).flaky(), ["terminal README.md#1"]);
        let twice = "[session] terminal README.md#1 failed (2.0 s)\n| - 0\n[session] terminal README.md#1 failed (2.0 s)\n| - 1";
        assert_eq!(surprises("terminal", twice), ["went otherwise: README.md#1\n    | - 1"]);
        assert_eq!(seen(twice).flaky(), [""; 0]);
    }

    #[test]
    fn a_long_difference_is_shown_by_its_two_ends() {
        let lines: String = (0..100).map(|number| format!("\n| line {number}")).collect();
        let found = surprises("terminal", &format!("[session] terminal README.md#1 failed (1 s){lines}"));
        let found = found.join("\n");
        assert_eq!(found.lines().count(), 1 + MAX_DIFFERENCE_LINES + 1, "{found}");
        assert!(found.contains("| line 6\n    (86 more lines stand in the log)\n    | line 93\n"), "{found}");
        assert!(found.ends_with("| line 99"), "{found}");
    }

    #[test]
    fn in_a_long_difference_the_lines_that_came_as_expected_are_left_out() {
        let same: String = (0..100).map(|number| format!("\n|    4    4 | line {number}")).collect();
        let log = format!(
            "[session] terminal README.md#1 failed (1 s)\n|    1    1 | $ sh{same}\n|   104      - a\n|       104 + b"
        );
        let expected =
            "went otherwise: README.md#1\n    |    1    1 | $ sh\n    |   104      - a\n    |       104 + b";
        assert_eq!(surprises("terminal", &log), [expected]);
    }

    #[test]
    fn a_line_that_the_kernel_wrote_into_is_shown() {
        let log = "[session] terminal README.md#1 ra[   12.3] watchdog: BUG";
        assert_eq!(
            surprises("terminal", log),
            [format!("went otherwise: README.md#1\n    | the log has: {log}")]
        );
    }

    #[test]
    fn a_world_whose_script_failed_at_once_has_been_seen() {
        let world = World::named("terminal").expect("a world");
        assert!(!seen("").has(world));
        assert!(seen("[vm] begins: world terminal (01:26:40)\r\n[vm] ended: 127").has(world));
    }

    #[test]
    fn a_world_that_stopped_and_a_session_that_nobody_tried_are_told() {
        let world = World::named("terminal").expect("a world");
        let found = seen("[session] terminal README.md#1 ran (0.1 s)").surprises(world, &Expected::read(""));
        let not_tried = session::all().filter(|session| world.has(session)).count() - 2;
        let not_tried = format!("was not tried: README.md#2, and {not_tried} more");
        assert_eq!(found, ["did not come to its end", not_tried.as_str()]);
    }
}

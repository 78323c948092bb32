//! What does not run as its page says: the file `tests/worlds/known`.

use std::collections::BTreeSet;

use super::list::{WORLDS, World};
use crate::documents;
use crate::session::{self, Session};

/// The file with what does not run as its page says.
pub const KNOWN: &str = "tests/worlds/known";
/// Why a session does not run as its page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It is meant so.
    Differs,
    /// It is a defect, of a tool or of the page.
    Open,
    /// It runs as its page says, or does not, as the machine goes.
    Either,
}

/// A paragraph of the file.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) kind: Kind,
    worlds: Vec<String>,
    sessions: BTreeSet<String>,
    pub(super) why: String,
}

/// What does not run as its page says, of all worlds.
#[derive(Debug)]
pub struct Expected(pub(super) Vec<Known>);

impl Expected {
    /// Reads paragraphs: `open WORLD...: REASON` or `differs WORLD...: REASON`, then a line for each session.
    ///
    /// # Panics
    /// With the line that is none of these.
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let mut found: Vec<Known> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(session) = line.strip_prefix("  ") {
                let last =
                    found.last_mut().unwrap_or_else(|| panic!("{KNOWN}: {line:?} stands below nothing"));
                last.sessions.insert(session.to_string());
                continue;
            }
            let (head, why) = line.split_once(": ").unwrap_or_else(|| panic!("{KNOWN}: no reason: {line}"));
            let mut words = head.split(' ');
            let kind = match words.next() {
                Some("open") => Kind::Open,
                Some("either") => Kind::Either,
                Some("differs") => Kind::Differs,
                _ => panic!("{KNOWN}: open, differs or either? {line}"),
            };
            let worlds: Vec<String> = words.map(String::from).collect();
            for world in &worlds {
                assert!(WORLDS.iter().any(|known| is_named(known.name, world)), "{KNOWN}: no world {world}");
            }
            found.push(Known { kind, worlds, sessions: BTreeSet::new(), why: why.to_string() });
        }
        Self(found)
    }

    /// The number of the paragraph that has it.
    pub(super) fn of(&self, world: &World, session: &str) -> Option<usize> {
        self.0.iter().position(|known| {
            known.sessions.contains(session) && known.worlds.iter().any(|name| is_named(world.name, name))
        })
    }

    /// The first paragraph with the same reason.
    pub(super) fn first(&self, at: usize) -> usize {
        let why = self.0.get(at).map(|known| (known.kind, &known.why));
        self.0.iter().position(|known| Some((known.kind, &known.why)) == why).unwrap_or(at)
    }

    /// The number of the reason, from 1.
    pub(super) fn reason(&self, at: usize) -> usize {
        (0..=self.first(at)).filter(|at| self.first(*at) == *at).count()
    }

    /// What stands there and is no session of such a world, or stands there twice.
    pub fn surplus(&self) -> Vec<String> {
        let all: Vec<Session> = session::all().collect();
        let mut wrong = Vec::new();
        for (number, known) in self.0.iter().enumerate() {
            for id in &known.sessions {
                let of = |world: &&World| known.worlds.iter().any(|name| is_named(world.name, name));
                let mut is_run = false;
                for world in WORLDS.iter().filter(of) {
                    is_run |= all.iter().any(|session| session.id() == *id && world.has(session));
                    if self.of(world, id) != Some(number) {
                        wrong.push(format!("{id} stands twice for {}", world.name));
                    }
                }
                if !is_run {
                    wrong.push(format!("{id} is not run in {}", known.worlds.join(" ")));
                }
            }
        }
        wrong
    }
}

/// `*` at an end of a name in the file stands for anything.
fn is_named(name: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(start)) => name.starts_with(start),
        _ => name == pattern,
    }
}

/// What does not run as its page says, as it stands in the tree, or stood there when this was built.
#[track_caller]
pub fn expected() -> Expected {
    Expected::read(&documents::text(KNOWN))
}

//! The sessions that differ from their page: the file `tests/worlds/known`.

use std::collections::BTreeSet;

use super::list::{WORLDS, World};
use crate::documents;
use crate::session::{self, Session};

/// The file that lists the sessions that differ from their page.
pub const KNOWN: &str = "tests/worlds/known";
/// Why a session differs from its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KnownKind {
    /// It is intended.
    Differs,
    /// It is a defect, of a tool or of the page.
    Open,
    /// It sometimes differs, depending on the machine's load.
    Either,
}

/// A paragraph of the file.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) kind: KnownKind,
    worlds: Vec<String>,
    sessions: BTreeSet<String>,
    pub(super) why: String,
}

/// The sessions that differ from their page, of all worlds.
#[derive(Debug)]
pub struct Expected(pub(super) Vec<Known>);

impl Expected {
    /// Parses paragraphs: `open WORLD...: REASON` or `differs WORLD...: REASON`, then a line for each
    /// session.
    ///
    /// # Panics
    /// With a line that is none of these.
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
                Some("open") => KnownKind::Open,
                Some("either") => KnownKind::Either,
                Some("differs") => KnownKind::Differs,
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

    /// The number of the paragraph that lists it.
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

    /// Entries without a session of such a world, and duplicate entries.
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

/// `*` at either end of a name in the file matches anything.
fn is_named(name: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(start)) => name.starts_with(start),
        _ => name == pattern,
    }
}

/// The known differences, from the source tree, or as they were when this program was built.
#[track_caller]
pub fn expected() -> Expected {
    Expected::read(&documents::text(KNOWN))
}

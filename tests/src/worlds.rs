// SPDX-License-Identifier: MIT OR Apache-2.0
//! Worlds: the machines that people have. Each session of each page is run in each of them, and
//! `tests/WORLDS.md` says what came out.
//!
//! A new world is a line of [`WORLDS`] and a line of the script that starts its runs:
//! `tests/worlds/machine.sh` in the machine of [`crate::machine`], `tests/worlds/host.sh` on this one.
//! What does not run as its page says stands in `tests/worlds/known`, with the reason: it
//! is tried all the same, and a session that stands there and runs as its page says is a failure, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::documents;
use crate::session::{self, Session, SessionEnv, SessionKind};

/// A machine, and who runs the sessions there.
#[derive(Debug)]
pub struct World {
    /// Its name in `tests/worlds/known` and for the scripts.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    who: Who,
    /// Only the pages whose path starts with one of these.
    pages: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    /// Root where there is no control group of version 2 alone.
    RootOfV1,
    User,
}

const EVERY: &[&str] = &[""];
/// What the way into a machine can make different: who is whose child, in which control group, with which terminal.
const CHAIN: &[&str] = &[
    "README.md",
    "unshare-rs/README.md",
    "cgexec-rs/README.md",
    "chroot-rs/README.md",
    "docs/course/09-",
    "docs/course/10-",
    "docs/course/12-",
    "docs/course/13-",
    "tests/options/cgexec-rs/memory.md",
    "tests/options/cgexec-rs/pids-limit.md",
];

const fn world(name: &'static str, who: Who, pages: &'static [&'static str], what: &'static str) -> World {
    World { name, what, who, pages }
}

/// All of them.
pub static WORLDS: &[World] = &[
    world(
        "debian-root",
        Who::Root,
        EVERY,
        "Debian 12, its kernel 6.1 and systemd: root logs in with ssh, on a terminal",
    ),
    world("debian-user", Who::User, EVERY, "the same: a user with subordinate ids logs in"),
    world("debian-bob", Who::User, CHAIN, "the same: a user without subordinate ids"),
    world("testing-root", Who::Root, EVERY, "the kernel of Debian testing (7.2), the rest as in debian-root"),
    world("testing-user", Who::User, EVERY, "the same kernel, the rest as in debian-user"),
    world(
        "terminal",
        Who::User,
        CHAIN,
        "debian-user, in a desktop's terminal: a scope of the user's systemd with TasksMax",
    ),
    world("tmux", Who::User, CHAIN, "debian-user, in tmux"),
    world("cron", Who::User, CHAIN, "debian-user, from cron: no terminal, no XDG_RUNTIME_DIR"),
    world("sudo", Who::Root, CHAIN, "debian-user becomes root by sudo, with its secure_path"),
    world(
        "openrc-root",
        Who::Root,
        EVERY,
        "the same disk without systemd: control groups of version 2, which are root's",
    ),
    world("openrc-user", Who::User, CHAIN, "the same, a user"),
    world("v1-root", Who::RootOfV1, CHAIN, "the same disk without systemd, with control groups of version 1"),
    world("v1-user", Who::User, CHAIN, "the same, a user"),
    world(
        "host-root",
        Who::RootOfV1,
        EVERY,
        "the machine that runs the tests; here without systemd, with control groups of both versions",
    ),
    world("host-user", Who::User, EVERY, "the same, a user with subordinate ids"),
    world(
        "runc-root",
        Who::Root,
        CHAIN,
        "on that machine, in a container as `runc spec` describes it, root inside",
    ),
    world("runc-user", Who::User, CHAIN, "the same, a user inside"),
    world(
        "pod",
        Who::Root,
        CHAIN,
        "in runc as in a pod: /sys/fs/cgroup read-only, a control group namespace, no terminal, another process 1, Docker's capabilities",
    ),
    world("podman-root", Who::Root, CHAIN, "in root's podman with its defaults, root inside"),
    world("podman-user", Who::User, CHAIN, "the same, a user inside"),
    world("rootless", Who::Root, CHAIN, "in a user's podman with its defaults, root inside"),
    world("docker-root", Who::Root, CHAIN, "in Docker with its defaults, root inside"),
];

/// Worlds that nobody runs, and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "arm64, riscv64 and other processors",
        "one machine of theirs each; the programs are built for the processor of this one",
    ),
    (
        "Ubuntu's restriction of user namespaces",
        "no script yet; newer kernels have the switch, and the parser is at hand",
    ),
    ("a user in Docker's container, and containers on this host", "scripts that nobody has tried yet"),
    ("a container inside of our own chain", "no script yet"),
    ("kernels before 6.1", "Debian's archive has none for a release that is supported"),
];

/// A session that hangs is one that went otherwise; in the emulator the longest takes a third of it.
const PATIENCE: Duration = Duration::from_secs(40);

/// The file with what does not run as its page says.
pub const KNOWN: &str = "tests/worlds/known";
/// The page that is written.
pub const PAGE: &str = "tests/WORLDS.md";

impl World {
    /// The world of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        WORLDS.iter().find(|world| world.name == name)
    }

    fn has(&self, session: &Session) -> bool {
        let runs = match session.kind() {
            SessionKind::Anyone => true,
            SessionKind::Root => self.who != Who::User,
            SessionKind::User => self.who == Who::User,
            SessionKind::Vm => self.who == Who::Root,
            SessionKind::Registry | SessionKind::Engine | SessionKind::Mirror => false,
        };
        runs && self.pages.iter().any(|start| session.page().starts_with(start))
    }

    /// Runs its sessions here, with a line for each, its seconds, and the difference for one that went otherwise.
    pub fn run(&self, mut show: impl FnMut(&str)) {
        for session in session::all().filter(|session| self.has(session)) {
            let failed = session.attempt(&SessionEnv::default(), PATIENCE).err();
            let name = self.name;
            match failed {
                None => show(&format!("[session] {name} {} ran", session.id())),
                Some(why) => {
                    let why: String = why.lines().map(|line| format!("| {line}\n")).collect();
                    show(&format!("[session] {name} {} failed\n{}", session.id(), why.trim_end()));
                }
            }
        }
        show(&format!("[session] {} over", self.name));
    }
}

/// Why a session does not run as its page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It is meant so.
    Differs,
    /// It is a defect, of a tool or of the page.
    Open,
    /// It runs as its page says, or does not, as the machine goes.
    Either,
}

/// A paragraph of the file.
#[derive(Debug)]
struct Known {
    kind: Kind,
    worlds: Vec<String>,
    sessions: BTreeSet<String>,
    why: String,
}

/// What does not run as its page says, of all worlds.
#[derive(Debug)]
pub struct Expected(Vec<Known>);

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
    fn of(&self, world: &World, session: &str) -> Option<usize> {
        self.0.iter().position(|known| {
            known.sessions.contains(session) && known.worlds.iter().any(|name| is_named(world.name, name))
        })
    }

    /// The first paragraph with the same reason.
    fn first(&self, at: usize) -> usize {
        let why = self.0.get(at).map(|known| (known.kind, &known.why));
        self.0.iter().position(|known| Some((known.kind, &known.why)) == why).unwrap_or(at)
    }

    /// The number of the reason, from 1.
    fn reason(&self, at: usize) -> usize {
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

/// What was seen in the worlds.
#[derive(Debug, Default)]
pub struct Seen {
    /// By world and session: whether it ran as its page says.
    ran: BTreeMap<(String, String), bool>,
    over: BTreeSet<String>,
}

impl Seen {
    /// Takes a line of [`World::run`], whatever stands before it; others are left.
    pub fn line(&mut self, line: &str) {
        let Some((_, words)) = line.split_once("[session] ") else { return };
        match *words.split_whitespace().collect::<Vec<_>>() {
            [world, "over"] => {
                self.over.insert(world.to_string());
            }
            [world, session, how] => {
                self.ran.insert((world.to_string(), session.to_string()), how == "ran");
            }
            _ => {}
        }
    }

    /// Whether anything of this world was seen.
    pub fn has(&self, world: &World) -> bool {
        self.over.contains(world.name) || self.ran.keys().any(|(name, _)| name == world.name)
    }

    /// What went otherwise than is known, in the form of the file.
    pub fn surprises(&self, world: &World, expected: &Expected) -> Vec<String> {
        let mut found = Vec::new();
        if !self.over.contains(world.name) {
            found.push(format!("{} did not come to its end", world.name));
        }
        for session in session::all().filter(|session| world.has(session)).map(|session| session.id()) {
            let known = expected.of(world, &session);
            let is_either =
                known.and_then(|at| expected.0.get(at)).is_some_and(|known| known.kind == Kind::Either);
            match (self.ran.get(&(world.name.to_string(), session.clone())), known) {
                (Some(_), _) if is_either => {}
                (Some(true), None) | (Some(false), Some(_)) => {}
                (Some(true), Some(_)) => found.push(format!("runs as its page says: {session}")),
                (Some(false), None) => found.push(format!("went otherwise: {session}")),
                (None, _) => found.push(format!("was not tried: {session}")),
            }
        }
        found
    }
}

/// The page of what ran where.
pub fn page(expected: &Expected) -> String {
    let all: Vec<Session> = session::all().collect();
    let mut page = String::from(HEAD);
    let number =
        |world: &World| WORLDS.iter().position(|other| other.name == world.name).map_or(0, |at| at + 1);
    page.push_str(
        "| | world | | ran | differs | open | not run |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for world in WORLDS {
        let tried: Vec<_> = all.iter().filter(|session| world.has(session)).collect();
        let kinds = tried.iter().filter_map(|session| expected.of(world, &session.id()));
        let kinds: Vec<Kind> = kinds.filter_map(|at| expected.0.get(at)).map(|known| known.kind).collect();
        let count = |kind| kinds.iter().filter(|other| **other == kind).count();
        let (differs, open) = (count(Kind::Differs), count(Kind::Open));
        let (ran, not_run) = (tried.len() - kinds.len(), all.len() - tried.len() + count(Kind::Either));
        let (at, World { name, what, .. }) = (number(world), world);
        row(&mut page, &format!("| {at} | {name} | {what} | {ran} | {differs} | {open} | {not_run} |"));
    }
    page.push_str(MIDDLE);
    for (kind, title) in
        [(Kind::Differs, "## Differs on purpose"), (Kind::Open, "## Open"), (Kind::Either, "## Either")]
    {
        write!(page, "\n{title}\n\n").expect("a String takes all");
        for (at, known) in expected.0.iter().enumerate().filter(|(_, known)| known.kind == kind) {
            if expected.first(at) == at {
                row(&mut page, &format!("- {}: {}", mark(kind, expected.reason(at)), known.why));
            }
        }
    }
    page.push_str("\n## Not run\n\n");
    for (what, why) in NOT_RUN {
        row(&mut page, &format!("- {what}: {why}"));
    }
    page.push_str("\n## Each session\n\n");
    let heads: String = WORLDS.iter().map(|world| format!(" {} |", number(world))).collect();
    row(&mut page, &format!("| session |{heads}"));
    row(&mut page, &format!("| --- |{}", " --- |".repeat(WORLDS.len())));
    for session in &all {
        let cell = |world: &World| {
            if !world.has(session) {
                return "  |".to_string();
            }
            let known = expected.of(world, &session.id());
            let known =
                known.and_then(|at| expected.0.get(at).map(|known| mark(known.kind, expected.reason(at))));
            format!(" {} |", known.unwrap_or_else(|| "ran".to_string()))
        };
        row(&mut page, &format!("| {} |{}", session.id(), WORLDS.iter().map(cell).collect::<String>()));
    }
    page
}

fn row(page: &mut String, line: &str) {
    page.push_str(line);
    page.push('\n');
}

fn mark(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Differs => format!("d{number}"),
        Kind::Open => format!("open {number}"),
        Kind::Either => format!("either {number}"),
    }
}

/// What does not run as its page says, as it stands in the tree, or stood there when this was built.
#[track_caller]
pub fn expected() -> Expected {
    Expected::read(&documents::text(KNOWN))
}

const HEAD: &str = "\
# Worlds

The machines that people have, and what each session of README.md, of the tools' READMEs, the pages of options and the
course does there. This page is written by a test (`CHAIN_UPDATE=1 cargo test -p tests --test worlds`) from
`tests/worlds/known`, which `tests/run worlds` holds against what happens: a session that went otherwise and
does not stand there is a failure, and so is one that stands there and ran.

";

const MIDDLE: &str = "
*ran*: as its page says. *differs*: on purpose, for a reason below. *open*: it should run, and does not yet.
*either*: what it shows depends on the machine's speed, so it is tried and not held to anything.
*not run*: the session is not for this user, or for version 2 of control groups where there is version 1, or it takes
what the page says beside it (a registry, a Docker engine, a mirror), which `tests/run host` has; worlds that only differ in
the way in have the pages that depend on it.
";

//! The page that says what ran where: `tests/WORLDS.md`.

use std::fmt::Write as _;

use super::known::{Expected, Kind};
use super::list::{WORLDS, World};
use crate::session::{self, Session};

/// The page that is written.
pub const PAGE: &str = "tests/WORLDS.md";

/// Worlds that nobody runs, and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "arm64, riscv64 and other processors",
        "one machine of theirs each; the programs are built for the processor of this one",
    ),
    (
        "Ubuntu's own kernel",
        "its switch, kernel.apparmor_restrict_unprivileged_userns, is in no kernel of Debian's; the world apparmor has a \
         profile in its place",
    ),
    (
        "podman on the machine that runs the tests",
        "nothing is installed there; Debian's podman runs in the VM",
    ),
    ("kernels before 6.1", "Debian's archive has none for a release that is supported"),
];

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

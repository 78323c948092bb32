//! The page with the results of all worlds: `tests/WORLDS.md`.

use std::fmt::Write as _;

use super::known::{Expected, KnownKind};
use super::list::{WORLDS, World};
use crate::session::{self, Session};

/// The generated page.
pub const PAGE: &str = "tests/WORLDS.md";

/// Worlds that are not tested, and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "arm64, riscv64 and other processors",
        "each needs a machine; the programs are built for the processor of this one",
    ),
    (
        "Ubuntu's own kernel",
        "no kernel of Debian's has its switch, kernel.apparmor_restrict_unprivileged_userns; the world apparmor has a \
         profile instead",
    ),
    (
        "podman on the machine that runs the tests",
        "nothing is installed there; Debian's podman runs in the VM",
    ),
    ("kernels before 6.1", "Debian's archive has none for a release that is supported"),
];

/// The page with the results.
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
        let kinds: Vec<KnownKind> =
            kinds.filter_map(|at| expected.0.get(at)).map(|known| known.kind).collect();
        let count = |kind| kinds.iter().filter(|other| **other == kind).count();
        let (differs, open) = (count(KnownKind::Differs), count(KnownKind::Open));
        let (ran, not_run) = (tried.len() - kinds.len(), all.len() - tried.len() + count(KnownKind::Either));
        let (at, World { name, what, .. }) = (number(world), world);
        row(&mut page, &format!("| {at} | {name} | {what} | {ran} | {differs} | {open} | {not_run} |"));
    }
    page.push_str(MIDDLE);
    for (kind, title) in [
        (KnownKind::Differs, "## Differs on purpose"),
        (KnownKind::Open, "## Open"),
        (KnownKind::Either, "## Either"),
    ] {
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

fn mark(kind: KnownKind, number: usize) -> String {
    match kind {
        KnownKind::Differs => format!("d{number}"),
        KnownKind::Open => format!("open {number}"),
        KnownKind::Either => format!("either {number}"),
    }
}

const HEAD: &str = "\
# Worlds

The machines that people have, and the results of each session of README.md, the tools' READMEs, the pages of options and the course on them. A test writes
this page (`CHAIN_UPDATE=1 cargo test -p tests --test worlds`) from `tests/worlds/known`. `tests/run worlds` compares that list with what happens. It fails for a
session that differs and is not in the list, and for one that is in the list and ran.

";

const MIDDLE: &str = "
*ran*: as its page shows. *differs*: on purpose, for a reason below. *open*: it should run, and does not yet.
*either*: the result depends on the speed of the machine, so it is not compared.
*not run*: the session is not for this user; or it needs control groups of version 2 where there is version 1; or it needs a registry, a Docker engine or a
mirror, as in `tests/run host`. Worlds that differ only in the way in have only the pages that depend on it.
";

//! Archives from other projects: each results in the same tree as with GNU tar or bsdtar, or is in a list
//! with the reason for the difference.
//!
//! `tests/fetch-foreign` downloads them; `CHAIN_FOREIGN` is their directory, by default `.cache/foreign`.
#![cfg(test)]

mod exceptions;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use exceptions::{LISTED, excused};
use tests::fetch::{As, Scratch, feed, is_root};
use tests::tree::differences;

/// The result of an archive, if it is not the tree that GNU tar makes.
#[allow(dead_code, reason = "the reasons are for readers of the list")]
enum How {
    /// The tree that bsdtar makes; the text is GNU tar's reaction.
    AsBsdtar(&'static str),
    /// The tree that GNU tar makes with an option; the text is the reason.
    With(&'static str, &'static str),
    /// Refused with a line that contains this; the text is the reason.
    Refused(&'static str, &'static str),
}
use How::{AsBsdtar, Refused, With};

fn directory() -> PathBuf {
    std::env::var_os("CHAIN_FOREIGN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/foreign"), PathBuf::from)
}

/// Unpacks an archive with a peer, as a given user, and ignores the peer's messages.
fn by_peer(scratch: &Scratch, who: As, archive: &Path, peer: &[&str]) {
    let mut command = scratch.as_who(who, "sh");
    command
        .args(["-c", "umask 022; mkdir theirs && exec \"$@\" -C theirs -xp -f \"$0\""])
        .arg(archive)
        .args(["timeout", "30"])
        .args(peer)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().expect("the peer starts");
}

const GNU_TAR: [&str; 5] = ["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls"];
const BSDTAR: [&str; 4] = ["bsdtar", "--numeric-owner", "--xattrs", "--acls"];

/// Our error with an archive, if there is one.
fn wrong(archive: &Path, who: As, how: Option<&How>) -> Option<String> {
    let scratch = Scratch::new();
    let before = scratch.surroundings();
    let mut command = scratch.command(who);
    let root = who == As::Caller && is_root();
    // otherwise only its owner can use a device: tests/options/rootfs-fetch/devices.md
    command.args(root.then_some("--devices=keep-mode"));
    if let Some(With(option, _)) = how {
        command.arg(option);
    }
    command.arg(archive).arg("ours");
    let outcome = feed(command, b"");
    if scratch.surroundings() != before {
        return Some("something outside changed".into());
    }
    if let Some(Refused(line, _)) = how {
        let told = outcome.code == Some(4) && outcome.stderr.contains(line) && scratch.left().is_empty();
        return (!told).then(|| format!("not refused with {line:?}: {outcome:?}"));
    }
    if outcome.code != Some(0) {
        return Some(format!("{outcome:?}"));
    }
    let peer: &[&str] = if matches!(how, Some(AsBsdtar(_))) { &BSDTAR } else { &GNU_TAR };
    by_peer(&scratch, who, archive, peer);
    let work = scratch.work();
    let different: Vec<String> = differences(&work.join("ours"), &work.join("theirs"))
        .into_iter()
        .filter(|(name, lines)| !excused(name, lines, root))
        .map(|(name, lines)| format!("{name:?}: {lines}"))
        .collect();
    (!different.is_empty()).then(|| different.join("\n    "))
}

mod peers {
    use super::*;

    #[test]
    #[ignore = "needs the archives that tests/fetch-foreign fetches, GNU tar and bsdtar"]
    fn each_gives_the_tree_a_peer_makes_or_a_listed_reason() {
        // it sets the mode of our directory; the peers have their own umask
        nix::sys::stat::umask(nix::sys::stat::Mode::empty());
        let mut archives: Vec<PathBuf> = std::fs::read_dir(directory())
            .expect("tests/fetch-foreign was run")
            .flat_map(|set| std::fs::read_dir(set.unwrap().path()).unwrap())
            .map(|archive| archive.unwrap().path())
            .collect();
        archives.sort();
        assert!(archives.len() > 100, "only {} archives", archives.len());
        let mut failed = Vec::new();
        for archive in &archives {
            let name = archive.iter().rev().take(2).collect::<Vec<_>>();
            let name = format!("{}/{}", name[1].to_string_lossy(), name[0].to_string_lossy());
            let how = LISTED.iter().find(|(listed, _)| *listed == name).map(|(_, how)| how);
            for &who in As::all() {
                if let Some(wrong) = wrong(archive, who, how) {
                    failed.push(format!("{name} as {who:?}:\n    {wrong}"));
                }
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}

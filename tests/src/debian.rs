//! Root directories of Debian's own programs: one with apt, dpkg, useradd, ps, sudo, python3 and a shell, and one with
//! Java and Chromium.
//!
//! `tests/debian` downloads it once; each test unpacks a copy. Its files belong to many ids, so for an
//! ordinary user it is unpacked and removed inside `unshare-rs --map-root-user --map-auto`, where these ids
//! exist, as in the user's containers.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use crate::links::Link;
use crate::run::Run;
use crate::scratch::Scratch;
use crate::tools::tools;

/// A download, and the set-up of about a hundred packages.
const MMDEBSTRAP_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// apt and dpkg do a lot, possibly on a busy machine.
const APT_TIMEOUT: Duration = Duration::from_secs(120);

/// A Debian root that is removed when the test ends.
#[derive(Debug)]
pub struct Debian {
    scratch: Scratch,
}

impl Debian {
    /// A new, unchanged one.
    ///
    /// # Panics
    /// If there is none and it cannot be created.
    #[track_caller]
    pub fn new() -> Self {
        Self::of(&archive())
    }

    /// The same with only Java, Chromium and what they need.
    ///
    /// # Panics
    /// If there is none and it cannot be created.
    #[track_caller]
    pub fn with_applications() -> Self {
        Self::of(&applications())
    }

    fn of(archive: &Path) -> Self {
        let debian = Self { scratch: Scratch::new() };
        fs::create_dir(debian.root()).expect("a directory for it");
        // not its devices, which need root, and which chroot-rs provides
        let tar = owner(["tar", "-C"]).arg(debian.root()).args(["--numeric-owner", "--exclude=./dev/*"]);
        tar.arg("-xf").arg(archive).patience(MMDEBSTRAP_TIMEOUT).end().ok();
        debian
    }

    /// The root directory.
    pub fn root(&self) -> PathBuf {
        self.path("")
    }

    /// A link that has it as the root.
    pub fn chroot(&self) -> Link {
        Link::new("chroot", [tools().chroot().into(), "--".into(), self.root().into()])
    }

    /// A command at the end of a link that leads into it.
    pub fn run(&self, link: &Link, command: &[&str]) -> Run {
        let here = [
            ("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("LC_ALL", "C"),
        ];
        link.run(command.iter().copied()).patience(APT_TIMEOUT).with(|run| {
            run.env_clear().envs(here);
        })
    }

    /// A path inside.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.scratch.path("root").join(inside)
    }
}

impl Default for Debian {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let ended =
            owner(["rm", "-rf", "--one-file-system"]).arg(self.root()).patience(MMDEBSTRAP_TIMEOUT).end();
        // a second panic would hide the first
        if !ended.stderr.is_empty() {
            eprintln!("{} stays: {}", self.root().display(), ended.err());
        }
    }
}

/// A command that runs with the ids of a Debian root.
pub fn owner<const N: usize>(command: [&str; N]) -> Run {
    let mut words: Vec<OsString> = command.iter().map(OsString::from).collect();
    if !geteuid().is_root() {
        let inside = ["--map-root-user", "--map-auto", "--"].map(OsString::from);
        words.splice(..0, std::iter::once(tools().unshare().into()).chain(inside));
    }
    let (program, args) = words.split_first().expect("a command has a word");
    Run::new(program).args(args)
}

/// The archive that `tests/debian` created: `CHAIN_DEBIAN`, set by tests/run, or the one in this tree.
///
/// # Panics
/// If there is none and it cannot be created.
#[track_caller]
pub fn archive() -> PathBuf {
    made("CHAIN_DEBIAN", &[])
}

/// The archive that `tests/debian applications` created: `CHAIN_APPLICATIONS`, or the one in this tree.
///
/// # Panics
/// If there is none and it cannot be created.
#[track_caller]
pub fn applications() -> PathBuf {
    made("CHAIN_APPLICATIONS", &["applications"])
}

#[track_caller]
fn made(variable: &str, args: &[&str]) -> PathBuf {
    if let Some(archive) = env::var_os(variable) {
        return archive.into();
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = Run::new(tests.join("debian")).args(args).patience(MMDEBSTRAP_TIMEOUT).end().ok();
    tests.join("..").join(path.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    mod in_debian {
        use super::*;

        #[test]
        #[ignore = "needs a root of Debian's"]
        fn a_debian_has_its_owners_and_goes() {
            let debian = Debian::new();
            let shadow = debian.path("etc/shadow");
            assert_eq!(owner(["stat", "-c", "%u:%g %a"]).arg(shadow).end().ok(), "0:42 640\n");
            for program in ["usr/bin/apt-get", "usr/bin/ps", "usr/bin/python3", "usr/sbin/useradd"] {
                assert!(debian.path(program).exists(), "{program}");
            }
            let root = debian.root();
            drop(debian);
            assert!(!root.exists());
        }
    }
}

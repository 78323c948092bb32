//! A root directory of Debian's own programs: apt, dpkg, useradd, ps, sudo, python3 and a shell.
//!
//! `tests/debian` downloads it once; each test unpacks its own. It belongs to many ids, so an
//! ordinary user has it unpacked, and removed, where those ids exist: inside
//! `unshare-rs --map-root-user --map-auto`, as the container of that user has them too.

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

/// A download and the set-up of about a hundred packages.
const MMDEBSTRAP_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// apt and dpkg do a lot, also on a machine that is busy with other things.
const APT_TIMEOUT: Duration = Duration::from_secs(120);

/// A Debian that goes when the test ends.
#[derive(Debug)]
pub struct Debian {
    scratch: Scratch,
}

impl Debian {
    /// A fresh one, which nobody has changed.
    ///
    /// # Panics
    /// Where there is none and it cannot be made.
    #[track_caller]
    pub fn new() -> Self {
        let debian = Self { scratch: Scratch::new() };
        fs::create_dir(debian.root()).expect("a directory for it");
        // not its devices, which take root, and which chroot-rs gives to whoever enters
        let tar = owner(["tar", "-C"]).arg(debian.root()).args(["--numeric-owner", "--exclude=./dev/*"]);
        tar.arg("-xf").arg(archive()).patience(MMDEBSTRAP_TIMEOUT).end().ok();
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

/// A command of whoever has the ids of a Debian.
pub fn owner<const N: usize>(command: [&str; N]) -> Run {
    let mut words: Vec<OsString> = command.iter().map(OsString::from).collect();
    if !geteuid().is_root() {
        let inside = ["--map-root-user", "--map-auto", "--"].map(OsString::from);
        words.splice(..0, std::iter::once(tools().unshare().into()).chain(inside));
    }
    let (program, args) = words.split_first().expect("a command has a word");
    Run::new(program).args(args)
}

/// What `tests/debian` made: `CHAIN_DEBIAN`, as tests/run has it, or the one of this tree.
///
/// # Panics
/// Where there is none and it cannot be made.
#[track_caller]
pub fn archive() -> PathBuf {
    if let Some(archive) = env::var_os("CHAIN_DEBIAN") {
        return archive.into();
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = Run::new(tests.join("debian")).patience(MMDEBSTRAP_TIMEOUT).end().ok();
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

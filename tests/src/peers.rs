//! Debian's other container programs, which are unpacked and never installed: bwrap, crun, podman, runc and
//! systemd-nspawn. They run on this machine's kernel, with its devices, processes and control groups.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::accounts::unused_id;
use crate::engine_group::EngineGroup;
use crate::run::Run;
use crate::scratch::Scratch;

/// A download and the set-up of about three hundred packages.
const MMDEBSTRAP_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// podman writes its storage, and is slow on a busy machine.
const PEER_TIMEOUT: Duration = Duration::from_secs(120);

/// Makes $1 the root directory, with this machine's /dev, /proc and /sys, the directory $2 at its own path,
/// and a directory in /run for the user $3. With `hide` as $4 there are no control groups: crun(1) refuses
/// hybrid ones. Not with chroot(1), inside which no user namespace can be created.
const ENTER: &str = r#"
root=$1 shared=$2 user=$3 groups=$4
shift 4
set -e
mount --rbind "$root" "$root"
for dir in dev proc sys; do mount --rbind "/$dir" "$root/$dir"; done
[ "$groups" = show ] || mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/old" "$root/run/user" "$root$shared"
chown "$user" "$root/run/user"
mount --rbind "$shared" "$root$shared"
cd "$root"
pivot_root . run/old
umount -l run/old
rmdir run/old
exec "$@"
"#;

/// The user who runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root of this machine.
    Root,
    /// A user with subordinate ids.
    User,
}

/// A Debian root with these programs, which is removed when the test ends.
#[derive(Debug)]
pub struct Peers {
    // dropped before the directory that it is named after
    group: EngineGroup,
    debian: Scratch,
    user: u32,
}

impl Peers {
    /// A new one, with an account for the user.
    ///
    /// # Panics
    /// If there is none and it cannot be created.
    #[track_caller]
    pub fn unpack() -> Self {
        // a container's root cannot be on a file system without devices or set-user-ID programs
        let debian = Scratch::of_machine();
        let tar =
            Run::new("tar").arg("-C").arg(debian.path("")).args(["--numeric-owner", "--exclude=./dev/*"]);
        tar.arg("-xf").arg(archive()).patience(MMDEBSTRAP_TIMEOUT).end().ok();
        let user = unused_id();
        // systemd-nspawn asks for it
        fs::write(debian.path("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").expect("a number");
        for (file, line) in [
            ("passwd", format!("peer:x:{user}:{user}::/home/peer:/bin/sh\n")),
            ("group", format!("peer:x:{user}:\n")),
            ("subuid", "peer:1000000000:65536\n".to_string()),
            ("subgid", "peer:1000000000:65536\n".to_string()),
        ] {
            let path = debian.path("etc").join(file);
            let old = fs::read_to_string(&path).unwrap_or_default();
            fs::write(path, old + &line).expect("an account");
        }
        fs::create_dir_all(debian.path("home/peer")).expect("a home directory");
        std::os::unix::fs::chown(debian.path("home/peer"), Some(user), Some(user)).expect("its owner");
        Self { group: EngineGroup::of(&debian), debian, user }
    }

    /// Their root directory.
    pub fn root(&self) -> PathBuf {
        self.debian.path("")
    }

    /// The user's number.
    pub fn user(&self) -> u32 {
        self.user
    }

    /// A command with these programs, and with the directory `shared` of this machine at its own path;
    /// `before` are words in front of all others.
    pub fn run(
        &self,
        before: &[PathBuf],
        who: Who,
        shared: &Path,
        words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Run {
        let words: Vec<OsString> = words.into_iter().map(|word| word.as_ref().to_os_string()).collect();
        let uses_crun = words.iter().any(|word| word.to_string_lossy().contains("crun"));
        let mut all: Vec<OsString> = before.iter().map(OsString::from).collect();
        all.extend(["unshare", "--mount", "sh", "-c", ENTER, "sh"].map(OsString::from));
        let groups = if uses_crun { "hide" } else { "show" };
        all.extend([self.debian.path("").into(), shared.into(), self.user.to_string().into(), groups.into()]);
        if who == Who::User {
            all.extend(["setpriv", "--reuid=peer", "--regid=peer", "--clear-groups"].map(OsString::from));
        }
        all.extend(words);
        let (program, args) = all.split_first().expect("there are words");
        let home = if who == Who::User { "/home/peer" } else { "/root" };
        Run::new(program).args(args).patience(PEER_TIMEOUT).with(|command| {
            command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
            command.env("HOME", home).env("XDG_RUNTIME_DIR", "/run/user").env("LC_ALL", "C");
        })
    }

    /// The words of `podman run` with its defaults, as far as this machine supports them: not every root can
    /// raise resource limits, runc(1) needs control groups, and a user has none here.
    pub fn podman(&self, who: Who) -> Vec<String> {
        let group = self.group.path();
        let words = match who {
            Who::Root => format!(
                "--runtime=runc run --cgroup-parent={group} --ulimit=nofile=1024:1024 --ulimit=nproc=4096:4096"
            ),
            Who::User => "--runtime=crun run --cgroups=disabled".to_string(),
        };
        let words = format!("podman --cgroup-manager=cgroupfs {words} --rm --network=none");
        words.split(' ').map(String::from).collect()
    }
}

/// The archive that `tests/worlds/image --root` created: the root of the machine in which the pages are
/// tried.
///
/// # Panics
/// If there is none and it cannot be created.
#[track_caller]
fn archive() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Run::new(tests.join("worlds/image")).arg("--root").patience(MMDEBSTRAP_TIMEOUT);
    tests.join("..").join(made.end().ok().trim_end())
}

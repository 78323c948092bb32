//! systemd as process 1 of a container: it boots (for root, up to the login prompt), gives its units control groups,
//! and stops on request. `docs/running.md` shows the command line.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;
use tests::peers::Peers;
use tests::{End, Run, Scratch, Snapshot, Terminal, deadline, tools};

/// An emulated machine that is busy takes a minute.
const BOOT_TIMEOUT: Duration = Duration::from_secs(300);

/// A unit that systemd starts with all others.
const SERVICE: &str = "[Service]\nExecStart=/bin/sh /run/probe/look\n";

/// Waits for all units, and prints the state of systemd, the program of process 1, and the control group of a unit. Then
/// it stops the system, if the test asks for that.
const LOOK: &str = r#"cd /run/probe
{
    echo "state: $(systemctl is-system-running --wait)"
    echo "process 1: $(cat /proc/1/comm) $(tail -n 1 /proc/1/cgroup)"
    echo "container: $(systemd-detect-virt --container)"
    echo "unit: $(systemd-run --quiet --pipe --wait --unit=inside tail -n 1 /proc/self/cgroup)"
    systemctl list-units --failed --plain --no-legend
} >seen.new 2>&1
mv seen.new seen
[ ! -e poweroff ] || systemctl poweroff
"#;

/// What ends the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// `systemctl poweroff` inside.
    Poweroff,
    /// SIGRTMIN+3 from outside.
    Signal,
}

/// A container in a terminal of its own.
struct Container {
    scratch: Scratch,
    terminal: Terminal,
}

impl Container {
    /// The command line of the page, with more options of chroot-rs.
    fn start(root: &Path, options: &[&str], stop: Stop) -> Self {
        let scratch = Scratch::new();
        let wants = scratch.path("units/default.target.wants");
        fs::create_dir_all(&wants).unwrap();
        fs::create_dir(scratch.path("probe")).unwrap();
        fs::write(scratch.path("units/look.service"), SERVICE).unwrap();
        symlink("../look.service", wants.join("look.service")).unwrap();
        fs::write(scratch.path("probe/look"), LOOK).unwrap();
        if stop == Stop::Poweroff {
            fs::write(scratch.path("probe/poweroff"), "").unwrap();
        }
        let bind = |from: &str, to: &str| format!("--bind={}:{to}", scratch.path(from).display());
        let mut chain = Command::new(tools().unshare());
        chain.args(["--no-init", "--pid-file"]).arg(scratch.path("pid")).arg("--");
        chain.arg(tools().cgexec()).arg("--").arg(tools().chroot());
        chain.args(["--cap-add=SYS_ADMIN", "--cgroup=rw", "--tmpfs=/run", "--env=container=chain"]);
        chain.args([bind("probe", "/run/probe"), bind("units", "/run/systemd/system:ro")]);
        chain.args(options).arg(root).arg("/sbin/init");
        Self { scratch, terminal: Terminal::start(chain) }
    }

    /// Waits for a text on the console; a test that fails shows the console.
    fn wait_for(&mut self, text: &str) {
        if let Err(why) = self.terminal.read_until(text, BOOT_TIMEOUT) {
            panic!("{}", why.replace("\\r", "").replace("\\n", "\n"));
        }
    }

    /// Waits until all units are started, stops the system, and returns what the unit printed.
    fn boot_and_stop(mut self, stop: Stop) -> String {
        if stop == Stop::Signal {
            // a user gets no prompt
            if geteuid().is_root() {
                self.wait_for("login: ");
            }
            let seen = || fs::exists(self.scratch.path("probe/seen")).unwrap().then_some(());
            if let Err(why) = deadline::wait("the units to start", BOOT_TIMEOUT, seen) {
                panic!("{why}: {:?}", fs::read_to_string(self.scratch.path("probe/seen.new")));
            }
            let pid = fs::read_to_string(self.scratch.path("pid")).unwrap();
            Run::new("kill").args(["-s", "RTMIN+3", pid.trim()]).end().ok();
        }
        self.wait_for("Exiting container.");
        assert_eq!(self.terminal.end(), End::Exit(0));
        fs::read_to_string(self.scratch.path("probe/seen")).expect("what the unit printed")
    }
}

/// What the unit prints after the state.
const SEEN: [&str; 3] = [
    "process 1: systemd 0::/init.scope",
    "container: container-other",
    "unit: 0::/system.slice/inside.service",
];

const EPHEMERAL: &[&str] = &["--ephemeral"];

/// Starts and stops the system in the root directory with each of these options.
fn boots(root: &str, forms: &[(&[&str], Stop)]) {
    let _before = Snapshot::take();
    for (options, stop) in forms {
        let seen = Container::start(Path::new(root), options, *stop).boot_and_stop(*stop);
        // with --nocapture, also which units have failed
        println!("{options:?} {stop:?}\n{seen}");
        let lines: Vec<&str> = seen.lines().collect();
        assert!(["state: running", "state: degraded"].contains(&lines[0]), "{seen}");
        assert_eq!(lines[1..4], SEEN, "{seen}");
    }
}

mod with_peers {
    use super::*;

    #[test]
    #[ignore = "needs root and the root of tests/worlds/image"]
    fn systemd_starts_its_units_and_stops() {
        let peers = Peers::unpack();
        let root = peers.root().display().to_string();
        boots(&root, &[(&[], Stop::Poweroff), (EPHEMERAL, Stop::Signal)]);
    }
}

mod under_systemd {
    use super::*;

    #[test]
    #[ignore = "needs root, and the machine of tests/worlds"]
    fn systemd_starts_its_units_and_stops() {
        boots("/srv/root", &[(EPHEMERAL, Stop::Poweroff), (EPHEMERAL, Stop::Signal)]);
    }
}

mod under_login {
    use super::*;

    #[test]
    #[ignore = "needs a user who has logged in, and the machine of tests/worlds"]
    fn systemd_starts_its_units_and_stops() {
        boots("/srv/rootless", &[(EPHEMERAL, Stop::Poweroff), (EPHEMERAL, Stop::Signal)]);
    }
}

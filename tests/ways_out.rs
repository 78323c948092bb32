//! The ways out of a container, each tried; the table in chroot-rs/README.md shows the results.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};
use tests::accounts::unused_id;
use tests::engine::Engine;
use tests::peers::{Peers, Who};
use tests::{End, Run, Scratch, daemon, documents, file_handle, tools};

const README: &str = "chroot-rs/README.md";
const OURS: &str = "<!-- what tests/ways_out.rs found -->\n";
const PEERS: &str = "<!-- what tests/ways_out.rs found with the programs of others -->\n";
const END: &str = "<!-- end -->\n";

/// A root, a file outside it, and the programs in a directory where every user can run them.
struct Place {
    scratch: Scratch,
    root: PathBuf,
    handle: String,
}

/// The user of an attempt, and the command before it.
const DEFAULTS: [(&str, Who, &[&str]); 5] = [
    ("root: chroot-rs", Who::Root, &["chroot-rs"]),
    ("root: the chain", Who::Root, &["unshare-rs", "--", "cgexec-rs", "--", "chroot-rs"]),
    (
        "root of a user namespace",
        Who::Root,
        &["unshare-rs", "--user", "--map-users=all", "--map-groups=all", "--", "chroot-rs"],
    ),
    ("root: --userns auto", Who::Root, &["chroot-rs", "--userns", "auto"]),
    ("user: the chain", Who::User, &["unshare-rs", "--", "cgexec-rs", "--", "chroot-rs"]),
];
const PRIVILEGED: (&str, Who, &[&str]) = ("root: --privileged", Who::Root, &["chroot-rs", "--privileged"]);

impl Place {
    fn new() -> Self {
        let scratch = Scratch::new();
        let root = scratch.path("root");
        fs::set_permissions(scratch.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["bin", "dev", "proc", "sys", "tmp", "read-only"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::create_dir(scratch.path("shown")).unwrap();
        fs::write(scratch.path("secret"), "outside").unwrap();
        // the kernel's log
        mknod(&root.join("node"), SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 11)).unwrap();
        for program in [tools().unshare(), tools().cgexec(), tools().chroot(), tools().ways_out()] {
            scratch.install(&program, "");
        }
        scratch.install(&tools().ways_out(), "root/bin");
        let handle = file_handle::of(&scratch.path("secret"));
        Self { scratch, root, handle }
    }

    /// Each way's name, with "can", "cannot" or "-".
    fn try_all(&self, who: Who, words: &[&str]) -> Vec<(String, String)> {
        ways(&self.run(who, words).end().ok())
    }

    fn run(&self, who: Who, words: &[&str]) -> Run {
        let id = unused_id();
        let program = |word: &&str| match word.ends_with("-rs") {
            true => self.scratch.path(word).into_os_string(),
            false => OsString::from(word),
        };
        let mut all: Vec<OsString> = Vec::new();
        if who == Who::User {
            let setpriv = ["setpriv", &format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups"];
            all.extend(setpriv.map(OsString::from));
        }
        all.extend([self.scratch.path("ways_out").into(), "--with-key".into()]);
        all.extend(words.iter().map(program));
        let bind = format!("--bind={}:/read-only:ro", self.scratch.path("shown").display());
        all.extend([
            bind.into(),
            self.root.clone().into(),
            "/bin/ways_out".into(),
            self.handle.clone().into(),
        ]);
        let (program, args) = all.split_first().unwrap();
        Run::new(program).args(args)
    }
}

/// The lines of the program's output.
fn ways(out: &str) -> Vec<(String, String)> {
    let found: Vec<_> = out
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(way, it)| (way.into(), it.into()))
        .collect();
    assert!(found.len() > 20, "{out}");
    found
}

fn table(head: &[&str], found: &[Vec<(String, String)>]) -> String {
    let mut table = format!("| from inside | {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len() + 1));
    for (row, (way, _)) in found[0].iter().enumerate() {
        let shown = |column: &Vec<(String, String)>| match column[row].1.as_str() {
            "can" => "**can**",
            "cannot" => "cannot",
            _ => "",
        };
        let cells: Vec<&str> = found.iter().map(shown).collect();
        table.push_str(&format!("| {way} | {} |\n", cells.join(" | ")));
    }
    table
}

/// Compares a table with the one after `begin`, or writes it.
fn compare_with_readme(begin: &str, table: &str) {
    let readme = documents::text(README);
    let (before, rest) = readme.split_once(begin).expect("where the table begins");
    let (written, after) = rest.split_once(END).expect("where the table ends");
    if documents::updating() {
        documents::write(README, &format!("{before}{begin}{table}{END}{after}"));
    } else {
        assert_eq!(written, table, "CHAIN_UPDATE=1 writes it");
    }
}

/// The open ways; there should be none, except that an ordinary user may create nested user namespaces.
fn open_ways(name: &str, who: Who, ways: &[(String, String)]) -> Vec<String> {
    let open = ways.iter().filter(|(_, outcome)| outcome == "can").map(|(way, _)| way);
    let meant = |way: &String| who == Who::User && way == "make a user namespace";
    open.filter(|way| !meant(way)).map(|way| format!("{name}: {way}")).collect()
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and setpriv"]
    fn by_default_no_way_leads_out() {
        let place = Place::new();
        let mut open = Vec::new();
        for (name, who, words) in DEFAULTS {
            let ended = place.run(who, words).end();
            // a tmpfs of Linux before 6.3, as the root of the VM
            if words.contains(&"auto") && ended.err().contains("cannot map owners") {
                continue;
            }
            open.extend(open_ways(name, who, &ways(&ended.ok())));
        }
        assert_eq!(open, [""; 0]);
    }

    mod on_host {
        use super::*;

        #[test]
        #[ignore = "needs root and setpriv"]
        fn the_readme_shows_which_ways_are_open() {
            let place = Place::new();
            let columns: Vec<_> = DEFAULTS.into_iter().chain([PRIVILEGED]).collect();
            let found: Vec<_> = columns.iter().map(|(_, who, words)| place.try_all(*who, words)).collect();
            // otherwise the program tries nothing
            let privileged = found.last().unwrap();
            let counted = privileged.iter().filter(|(_, outcome)| outcome == "can").count();
            assert!(counted > 10, "the ways are tried as they should be: {privileged:#?}");
            let head: Vec<&str> = columns.iter().map(|(name, _, _)| *name).collect();
            compare_with_readme(OURS, &table(&head, &found));
        }
    }
}

mod with_peers {
    use super::*;

    /// The options of each program, without the root, the read-only directory and the command: its defaults.
    const PEERS_COLUMNS: [(&str, Who); 8] = [
        ("docker", Who::Root),
        ("podman, root", Who::Root),
        ("podman, user", Who::User),
        ("runc", Who::Root),
        ("crun", Who::Root),
        ("bwrap, root", Who::Root),
        ("bwrap, user", Who::User),
        ("systemd-nspawn", Who::Root),
    ];

    struct Others {
        place: Place,
        peers: Peers,
        engine: Engine,
    }

    impl Others {
        fn new() -> Self {
            let place = Place::new();
            // podman and systemd-nspawn look for these in a root
            for dir in ["usr", "etc", "run", "var"] {
                fs::create_dir_all(place.root.join(dir)).unwrap();
            }
            let peers = Peers::unpack();
            // the root of the user's containers: root's files there belong to the user here, except the
            // device node
            let copy = place.scratch.path("root-of-user");
            Run::new("cp").arg("-a").arg(&place.root).arg(&copy).end().ok();
            let owner = format!("{0}:{0}", peers.user());
            Run::new("chown").args(["-R", &owner]).arg(&copy).end().ok();
            Run::new("chown").arg("0:0").arg(copy.join("node")).end().ok();
            Self { place, peers, engine: Engine::start() }
        }

        fn try_all(&self, program: &str, who: Who) -> Vec<(String, String)> {
            let root = match who {
                Who::Root => self.place.root.clone(),
                Who::User => self.place.scratch.path("root-of-user"),
            };
            let text = |path: &Path| path.display().to_string();
            let shown = text(&self.place.scratch.path("shown"));
            let root = text(&root);
            let handle = &self.place.handle;
            let read_only = format!("{shown}:/read-only:ro");
            let words = |line: String| line.split(' ').map(String::from).collect::<Vec<_>>();
            let probe = words(format!("/bin/ways_out {handle}"));
            let line = match program {
                "docker" => return self.with_docker(&read_only, &probe),
                "podman" => {
                    let mut podman = self.peers.podman(who);
                    podman.extend(words(format!("--volume={read_only} --rootfs {root}")));
                    podman
                }
                "runc" => words(format!("runc run --bundle {} ways-out", self.bundle("runc", &shown))),
                "crun" => words(format!(
                    "crun --cgroup-manager=disabled run --bundle {} ways-out",
                    self.bundle("crun", &shown)
                )),
                "bwrap" => words(format!(
                    "bwrap --unshare-all --bind {root} / --proc /proc --dev /dev --ro-bind {shown} /read-only"
                )),
                "systemd-nspawn" => words(format!(
                    "systemd-nspawn --quiet --register=no --keep-unit --bind-ro={shown}:/read-only --directory={root}"
                )),
                other => panic!("no such program: {other}"),
            };
            // a bundle contains its command
            let command = if ["crun", "runc"].contains(&program) { Vec::new() } else { probe };
            let key = [self.place.scratch.path("ways_out"), "--with-key".into()];
            let run = self.peers.run(&key, who, &self.place.scratch.path(""), line.iter().chain(&command));
            ways(&run.end().ok())
        }

        /// The engine starts the container, so the caller's session keyring plays no part.
        fn with_docker(&self, read_only: &str, probe: &[String]) -> Vec<(String, String)> {
            let layer = Run::new("tar").arg("-C").arg(&self.place.root).args(["--numeric-owner", "-c", "."]);
            let layer = layer.end().ended(End::Exit(0)).stdout;
            self.engine.docker().args(["import", "-", "ways-out:1"]).stdin(layer).end().ok();
            let docker = self.engine.docker().args(["run", "--rm", "--network=none", "--volume", read_only]);
            ways(&docker.arg("ways-out:1").args(probe).end().ok())
        }

        /// A container as described by `runc spec`; for crun without its control groups, which the machine
        /// does not show.
        fn bundle(&self, name: &str, shown: &str) -> String {
            let bundle = self.place.scratch.path(format!("bundle-{name}"));
            fs::create_dir(&bundle).unwrap();
            Run::new(daemon::program("runc")).args(["spec", "--bundle"]).arg(&bundle).end().ok();
            let file = bundle.join("config.json");
            let mut spec: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            spec["root"]["path"] = json!(self.place.root);
            spec["process"]["terminal"] = json!(false);
            spec["process"]["args"] = json!(["/bin/ways_out", self.place.handle]);
            if name == "crun" {
                let is_of_groups = |entry: &Value| entry["type"] == "cgroup";
                for list in [&["mounts"][..], &["linux", "namespaces"]] {
                    let list = list.iter().fold(&mut spec, |at, key| &mut at[*key]);
                    list.as_array_mut().unwrap().retain(|entry| !is_of_groups(entry));
                }
                spec["linux"]["resources"].take();
            }
            let mounts = spec["mounts"].as_array_mut().unwrap();
            mounts.push(json!({"destination": "/read-only", "type": "bind", "source": shown, "options": ["bind", "ro"]}));
            mounts.push(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}));
            fs::write(file, spec.to_string()).unwrap();
            bundle.display().to_string()
        }
    }

    #[test]
    #[ignore = "needs root, Debian's docker.io and the programs of tests::peers"]
    fn the_readme_shows_what_the_programs_of_others_let_pass() {
        let others = Others::new();
        let tried = |(name, who): &(&str, Who)| others.try_all(name.split(',').next().unwrap(), *who);
        let found: Vec<_> = PEERS_COLUMNS.iter().map(tried).collect();
        compare_with_readme(PEERS, &table(&PEERS_COLUMNS.map(|(name, _)| name), &found));
    }
}

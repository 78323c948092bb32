//! Everyday programs inside: programs that look at mounts, processes and terminals, that change their user,
//! or that need shared memory or a network. Also the tools themselves.

mod programs;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;
use tests::engine::Engine;
use tests::peers::{Peers, Who};
use tests::{Debian, End, Ended, Link, Scratch, Snapshot, Terminal, documents, snapshot, tools};

use crate::programs::{
    ALLOWED_BY_PRIVILEGED, APPLICATIONS, APPLICATIONS_SH, Columns, PROGRAMS, Program, Works,
};

const PAGE: &str = "docs/compare.md";
const BEGIN: &str = "<!-- what tests/everyday_programs found -->\n";
const END: &str = "<!-- end -->\n";

fn page_table() -> String {
    let mut table = String::from("| | the chain | docker | podman |\n| --- | --- | --- | --- |\n");
    for Program { name, works, .. } in PROGRAMS.iter().chain(&APPLICATIONS) {
        let cell = |works| match works {
            Works::All => "works",
            Works::User => "root: refused; user: works",
            Works::Nobody => "refused",
        };
        let cells = [works.chain, works.docker, works.podman].map(cell).join(" | ");
        table.push_str(&format!("| {name} | {cells} |\n"));
    }
    table
}

#[test]
fn the_page_shows_which_programs_work() {
    let page = documents::text(PAGE);
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (written, after) = rest.split_once(END).expect("where the table ends");
    if documents::updating() {
        documents::write(PAGE, &format!("{before}{BEGIN}{}{END}{after}", page_table()));
    } else {
        assert_eq!(written, page_table(), "CHAIN_UPDATE=1 writes it");
    }
}

/// The programs for which something went otherwise than the table says.
fn otherwise(
    programs: &[Program],
    works: impl Fn(&Columns) -> Works,
    who: Who,
    run: impl Fn(&str) -> Ended,
) -> Vec<String> {
    programs.iter().filter_map(|program| program.otherwise(works(&program.works).is_for(who), &run)).collect()
}

/// Who runs the tests.
fn caller() -> Who {
    if geteuid().is_root() { Who::Root } else { Who::User }
}

/// The links that lead into a Debian root; the chain is the last.
fn links(debian: &Debian) -> [Link; 3] {
    let below = |link: Link| link.then(debian.chroot(), "unshare, chroot");
    let chain = Link::unshare().then(Link::cgexec(), "").then(debian.chroot(), "unshare, cgexec, chroot");
    [debian.chroot(), below(Link::unshare()), chain]
}

/// The second and third of them, with options of chroot-rs.
fn links_with(debian: &Debian, options: &[&str]) -> [Link; 2] {
    let mut words: Vec<OsString> = vec![tools().chroot().into()];
    words.extend(options.iter().map(OsString::from));
    words.extend(["--".into(), debian.root().into()]);
    let chroot = || Link::new("chroot", words.clone());
    let chain = Link::unshare().then(Link::cgexec(), "").then(chroot(), "unshare, cgexec, chroot");
    [Link::unshare().then(chroot(), "unshare, chroot"), chain]
}

/// Makes a root from the existing programs, and continues in it, in another chain with the options $2.
const NEST: &str = r#"echo $(uname -n) $(id -u)
[ $1 -lt 3 ] || exit 7
mkdir -p /srv && rootfs-fetch --quiet host: /srv/inner && cp -r /usr/local /srv/inner/usr || exit 1
next=$(($1 + 1))
unshare-rs --hostname level$next -- cgexec-rs -- chroot-rs $2 /srv/inner sh /usr/local/bin/nest $next "$2"
"#;

mod as_anyone {
    use super::*;

    mod in_debian {
        use super::*;

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn everyday_programs_work_or_are_refused_as_the_page_says() {
            let _before = Snapshot::take();
            all_go_as_the_page_says(&Debian::new(), &PROGRAMS, "");
        }

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn java_and_chromium_work_or_are_refused_as_the_page_says() {
            let _before = Snapshot::take();
            all_go_as_the_page_says(&Debian::with_applications(), &APPLICATIONS, APPLICATIONS_SH);
        }

        #[track_caller]
        fn all_go_as_the_page_says(debian: &Debian, programs: &[Program], before: &str) {
            for link in links(debian) {
                let alone = link.name == "chroot" && caller() == Who::User;
                let run = |script: &str| debian.run(&link, &["sh", "-c", &format!("{before}{script}")]).end();
                for program in programs.iter().filter(|program| !(alone && program.needs_more)) {
                    let wrong = program.otherwise(program.works.chain.is_for(caller()), run);
                    assert_eq!(wrong, None, "{}", link.name);
                }
            }
        }

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn privileged_allows_what_is_refused_by_default() {
            let _before = Snapshot::take();
            let debian = Debian::new();
            for link in links_with(&debian, &["--privileged"]) {
                for (name, in_user_namespace) in ALLOWED_BY_PRIVILEGED {
                    let program = PROGRAMS.iter().find(|program| program.name == name).unwrap();
                    assert!(program.works.chain == Works::Nobody, "{name} is refused by default");
                    let ended = debian.run(&link, &["sh", "-c", program.script]).end();
                    let allowed = geteuid().is_root() || in_user_namespace;
                    assert_eq!(
                        ended.out() == program.output,
                        allowed,
                        "{} {name}: {}",
                        link.name,
                        ended.err()
                    );
                }
            }
        }

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn the_terminal_has_a_name_for_everybody() {
            let _before = Snapshot::take();
            let debian = Debian::new();
            let [_, unshare, chain] = links(&debian);
            for link in [unshare, chain] {
                let script =
                    "tty; su root -c tty; sudo -n tty 2>/dev/null; script -qec 'tty' /dev/null; stty size";
                let words: Vec<OsString> = link.words(["sh", "-c", script]);
                let (program, args) = words.split_first().unwrap();
                let mut command = Command::new(program);
                command.args(args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
                let mut terminal = Terminal::start(command);
                // sudo and script create another one, in the root's own devpts; sudo's may still be there for script
                for shown in ["/dev/console", "/dev/console", "/dev/pts/", "/dev/pts/", "24 80"] {
                    terminal.wait_for(shown);
                }
                assert_eq!(terminal.end(), End::Exit(0), "{}", link.name);
            }
        }

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn sudo_finds_the_hostname() {
            let _turn = tests::snapshot::turn();
            let debian = Debian::new();
            let sudo = ["sudo", "-n", "getent", "hosts", "container"];
            let said = |options: &[&str]| {
                links_with(&debian, options).map(|link| {
                    let ended = debian.run(&link, &sudo).end();
                    let err = ended.err();
                    let others = err.lines().filter(|line| !line.starts_with("cgexec-rs: ")).count();
                    (ended.out(), others)
                })
            };
            let known = || ("127.0.1.1       container\n".to_string(), 0);
            // the root has no such file
            assert_eq!(said(&["--ephemeral"]), [known(), known()]);
            fs::write(debian.path("etc/hosts"), "").unwrap();
            assert_eq!(said(&[]), [known(), known()]);
            // sudo reports an error
            let unknown = || (String::new(), 1);
            assert_eq!(said(&["--no-hosts"]), [unknown(), unknown()]);
        }

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn the_whole_chain_works_inside_the_chain_and_inside_that() {
            let _before = Snapshot::take();
            let debian = Debian::new();
            for tool in [tools().unshare(), tools().cgexec(), tools().chroot(), tools().fetch()] {
                fs::copy(&tool, debian.path("usr/local/bin").join(tool.file_name().unwrap())).unwrap();
            }
            fs::write(debian.path("usr/local/bin/nest"), NEST).unwrap();
            // the filter refuses user namespaces to the machine's root, as docker's does; a user already has
            // one
            let options: &[&str] = if geteuid().is_root() { &["--seccomp", "unconfined"] } else { &[] };
            let [_, chain] = links_with(&debian, options);
            let nest = ["sh", "/usr/local/bin/nest", "0", &options.join(" ")];
            let ended = debian.run(&chain, &nest).end().ended(End::Exit(7));
            assert_eq!(ended.out(), "container 0\nlevel1 0\nlevel2 0\nlevel3 0\n", "{}", ended.err());
            // no group can be created if only the outer one is visible, and no new /proc where parts of it are masked
            let said = ended.err();
            let lines = ["cgexec-rs: created no group: ", "chroot-rs: processes outside stay visible"];
            assert!(said.lines().all(|line| lines.iter().any(|start| line.starts_with(start))), "{said}");
        }
    }
}

/// The programs of each root, its archive, and what comes before their scripts.
fn of_roots() -> [(&'static [Program], PathBuf, &'static str); 2] {
    [
        (&PROGRAMS, tests::debian::archive(), ""),
        (&APPLICATIONS, tests::debian::applications(), APPLICATIONS_SH),
    ]
}

/// The environment of a container, as the programs expect it.
const CONTAINER_ENV: [&str; 2] =
    ["--env=PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--env=LC_ALL=C"];

mod with_engine {
    use super::*;

    mod in_debian {
        use super::*;

        #[test]
        #[ignore = "needs root, a root of Debian's and Debian's docker.io"]
        fn docker_does_and_refuses_what_the_page_says() {
            let _turn = snapshot::turn();
            let engine = Engine::start();
            for (programs, archive, before) in of_roots() {
                let import = engine.docker().arg("import").arg(archive).arg("debian:1");
                import.patience(Duration::from_secs(300)).end().ok();
                let run = |script: &str| {
                    let docker = engine.docker().args(["run", "--rm", "--network=none"]).args(CONTAINER_ENV);
                    docker.args(["debian:1", "sh", "-c", &format!("{before}{script}")]).end()
                };
                assert_eq!(otherwise(programs, |works| works.docker, Who::Root, run), [""; 0]);
            }
        }
    }
}

mod with_peers {
    use super::*;

    mod in_debian {
        use super::*;

        #[test]
        #[ignore = "needs root, a root of Debian's and the programs of tests::peers"]
        fn podman_does_and_refuses_what_the_page_says() {
            let _turn = snapshot::turn();
            let peers = Peers::unpack();
            let mut wrong = Vec::new();
            for ((programs, archive, before), (who, name)) in of_roots()
                .into_iter()
                .flat_map(|root| [(Who::Root, "root"), (Who::User, "user")].map(|who| (root.clone(), who)))
            {
                let shared = Scratch::of_machine();
                fs::create_dir(shared.path("root")).unwrap();
                let owner = if who == Who::User { peers.user() } else { 0 };
                chown(shared.path("root"), Some(owner), Some(owner)).unwrap();
                let root = shared.path("root").display().to_string();
                fs::copy(archive, shared.path("debian.tar")).unwrap();
                let tar = format!(
                    "tar -C {root} --numeric-owner --exclude=./dev/* -xf {}",
                    shared.path("debian.tar").display()
                );
                // with all ids of the user's containers
                let tar = if who == Who::User { format!("podman unshare {tar}") } else { tar };
                peers.run(&[], who, &shared.path(""), tar.split(' ')).end().ok();
                let run = |script: &str| {
                    let mut words = peers.podman(who);
                    words.extend(CONTAINER_ENV.map(String::from));
                    let script = format!("{before}{script}");
                    words.extend(["--rootfs", &format!("{root}:O"), "sh", "-c", &script].map(String::from));
                    peers.run(&[], who, &shared.path(""), words).end()
                };
                let found = otherwise(programs, |works| works.podman, who, run);
                wrong.extend(found.into_iter().map(|line| format!("{name}: {line}")));
            }
            assert_eq!(wrong, [""; 0]);
        }
    }
}

//! Everyday programs inside: those that look at mounts, processes and terminals, become other
//! users, want shared memory or a network. And the tools themselves.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;
use tests::engine::Engine;
use tests::{Debian, End, Link, Snapshot, Terminal, snapshot, tools};

/// What each of them says, and whether it takes more than the one id and the network that an
/// ordinary user has below chroot-rs alone.
const PROGRAMS: [(&str, &str, bool); 16] = [
    ("mount | grep -c ' on / '", "1\n", false),
    ("df --output=target /etc | tail -n 1", "/\n", false),
    // by way of a file: a pipe has a second shell for a moment
    ("ps -e -o comm= >/tmp/seen; grep -x -e ps -e sh /tmp/seen", "sh\nps\n", false),
    ("script -qec 'test -t 1 && tty' /dev/null </dev/null", "/dev/pts/0\r\n", false),
    ("python3 -c 'import multiprocessing; multiprocessing.Lock(); print(\"locked\")'", "locked\n", false),
    (PTRACE_SEIZE, "0\n", false),
    (APT_UPDATE, "updated\n", false),
    ("mkfifo /tmp/fifo && stat -c %F /tmp/fifo && rm /tmp/fifo", "fifo\n", false),
    ("su root -c 'id -u'", "0\n", true),
    ("su nobody -s /bin/sh -c 'id -u'", "65534\n", true),
    ("sudo -n id -u", "0\n", true),
    ("sudo -n -u nobody id -u", "65534\n", true),
    ("ping -c 1 -W 5 127.0.0.1 | grep -c ' 1 received'", "1\n", true),
    (
        "useradd --create-home carol && su carol -c 'id -un; stat -c %U ~'; userdel carol",
        "carol\ncarol\n",
        true,
    ),
    ("touch /tmp/file && chown nobody:daemon /tmp/file && stat -c %U:%G /tmp/file", "nobody:daemon\n", true),
    (
        "cp /bin/true /tmp && setcap cap_net_raw+ep /tmp/true && getcap /tmp/true",
        "/tmp/true cap_net_raw=ep\n",
        true,
    ),
];

/// apt(8) fetches as another user, `_apt`, unless it is told not to: where one id exists, there is none. Its own
/// directory for lists may be another id's.
const APT_UPDATE: &str = "mkdir -p /tmp/repo /tmp/lists/partial && : >/tmp/repo/Packages && \
    echo 'deb [trusted=yes] file:/tmp/repo ./' >/tmp/list && \
    apt-get -qq -o APT::Sandbox::User=root -o Dir::State::Lists=/tmp/lists -o Dir::Etc::SourceList=/tmp/list \
    -o Dir::Etc::SourceParts=/dev/null update && \
    echo updated";

/// How strace(1) and gdb(1) begin with a program that runs.
const PTRACE_SEIZE: &str = r#"python3 -c '
import ctypes, os
child = os.fork()
if child == 0: os.execlp("sleep", "sleep", "60")
print(ctypes.CDLL(None).ptrace(0x4206, child, None, None))
os.kill(child, 9)'"#;

/// What docker's capabilities and filter refuse to root, with `--cap-drop MKNOD`, whether an
/// ordinary user is allowed it in a user namespace by `--privileged`; none of it changes anything.
const REFUSED: [(&str, bool); 6] = [
    ("mount -t tmpfs none /mnt", true),
    ("unshare --uts true", true),
    ("unshare --mount true", true),
    ("hostname $(hostname)", true),
    ("ip link set lo up", true),
    ("mknod /tmp/null c 1 3 && rm /tmp/null", false),
];

/// A script that prints how that ended.
fn tried(script: &str) -> String {
    format!("if {script} 2>/dev/null; then echo done; else echo refused; fi")
}

/// The links that lead into a Debian, the chain last.
fn links(debian: &Debian) -> [Link; 3] {
    let below = |link: Link| link.then(debian.chroot(), "unshare, chroot");
    let chain = Link::unshare().then(Link::cgexec(), "").then(debian.chroot(), "unshare, cgexec, chroot");
    [debian.chroot(), below(Link::unshare()), chain]
}

/// The second and the third of them with options of chroot-rs.
fn links_with(debian: &Debian, options: &[&str]) -> [Link; 2] {
    let mut words: Vec<OsString> = vec![tools().chroot().into()];
    words.extend(options.iter().map(OsString::from));
    words.extend(["--".into(), debian.root().into()]);
    let chroot = || Link::new("chroot", words.clone());
    let chain = Link::unshare().then(Link::cgexec(), "").then(chroot(), "unshare, cgexec, chroot");
    [Link::unshare().then(chroot(), "unshare, chroot"), chain]
}

/// Makes a root of the programs that are there, and goes on in it, in a chain of its own with the options $2.
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
        fn everyday_programs_work() {
            let _before = Snapshot::take();
            let debian = Debian::new();
            for link in links(&debian) {
                let alone = link.name == "chroot" && !geteuid().is_root();
                for (script, expected, takes_more) in PROGRAMS {
                    if !(alone && takes_more) {
                        let ended = debian.run(&link, &["sh", "-c", script]).end();
                        assert_eq!(ended.out(), expected, "{} {script}: {}", link.name, ended.err());
                    }
                }
            }
        }

        #[test]
        #[ignore = "needs a root of Debian's, and as an ordinary user subordinate ids"]
        fn what_docker_refuses_is_refused_and_taken_back_by_privileged() {
            let _before = Snapshot::take();
            let debian = Debian::new();
            for link in links(&debian) {
                for (script, _) in REFUSED {
                    let ended = debian.run(&link, &["sh", "-c", &tried(script)]).end();
                    assert_eq!(ended.out(), "refused\n", "{} {script}: {}", link.name, ended.err());
                }
            }
            for link in links_with(&debian, &["--privileged"]) {
                for (script, in_user_namespace) in REFUSED {
                    let expected =
                        if geteuid().is_root() || in_user_namespace { "done\n" } else { "refused\n" };
                    let ended = debian.run(&link, &["sh", "-c", &tried(script)]).end();
                    assert_eq!(ended.out(), expected, "{} {script}: {}", link.name, ended.err());
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
                // sudo and script make another one, in the root's own devpts
                for shown in ["/dev/console", "/dev/console", "/dev/pts/0", "/dev/pts/0", "24 80"] {
                    terminal.wait_for(shown);
                }
                assert_eq!(terminal.end(), End::Exit(0), "{}", link.name);
            }
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
            // to root of the machine the filter refuses user namespaces, as docker's does, and a user has one already
            let options: &[&str] = if geteuid().is_root() { &["--seccomp", "unconfined"] } else { &[] };
            let [_, chain] = links_with(&debian, options);
            let nest = ["sh", "/usr/local/bin/nest", "0", &options.join(" ")];
            let ended = debian.run(&chain, &nest).end().ended(End::Exit(7));
            assert_eq!(ended.out(), "container 0\nlevel1 0\nlevel2 0\nlevel3 0\n", "{}", ended.err());
            // none of the groups can be made where the outer one is all that is seen
            let said = ended.err();
            assert!(said.lines().all(|line| line.starts_with("cgexec-rs: no group of its own: ")), "{said}");
        }
    }
}

mod with_engine {
    use super::*;

    mod in_debian {
        use super::*;

        /// Of the two tables above, what an engine of docker's makes of them.
        #[test]
        #[ignore = "needs root, a root of Debian's and Debian's docker.io"]
        fn docker_does_and_refuses_the_same() {
            let _turn = snapshot::turn();
            let engine = Engine::start();
            let import = engine.docker().arg("import").arg(tests::debian::archive()).arg("debian:1");
            import.patience(Duration::from_secs(300)).end().ok();
            let path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            let run = |script: &str| {
                let docker =
                    engine.docker().args(["run", "--rm", "--network", "none", "--cap-drop", "MKNOD"]);
                docker.args(["--env", path, "--env", "LC_ALL=C", "debian:1", "sh", "-c", script]).end()
            };
            for (script, expected, _) in PROGRAMS {
                let ended = run(script);
                assert_eq!(ended.out(), expected, "{script}: {}", ended.err());
            }
            for (script, _) in REFUSED {
                let ended = run(&tried(script));
                assert_eq!(ended.out(), "refused\n", "{script}: {}", ended.err());
            }
        }
    }
}

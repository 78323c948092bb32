//! Everyday programs inside: those that look at mounts, processes and terminals, become other
//! users, want shared memory or a network. And the tools themselves.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use nix::unistd::geteuid;
use tests::{Debian, End, Link, Snapshot, Terminal, tools};

/// What each of them says, and whether it takes more than the one id and the network that an
/// ordinary user has below chroot-rs alone.
const PROGRAMS: [(&str, &str, bool); 11] = [
    ("mount | grep -c ' on / '", "1\n", false),
    ("mount -t tmpfs none /mnt && findmnt -no FSTYPE /mnt", "tmpfs\n", false),
    ("df --output=target /etc | tail -n 1", "/\n", false),
    // by way of a file: a pipe has a second shell for a moment
    ("ps -e -o comm= >/tmp/seen; grep -x -e ps -e sh /tmp/seen", "sh\nps\n", false),
    ("script -qec 'test -t 1 && tty' /dev/null </dev/null", "/dev/pts/0\r\n", false),
    ("python3 -c 'import multiprocessing; multiprocessing.Lock(); print(\"locked\")'", "locked\n", false),
    ("su root -c 'id -u'", "0\n", true),
    ("su nobody -s /bin/sh -c 'id -u'", "65534\n", true),
    ("sudo -n id -u", "0\n", true),
    ("sudo -n -u nobody id -u", "65534\n", true),
    ("ping -c 1 -W 5 127.0.0.1 | grep -c ' 1 received'", "1\n", true),
];

/// The links that lead into a Debian, the chain last.
fn links(debian: &Debian) -> [Link; 3] {
    let below = |link: Link| link.then(debian.chroot(), "unshare, chroot");
    let chain = Link::unshare().then(Link::cgexec(), "").then(debian.chroot(), "unshare, cgexec, chroot");
    [debian.chroot(), below(Link::unshare()), chain]
}

/// Makes a root of the programs that are there, and goes on in it, in a chain of its own.
const NEST: &str = r#"echo $(uname -n) $(id -u)
[ $1 -lt 3 ] || exit 7
mkdir -p /srv && rootfs-fetch --quiet host: /srv/inner && cp -r /usr/local /srv/inner/usr || exit 1
next=$(($1 + 1))
unshare-rs --hostname level$next -- cgexec-rs -- chroot-rs /srv/inner sh /usr/local/bin/nest $next
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
            let [.., chain] = links(&debian);
            let ended = debian.run(&chain, &["sh", "/usr/local/bin/nest", "0"]).end().ended(End::Exit(7));
            assert_eq!(ended.out(), "container 0\nlevel1 0\nlevel2 0\nlevel3 0\n", "{}", ended.err());
            // none of the groups can be made where the outer one is all that is seen
            let said = ended.err();
            assert!(said.lines().all(|line| line.starts_with("cgexec-rs: no group of its own: ")), "{said}");
        }
    }
}

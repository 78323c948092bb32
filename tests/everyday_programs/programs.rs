//! The programs, and where each of them works.

use tests::Ended;
use tests::peers::Who;

/// A program, and whether it works in containers with defaults.
pub struct Program {
    /// Its row on the page.
    pub name: &'static str,
    pub script: &'static str,
    /// Its output if it works.
    pub output: &'static str,
    /// What else it prints where it is refused; empty where that is not looked at.
    pub refusal: &'static str,
    /// Whether it needs more than the one id and the network that an ordinary user has below chroot-rs alone.
    pub needs_more: bool,
    pub works: Columns,
}

impl Program {
    /// What went otherwise.
    pub fn otherwise(&self, works: bool, run: impl Fn(&str) -> Ended) -> Option<String> {
        let ended = run(self.script);
        let is_right = match ended.out() == self.output {
            true => works,
            false => !works && ended.err().contains(self.refusal),
        };
        (!is_right).then(|| format!("{}: {:?} {}", self.name, ended.out(), ended.err()))
    }
}

/// Where a program works.
#[derive(Clone, Copy)]
pub struct Columns {
    pub chain: Works,
    pub docker: Works,
    pub podman: Works,
}

/// For whom a program works.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Works {
    All,
    /// For an ordinary user, and not for root of the machine.
    User,
    Nobody,
}

impl Works {
    pub fn is_for(self, who: Who) -> bool {
        self == Self::All || self == Self::User && who == Who::User
    }
}

const EVERYWHERE: Columns = Columns { chain: Works::All, docker: Works::All, podman: Works::All };
const NOWHERE: Columns = Columns { chain: Works::Nobody, docker: Works::Nobody, podman: Works::Nobody };

const fn program(
    name: &'static str,
    script: &'static str,
    output: &'static str,
    needs_more: bool,
    works: Columns,
) -> Program {
    Program { name, script, output, refusal: "", needs_more, works }
}

pub const PROGRAMS: [Program; 28] = [
    program("mount, without arguments", "mount | grep -c ' on / '", "1\n", false, EVERYWHERE),
    program("df", "df --output=target /etc | tail -n 1", "/\n", false, EVERYWHERE),
    // through a file, because a pipe has a second shell for a moment
    program("ps", "ps -e -o comm= >/tmp/seen; grep -x -e ps -e sh /tmp/seen", "sh\nps\n", false, EVERYWHERE),
    program(
        "script",
        "script -qec 'test -t 1 && tty' /dev/null </dev/null",
        "/dev/pts/0\r\n",
        false,
        EVERYWHERE,
    ),
    program("python3, multiprocessing", MULTIPROCESSING, "3\n", false, EVERYWHERE),
    program("a program in Go (fzf)", "printf 'one\\ntwo\\n' | fzf --filter=two", "two\n", false, EVERYWHERE),
    program("strace -f", STRACE, "2\n", false, EVERYWHERE),
    program("gdb, attached", GDB, "$1 = 42\n", false, EVERYWHERE),
    program("apt-get update", APT_UPDATE, "updated\n", false, EVERYWHERE),
    program("dpkg -i", DPKG, "install ok installed\n", false, EVERYWHERE),
    program("apt-get install", APT_INSTALL, "install ok installed\n", false, EVERYWHERE),
    program(
        "mkfifo",
        "mkfifo /tmp/fifo && stat -c %F /tmp/fifo && rm /tmp/fifo",
        "fifo\n",
        false,
        EVERYWHERE,
    ),
    program("su to root", "su root -c 'id -u'", "0\n", true, EVERYWHERE),
    program("su to another user", "su nobody -s /bin/sh -c 'id -u'", "65534\n", true, EVERYWHERE),
    program("sudo", "sudo -n id -u", "0\n", true, EVERYWHERE),
    program("sudo -u", "sudo -n -u nobody id -u", "65534\n", true, EVERYWHERE),
    program("ping", "ping -c 1 -W 5 127.0.0.1 | grep -c ' 1 received'", "1\n", true, EVERYWHERE),
    program("useradd, userdel", USERADD, "carol\ncarol\n", true, EVERYWHERE),
    program(
        "chown",
        "touch /tmp/file && chown nobody:daemon /tmp/file && stat -c %U:%G /tmp/file",
        "nobody:daemon\n",
        true,
        EVERYWHERE,
    ),
    program(
        "setcap",
        "cp /bin/true /tmp && setcap cap_net_raw+ep /tmp/true && getcap /tmp/true",
        "/tmp/true cap_net_raw=ep\n",
        true,
        EVERYWHERE,
    ),
    program("systemd-tmpfiles", TMPFILES, "750 nobody:nogroup\n", true, EVERYWHERE),
    program("mount a tmpfs", "mount -t tmpfs none /mnt && echo done", "done\n", false, NOWHERE),
    program("unshare --uts", "unshare --uts echo done", "done\n", false, NOWHERE),
    program("unshare --mount", "unshare --mount echo done", "done\n", false, NOWHERE),
    program("hostname NAME", "hostname $(hostname) && echo done", "done\n", false, NOWHERE),
    program("ip link set lo up", "ip link set lo up && echo done", "done\n", false, NOWHERE),
    program("nice -n -5", "nice -n -5 true 2>&1 | grep . || echo done", "done\n", false, NOWHERE),
    program(
        "mknod of a device",
        "mknod /tmp/null c 1 3 && rm /tmp/null && echo done",
        "done\n",
        false,
        Columns { docker: Works::All, ..NOWHERE },
    ),
];

/// Those of the second root.
pub const APPLICATIONS: [Program; 5] = [
    program("java, with a program to compile", JAVA, "hello\n", false, EVERYWHERE),
    program("chromium --no-sandbox", "$CHROMIUM --no-sandbox $PAGE", PAGE_SHOWN, false, EVERYWHERE),
    Program {
        refusal: "Running as root without --no-sandbox is not supported",
        ..program("chromium, as root", "$CHROMIUM $PAGE", PAGE_SHOWN, false, NOWHERE)
    },
    Program {
        refusal: "Failed to move to new namespace: PID namespaces supported, Network namespace supported, \
                  but failed: errno = Operation not permitted",
        ..program("chromium, as another user", "$NOBODY $CHROMIUM $PAGE", PAGE_SHOWN, true, SANDBOX)
    },
    Program {
        refusal: "No usable sandbox!",
        ..program(
            "the same, without its set-user-ID program",
            "$NOBODY $CHROMIUM --disable-setuid-sandbox $PAGE",
            PAGE_SHOWN,
            true,
            SANDBOX,
        )
    },
];

/// Chromium confines its own processes by namespaces, which it makes in a user namespace.
const SANDBOX: Columns = Columns { chain: Works::User, docker: Works::Nobody, podman: Works::All };

const PAGE_SHOWN: &str = "<html><head></head><body>hello</body></html>\n";

/// The words of the scripts for Chromium.
pub const APPLICATIONS_SH: &str = "export HOME=/tmp
NOBODY='setpriv --reuid=65534 --regid=65534 --clear-groups'
CHROMIUM='chromium-headless-shell --dump-dom'
PAGE='data:text/html,hello'
";

const JAVA: &str = r#"echo 'class Hello { public static void main(String[] args) { System.out.println("hello"); } }' >/tmp/Hello.java
/usr/lib/jvm/java-17-openjdk-*/bin/java /tmp/Hello.java"#;

const MULTIPROCESSING: &str = "python3 -c '
import multiprocessing
multiprocessing.Lock()
print(sum(multiprocessing.Pool(2).map(abs, [-1, -2])))'";

const STRACE: &str =
    "strace -f -e trace=execve -o /tmp/trace sh -c '/bin/true & wait'; grep -c 'execve(' /tmp/trace";

const GDB: &str = "sleep 60 & gdb --batch -p $! -ex 'print 6 * 7' 2>/dev/null | grep '^\\$1'; kill $!";

/// apt(8) downloads as another user, `_apt`, unless an option prevents that; with only one id, that user does
/// not exist. Its default directory for lists can belong to another id.
const APT_UPDATE: &str = "mkdir -p /tmp/repo /tmp/lists/partial && : >/tmp/repo/Packages && \
    echo 'deb [trusted=yes] file:/tmp/repo ./' >/tmp/list && \
    apt-get -qq -o APT::Sandbox::User=root -o Dir::State::Lists=/tmp/lists -o Dir::Etc::SourceList=/tmp/list \
    -o Dir::Etc::SourceParts=/dev/null update && \
    echo updated";

/// A script that builds an empty package, installs it with this command, and removes it again.
macro_rules! installed_by {
    ($install:literal) => {
        concat!(
            "mkdir -p /tmp/tiny/DEBIAN && \
            printf 'Package: tiny\\nVersion: 1\\nArchitecture: all\\nMaintainer: me\\nDescription: tiny\\n' >/tmp/tiny/DEBIAN/control && \
            dpkg-deb --build /tmp/tiny /tmp/tiny.deb >/dev/null && ",
            $install,
            " /tmp/tiny.deb >/dev/null && dpkg-query -W -f '${Status}\\n' tiny && dpkg --purge tiny >/dev/null"
        )
    };
}

const DPKG: &str = installed_by!("dpkg -i");
const APT_INSTALL: &str = installed_by!("apt-get -qq -o APT::Sandbox::User=root install");

const USERADD: &str =
    "useradd --create-home carol && su carol -c 'id -un; stat -c %U ~'; userdel --remove carol 2>/dev/null";

const TMPFILES: &str =
    "echo 'd /tmp/made 0750 nobody nogroup' | systemd-tmpfiles --create - && stat -c '%a %U:%G' /tmp/made";

/// What `--privileged` allows, and whether also for an ordinary user, in a user namespace. None of it changes
/// anything.
pub const ALLOWED_BY_PRIVILEGED: [(&str, bool); 7] = [
    ("mount a tmpfs", true),
    ("unshare --uts", true),
    ("unshare --mount", true),
    ("hostname NAME", true),
    ("ip link set lo up", true),
    ("nice -n -5", false),
    ("mknod of a device", false),
];

//! Inherited descriptors: which ones the command gets.
//!
//! Besides the standard three, the command gets descriptors that lead to nothing else: files, pipes,
//! terminals and harmless devices. A directory leads to every name below it and, with `..`, to every other. A
//! socket can receive directories (unix(7)) or leads to its network namespace (ioctl_ns(2), SIOCGSKNS). A
//! file of a kernel file system changes the machine. Most kernel handles, such as those of processes,
//! filters, rings and events, lead further than they seem to. Descriptors that systemd passes to this process
//! with `LISTEN_FDS` are meant for the command, and so are standard input, output and error.

use std::ops::Range;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;

use chain::{Plan, call};
use nix::sys::stat::{SFlag, fstat, major, minor};
use nix::sys::statfs::{FsType, fstatfs};
use system::sys;

/// File systems through which the kernel shows itself, from linux/magic.h, and what their files are called.
/// Their files are not passed on.
const OF_THE_KERNEL: [(i64, &str); 14] = [
    (0x9fa0, KERNEL_FILE),      // proc
    (0x6265_6572, KERNEL_FILE), // sysfs
    (0x0027_e0eb, KERNEL_FILE), // cgroup
    (0x6367_7270, KERNEL_FILE), // cgroup2
    (0x6462_6720, KERNEL_FILE), // debugfs
    (0x7472_6163, KERNEL_FILE), // tracefs
    (0x7363_6673, KERNEL_FILE), // securityfs
    (0xcafe_4a11, KERNEL_FILE), // bpf
    (0x4249_4e4d, KERNEL_FILE), // binfmt_misc
    (0xf97c_ff8c, KERNEL_FILE), // selinux
    (0x6265_6570, KERNEL_FILE), // configfs
    (0xde5e_81e4, KERNEL_FILE), // efivarfs
    (0x6e73_6673, "a namespace"),
    (0x5049_4446, "a process"), // a pidfd: setns(2), pidfd_getfd(2)
];

const KERNEL_FILE: &str = "a kernel file";

/// The file system of descriptors without one, such as those of eventfd(2), userfaultfd(2), bpf(2), and of
/// processes before Linux 6.9: linux/magic.h.
const ANON_INODE_FS_MAGIC: i64 = 0x0904_1934;

/// Major and minor number of devices that are the same for all processes: null, zero, full, random, urandom, tty.
const HARMLESS: [(u64, u64); 6] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)];
/// The multiplexor that creates terminals, and the slave ends: Documentation/admin-guide/devices.txt.
const PTMX: (u64, u64) = (5, 2);
const MASTERS: [Range<u64>; 2] = [2..3, 128..136];

/// The first descriptor that a service gets: SD_LISTEN_FDS_START, sd_listen_fds(3).
const FIRST_OF_SERVICE: RawFd = 3;

/// An inherited descriptor that leads outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscapingFd {
    pub fd: RawFd,
    /// A noun for messages.
    pub kind: &'static str,
    /// The link in /proc/PID/fd.
    pub shown: PathBuf,
}

pub fn escaping_fds() -> Vec<EscapingFd> {
    let is_own = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let named = std::env::var("LISTEN_FDS").ok().filter(|_| is_own);
    let of_service = named.map_or(0..0, |count| service_descriptors(&count));
    let look = |fd: RawFd| {
        let is_meant = fd < FIRST_OF_SERVICE || of_service.contains(&fd);
        let kind = sys::with_fd(fd, |open| kind(open, is_meant))?;
        let shown = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        Some(EscapingFd { fd, kind, shown })
    };
    sys::inherited_descriptors().into_iter().filter_map(look).collect()
}

pub fn plan_close_on_exec(plan: &mut Plan, fds: Vec<EscapingFd>) {
    for EscapingFd { fd, kind, shown } in fds {
        let reason = format!("close descriptor {fd} when the command starts: {kind} leads out");
        plan.step(reason, call::CloseOnExec { fd, path: shown });
    }
}

/// The descriptors that `LISTEN_FDS` counts.
fn service_descriptors(count: &str) -> Range<RawFd> {
    FIRST_OF_SERVICE..FIRST_OF_SERVICE.saturating_add(count.parse().unwrap_or(0))
}

/// A noun for a descriptor that leads outside. Of those that are meant for the command, few do.
fn kind(fd: BorrowedFd<'_>, is_meant: bool) -> Option<&'static str> {
    let stat = fstat(fd).ok()?;
    let unless_meant = |kind| (!is_meant).then_some(kind);
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => return Some("a directory"),
        SFlag::S_IFSOCK => return unless_meant("a socket"),
        SFlag::S_IFIFO => return None,
        SFlag::S_IFBLK => return unless_meant("a disk"),
        SFlag::S_IFCHR if is_harmless(fd, (major(stat.st_rdev), minor(stat.st_rdev))) => return None,
        SFlag::S_IFCHR => return unless_meant("a device"),
        _ => {}
    }
    let FsType(magic) = fstatfs(fd).ok()?.filesystem_type();
    // 32 bits, whatever the type is
    let magic = i64::from(magic as u32);
    if magic == ANON_INODE_FS_MAGIC {
        return Some("a kernel handle");
    }
    match OF_THE_KERNEL.iter().find(|(known, _)| *known == magic) {
        Some((_, KERNEL_FILE)) => unless_meant(KERNEL_FILE),
        found => found.map(|(_, kind)| *kind),
    }
}

/// Whether a character device is harmless, or a terminal for programs.
fn is_harmless(fd: BorrowedFd<'_>, number: (u64, u64)) -> bool {
    let is_master = number == PTMX || MASTERS.iter().any(|majors| majors.contains(&number.0));
    HARMLESS.contains(&number) || (!is_master && nix::unistd::isatty(fd).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn kind_of(fd: &impl AsFd) -> Option<&'static str> {
        kind(fd.as_fd(), false)
    }

    #[test]
    fn what_leads_to_more_than_itself_leads_out() {
        for (path, what) in [
            ("/", "a directory"),
            ("/proc/self/ns/mnt", "a namespace"),
            ("/proc/self/status", KERNEL_FILE),
            ("/sys/kernel/uevent_seqnum", KERNEL_FILE),
            ("/dev/ptmx", "a device"),
        ] {
            assert_eq!(kind_of(&File::open(path).unwrap()), Some(what), "{path}");
        }
        assert_eq!(kind_of(&UnixDatagram::unbound().unwrap()), Some("a socket"));
        assert_eq!(kind_of(&UdpSocket::bind("127.0.0.1:0").unwrap()), Some("a socket"));
        let event = nix::sys::eventfd::EventFd::new().unwrap();
        assert_eq!(kind_of(&event), Some("a kernel handle"));
    }

    #[test]
    fn what_was_opened_for_the_command_does_not() {
        assert_eq!(kind_of(&File::open("/dev/null").unwrap()), None);
        assert_eq!(kind_of(&File::open("/proc/self/exe").unwrap()), None);
        assert_eq!(kind_of(&std::io::pipe().unwrap().0), None);
    }

    #[test]
    fn of_what_is_meant_for_the_command_only_few_lead_out() {
        let meant = |fd: &dyn AsFd| kind(fd.as_fd(), true);
        assert_eq!(meant(&UnixDatagram::unbound().unwrap()), None);
        assert_eq!(meant(&File::open("/proc/self/status").unwrap()), None);
        assert_eq!(meant(&File::open("/dev/ptmx").unwrap()), None);
        assert_eq!(meant(&File::open("/").unwrap()), Some("a directory"));
        assert_eq!(meant(&File::open("/proc/self/ns/mnt").unwrap()), Some("a namespace"));
    }

    #[test]
    fn the_sockets_of_a_service_are_counted_from_three() {
        assert_eq!(service_descriptors("2"), 3..5);
        for wrong in ["", "0", "x", "-1"] {
            assert!(service_descriptors(wrong).is_empty(), "{wrong}");
        }
    }
}

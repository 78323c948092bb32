// SPDX-License-Identifier: MIT OR Apache-2.0
//! Inherited descriptors that lead out of the new root.
//!
//! A file, a pipe or a device that the caller opened is meant for the command and passed on. A
//! descriptor that leads to more than itself is not: a directory reaches every name below, and by `..`
//! every other one. Local sockets are closed too, because their other end can pass a directory at any
//! time, except for the standard three and those that systemd counts in `LISTEN_FDS`.

use std::ops::Range;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

use chain::{Plan, call};
use nix::sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage, getsockname};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use system::sys;

/// linux/magic.h; nix does not have them.
const NSFS_MAGIC: FsType = FsType(0x6e73_6673);
const PID_FS_MAGIC: FsType = FsType(0x5049_4446);

/// Descriptors without a file system, by the name in /proc/PID/fd. A pidfd gives the namespaces of its
/// process, setns(2), and copies of its descriptors, pidfd_getfd(2). fsopen(2) gives a file system to
/// mount, fanotify(7) descriptors of files opened outside, and a ring can run in a thread of the process
/// that made it: io_uring_setup(2), IORING_SETUP_SQPOLL.
const ANONYMOUS: [(&str, &str); 4] = [
    ("anon_inode:[pidfd]", "a process"),
    ("anon_inode:[fscontext]", "a file system"),
    ("anon_inode:[fanotify]", "a watch of files"),
    ("anon_inode:[io_uring]", "a ring of calls"),
];

/// The first descriptor that a service gets: SD_LISTEN_FDS_START, sd_listen_fds(3).
const FIRST_OF_SERVICE: RawFd = 3;

/// An inherited descriptor that leads out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscapingFd {
    pub fd: RawFd,
    /// A noun for messages.
    pub kind: &'static str,
    /// The link in /proc/PID/fd.
    pub shown: PathBuf,
}

pub fn escaping_fds() -> Vec<EscapingFd> {
    let named = std::env::var("LISTEN_FDS").ok();
    let of_service = named.map_or(0..0, |count| service_descriptors(&count));
    let look = |fd: RawFd| {
        let shown = || std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let socket_stays = fd < FIRST_OF_SERVICE || of_service.contains(&fd);
        let kind = sys::look_at(fd, |open| kind(open, &shown, socket_stays))?;
        Some(EscapingFd { fd, kind, shown: shown() })
    };
    sys::inherited_descriptors().into_iter().filter_map(look).collect()
}

pub fn plan_close_on_exec(plan: &mut Plan, fds: Vec<EscapingFd>) {
    for EscapingFd { fd, kind, shown } in fds {
        let reason = format!("keep descriptor {fd} from the command: {kind} leads out");
        plan.step(reason, call::CloseOnExec { fd, path: shown });
    }
}

/// The descriptors that `LISTEN_FDS` counts.
fn service_descriptors(count: &str) -> Range<RawFd> {
    FIRST_OF_SERVICE..FIRST_OF_SERVICE.saturating_add(count.parse().unwrap_or(0))
}

/// A noun for a descriptor that leads out.
fn kind(fd: BorrowedFd<'_>, shown: &dyn Fn() -> PathBuf, socket_stays: bool) -> Option<&'static str> {
    let mode = fstat(fd).ok()?.st_mode;
    match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => return Some("a directory"),
        SFlag::S_IFSOCK => return (!socket_stays && is_local(fd)).then_some("a local socket"),
        SFlag::S_IFCHR | SFlag::S_IFBLK | SFlag::S_IFIFO => return None,
        _ => {}
    }
    match fstatfs(fd).ok()?.filesystem_type() {
        NSFS_MAGIC => Some("a namespace"),
        PID_FS_MAGIC => Some("a process"),
        _ => {
            let shown = shown();
            ANONYMOUS.iter().find(|(name, _)| shown == Path::new(name)).map(|(_, kind)| *kind)
        }
    }
}

/// Whether a socket can pass descriptors: unix(7), SCM_RIGHTS. One that was opened with O_PATH can be
/// connected to.
fn is_local(socket: BorrowedFd<'_>) -> bool {
    getsockname::<SockaddrStorage>(socket.as_raw_fd())
        .map_or(true, |address| address.family() == Some(AddressFamily::Unix))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn kind_of(fd: &impl AsFd) -> Option<&'static str> {
        kind(fd.as_fd(), &PathBuf::new, false)
    }

    #[test]
    fn what_leads_to_more_than_itself_leads_out() {
        assert_eq!(kind_of(&File::open("/").unwrap()), Some("a directory"));
        assert_eq!(kind_of(&File::open("/proc/self/ns/mnt").unwrap()), Some("a namespace"));
        assert_eq!(kind_of(&UnixDatagram::unbound().unwrap()), Some("a local socket"));
        // what has no file system of its own has no type either
        let file = File::open("/proc/self/exe").unwrap();
        for (name, what) in ANONYMOUS {
            assert_eq!(kind(file.as_fd(), &|| name.into(), false), Some(what));
        }
    }

    #[test]
    fn what_was_opened_for_the_command_does_not() {
        assert_eq!(kind_of(&File::open("/dev/null").unwrap()), None);
        assert_eq!(kind_of(&File::open("/proc/self/exe").unwrap()), None);
        assert_eq!(kind_of(&std::io::pipe().unwrap().0), None);
        assert_eq!(kind_of(&UdpSocket::bind("127.0.0.1:0").unwrap()), None);
        assert_eq!(kind(UnixDatagram::unbound().unwrap().as_fd(), &PathBuf::new, true), None);
    }

    #[test]
    fn the_sockets_of_a_service_are_counted_from_three() {
        assert_eq!(service_descriptors("2"), 3..5);
        for wrong in ["", "0", "x", "-1"] {
            assert!(service_descriptors(wrong).is_empty(), "{wrong}");
        }
    }
}

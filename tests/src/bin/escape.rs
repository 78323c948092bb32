//! `escape WAY FILE [MORE]`: tries to read FILE, which is outside the root, in a way that a shell cannot, and
//! prints it. It runs inside.
//!
//! | WAY | MORE | |
//! | --- | --- | --- |
//! | `socket` | descriptor | takes a directory from a socket: unix(7), `SCM_RIGHTS` |
//! | `pidfd` | descriptor | enters the mount namespace of a process: setns(2) |
//! | `handle` | bytes | opens the file by its handle: open_by_handle_at(2) |
//! | `trace` | | attaches to the process whose number FILE is: ptrace(2) |
//! | `overwrite` | | opens FILE, the program of a process, and writes to it when that has ended |
//! | `namespaces` | | goes through the mount namespaces of the machine: `NS_MNT_GET_PREV` |

use std::error::Error;
use std::fs::File;
use std::io::{IoSliceMut, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::Mode;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [way, file, more @ ..] = &args[..] else { return Err("escape WAY FILE [MORE]".into()) };
    let more = more.first().map(String::as_str).unwrap_or_default();
    let text = match way.as_str() {
        "socket" => {
            // relative to the received directory, and from there up to the top
            nix::unistd::fchdir(directory_from(more.parse()?)?)?;
            std::fs::read_to_string(Path::new("../../../../../../../..").join(file.trim_start_matches('/')))?
        }
        "pidfd" => {
            setns(inherited(more.parse()?), CloneFlags::CLONE_NEWNS)?;
            std::fs::read_to_string(file)?
        }
        "handle" => {
            let mut text = String::new();
            tests::file_handle::open(more)?.read_to_string(&mut text)?;
            text
        }
        "trace" => {
            nix::sys::ptrace::attach(nix::unistd::Pid::from_raw(file.parse()?))
                .map_err(|errno| format!("{errno:?}"))?;
            "traced".to_string()
        }
        "overwrite" => overwrite(file)?,
        "namespaces" => through_namespaces(file)?,
        _ => return Err("no such way".into()),
    };
    println!("{text}");
    Ok(())
}

fn inherited(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the caller left it open, and nothing here closes it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

fn directory_from(socket: RawFd) -> Result<OwnedFd, Box<dyn Error>> {
    let (mut byte, mut space) = ([0], nix::cmsg_space!(RawFd));
    let mut parts = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel has just made it for us.
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    Err("nothing came with the message".into())
}

/// A running program cannot be written to (ETXTBSY), but if it was opened before its process ended, it can be
/// written to afterwards.
fn overwrite(program: &str) -> Result<String, Box<dyn Error>> {
    let named = open(program, OFlag::O_PATH, Mode::empty()).map_err(|errno| format!("{errno:?}"))?;
    let named = format!("/proc/self/fd/{}", named.as_raw_fd());
    loop {
        match open(named.as_str(), OFlag::O_WRONLY, Mode::empty()) {
            Ok(file) => {
                nix::unistd::write(file, b"overwritten")?;
                return Ok("overwritten".to_string());
            }
            Err(Errno::ETXTBSY) => {}
            Err(errno) => return Err(format!("{errno:?}").into()),
        }
    }
}

/// From this process's mount namespace to each one that was created before it.
fn through_namespaces(file: &str) -> Result<String, Box<dyn Error>> {
    // NS_MNT_GET_PREV of linux/nsfs.h: _IOR(0xb7, 12, struct mnt_ns_info)
    const NS_MNT_GET_PREV: libc::Ioctl = 0x8010_b70c_u32 as libc::Ioctl;
    let mut namespace = OwnedFd::from(File::open("/proc/self/ns/mnt")?);
    loop {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the information about the namespace is not asked for.
        let next = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_MNT_GET_PREV, none) };
        let next = Errno::result(next)?;
        // SAFETY: the kernel has just made it for us.
        namespace = unsafe { OwnedFd::from_raw_fd(next) };
        setns(&namespace, CloneFlags::CLONE_NEWNS)?;
        if let Ok(text) = std::fs::read_to_string(file) {
            return Ok(text);
        }
    }
}

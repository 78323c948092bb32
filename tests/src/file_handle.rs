//! Files by handle instead of name: name_to_handle_at(2), open_by_handle_at(2). A handle is valid for the
//! whole file system, whichever of its directories is the root.

use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::Path;

use nix::errno::Errno;

/// As in the kernel's fcntl.h.
const MAX_HANDLE_SZ: usize = 128;

#[repr(C)]
struct Handle {
    size: u32,
    kind: i32,
    bytes: [u8; MAX_HANDLE_SZ],
}

/// The handle of a file, as a word.
///
/// # Panics
/// On a file system without handles.
#[track_caller]
pub fn of(path: &Path) -> String {
    let name = system::sys::c_string(path.as_os_str()).expect("a name");
    let mut handle = Handle { size: 128, kind: 0, bytes: [0; MAX_HANDLE_SZ] };
    let mut mount = 0;
    // SAFETY: the name is a C string, and both others live through the call; the handle holds its size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            name.as_ptr(),
            &raw mut handle,
            &raw mut mount,
            0,
        )
    };
    Errno::result(result).unwrap_or_else(|why| panic!("no handle of {}: {why}", path.display()));
    let bytes = handle.bytes.iter().take(handle.size as usize);
    let hex: String = bytes.map(|byte| format!("{byte:02x}")).collect();
    format!("{}:{hex}", handle.kind)
}

/// Opens the file with this handle on the file system of the working directory.
///
/// # Errors
/// `EPERM` without CAP_DAC_READ_SEARCH, `ESTALE` on another file system; `EINVAL` for an invalid word.
pub fn open(word: &str) -> Result<File, Errno> {
    let (kind, hex) = word.split_once(':').ok_or(Errno::EINVAL)?;
    let mut handle =
        Handle { size: 0, kind: kind.parse().map_err(|_| Errno::EINVAL)?, bytes: [0; MAX_HANDLE_SZ] };
    for (byte, pair) in handle.bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| Errno::EINVAL)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| Errno::EINVAL)?;
        handle.size += 1;
    }
    let here = File::open(".").map_err(|_| Errno::ENOENT)?;
    let (here, flags) = (here.as_raw_fd(), libc::O_RDONLY | libc::O_CLOEXEC);
    // SAFETY: the handle lives through the call and holds its size.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, here, &raw const handle, flags) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { File::from_raw_fd(fd) })
}

//! BPF programs that decide which devices a control group can use: bpf(2).

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of outer groups still apply: what one of them refuses stays refused.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The fields of `union bpf_attr` that load a program.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The fields that attach one.
#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Lets the kernel call `program` for each device that a process in `group` opens or creates. It stays until
/// the group is removed.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN in the initial user namespace, or if an outer group allows no further
/// program; `EINVAL` or `EACCES` for a program that the kernel does not accept; `ENOSYS` without BPF.
///
/// # Source
/// include/uapi/linux/bpf.h; Linux 4.15.
pub fn attach_device_program(group: BorrowedFd<'_>, program: &[u64]) -> Result<(), Errno> {
    let program = load(program)?;
    let attr = Attach {
        target_fd: unsigned(group.as_raw_fd())?,
        attach_bpf_fd: unsigned(program.as_raw_fd())?,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the kernel reads one Attach, which lives through the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attr, size_of::<Attach>()) };
    Errno::result(result).map(drop)
}

fn load(program: &[u64]) -> Result<OwnedFd, Errno> {
    let license = c"MIT";
    let attr = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        insns: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    // SAFETY: the kernel reads one Load, `insn_cnt` instructions of eight bytes and a C string, which all
    // live through the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of::<Load>()) };
    let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::ERANGE)?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec as all of bpf(2)'s.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn unsigned(fd: RawFd) -> Result<u32, Errno> {
    u32::try_from(fd).map_err(|_| Errno::EBADF)
}

//! The mount of an open directory: what is mounted in a tree does not belong to the tree.

use std::os::fd::{AsFd, AsRawFd as _};

/// Whether both are on the same mount; a bind mount of the same file system is another one.
pub fn same_mount(one: impl AsFd, other: impl AsFd) -> bool {
    let (one, other) = (one.as_fd(), other.as_fd());
    match (of(one), of(other)) {
        (Some(one), Some(other)) => one == other,
        // without /proc
        _ => matches!((rustix::fs::fstat(one), rustix::fs::fstat(other)),
            (Ok(one), Ok(other)) if one.st_dev == other.st_dev),
    }
}

/// The number of the mount that a descriptor is on, proc_pid_fdinfo(5): since Linux 3.15, long
/// before statx(2) says it.
pub fn of(fd: impl AsFd) -> Option<u64> {
    let fd = fd.as_fd().as_raw_fd();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_directory_is_with_its_neighbour_and_not_with_what_is_mounted() {
        let open = |path| File::open(path).expect("it is there");
        assert!(same_mount(open("/proc/self"), open("/proc/1")));
        assert!(!same_mount(open("/"), open("/proc")));
    }
}

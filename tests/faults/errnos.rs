// SPDX-License-Identifier: MIT OR Apache-2.0
//! With which errnos a call can fail: its manual page, and what policies and full machines add.

/// The errnos by call. EPERM is in each: a seccomp filter or a security module may refuse anything.
const BY_CALL: [(&str, &str); 50] = [
    ("capset", "EINVAL"),
    ("chdir", "EACCES ELOOP ENOENT ENOMEM ENOTDIR EIO"),
    ("chroot", "EACCES ENOENT ENOMEM ENOTDIR"),
    ("clone", "EAGAIN ENOMEM ENOSPC EUSERS"),
    ("clone3", "EAGAIN EACCES EBUSY EINVAL ENOMEM EOPNOTSUPP ENOSYS E2BIG"),
    ("fchdir", "EACCES ENOTDIR EIO"),
    ("fchmod", "EIO EROFS ENOSYS"),
    ("fchmodat", "EIO EROFS"),
    ("fchown", "EINVAL EROFS EDQUOT"),
    ("fcntl", "EINVAL EBADF"),
    ("flock", "EINTR EINVAL ENOLCK"),
    ("fsconfig", "EINVAL ENOSYS"),
    ("fsmount", "EBUSY EINVAL EMFILE ENOMEM ENOSYS"),
    ("fsopen", "EMFILE ENFILE ENODEV ENOMEM ENOSYS"),
    ("ftruncate", "EFBIG EIO"),
    ("ioctl", "EACCES ENODEV ENOMEM ENOTTY"),
    ("keyctl", "EDQUOT ENOMEM ENOSYS"),
    ("linkat", "EACCES EDQUOT EIO EMLINK ENOSPC EXDEV"),
    ("mkdirat", "EACCES EDQUOT EMLINK ENOENT ENOMEM ENOSPC EROFS"),
    ("mknodat", "EACCES EDQUOT EEXIST ENOMEM ENOSPC EROFS"),
    ("mount", "EACCES EBUSY EINVAL ELOOP EMFILE ENODEV ENOENT ENOMEM ENOSPC ENXIO EROFS"),
    ("mount_setattr", "EBUSY EINVAL ENOMEM ENOSYS"),
    ("move_mount", "EACCES EBUSY EINVAL ELOOP ENOENT ENOMEM ENOSPC ENOSYS"),
    ("open_tree", "EACCES EINVAL EMFILE ENFILE ENOENT ENOMEM ENOSYS"),
    ("openat", "EACCES EMFILE ENFILE ENOENT ENOMEM EROFS"),
    ("openat2", "EACCES E2BIG EINVAL EMFILE ENFILE ENOENT ENOMEM ENOSYS EXDEV"),
    ("pipe2", "EMFILE ENFILE"),
    ("pivot_root", "EBUSY EINVAL ENOENT ENOTDIR"),
    ("poll", "EINTR EINVAL ENOMEM"),
    ("prctl", "EINVAL ENOSYS"),
    ("read", "EIO EISDIR"),
    ("renameat2", "EACCES EBUSY EDQUOT EEXIST EIO ENOSPC EROFS"),
    ("seccomp", "EACCES EINVAL ENOMEM ENOSYS"),
    ("setdomainname", "EINVAL"),
    ("setgroups", "EINVAL ENOMEM"),
    ("sethostname", "EINVAL"),
    ("setns", "EINVAL ENOMEM ESRCH EUSERS"),
    ("setresgid", "EAGAIN EINVAL"),
    ("setresuid", "EAGAIN EINVAL"),
    ("setsid", ""),
    ("signalfd4", "EINVAL EMFILE ENFILE ENODEV ENOMEM"),
    ("socket", "EACCES EAFNOSUPPORT EMFILE ENFILE ENOBUFS ENOMEM"),
    ("symlinkat", "EACCES EDQUOT EEXIST ENOMEM ENOSPC EROFS"),
    ("umount2", "EBUSY EINVAL ENOENT ENOMEM"),
    ("unlinkat", "EACCES EIO ENOMEM EROFS"),
    ("unshare", "EINVAL ENOMEM ENOSPC ENOSYS EUSERS"),
    ("umask", ""),
    ("utimensat", "EACCES EROFS"),
    ("vfork", "EAGAIN ENOMEM ENOSYS"),
    ("write", "EACCES EBUSY EINVAL EIO ENODEV ENOENT ENOMEM ENOSPC EOPNOTSUPP"),
];

/// The errnos to make a call fail with, EPERM first.
pub fn errnos(call: &str) -> impl Iterator<Item = &'static str> {
    let known = BY_CALL.iter().find(|(name, _)| *name == call).map_or("ENOSYS", |(_, errnos)| errnos);
    ["EPERM"].into_iter().chain(known.split_whitespace())
}

//! Pipes at standard input, output and error belong to their creator, and only the owner can open them again
//! by name: `/dev/stdout` is `/proc/self/fd/1`, pipe(7).

use std::os::fd::{AsFd as _, BorrowedFd, RawFd};

use chain::call::Shown;
use chain::handles::Handles;
use chain::plan::Step;
use chain::{Call, Plan};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::Uid;

/// linux/magic.h; nix does not have it.
const PIPEFS_MAGIC: FsType = FsType(0x5049_5045);

/// The standard descriptors that are unnamed pipes.
pub fn read() -> Vec<RawFd> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let all = [(0, stdin.as_fd()), (1, stdout.as_fd()), (2, stderr.as_fd())];
    let is_pipe = |fd: BorrowedFd<'_>| {
        fstat(fd).is_ok() && fstatfs(fd).is_ok_and(|fs| fs.filesystem_type() == PIPEFS_MAGIC)
    };
    all.into_iter().filter(|(_, fd)| is_pipe(*fd)).map(|(number, _)| number).collect()
}

/// Gives them to the user that the command becomes.
pub fn plan_owner(plan: &mut Plan, pipes: &[RawFd], uid: u32) {
    for fd in pipes {
        let reason = format!("give user {uid} the pipe of descriptor {fd}");
        let step = Step::new(reason, ChownStandard { fd: *fd, uid });
        // a pipe of another user still transports data
        plan.add(step.or_else(&[Errno::EPERM, Errno::EINVAL], NOT_OURS, Vec::new()));
    }
}

const NOT_OURS: &str =
    "/dev/stdin, /dev/stdout and /dev/stderr cannot be opened: a pipe there belongs to another user";

/// fchown(2) of a standard descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ChownStandard {
    fd: RawFd,
    uid: u32,
}

impl Call for ChownStandard {
    fn shown(&self) -> Shown {
        Shown::new(format!("fchown({}, {}, -1)", self.fd, self.uid), "fchown(2)")
            .inspect("ls -lL /proc/self/fd")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let owner = Some(Uid::from_raw(self.uid));
        match self.fd {
            0 => nix::unistd::fchown(std::io::stdin(), owner, None),
            1 => nix::unistd::fchown(std::io::stdout(), owner, None),
            _ => nix::unistd::fchown(std::io::stderr(), owner, None),
        }
    }
}

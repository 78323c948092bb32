//! The call that applies device rules to a version 2 group.

use std::os::fd::AsFd as _;
use std::path::PathBuf;

use chain::call::{Call, Shown};
use chain::handles::Handles;
use nix::errno::Errno;
use system::sys;

use crate::limits::device::{DeviceRule, program};

/// Attaches a program that the kernel calls for each device: version 2 has no file for that. It disappears
/// with the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachDeviceProgram {
    pub group: PathBuf,
    pub rules: Vec<DeviceRule>,
}

impl Call for AttachDeviceProgram {
    fn shown(&self) -> Shown {
        let count = program(&self.rules).len();
        let call = format!(
            "bpf(BPF_PROG_LOAD, {{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt={count}}}, 48), \
             bpf(BPF_PROG_ATTACH, {{target_fd=<{}>, attach_type=BPF_CGROUP_DEVICE, attach_flags=BPF_F_ALLOW_MULTI}}, 16)",
            self.group.display()
        );
        Shown::new(call, "bpf(2)")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        let group = sys::open_directory(&self.group)?;
        sys::attach_device_program(group.as_fd(), &program(&self.rules))
    }

    fn hint(&self, errno: Errno) -> Option<String> {
        match errno {
            Errno::EPERM => {
                Some("only root outside any user namespace can limit devices: sudo cgexec-rs".to_string())
            }
            Errno::ENOSYS => {
                Some("the kernel has no bpf(2): CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF".to_string())
            }
            _ => None,
        }
    }
}

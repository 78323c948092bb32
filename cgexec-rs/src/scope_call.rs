//! The call of a plan that requests a scope from systemd.

use std::cell::RefCell;

use chain::call::{Call, Effect, Shown};
use chain::handles::Handles;
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use crate::new_scope::NewScope;

/// Requests a scope for the calling process from systemd, over D-Bus, and waits until it exists.
#[derive(Debug)]
pub struct StartScope {
    pub new: NewScope,
    /// Systemd's error, if this process has asked itself.
    refusal: RefCell<Option<String>>,
}

impl StartScope {
    pub fn new(new: NewScope) -> Self {
        Self { new, refusal: RefCell::default() }
    }
}

impl Call for StartScope {
    fn shown(&self) -> Shown {
        Shown::new(self.new.scope.to_string(), "org.freedesktop.systemd1(5)").inspect("cat /proc/self/cgroup")
    }

    /// # Errors
    /// `EIO` if systemd does not answer or refuses.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        if let Err(failure) = self.new.systemd.start(&self.new.scope) {
            *self.refusal.borrow_mut() = Some(failure.message);
            return Err(Errno::EIO);
        }
        if self.new.has_keeper {
            // the helper stays until the command has ended, whatever signals a terminal or a unit sends
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
        }
        Ok(())
    }

    fn hint(&self, _: Errno) -> Option<String> {
        let refusal = self.refusal.borrow().clone();
        Some(refusal.unwrap_or_else(|| {
            format!("journalctl -n 20 shows the messages of {}", self.new.systemd.whose())
        }))
    }

    fn effect(&self) -> Effect {
        Effect::Changes(CloneFlags::CLONE_NEWCGROUP)
    }
}

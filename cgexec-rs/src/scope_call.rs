//! The call of a plan that asks systemd for a scope.

use std::cell::RefCell;

use chain::call::{Call, Effect, Shown};
use chain::handles::Handles;
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use crate::new_scope::NewScope;

/// Asks systemd for a scope with the process that asks in it, over D-Bus, and waits until it is there.
#[derive(Debug)]
pub struct StartScope {
    pub new: NewScope,
    /// What systemd said, where this process has asked itself.
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
    /// `EIO` where systemd does not answer or refuses.
    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        if let Err(failure) = self.new.systemd.start(&self.new.scope) {
            *self.refusal.borrow_mut() = Some(failure.message);
            return Err(Errno::EIO);
        }
        if self.new.has_keeper {
            // it stays until the command has ended, whatever is sent to all of a terminal or of a unit
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

//! The descriptors that the calls of a plan open for later calls.

use std::fmt::{self, Display};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;

/// A slot for one descriptor: one call of the plan opens it, later calls use it. Only
/// [`Plan::slot`](crate::Plan::slot) creates one, so no two calls use the same slot by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdSlot {
    number: usize,
    name: &'static str,
}

impl Display for FdSlot {
    /// The name, in angle brackets, as messages show the descriptor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The slots of a plan, with the descriptors that are open while it is executed.
#[derive(Debug, Default)]
pub struct Handles(Vec<Option<OwnedFd>>);

impl Handles {
    /// A new slot.
    pub(crate) fn slot(&mut self, name: &'static str) -> FdSlot {
        self.0.push(None);
        FdSlot { number: self.0.len() - 1, name }
    }

    /// Keeps a descriptor for later calls, and closes the one that the slot held before.
    pub fn hold(&mut self, slot: FdSlot, fd: OwnedFd) {
        if let Some(held) = self.0.get_mut(slot.number) {
            *held = Some(fd);
        }
    }

    /// Closes every descriptor except those in these slots.
    pub(crate) fn close_all_but(&mut self, kept: &[FdSlot]) {
        for (number, held) in self.0.iter_mut().enumerate() {
            if !kept.iter().any(|slot| slot.number == number) {
                *held = None;
            }
        }
    }

    /// The descriptor that an earlier call opened.
    ///
    /// # Errors
    /// `EBADF` if no call has opened it.
    pub fn get(&self, slot: FdSlot) -> Result<BorrowedFd<'_>, Errno> {
        self.0.get(slot.number).and_then(Option::as_ref).map(|fd| fd.as_fd()).ok_or(Errno::EBADF)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn two_slots_of_one_name_hold_two_descriptors() {
        let mut handles = Handles::default();
        let (first, second) = (handles.slot("memory"), handles.slot("memory"));
        let [one, other] = [(); 2].map(|()| File::open("/dev/null").unwrap().into());
        handles.hold(first, one);
        assert_eq!(handles.get(second).unwrap_err(), Errno::EBADF);
        handles.hold(second, other);
        assert!(handles.get(first).is_ok() && handles.get(second).is_ok());
        handles.close_all_but(&[second]);
        assert_eq!(handles.get(first).unwrap_err(), Errno::EBADF);
        assert!(handles.get(second).is_ok());
    }
}

//! Worlds: the machines that people have. Each session of each page is run in each of them, and
//! `tests/WORLDS.md` says what came out.
//!
//! A new world is a line of [`list::WORLDS`] and a line of the script that starts its runs:
//! `tests/worlds/machine.sh` in the machine of [`crate::machine`], `tests/worlds/host.sh` on this one.
//! What does not run as its page says stands in `tests/worlds/known`, with the reason: it
//! is tried all the same, and a session that stands there and runs as its page says is a failure, too.

pub mod known;
pub mod list;
pub mod page;
pub mod seen;

//! Worlds: typical machines. Each session of each page runs in each of them, and `tests/WORLDS.md` shows the
//! results.
//!
//! A new world is a line of [`list::WORLDS`] and a line of the script that starts its runs:
//! `tests/worlds/machine.sh` in the machine of [`crate::machine`], `tests/worlds/host.sh` on this one.
//! `tests/worlds/known` lists the sessions that differ from their page, with the reason. They run all the
//! same, and a listed session that does not differ is a failure, too.

pub mod known;
pub mod list;
pub mod page;
mod run;
pub mod seen;

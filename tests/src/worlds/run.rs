//! Runs the sessions of a world.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::known::expected;
use super::list::World;
use crate::deadline;
use crate::session::{self, Session, SessionEnv};
use crate::snapshot::directories;

/// systemd removes a scope some milliseconds after its last process has ended.
const SCOPE_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether no scope of an earlier session is left, so that the next one lists only groups of its own.
fn no_empty_scope() -> Option<()> {
    let is_empty_scope = |group: &PathBuf| {
        let name = group.file_name().unwrap_or_default().to_string_lossy();
        let events = || fs::read_to_string(group.join("cgroup.events"));
        name.starts_with("cgexec-")
            && name.ends_with(".scope")
            && events().is_ok_and(|events| events.contains("populated 0"))
    };
    let groups = directories(Path::new("/sys/fs/cgroup"));
    (!groups.iter().any(is_empty_scope)).then_some(())
}

impl World {
    /// Runs its sessions of the pages whose path starts with one of these. Prints a line for each with its
    /// seconds, and the difference, if there is one. A session that differs, and is not known to differ, runs once more.
    pub fn run(&self, pages: &[&str], mut show: impl FnMut(&str)) {
        let expected = expected();
        let is_wanted = |session: &Session| pages.iter().any(|start| session.page().starts_with(start));
        for session in session::all().filter(|session| self.has(session) && is_wanted(session)) {
            let ran = self.attempt(&session, &mut show);
            if !ran && expected.of(self, &session.id()).is_none() {
                self.attempt(&session, &mut show);
            }
        }
        show(&format!("[session] {} over", self.name));
    }

    /// Runs a session, and has whether it ran as its page shows.
    fn attempt(&self, session: &Session, show: &mut impl FnMut(&str)) -> bool {
        // a scope that stays shows in the session's own output
        let _ = deadline::wait("systemd to remove the scopes that are empty", SCOPE_TIMEOUT, no_empty_scope);
        let begin = Instant::now();
        let failed = session.attempt(&SessionEnv::default()).err();
        let how = if failed.is_none() { "ran" } else { "failed" };
        let seconds = begin.elapsed().as_secs_f32();
        show(&format!("[session] {} {} {how} ({seconds:.1} s)", self.name, session.id()));
        for line in failed.iter().flat_map(|why| why.lines()) {
            show(&format!("| {line}"));
        }
        failed.is_none()
    }
}

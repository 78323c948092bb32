//! Hints for a system service. A new group must be below the service's own, because `systemctl stop` only
//! finds processes there.

use std::path::Path;

use chain::Failure;

use crate::cgroup;
use crate::outer_user::{is_machine_root, outer_user};
use crate::unit_group::{is_delegated, is_systemd, system_service};

/// A service whose group systemd has not delegated. `own` is this process's group.
pub fn not_delegated(unit: &Path, own: &Path) -> Failure {
    let name = name(unit);
    let wrong = Failure::new(format!("{name} is a service, and systemd has not delegated its group"));
    // a process alone in the unit only needs delegation; a unit of systemd-run(1) is never started again
    if unit == own && cgroup::is_alone_in(own) && !name.starts_with("run-") {
        let root = if is_machine_root() { "" } else { "as root: " };
        let edit = format!("systemctl edit {name}, with the lines [Service] and Delegate=yes");
        return wrong.hint(format!("{root}{edit}, then systemctl restart {name}"));
    }
    wrong.hint(elsewhere())
}

/// A hint for a group with several processes, if it belongs to a system service: other groups will never fit
/// there.
pub fn hint(group: &Path) -> Option<String> {
    let unit = system_service(Path::new("/"), group)?;
    (is_systemd() && is_delegated(&unit)).then(elsewhere)
}

/// A separate unit for the command.
pub fn elsewhere() -> String {
    let uid = match outer_user() {
        Some(0) => return "systemd-run -q --wait --pipe -p Delegate=yes cgexec-rs ...".to_string(),
        Some(uid) => uid,
        None => return "outside the user namespace: systemd-run --user --scope cgexec-rs ...".to_string(),
    };
    let run = format!("XDG_RUNTIME_DIR=/run/user/{uid} systemd-run --user --scope cgexec-rs ...");
    match Path::new("/run/user").join(uid.to_string()).join("systemd/private").exists() {
        true => run,
        false => format!("as root: loginctl enable-linger {uid}; then as user {uid}: {run}"),
    }
}

fn name(unit: &Path) -> String {
    unit.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

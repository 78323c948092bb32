//! What helps in a system service, where a new group must be below the service's own: `systemctl stop` finds
//! its processes nowhere else.

use std::path::Path;

use chain::Failure;

use crate::cgroup;
use crate::unit_group::{is_delegated, is_systemd, system_service};

/// A service whose group systemd has not delegated. `own` is the group of this process.
pub fn not_delegated(unit: &Path, own: &Path) -> Failure {
    let name = name(unit);
    let wrong = Failure::new(format!("{name} is a service, and systemd has not delegated its group"));
    // what runs there alone needs the mark, and a unit of systemd-run(1) is never started again
    if unit == own && cgroup::is_alone_in(own) && !name.starts_with("run-") {
        let root = if is_root() { "" } else { "as root: " };
        let edit = format!("systemctl edit {name}, with the lines [Service] and Delegate=yes");
        return wrong.hint(format!("{root}{edit}, then systemctl restart {name}"));
    }
    wrong.hint(elsewhere())
}

/// A hint for a group with several processes, if it is one of a system service: there will never be room for more.
pub fn hint(group: &Path) -> Option<String> {
    let unit = system_service(Path::new("/"), group)?;
    (is_systemd() && is_delegated(&unit)).then(elsewhere)
}

/// A unit of its own for the command.
fn elsewhere() -> String {
    if is_root() {
        return "systemd-run -q --wait --pipe -p Delegate=yes cgexec-rs ...".to_string();
    }
    let uid = nix::unistd::getuid();
    let run = format!("XDG_RUNTIME_DIR=/run/user/{uid} systemd-run --user --scope cgexec-rs ...");
    match Path::new("/run/user").join(uid.to_string()).join("systemd/private").exists() {
        true => run,
        false => format!("as root: loginctl enable-linger {uid}; then as user {uid}: {run}"),
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn name(unit: &Path) -> String {
    unit.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

//! What the path and the attributes of a group show about its systemd unit.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use system::sys;

/// Whether systemd runs here: sd_booted(3).
pub fn is_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether systemd has marked a unit as delegated.
pub fn is_delegated(unit: &Path) -> bool {
    [c"user.delegate", c"trusted.delegate"].into_iter().any(|name| sys::has_attribute(unit, name, b"1"))
}

/// Whether a group is below a user's systemd.
pub fn is_of_user(group: &Path) -> bool {
    let name = |group: &Path| group.file_name().and_then(|name| name.to_str()).map(str::to_string);
    group.ancestors().any(|group| name(group).is_some_and(|name| name.starts_with("user@")))
}

/// The first unit below the group of a systemd on the way down to `own`.
pub fn unit_below(manager: &Path, own: &Path) -> Option<PathBuf> {
    let below = own.strip_prefix(manager).ok()?;
    let mut path = manager.to_path_buf();
    below.components().find_map(|part| {
        path.push(part);
        path.extension().is_some_and(|kind| kind == "service" || kind == "scope").then(|| path.clone())
    })
}

/// The system service that a group belongs to; a user's systemd does not count as one.
pub fn system_service(mount: &Path, own: &Path) -> Option<PathBuf> {
    let is_manager = |name: &OsStr| name.as_bytes().starts_with(b"user@");
    unit_below(mount, own).filter(|unit| {
        unit.extension().is_some_and(|kind| kind == "service") && !unit.file_name().is_some_and(is_manager)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_that_of_the_systemd_that_is_asked() {
        let unit = |manager: &str, own: &str| unit_below(Path::new(manager), Path::new(own));
        let user = "/cg/user.slice/user-1000.slice/user@1000.service";
        let scope = format!("{user}/app.slice/app-x.slice/vte-spawn-1.scope");
        assert_eq!(unit("/cg", &scope), Some(user.into()));
        assert_eq!(unit(user, &format!("{scope}/below")), Some(scope.into()));
        assert_eq!(unit(user, "/cg/user.slice/user-1000.slice/session-1.scope"), None);
        assert_eq!(unit("/cg", "/cg/box"), None);
        let service = "/cg/system.slice/x.service";
        let of_system = |own: &str| system_service(Path::new("/cg"), Path::new(own));
        assert_eq!(of_system(&format!("{service}/below")), Some(service.into()));
        assert!(of_system(user).is_none() && of_system("/cg/x.scope").is_none());
    }
}

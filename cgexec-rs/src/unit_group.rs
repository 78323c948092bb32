//! What a group's path and attributes show about its systemd unit.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use system::sys;

/// Whether systemd runs here: sd_booted(3).
pub fn is_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether systemd has marked a unit's group as delegated.
pub fn is_delegated(unit: &Path) -> bool {
    [c"user.delegate", c"trusted.delegate"].into_iter().any(|name| sys::has_attribute(unit, name, b"1"))
}

/// Whether a unit is the service that runs a user's systemd.
pub fn is_manager(unit: &Path) -> bool {
    unit.file_name().is_some_and(|name| name.as_bytes().starts_with(b"user@"))
}

/// Whether a group is below a user's systemd.
pub fn is_of_user(group: &Path) -> bool {
    group.ancestors().any(is_manager)
}

/// Whether a group is below root's user instance of systemd, not the system's.
pub fn is_of_roots_own_systemd(group: &Path) -> bool {
    group.iter().any(|name| name == "user@0.service")
}

/// The first unit between the group of a systemd and `own`.
pub fn unit_below(manager: &Path, own: &Path) -> Option<PathBuf> {
    let below = own.strip_prefix(manager).ok()?;
    let mut path = manager.to_path_buf();
    below.components().find_map(|part| {
        path.push(part);
        path.extension().is_some_and(|kind| kind == "service" || kind == "scope").then(|| path.clone())
    })
}

/// The system service that contains a group; a user's systemd does not count as one.
pub fn system_service(mount: &Path, own: &Path) -> Option<PathBuf> {
    unit_below(mount, own)
        .filter(|unit| unit.extension().is_some_and(|kind| kind == "service") && !is_manager(unit))
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

    #[test]
    fn root_has_a_systemd_of_its_own_as_each_user_has() {
        let of_alice = Path::new("/cg/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope");
        let of_root = Path::new("/cg/user.slice/user-0.slice/user@0.service/app.slice/x.scope");
        let session = Path::new("/cg/user.slice/user-0.slice/session-1.scope");
        assert_eq!([of_alice, of_root, session].map(is_of_user), [true, true, false]);
        assert_eq!([of_alice, of_root, session].map(is_of_roots_own_systemd), [false, true, false]);
    }
}

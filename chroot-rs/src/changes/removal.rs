//! Removes trees that a command has created: they can be arbitrarily deep, and contain mounts.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

use super::dir::Dir;

/// Removes a name and everything below it, without following symlinks or entering mounts.
///
/// # Errors
/// Those of unlink(2); `EXDEV` at a mount.
pub fn remove(dir: &Dir, name: &OsStr) -> io::Result<()> {
    Ok(system::removal::remove(dir.0.as_fd(), name.as_bytes(), &mut |_| {})?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::Path;

    use rustix::fs::Mode;

    use super::*;

    #[test]
    fn a_tree_deeper_than_descriptors_can_be_open_is_removed() {
        let scratch = ::tests::Scratch::new();
        let mut dir = Dir::at(&scratch.path("")).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&dir.0, "deep", Mode::RWXU).unwrap();
            let next = Dir::open(dir.0.as_fd(), OsStr::new("deep")).unwrap();
            rustix::fs::symlinkat("/", &dir.0, "link").unwrap();
            dir = next;
        }
        let top = Dir::at(&scratch.path("")).unwrap();
        let name = OsStr::new("deep");
        remove(&top, name).unwrap();
        assert_eq!(top.names().unwrap().into_iter().collect::<Vec<_>>(), ["link"]);
    }

    mod as_root {
        use nix::mount::MsFlags;
        use nix::sched::CloneFlags;

        use super::*;

        #[test]
        #[ignore = "needs root"]
        fn what_is_mounted_is_not_emptied() {
            let scratch = ::tests::Scratch::new();
            fs::create_dir_all(scratch.path("lower/dir/mounted")).unwrap();
            fs::set_permissions(scratch.path("lower/dir"), fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir(scratch.path("other")).unwrap();
            fs::write(scratch.path("other/file"), "").unwrap();
            // a thread can have its own mount namespace if it shares no working directory
            let removed = std::thread::scope(|scope| {
                scope
                    .spawn(|| {
                        nix::sched::unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
                        mount("/", "/", MsFlags::MS_REC | MsFlags::MS_PRIVATE);
                        let at = scratch.path("lower/dir/mounted");
                        mount(scratch.path("other"), at, MsFlags::MS_BIND);
                        let lower = Dir::at(&scratch.path("lower")).unwrap();
                        remove(&lower, OsStr::new("dir"))
                    })
                    .join()
                    .unwrap()
            });
            assert_eq!(removed.unwrap_err().raw_os_error(), Some(libc::EXDEV));
            assert!(scratch.path("other/file").exists());
            assert_eq!(fs::metadata(scratch.path("lower/dir")).unwrap().mode() & 0o7777, 0o755);
        }

        fn mount(source: impl AsRef<Path>, at: impl AsRef<Path>, flags: MsFlags) {
            nix::mount::mount(Some(source.as_ref()), at.as_ref(), None::<&str>, flags, None::<&str>).unwrap();
        }
    }
}

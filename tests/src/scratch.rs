//! Directories for one test, and small root file systems in them.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::run::Run;

/// A directory that is removed when the test ends, whatever happened inside.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// An empty directory that every user can enter.
    #[track_caller]
    pub fn new() -> Self {
        Self::within(&env::temp_dir())
    }

    /// The same, on the file system of `/` if possible: in the home directory if the temporary directory is a
    /// tmpfs.
    #[track_caller]
    pub fn of_machine() -> Self {
        let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
        let dirs = [Some(env::temp_dir()), env::var_os("HOME").map(PathBuf::from)];
        let of_root = dirs.into_iter().flatten().find(|dir| device(dir) == device(Path::new("/")));
        Self::within(&of_root.unwrap_or_else(env::temp_dir))
    }

    #[track_caller]
    fn within(dir: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{}{count}", prefix()));
        fs::create_dir(&path).expect("a new directory in the temporary directory");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a mode for it");
        Self { path }
    }

    /// An existing directory.
    pub fn of(path: PathBuf) -> Self {
        Self { path }
    }

    /// A root file system with only busybox: enough to look at a container.
    #[track_caller]
    pub fn busybox_root() -> Self {
        let root = Self::new();
        for dir in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
            fs::create_dir(root.path(dir)).expect("a directory of the root");
        }
        root.install(busybox(), "bin");
        let applets = Run::new(busybox()).arg("--list").end().ok();
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            symlink("busybox", root.path("bin").join(applet)).expect("a link to busybox");
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n";
        fs::write(root.path("etc/passwd"), passwd).expect("passwd");
        fs::write(root.path("etc/group"), "root:x:0:\nuser:x:1000:\n").expect("group");
        // it has a container's hostname, so chroot-rs mounts no other hosts file
        fs::write(root.path("etc/hosts"), "127.0.0.1 localhost container\n").expect("hosts");
        root
    }

    /// A path inside; an empty one is the directory itself.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.path.join(inside)
    }

    /// Copies a file into `dir`, with its own name, as an executable.
    #[track_caller]
    pub fn install(&self, file: &Path, dir: &str) -> PathBuf {
        let target = self.path(dir).join(file.file_name().expect("a file's name"));
        // in another process: a child that another test forks meanwhile would hold the file open for writing,
        // and then it cannot be run (ETXTBSY)
        Run::new("cp").arg("-p").arg(file).arg(&target).end().ok();
        fs::set_permissions(&target, Permissions::from_mode(0o755)).expect("a mode for it");
        target
    }
}

/// Writes an executable script, in another process for the same reason as [`Scratch::install`].
#[track_caller]
pub fn write_script(path: &Path, script: &str) {
    Run::new("sh").args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(path).stdin(script).end().ok();
}

/// The prefix of this process's scratch directories.
pub fn prefix() -> String {
    format!("chain-test-{}-", process::id())
}

/// This process's own temporary directory.
static TEMPORARY: OnceLock<PathBuf> = OnceLock::new();

/// Gives this process, and all that it starts, a temporary directory in which no other program creates files.
/// It is removed when the process exits.
#[track_caller]
pub fn own_temporary_directory() {
    TEMPORARY.get_or_init(|| {
        // a short name: a socket's path has at most 104 bytes, and engines create theirs deep inside
        let path = env::temp_dir().join(format!("t{}", process::id()));
        fs::create_dir(&path).expect("a new directory in the temporary directory");
        fs::set_permissions(&path, Permissions::from_mode(0o1777)).expect("a mode for it");
        // SAFETY: the programs of these tests read the environment by std alone, which takes a lock.
        unsafe { env::set_var("TMPDIR", &path) };
        // SAFETY: the function takes nothing and only removes files.
        unsafe { libc::atexit(remove_temporary_directory) };
        path
    });
}

extern "C" fn remove_temporary_directory() {
    if let Some(path) = TEMPORARY.get() {
        make_writable(path);
        // a process that still runs can keep it; a failure could no longer be reported
        let _ = fs::remove_dir_all(path);
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        make_writable(&self.path);
        if let Err(why) = fs::remove_dir_all(&self.path) {
            // a second panic would hide the first
            eprintln!("{} stays: {why}", self.path.display());
        }
    }
}

/// The static busybox of this machine.
///
/// # Panics
/// If there is none: a test that needs it is ignored by default.
#[track_caller]
pub fn busybox() -> &'static Path {
    let mut usual = ["/bin/busybox", "/usr/bin/busybox", "/usr/sbin/busybox"].into_iter().map(Path::new);
    let found = usual.find(|path| path.is_file());
    found.expect("busybox in /bin, /usr/bin or /usr/sbin: apt-get install busybox-static")
}

/// Makes directories writable, because otherwise they cannot be emptied. Links are not followed.
fn make_writable(dir: &Path) {
    let Ok(meta) = fs::symlink_metadata(dir) else { return };
    if !meta.is_dir() {
        return;
    }
    // the removal that follows reports what still fails
    let _ = fs::set_permissions(dir, Permissions::from_mode(meta.permissions().mode() | 0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_goes_even_if_it_is_read_only_inside() {
        let scratch = Scratch::new();
        let path = scratch.path("");
        fs::create_dir(scratch.path("sealed")).unwrap();
        fs::write(scratch.path("sealed/file"), "").unwrap();
        fs::set_permissions(scratch.path("sealed"), Permissions::from_mode(0o500)).unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    mod as_anyone {
        use super::*;

        #[test]
        #[ignore = "needs busybox-static"]
        fn a_busybox_root_has_a_shell() {
            let root = Scratch::busybox_root();
            let said = Run::new(root.path("bin/sh")).args(["-c", "echo $((6 * 7))"]).end().ok();
            assert_eq!(said, "42\n");
        }
    }
}

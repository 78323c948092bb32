//! rootfs-fetch under test: a directory to unpack in, its surroundings, which must not change, and runs of
//! the tool there.

mod file_server;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::layout::Layout;
use crate::tools::tools;
use crate::tree::tree;

pub use file_server::{Files, archive, file, oci_archive, run, serve};

/// Whether the tests run as root.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").expect("proc is mounted").uid() == 0
}

/// The user who runs the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// The user who runs the tests.
    Caller,
    /// nobody; only root can become this user.
    Nobody,
}

impl As {
    /// All users that the tests can run as.
    pub fn all() -> &'static [Self] {
        if is_root() { &[Self::Caller, Self::Nobody] } else { &[Self::Caller] }
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed on standard error.
    pub stderr: String,
}

/// `work/` for the target, and things around it that must not change.
#[derive(Debug)]
pub struct Scratch {
    top: PathBuf,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// An empty `work/`, and files around it.
    #[track_caller]
    pub fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rootfs-fetch-test-{}-{count}", std::process::id());
        let top = std::env::temp_dir().join(name);
        std::fs::create_dir(&top).expect("a scratch directory");
        let scratch = Self { top };
        scratch.furnish();
        scratch
    }

    fn furnish(&self) {
        let outside = self.top.join("outside");
        for directory in [&self.top.join("work"), &outside, &outside.join("directory")] {
            std::fs::create_dir(directory).expect("a directory");
            std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).expect("its mode");
        }
        std::fs::set_permissions(&self.top, PermissionsExt::from_mode(0o755)).expect("its mode");
        std::fs::write(outside.join("secret"), "do not touch\n").expect("a file");
        std::fs::write(outside.join("directory/inner"), "nor this\n").expect("a file");
        symlink("secret", outside.join("link")).expect("a link");
        // a copy of the tool that an ordinary user can reach
        let tool = self.top.join("tool");
        // with cp(1): a descriptor of ours, open for writing, could be in another test's child (ETXTBSY)
        let copied = Command::new("cp").arg(tools().fetch()).arg(&tool).status();
        assert!(copied.expect("cp starts").success(), "the tool is copied");
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).expect("its mode");
        if is_root() {
            // nobody could only change what nobody owns, so it owns these
            for path in ["work", "outside", "outside/secret", "outside/directory", "outside/directory/inner"]
            {
                chown(self.top.join(path), Some(65534), Some(65534)).expect("given to nobody");
            }
        }
    }

    /// A path in the directory around `work/`.
    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.top.join(Path::new(name.as_ref()))
    }

    /// Where the tool unpacks to.
    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// The tool, to be started in `work/`.
    pub fn command(&self, who: As) -> Command {
        self.as_who(who, self.path("tool"))
    }

    /// Any program, in the same way.
    pub fn as_who(&self, who: As, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env_remove("CHAIN_EXPLAIN")
            .env_remove("CHAIN_DRY_RUN")
            .env("LC_ALL", "C");
        if who == As::Nobody {
            command.uid(65534).gid(65534);
        }
        command
    }

    /// Runs the tool with an archive on its standard input.
    pub fn feed(&self, who: As, archive: &[u8], args: &[&str]) -> Outcome {
        let mut command = self.command(who);
        command.args(args);
        feed(command, archive)
    }

    /// Everything around the target: names, types, modes, owners, times, contents.
    pub fn surroundings(&self) -> BTreeMap<PathBuf, String> {
        let outside = tree(&self.top.join("outside")).into_iter();
        let mut seen: BTreeMap<_, _> = outside.map(|(name, entry)| (name, entry.to_string())).collect();
        for entry in std::fs::read_dir(&self.top).expect("the scratch directory") {
            let path = entry.expect("an entry").path();
            seen.insert(path.clone(), format!("{}", path.is_dir()));
        }
        seen
    }

    /// The names in `work/`.
    pub fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.work()).expect("the work directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Removes what a run created in `work/`.
    pub fn clear(&self) {
        for name in self.left() {
            remove(&self.work().join(name));
        }
    }
}

/// Runs a command with input, and waits for its end.
pub fn feed(mut command: Command, input: &[u8]) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // the tool can reject an archive that it has not read to the end
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the tool ends");
    writer.join().expect("the writer ends");
    Outcome {
        code: output.status.code(),
        signal: output.status.signal(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Feeds an archive to the tool, which can use 32 MiB of memory. In a process of the tests, such a limit would also
/// count the tests' own memory.
pub fn fed_with_little_memory(scratch: &Scratch, archive: &[u8], args: &[&str]) -> Outcome {
    let mut command = scratch.as_who(As::Caller, "prlimit");
    command.arg(format!("--data={}", 32 << 20)).arg(scratch.path("tool")).args(args);
    feed(command, archive)
}

/// Creates an image that must be rejected, with this exit status and line, leaving nothing.
pub fn assert_refused(prepare: impl Fn(&Layout), code: i32, line: &str) {
    let scratch = Scratch::new();
    let layout = Layout::new(scratch.work().join("image"));
    prepare(&layout);
    let outcome = scratch.feed(As::Caller, b"", &["oci:image", "root"]);
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    assert!(outcome.stderr.contains(line), "{outcome:?}");
    assert_eq!(scratch.left(), ["image"]);
}

/// Runs a script in `work/`.
pub fn shell(scratch: &Scratch, script: &str) {
    let shell = Command::new("sh").args(["-c", script]).current_dir(scratch.work()).output();
    let output = shell.expect("sh starts");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a script in `work/`, as root with its own mounts, up to the first command that fails. `$TOOL` is the tool.
pub fn with_mounts(scratch: &Scratch, script: &str) -> (Option<i32>, String) {
    // root needs no user namespace, and would have no rights over nobody's directory in one
    let map: &[&str] = if is_root() { &[] } else { &["--map-root-user"] };
    let output = Command::new("timeout")
        .args(["60", "unshare", "--mount"])
        .args(map)
        .args(["sh", "-c", &format!("set -e; {script}")])
        .current_dir(scratch.work())
        .env("TOOL", scratch.path("tool"))
        .output()
        .expect("timeout starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The contents of a file.
pub fn text(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn remove(path: &Path) {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return };
    if meta.is_dir() {
        let _ = std::fs::set_permissions(path, PermissionsExt::from_mode(0o700));
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            remove(&entry.path());
        }
        let _ = std::fs::remove_dir(path);
    } else {
        let _ = std::fs::remove_file(path);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.top);
        // files that are deeper than a path can be
        let _ = Command::new("rm").arg("-rf").arg(&self.top).status();
    }
}

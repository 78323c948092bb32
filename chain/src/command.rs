//! Becoming the command: the PATH search, execve(2), and the real cause if it fails.
//!
//! We search PATH ourselves. execvp(3) passes every file that the kernel refuses to /bin/sh, even programs of
//! another architecture; and `ENOENT` alone does not show whether the program, its loader or the interpreter
//! of a script is missing. This file is long because execve(2) can fail for so many reasons.

use std::ffi::{CString, OsStr, OsString};
use std::fmt::{self, Display};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::statvfs::FsFlags;
use nix::unistd::AccessFlags;

use crate::exit::{FAILED, NOT_FOUND, NOT_RUNNABLE};
use crate::failure::Failure;
use crate::reporter::{ErrnoText, Quoted, Reporter, quoted};
use system::elf;
use system::search::{self, unsearchable_parent};
use system::sys;

/// The names of our tools.
pub(crate) const TOOLS: [&str; 4] = ["unshare-rs", "cgexec-rs", "chroot-rs", "rootfs-fetch"];

/// How much of a long PATH a hint shows, in bytes.
const PATH_SHOWN: usize = 400;

/// The command a link becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program: without a slash, it is searched in PATH.
    pub program: OsString,
    /// The arguments, including the zeroth.
    pub argv: Vec<OsString>,
    /// The caller's path of the new root directory, if there is one: users follow hints outside.
    pub root: Option<PathBuf>,
    /// The hint if it is not found, if the command line shows what the user meant.
    pub not_found_hint: Option<String>,
    /// The caller's PATH, searched after that of the command's environment.
    pub callers_path: Option<OsString>,
}

impl Command {
    /// The command in these operands, if there are any.
    pub fn from_operands(operands: Vec<OsString>) -> Option<Self> {
        Some(Self::new(operands.first()?.clone(), operands))
    }

    /// A shell without arguments.
    pub fn shell(program: OsString) -> Self {
        Self::new(program.clone(), vec![program])
    }

    fn new(program: OsString, argv: Vec<OsString>) -> Self {
        Self { program, argv, root: None, not_found_hint: None, callers_path: None }
    }

    /// The same command, run in a new root.
    #[must_use]
    pub fn inside(self, root: &Path) -> Self {
        Self { root: Some(root.to_path_buf()), ..self }
    }

    /// The same command, with a hint for when it is not found.
    #[must_use]
    pub fn or_hint(self, not_found_hint: Option<String>) -> Self {
        Self { not_found_hint, ..self }
    }

    /// Why a command with a hint is not found, if it is not. This can be checked before anything changes.
    pub fn is_missing(&self) -> Option<Failure> {
        let hint =
            self.not_found_hint.clone().filter(|_| !self.candidates().iter().any(|place| place.exists()))?;
        let failure = Failure::new(format!("command not found: {}", quoted(&self.program))).hint(hint);
        Some(failure.status(NOT_FOUND))
    }

    /// The same command, also searched in the caller's PATH, because its environment may have none.
    #[must_use]
    pub fn found_by_caller(self) -> Self {
        Self { callers_path: std::env::var_os("PATH"), ..self }
    }

    /// Prints the last step of a dry run.
    pub(crate) fn print_step(&self, reporter: &Reporter) {
        reporter.step(
            format_args!("become {}", quoted(&self.program)),
            notation(&self.program, &self.argv),
            "execve(2)",
        );
    }

    /// Becomes the command. Returns only on failure, with the exit status.
    pub(crate) fn become_it(&self, reporter: &Reporter) -> i32 {
        let Some(argv) = self.argv.iter().map(|arg| sys::c_string(arg).ok()).collect::<Option<Vec<_>>>()
        else {
            reporter.message("an argument contains a NUL byte, which execve(2) cannot pass on");
            return FAILED;
        };
        let candidates = self.candidates();
        if reporter.verbosity().is_explain() {
            let place = self.resolve().or_else(|| candidates.first().cloned());
            let place = place.as_ref().map_or(self.program.as_os_str(), |place| place.as_os_str());
            reporter.step(
                format_args!("become {}", quoted(&self.program)),
                notation(place, &self.argv),
                "execve(2)",
            );
        }
        let mut worst = Errno::ENOENT;
        for place in &candidates {
            let Ok(path) = sys::c_string(place.as_os_str()) else { continue };
            match sys::execve(&path, &argv) {
                Errno::ENOENT | Errno::ENOTDIR if !place.exists() => {}
                // a later directory can contain a program that runs: execvp(3)
                Errno::EACCES => worst = Errno::EACCES,
                errno => return self.explain_failure(reporter, place, errno, &argv),
            }
        }
        match candidates.iter().find(|place| worst == Errno::EACCES && place.exists()) {
            Some(place) => self.explain_failure(reporter, place, worst, &argv),
            None => self.not_found(reporter, worst),
        }
    }

    /// Where the program is, as far as this can be seen without running it.
    pub(crate) fn resolve(&self) -> Option<PathBuf> {
        self.candidates().into_iter().find(|place| may_run(place))
    }

    /// Every possible path of the program, in search order.
    pub fn candidates(&self) -> Vec<PathBuf> {
        if self.program.as_bytes().contains(&b'/') || self.program.is_empty() {
            return vec![PathBuf::from(&self.program)];
        }
        let callers = self.callers_path.as_deref().map(search::dirs).unwrap_or_default();
        let dirs = search::path_dirs().into_iter().chain(callers).chain(self.dir_of_tools());
        dirs.map(|dir| dir.join(&self.program)).collect()
    }

    /// This program's directory, if the program to run is the next tool and an earlier one has removed PATH.
    fn dir_of_tools(&self) -> Option<PathBuf> {
        let is_next_tool = self.root.is_none() && TOOLS.iter().any(|tool| self.program == *tool);
        if !is_next_tool || std::env::var_os("PATH").is_some() {
            return None;
        }
        std::fs::read_link(sys::OWN_PROGRAM).ok()?.parent().map(Path::to_path_buf)
    }

    fn not_found(&self, reporter: &Reporter, errno: Errno) -> i32 {
        let program = quoted(&self.program);
        if errno == Errno::EACCES {
            match self.candidates().iter().find_map(|place| unsearchable_parent(place)) {
                Some(dir) => reporter.message(format_args!("cannot run {program}: {}", Closed(&dir))),
                None => reporter.message(format_args!("cannot run {program}: {}", ErrnoText(errno))),
            }
            return NOT_RUNNABLE;
        }
        reporter.message(format_args!("command not found: {program}"));
        if let Some(hint) = self.not_found_hint(reporter.tool()) {
            reporter.hint(hint);
        }
        NOT_FOUND
    }

    fn not_found_hint(&self, tool: &str) -> Option<String> {
        let name = self.program.to_string_lossy();
        if self.not_found_hint.is_some() {
            self.not_found_hint.clone()
        } else if name == "--" {
            Some("put '--' before the operands of this tool".to_string())
        } else if name.starts_with('-') {
            Some("put options before the operands of this tool: this word was read as COMMAND".to_string())
        } else if name.is_empty() || name.contains('/') {
            None
        } else if self.root.is_some() && TOOLS.contains(&&*name) {
            // our tools are seldom in a new root: they run outside it
            Some(match &*name {
                "rootfs-fetch" => format!("rootfs-fetch is not in the new root: run it before {tool}"),
                _ => format!("{name} is not in the new root: run it before {tool}: '{name} -- {tool} ...'"),
            })
        } else {
            let path = search::path();
            let dirs = path.as_bytes().get(..PATH_SHOWN).unwrap_or(path.as_bytes());
            let more = if dirs.len() < path.len() { "..." } else { "" };
            let inside = self.root.as_ref().map(|root| format!(" inside {}", quoted(root)));
            let inside = inside.unwrap_or_default();
            Some(format!("it is not in any directory of PATH{inside}: {}{more}", Quoted(dirs)))
        }
    }

    fn explain_failure(&self, reporter: &Reporter, place: &Path, errno: Errno, argv: &[CString]) -> i32 {
        let shown = quoted(place);
        match diagnose(place, errno) {
            ExecFailure::Script => return run_with_shell(reporter, place, argv),
            ExecFailure::Interpreter(interpreter) if interpreter.ends_with('\r') => reporter.message(format_args!(
                "cannot run {shown}: its first line ends in a carriage return, so its interpreter {} does not exist",
                quoted(&interpreter)
            )),
            ExecFailure::Interpreter(interpreter) => {
                reporter.message(format_args!("cannot run {shown}: its interpreter {} does not exist", quoted(&interpreter)));
            }
            ExecFailure::Loader(loader) => reporter.message(format_args!(
                "cannot run {shown}: the loader it needs, {}, does not exist",
                quoted(&loader)
            )),
            ExecFailure::Machine(machine) => reporter.message(format_args!(
                "cannot run {shown}: it is a program for {machine}, and this machine is {}",
                std::env::consts::ARCH
            )),
            ExecFailure::Emulator(machine) => reporter.message(format_args!(
                "cannot run {shown}: it is a program for {machine}, and the emulator that binfmt_misc names does not exist"
            )),
            ExecFailure::Helper(helper) => reporter.message(format_args!(
                "cannot run {shown}: its interpreter or loader {} cannot be run: {}",
                quoted(&helper),
                ErrnoText(errno)
            )),
            ExecFailure::Because(why) => reporter.message(format_args!("cannot run {shown}: {why}: {}", ErrnoText(errno))),
            ExecFailure::Unknown => reporter.message(format_args!("cannot run {shown}: {}", ErrnoText(errno))),
        }
        if let Some(hint) = self.hint(place, errno) {
            reporter.hint(hint);
        }
        NOT_RUNNABLE
    }

    fn hint(&self, place: &Path, errno: Errno) -> Option<String> {
        match diagnose(place, errno) {
            ExecFailure::Because("it is not executable") => {
                let outside = match &self.root {
                    // a relative path starts at the working directory inside
                    Some(root) => root.join(place.strip_prefix("/").ok()?),
                    None => place.to_path_buf(),
                };
                Some(format!("chmod +x {}", outside.display()))
            }
            ExecFailure::Machine(_) => {
                Some("to run programs for other machines, install qemu-user-static".to_string())
            }
            ExecFailure::Emulator(_) => Some(
                "the binfmt_misc entry needs the flag F to work in every root: install the package \
                 qemu-user-static"
                    .to_string(),
            ),
            _ => None,
        }
    }
}

/// execve(2) in strace(1)'s notation.
pub(crate) fn notation(program: &OsStr, argv: &[OsString]) -> String {
    let argv: Vec<String> = argv.iter().map(|arg| quoted(arg).to_string()).collect();
    format!("execve({}, [{}], environ)", quoted(program), argv.join(", "))
}

/// A text file without `#!` is a shell script: POSIX, "Command Search and Execution".
fn run_with_shell(reporter: &Reporter, place: &Path, argv: &[CString]) -> i32 {
    let Ok(script) = sys::c_string(place.as_os_str()) else { return NOT_RUNNABLE };
    let mut with_shell = vec![c"/bin/sh".to_owned(), script];
    with_shell.extend(argv.iter().skip(1).cloned());
    let errno = sys::execve(c"/bin/sh", &with_shell);
    reporter.message(format_args!("cannot run {} with /bin/sh: {}", quoted(place), ErrnoText(errno)));
    NOT_RUNNABLE
}

fn may_run(place: &Path) -> bool {
    place.is_file() && nix::unistd::access(place, AccessFlags::X_OK).is_ok()
}

/// A directory that denies the user access to a path below it.
struct Closed<'a>(&'a Path);

impl Display for Closed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = nix::unistd::geteuid();
        write!(f, "user {user} cannot enter {}: {}", quoted(self.0), ErrnoText(Errno::EACCES))
    }
}

/// Why execve(2) failed.
#[derive(Debug, PartialEq, Eq)]
enum ExecFailure {
    Script,
    Interpreter(String),
    Loader(OsString),
    Machine(String),
    /// binfmt_misc has an entry for the program's machine, but its interpreter does not exist.
    Emulator(String),
    /// The interpreter or loader cannot be run.
    Helper(OsString),
    Because(&'static str),
    Unknown,
}

fn diagnose(place: &Path, errno: Errno) -> ExecFailure {
    match errno {
        Errno::ENOENT | Errno::ENOEXEC => {
            open_program(place).map_or(ExecFailure::Unknown, |file| read_head(file, errno))
        }
        Errno::EACCES if !place.is_file() => ExecFailure::Because(no_file(place)),
        Errno::EACCES if is_on_noexec(place) => ExecFailure::Because("it is on a file system mounted noexec"),
        Errno::EACCES if !may_run(place) => ExecFailure::Because("it is not executable"),
        Errno::EACCES => match open_program(place).map(|file| read_head(file, Errno::ENOENT)) {
            Some(ExecFailure::Interpreter(helper)) => ExecFailure::Helper(helper.into()),
            Some(ExecFailure::Loader(helper)) => ExecFailure::Helper(helper),
            _ => ExecFailure::Unknown,
        },
        Errno::ETXTBSY => ExecFailure::Because("another process has it open for writing"),
        Errno::E2BIG => ExecFailure::Because("its arguments and environment are too long"),
        _ => ExecFailure::Unknown,
    }
}

/// Opens a program to read it, without waiting for the writer of a FIFO.
fn open_program(place: &Path) -> Option<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(nix::fcntl::open(place, flags, Mode::empty()).ok()?);
    file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
}

/// What is there instead of a regular file.
fn no_file(place: &Path) -> &'static str {
    match place.metadata().map(|meta| meta.file_type()) {
        Ok(kind) if kind.is_dir() => "it is a directory",
        Ok(kind) if kind.is_fifo() => "it is a FIFO",
        Ok(kind) if kind.is_socket() => "it is a socket",
        Ok(kind) if kind.is_char_device() || kind.is_block_device() => "it is a device",
        _ => "it is not a regular file",
    }
}

fn is_on_noexec(place: &Path) -> bool {
    nix::sys::statvfs::statvfs(place).is_ok_and(|vfs| vfs.flags().contains(FsFlags::ST_NOEXEC))
}

fn read_head(mut file: File, errno: Errno) -> ExecFailure {
    let mut head = Vec::with_capacity(512);
    if file.by_ref().take(512).read_to_end(&mut head).is_err() {
        return ExecFailure::Unknown;
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.trim_ascii_start();
        // a carriage return is part of the name, so the file is not found
        let name = line.split(|byte| *byte == b' ' || *byte == b'\t').next().unwrap_or_default();
        return ExecFailure::Interpreter(String::from_utf8_lossy(name).into_owned());
    }
    if head.starts_with(b"\x7fELF") {
        return elf_trouble(&mut file, &head, errno);
    }
    if head.is_empty() {
        return ExecFailure::Because("it is empty");
    }
    if errno == Errno::ENOEXEC && !head.contains(&0) {
        return ExecFailure::Script;
    }
    ExecFailure::Unknown
}

/// Reads what an ELF file needs: its machine, or its loader (PT_INTERP). elf(5)
fn elf_trouble(file: &mut File, head: &[u8], errno: Errno) -> ExecFailure {
    let Some(machine) = elf::machine(head) else { return ExecFailure::Because("it is cut off") };
    let name = elf::machine_name(machine);
    if errno == Errno::ENOENT && !elf::runs_here(machine) {
        // without a binfmt_misc entry, the error would be ENOEXEC
        return ExecFailure::Emulator(name);
    }
    if errno == Errno::ENOEXEC {
        return if machine == elf::native_machine() {
            ExecFailure::Because("it is damaged")
        } else {
            ExecFailure::Machine(name)
        };
    }
    elf::interpreter(file, head).map_or(ExecFailure::Unknown, ExecFailure::Loader)
}

#[cfg(test)]
mod tests;

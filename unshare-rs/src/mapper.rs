//! newuidmap(1) and newgidmap(1), which write the maps of an ordinary user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use system::search;
use system::status::Status;
use system::sys;

use chain::call::{Call, RunProgram, Write};
use chain::plan::Reason;
use system::idmap::{IdKind, IdMap};

/// The program that writes a map.
///
/// # Errors
/// That it is missing, or why it would run without the rights it needs.
pub fn find(kind: IdKind) -> Result<PathBuf, String> {
    let name = name(kind);
    let dirs = search::path_dirs().into_iter().chain(["/usr/bin".into(), "/bin".into()]);
    let mut candidates = dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    let program = candidates
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{name} is missing, of the package uidmap or shadow-utils"))?;
    let is_setuid = fs::metadata(&program).is_ok_and(|meta| meta.uid() == 0 && meta.mode() & 0o4000 != 0);
    if !is_setuid && !sys::has_file_capabilities(&program) {
        return Err(format!("{} is not setuid root: chmod u+s", program.display()));
    }
    match why_no_rights(&program) {
        Some(why) => Err(format!("{} gains no rights here: {why}", program.display())),
        None => Ok(program),
    }
}

/// The call that has `program` write `map` for the process `pid`.
pub fn call(kind: IdKind, program: &Path, pid: u32, map: &IdMap) -> RunProgram {
    let numbers = map.to_string();
    let head = [name(kind).into(), pid.to_string().into()];
    let argv = head.into_iter().chain(numbers.split_whitespace().map(Into::into)).collect();
    RunProgram { program: program.to_path_buf(), argv }
}

/// The calls, made outside, that map `own`, the id of the caller, to 0 in the process `pid`.
pub fn alone(kind: IdKind, pid: u32, own: u32) -> Vec<(Reason, Box<dyn Call>)> {
    let mut calls: Vec<(Reason, Box<dyn Call>)> = Vec::new();
    if kind == IdKind::Group {
        // "deny" must come before gid_map: user_namespaces(7)
        let deny = Write::new(format!("/proc/{pid}/setgroups"), "deny");
        calls.push(("give up setgroups(2), without which no group may be mapped".into(), Box::new(deny)));
    }
    let noun = kind.noun();
    let map = Write::new(format!("/proc/{pid}/{}", kind.map_file()), format!("0 {own} 1"));
    calls.push((format!("be {noun} 0 inside, {noun} {own} outside").into(), Box::new(map)));
    calls
}

/// The name of the program.
pub fn name(kind: IdKind) -> &'static str {
    match kind {
        IdKind::User => "newuidmap",
        IdKind::Group => "newgidmap",
    }
}

/// Why a setuid program would run without its rights: execve(2).
fn why_no_rights(program: &Path) -> Option<&'static str> {
    let status = Status::of_this_process();
    if status.field("NoNewPrivs") == Some("1") {
        Some("no_new_privs is set")
    } else if status.field("TracerPid").is_some_and(|pid| pid != "0") {
        Some("the process is traced")
    } else if statvfs(program).is_ok_and(|vfs| vfs.flags().contains(FsFlags::ST_NOSUID)) {
        Some("it lies on a file system mounted nosuid")
    } else {
        None
    }
}

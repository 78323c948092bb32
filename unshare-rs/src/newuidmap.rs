//! newuidmap(1) and newgidmap(1), which write the maps of an ordinary user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use system::nss;
use system::search;
use system::status::Status;
use system::sys;

use crate::idmap::IdMap;

use chain::call::RunProgram;
use chain::idmap::map_one_id;
use chain::plan::Step;
use system::idmap::{IdKind, OVERFLOW_ID};

/// The program that writes a map.
///
/// # Errors
/// It is missing, or would run without the rights it needs.
pub fn find(kind: IdKind) -> Result<PathBuf, String> {
    let name = name(kind);
    let dirs = search::path_dirs().into_iter().chain(["/usr/bin".into(), "/bin".into()]);
    let mut candidates = dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    let program = candidates
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{name} is missing: install the package uidmap or shadow-utils"))?;
    let meta = fs::metadata(&program);
    let is_setuid = meta.as_ref().is_ok_and(|meta| meta.mode() & 0o4000 != 0);
    let shown = program.display();
    match meta.map(|meta| meta.uid()) {
        Ok(0) if is_setuid => {}
        _ if sys::has_file_capabilities(&program) => {}
        Ok(owner) if is_setuid && owner == OVERFLOW_ID => {
            return Err(format!(
                "{shown} gains no rights here: its owner does not exist in this user namespace"
            ));
        }
        _ => return Err(format!("{shown} is not set-user-ID root: chmod u+s {shown}")),
    }
    if let Some(why) = why_no_rights(&program) {
        return Err(format!("{shown} gains no rights here: {why}"));
    }
    why_refused().map_or(Ok(program), |why| Err(format!("{name} maps nothing for this process: {why}")))
}

/// newuidmap(1) and newgidmap(1) only serve a process whose user has an account and whose group is that
/// account's primary group. Returns what is wrong.
fn why_refused() -> Option<String> {
    let (uid, gid) = sys::effective_ids();
    match nss::account(uid) {
        None => Some(format!("user {uid} has no account")),
        Some(account) if account.gid != gid => Some(format!(
            "its group is {gid}, not {}, the primary group of {}: exit newgrp or sg first",
            account.gid, account.name
        )),
        Some(_) => None,
    }
}

/// The call that makes `program` write `map` for the process `pid`.
pub fn call(kind: IdKind, program: &Path, pid: u32, map: &IdMap) -> RunProgram {
    let numbers = map.to_string();
    let head = [name(kind).into(), pid.to_string().into()];
    let argv = head.into_iter().chain(numbers.split_whitespace().map(Into::into)).collect();
    RunProgram { program: program.to_path_buf(), argv }
}

/// The steps, run outside, that map the caller's id `own` to 0 in the process `pid`.
pub fn alone(kind: IdKind, pid: u32, own: u32) -> Vec<Step> {
    let writes = map_one_id(&pid.to_string(), kind, 0, own);
    writes.into_iter().map(|(reason, write)| Step::in_helper(reason, write)).collect()
}

/// The program's name.
pub fn name(kind: IdKind) -> &'static str {
    match kind {
        IdKind::User => "newuidmap",
        IdKind::Group => "newgidmap",
    }
}

/// Why a set-user-ID program would run without its rights: execve(2).
fn why_no_rights(program: &Path) -> Option<&'static str> {
    let status = Status::of_this_process();
    if status.field("NoNewPrivs") == Some("1") {
        Some("no_new_privs is set")
    } else if status.field("TracerPid").is_some_and(|pid| pid != "0") {
        Some("the process is traced")
    } else if statvfs(program).is_ok_and(|vfs| vfs.flags().contains(FsFlags::ST_NOSUID)) {
        Some("it is on a file system mounted nosuid")
    } else {
        None
    }
}

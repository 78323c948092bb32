//! The programs to copy, and where they are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Standard directories of programs; PATH can have others, such as a home directory.
const STANDARD: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The usual programs; those that the host lacks are skipped.
pub const EXPECTED: &str = "
    bash sh dash
    [ arch b2sum base32 base64 basename basenc cat chgrp chmod chown chroot cksum comm cp csplit cut
    date dd df dir dircolors dirname du echo env expand expr factor false fmt fold groups head hostid
    id install join link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt
    od paste pathchk pinky pr printenv printf ptx pwd readlink realpath rm rmdir runcon seq sha1sum
    sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac
    tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink users vdir wc
    who whoami yes
    ps top free kill pkill pgrep pidof pwdx uptime vmstat w watch sysctl pmap
    mount umount mountpoint findmnt lsblk unshare nsenter setpriv setsid flock su dmesg more
    hostname ip ss ping
    grep egrep fgrep sed awk mawk gawk find xargs diff cmp file which
    less vi nano clear reset tput tset
    tar gzip gunzip zcat bzip2 xz zstd
    getent locale getconf ldd
";

/// The names of the usual programs.
pub fn expected() -> impl Iterator<Item = &'static OsStr> {
    EXPECTED.split_whitespace().map(OsStr::new)
}

/// Locates a named program: by its path, in PATH, in the standard directories.
pub fn find_named(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok().filter(|path| is_program(path));
    }
    in_path(name).or_else(|| in_standard(name))
}

/// Locates one of the usual programs.
pub fn find_expected(name: &OsStr) -> Option<PathBuf> {
    in_standard(name).or_else(|| in_path(name))
}

/// Whether the program is in a standard directory.
pub fn is_standard(path: &Path) -> bool {
    path.parent().is_some_and(|parent| STANDARD.iter().any(|standard| parent == Path::new(standard)))
}

fn in_standard(name: &OsStr) -> Option<PathBuf> {
    STANDARD.iter().map(|directory| Path::new(directory).join(name)).find(|path| is_program(path))
}

fn in_path(name: &OsStr) -> Option<PathBuf> {
    system::search::path_dirs()
        .into_iter()
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The interpreter of a script; for env(1), also the program that it looks up.
pub fn interpreters(head: &[u8]) -> Vec<OsString> {
    let Some(line) = head.strip_prefix(b"#!").and_then(|rest| rest.split(|&byte| byte == b'\n').next())
    else {
        return Vec::new();
    };
    let mut words =
        line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    let Some(interpreter) = words.next() else { return Vec::new() };
    let mut found = vec![interpreter.to_owned()];
    if Path::new(interpreter).file_name() == Some(OsStr::new("env")) {
        let is_program =
            |word: &&OsStr| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=');
        found.extend(words.find(is_program).map(OsStr::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_its_interpreter() {
        assert_eq!(interpreters(b"#!/bin/sh -e\necho"), ["/bin/sh"]);
        assert_eq!(interpreters(b"#! /usr/bin/env -S A=1 perl -w\n"), ["/usr/bin/env", "perl"]);
        assert!(interpreters(b"\x7fELF").is_empty());
        assert!(interpreters(b"#!\n").is_empty());
    }

    #[test]
    fn no_program_is_expected_twice() {
        let mut names: Vec<&OsStr> = expected().collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

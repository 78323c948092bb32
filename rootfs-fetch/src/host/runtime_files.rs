//! Files that programs open by name, and that no ELF header lists: terminals, a locale, modules.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Libraries loaded at run time.
pub const LOADED_LATER: [&str; 4] = [
    // before glibc 2.34, getpwnam(3) needs this
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libnss_compat.so.2",
    // pthread_cancel(3) and pthread_exit(3)
    "libgcc_s.so.1",
];

/// Modules for su and login that need no configuration.
pub const PAM: [&str; 4] = ["pam_rootok.so", "pam_permit.so", "pam_deny.so", "pam_unix.so"];

const TERMINALS: [&str; 14] = [
    "ansi",
    "dumb",
    "linux",
    "rxvt",
    "rxvt-unicode-256color",
    "screen",
    "screen-256color",
    "tmux",
    "tmux-256color",
    "vt100",
    "vt220",
    "xterm",
    "xterm-256color",
    "xterm-color",
];
const TERMINFO: [&str; 4] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo"];
const LOCALES: [&str; 2] = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"];

/// The terminal descriptions that line editing, less and top look up.
pub fn terminals() -> Vec<PathBuf> {
    let ours = std::env::var_os("TERM");
    let mut names: Vec<&OsStr> = TERMINALS.iter().map(OsStr::new).collect();
    names.extend(ours.as_deref().filter(|name| !name.is_empty() && !Path::new(name).has_root()));
    let mut found = Vec::new();
    for name in names {
        let Some(&first) = name.as_encoded_bytes().first() else { continue };
        // a directory for each first letter; by its number where file systems fold case
        let letters = [char::from(first).to_string(), format!("{first:x}")];
        let places =
            TERMINFO.iter().flat_map(|place| letters.iter().map(move |letter| Path::new(place).join(letter)));
        found.extend(places.map(|place| place.join(name)).find(|path| path.is_file()));
    }
    found
}

/// The files of the C.UTF-8 locale.
pub fn locale() -> Vec<PathBuf> {
    let Some(top) = LOCALES.iter().map(PathBuf::from).find(|path| path.is_dir()) else { return Vec::new() };
    let mut found = Vec::new();
    let mut todo = vec![top];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => todo.push(path),
                Ok(_) => found.push(path),
                Err(_) => {}
            }
        }
    }
    found
}

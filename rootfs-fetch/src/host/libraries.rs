//! Locates libraries in the order of ld.so(8), without running it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use object::ReadCache;

use crate::host::elf::{Elf, Machine};
use crate::host::hwcaps;

const LD_SO_CACHE: &str = "/etc/ld.so.cache";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// The default directories of glibc, with and without multilib.
const USUAL: [&str; 6] = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/lib32", "/usr/lib32"];

/// What a program or library requires of its libraries.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// The machine.
    pub machine: Machine,
    /// The directories of DT_RPATH, including those of the files that load it, expanded.
    pub rpath: Vec<PathBuf>,
    /// Directories of DT_RUNPATH, expanded.
    pub runpath: Vec<PathBuf>,
    /// Whether the loader is musl's, which has no cache.
    pub musl: bool,
}

impl Requirements {
    /// The requirements of the file at `path`; `by` are those of the file that loads it.
    pub fn new(elf: &Elf, path: &Path, by: Option<&Self>) -> Self {
        let own = |list: &Option<OsString>| list.as_deref().map_or_else(Vec::new, |list| expand(list, path));
        let mut rpath = Vec::new();
        if elf.runpath.is_none() {
            rpath = own(&elf.rpath);
            rpath.extend(by.into_iter().flat_map(|by| by.rpath.iter().cloned()));
        }
        let loader = elf.interpreter.as_deref().map(OsStr::as_bytes).unwrap_or_default();
        let musl = by.is_some_and(|by| by.musl) || contains(loader, b"/ld-musl-");
        Self { machine: elf.machine, rpath, runpath: own(&elf.runpath), musl }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Splits a search path and expands `$ORIGIN` and `$LIB`.
fn expand(list: &OsStr, file: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let origin = real.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes().to_vec();
    let mut directories = Vec::new();
    for part in list.as_bytes().split(|&byte| byte == b':').filter(|part| !part.is_empty()) {
        let part = replace(&replace(part, b"$ORIGIN", &origin), b"${ORIGIN}", &origin);
        for lib in [&b"lib64"[..], b"lib"] {
            let one = replace(&replace(&part, b"$LIB", lib), b"${LIB}", lib);
            let one = PathBuf::from(OsString::from_vec(one));
            if !directories.contains(&one) {
                directories.push(one);
            }
        }
    }
    directories
}

fn replace(text: &[u8], token: &[u8], by: &[u8]) -> Vec<u8> {
    match text.windows(token.len()).position(|window| window == token) {
        Some(at) => {
            let (before, rest) = text.split_at(at);
            [before, by, &replace(rest.get(token.len()..).unwrap_or_default(), token, by)].concat()
        }
        None => text.to_vec(),
    }
}

/// The host's libraries.
#[derive(Debug)]
pub struct Libraries {
    cache: HashMap<OsString, Vec<PathBuf>>,
    usual: Vec<PathBuf>,
    musl: Vec<PathBuf>,
    /// The files whose headers were read: nearly every program needs the same few libraries.
    read: RefCell<HashMap<PathBuf, Option<Rc<Elf>>>>,
}

impl Libraries {
    /// Reads the loader's cache and its default directories.
    pub fn of_host() -> Self {
        let cache = std::fs::read(LD_SO_CACHE).ok().and_then(|data| read_cache(&data)).unwrap_or_default();
        let mut usual: Vec<PathBuf> = USUAL.iter().map(PathBuf::from).collect();
        for base in ["/lib", "/usr/lib"] {
            // Debian's directory for one architecture: /usr/lib/x86_64-linux-gnu
            let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
            usual.extend(
                entries.map(|entry| entry.path()).filter(|path| {
                    path.file_name().is_some_and(|name| contains(name.as_bytes(), b"-linux-"))
                }),
            );
        }
        Self { cache, usual, musl: musl_directories(), read: RefCell::default() }
    }

    /// The files that the loader can use for the library `name`: the one for every processor,
    /// and variants for newer processors. None if the library is missing.
    pub fn find(&self, name: &OsStr, wants: &Requirements) -> Vec<PathBuf> {
        let fits = |path: &PathBuf| self.elf(path).is_some_and(|elf| elf.machine == wants.machine);
        if name.as_bytes().contains(&b'/') {
            return Some(PathBuf::from(name)).into_iter().filter(fits).collect();
        }
        let in_all = |directories: &[PathBuf]| {
            let of = |directory: &PathBuf| hwcaps::variants(directory, name).filter(fits).collect();
            directories.iter().map(of).find(|paths: &Vec<_>| hwcaps::any_runs_here(paths))
        };
        let cached = || {
            let paths = self.cache.get(name).filter(|_| !wants.musl)?;
            let mut paths: Vec<PathBuf> = paths.iter().filter(|path| fits(path)).cloned().collect();
            // of several files for every processor, the loader uses the first
            let mut plain = 0;
            paths.retain(|path| {
                plain += usize::from(hwcaps::level(path).is_none());
                hwcaps::level(path).is_some() || plain == 1
            });
            Some(paths).filter(|paths| hwcaps::any_runs_here(paths))
        };
        let usual = if wants.musl { &self.musl } else { &self.usual };
        let found = in_all(&wants.rpath).or_else(|| in_all(&wants.runpath));
        found.or_else(cached).or_else(|| in_all(usual)).unwrap_or_default()
    }

    /// The ELF headers of a file, read once; None for another kind of file.
    pub fn elf(&self, path: &Path) -> Option<Rc<Elf>> {
        if let Some(elf) = self.read.borrow().get(path) {
            return elf.clone();
        }
        let elf = read_elf(path).map(Rc::new);
        self.read.borrow_mut().insert(path.to_path_buf(), elf.clone());
        elf
    }

    /// Whether the library is in a default directory.
    pub fn is_usual(&self, path: &Path) -> bool {
        hwcaps::base(path).is_some_and(|base| self.usual.iter().any(|usual| usual == base))
    }
}

fn musl_directories() -> Vec<PathBuf> {
    let configured = std::fs::read_dir("/etc").into_iter().flatten().flatten().find(|entry| {
        let name = entry.file_name();
        name.as_bytes().starts_with(b"ld-musl-") && name.as_bytes().ends_with(b".path")
    });
    let list = configured.and_then(|entry| std::fs::read_to_string(entry.path()).ok());
    let list = list.unwrap_or_else(|| "/lib:/usr/local/lib:/usr/lib".into());
    list.split([':', '\n']).filter(|part| !part.is_empty()).map(PathBuf::from).collect()
}

fn read_elf(path: &Path) -> Option<Elf> {
    let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|it| it.is_file()))?;
    Elf::read(&ReadCache::new(file))
}

/// The names and paths in glibc's cache, in its order.
///
/// # Source
/// glibc's sysdeps/generic/dl-cache.h describes the layout.
pub fn read_cache(data: &[u8]) -> Option<HashMap<OsString, Vec<PathBuf>>> {
    let start = if data.starts_with(MAGIC) { 0 } else { after_old_cache(data)? };
    let data = data.get(start..).filter(|data| data.starts_with(MAGIC))?;
    let number = |at: usize| Some(u32::from_ne_bytes(*data.get(at..)?.first_chunk::<4>()?) as usize);
    let count = number(20)?;
    let text = |at: usize| {
        let rest = data.get(at..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        Some(OsStr::from_bytes(rest.get(..end)?).to_owned())
    };
    let mut cache: HashMap<OsString, Vec<PathBuf>> = HashMap::new();
    for entry in 0..count.min(data.len() / 24) {
        let at = 48 + 24 * entry;
        let (name, path) = (text(number(at + 4)?)?, text(number(at + 8)?)?);
        cache.entry(name).or_default().push(PathBuf::from(path));
    }
    Some(cache)
}

/// The length of the old format, which comes first in caches before glibc 2.32.
fn after_old_cache(data: &[u8]) -> Option<usize> {
    let count = data.strip_prefix(b"ld.so-1.7.0\0")?.first_chunk::<4>()?;
    let end = usize::try_from(u32::from_ne_bytes(*count)).ok()?.checked_mul(12)?.checked_add(16)?;
    end.checked_next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_and_lib_are_expanded() {
        let list = expand(OsStr::new("$ORIGIN/../lib:/x/$LIB"), Path::new("/nowhere/bin/p"));
        let list: Vec<&str> = list.iter().filter_map(|path| path.to_str()).collect();
        assert_eq!(list, ["/nowhere/bin/../lib", "/x/lib64", "/x/lib"]);
    }

    #[test]
    fn a_cache_that_is_cut_short_or_lies_is_no_cache() {
        let mut data = MAGIC.to_vec();
        assert!(read_cache(&data).is_none());
        data.resize(48, 0xff);
        data.resize(200, 0xff);
        assert!(read_cache(&data).is_none());
        assert!(read_cache(b"").is_none());
    }
}

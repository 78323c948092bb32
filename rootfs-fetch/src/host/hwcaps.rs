//! Variants of libraries for newer processors: `DIRECTORY/glibc-hwcaps/x86-64-v3/NAME`.
//!
//! The loader searches these subdirectories first, the highest level that the processor supports first. A
//! root gets all variants, so that it is as fast as the host and also runs on other machines.
//!
//! # Source
//! ld.so(8), "glibc-hwcaps"; the levels are those of the x86-64 psABI.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const NAME: &str = "glibc-hwcaps";

/// The possible paths of the library `name` in a directory: the one for all processors, then the variants.
pub fn variants(directory: &Path, name: &OsStr) -> impl Iterator<Item = PathBuf> {
    let levels = std::fs::read_dir(directory.join(NAME)).into_iter().flatten().flatten();
    let mut variants: Vec<PathBuf> = levels.map(|level| level.path().join(name)).collect();
    variants.sort();
    std::iter::once(directory.join(name)).chain(variants)
}

/// The level of a variant; None for a library for all processors.
pub fn level(library: &Path) -> Option<&OsStr> {
    let level = library.parent()?;
    (level.parent()?.file_name()? == NAME).then(|| level.file_name()).flatten()
}

/// The directory that is searched for a library.
pub fn base(library: &Path) -> Option<&Path> {
    let skipped = if level(library).is_some() { 2 } else { 0 };
    library.ancestors().nth(skipped + 1)
}

/// Whether this processor can use one of the files.
pub fn any_runs_here(libraries: &[PathBuf]) -> bool {
    libraries.iter().any(|library| level(library).is_none_or(runs_here))
}

/// Whether this processor supports a level.
#[cfg(target_arch = "x86_64")]
fn runs_here(level: &OsStr) -> bool {
    use std::is_x86_feature_detected as has;
    let v2 = || has!("sse4.2") && has!("ssse3") && has!("popcnt") && has!("cmpxchg16b");
    let v3 = || {
        let vectors = has!("avx2") && has!("fma") && has!("f16c");
        v2() && vectors && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("movbe")
    };
    let v4 = || {
        let bytes = has!("avx512bw") && has!("avx512dq") && has!("avx512cd");
        v3() && bytes && has!("avx512f") && has!("avx512vl")
    };
    match level.to_str() {
        Some("x86-64-v2") => v2(),
        Some("x86-64-v3") => v3(),
        Some("x86-64-v4") => v4(),
        _ => false,
    }
}

/// Whether this processor supports a level.
#[cfg(not(target_arch = "x86_64"))]
fn runs_here(_level: &OsStr) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_for_some_processors_is_found_where_the_one_for_all_would_be() {
        let some = Path::new("/usr/lib/x/glibc-hwcaps/x86-64-v3/libz.so.1");
        assert_eq!((level(some), base(some)), (Some(OsStr::new("x86-64-v3")), Some(Path::new("/usr/lib/x"))));
        let all = Path::new("/usr/lib/x/libz.so.1");
        assert_eq!((level(all), base(all)), (None, Some(Path::new("/usr/lib/x"))));
    }

    #[test]
    fn a_level_that_does_not_exist_runs_nowhere() {
        let library = |path| vec![PathBuf::from(path)];
        assert!(any_runs_here(&library("/lib/libz.so.1")));
        if cfg!(target_arch = "x86_64") {
            assert!(!any_runs_here(&library("/lib/glibc-hwcaps/x86-64-v9/libz.so.1")));
        }
    }
}

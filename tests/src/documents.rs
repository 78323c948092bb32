//! The option pages, READMEs, man pages and completions, as they were when the tests were built.

use std::borrow::Cow;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Each file by its path below the workspace, sorted.
static DOCUMENTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/documents.rs"));

/// The files whose path has this prefix.
pub fn starting_with(start: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    DOCUMENTS.iter().copied().filter(move |(path, _)| path.starts_with(start))
}

/// One file, or an empty text if it does not exist. With `CHAIN_UPDATE=1` it is read from the source tree,
/// because another test may just have written it.
pub fn text(path: &str) -> Cow<'static, str> {
    if updating() {
        return fs::read_to_string(source(path)).unwrap_or_default().into();
    }
    DOCUMENTS.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| text).into()
}

/// Whether `CHAIN_UPDATE=1` asks the tests to write their results instead of comparing them.
pub fn updating() -> bool {
    env::var_os("CHAIN_UPDATE").is_some_and(|value| value == "1")
}

/// The path of a document in the source tree.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Writes a document, for [`updating`].
#[track_caller]
pub fn write(path: &str, text: &str) {
    let file = source(path);
    fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("the folder of a document");
    fs::write(&file, text).expect("a document");
}

//! Embeds documents into the test programs, because `tests/run` starts them as users, and in a VM, who cannot
//! read the source tree.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const WRITTEN: [&str; 13] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs",
    "chain/man",
    "hints/own.txt",
    "unshare-rs",
    "cgexec-rs",
    "chroot-rs",
    "rootfs-fetch",
    "tests/options",
    "tests/WORLDS.md",
    "tests/worlds/known",
];

fn main() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace");
    let mut files = Vec::new();
    for place in WRITTEN {
        collect(&top.join(place), &mut files);
    }
    files.sort();
    let mut documents = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&top).expect("a file of the workspace").display();
        writeln!(documents, "    ({:?}, include_str!({:?})),", name.to_string(), file)
            .expect("a String takes all");
    }
    documents.push_str("]\n");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("documents.rs"), documents).expect("OUT_DIR takes a file");
}

/// Pages, man pages and completions. Cargo also watches the folders, for new and removed files.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if ["src", "tests", "fuzz"].iter().any(|sources| path.ends_with(sources)) {
        return;
    }
    if path.is_dir() {
        println!("cargo::rerun-if-changed={}", path.display());
        for entry in fs::read_dir(path).expect("a readable folder").flatten() {
            collect(&entry.path(), files);
        }
    } else if path.is_file() && path.file_name().is_some_and(|name| name != "Cargo.toml") {
        println!("cargo::rerun-if-changed={}", path.display());
        files.push(path.to_path_buf());
    }
}

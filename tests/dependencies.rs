//! The dependencies: their licences, their sources, and each in one version.
//!
//! cargo-deny checks more, such as known vulnerabilities. These tests only need cargo and what it has
//! downloaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::Run;

/// The packages of the workspace and all their dependencies on Linux.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Run::new(cargo).args(["metadata", "--format-version=1", "--locked", "--offline"]);
    let metadata = metadata.arg("--filter-platform=x86_64-unknown-linux-gnu").arg("--manifest-path");
    let metadata = metadata.arg(top("Cargo.toml")).end().ok();
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

fn top(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

/// The licences that `deny.toml` allows.
fn allowed() -> Vec<String> {
    let deny = fs::read_to_string(top("deny.toml")).expect("deny.toml");
    let (_, list) = deny.split_once("\nallow = [").expect("a list of licences");
    let (list, _) = list.split_once(']').expect("its end");
    list.split('"').skip(1).step_by(2).map(String::from).collect()
}

/// Whether these licences satisfy an SPDX expression: AND binds tighter than OR.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    // crates from before SPDX have a slash between alternative licences
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any(&mut rest, allowed);
    met && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(rest, allowed);
    while let ["OR", more @ ..] = *rest {
        *rest = more;
        met |= all(rest, allowed);
    }
    met
}

fn all(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(rest, allowed);
    while let ["AND", more @ ..] = *rest {
        *rest = more;
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    let is = |name: String| allowed.contains(&name);
    let (met, more) = match *rest {
        ["(", more @ ..] => {
            let mut inner = more;
            let met = any(&mut inner, allowed);
            (met && inner.first() == Some(&")"), inner.get(1..).unwrap_or_default())
        }
        [name, "WITH", exception, more @ ..] => (is(format!("{name} WITH {exception}")), more),
        [name, more @ ..] => (is((*name).to_string()), more),
        [] => (false, *rest),
    };
    *rest = more;
    met
}

#[test]
fn an_expression_is_met_by_one_of_its_choices_and_by_all_that_it_joins() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(String::from);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND ISC", true),
        ("MIT AND GPL-3.0", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("Apache-2.0", false),
        ("", false),
        ("(MIT", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), met, "{expression}");
    }
}

mod in_tree {
    use super::*;

    #[test]
    fn each_dependency_has_a_licence_that_is_allowed() {
        let allowed = allowed();
        assert!(allowed.len() > 3, "{allowed:?}");
        let packages = packages();
        let wrong = packages.iter().filter(|package| !is_allowed(text(package, "license"), &allowed));
        let wrong: Vec<_> = wrong.map(|package| (text(package, "name"), text(package, "license"))).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// The files of the tree that name a licence in their first lines, except generated and downloaded ones.
    fn licences(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        // in two parts, so that this file is not one of them
        let mark = concat!("SPDX-License-", "Identifier:");
        for entry in fs::read_dir(folder).expect("a folder of the tree") {
            let entry = entry.expect("an entry");
            let path = entry.path();
            let is_ours = !["target", ".git", ".cache"].contains(&&*entry.file_name().to_string_lossy());
            let kind = entry.file_type().expect("its type");
            if kind.is_dir() && is_ours {
                licences(&path, found);
            } else if kind.is_file() {
                let text = fs::read(&path).expect("a file of the tree");
                let text = String::from_utf8_lossy(&text);
                let named =
                    text.lines().take(20).find_map(|line| Some(line.split_once(mark)?.1.trim().to_string()));
                found.extend(named.map(|licence| (path, licence)));
            }
        }
    }

    #[test]
    fn no_file_is_under_another_licence_than_all() {
        let reuse = fs::read_to_string(top("REUSE.toml")).expect("REUSE.toml");
        let (_, licence) = reuse.split_once("SPDX-License-Identifier = \"").expect("a licence");
        let (licence, _) = licence.split_once('"').expect("its end");
        for package in packages().iter().filter(|package| package["source"].is_null()) {
            assert_eq!(text(package, "license"), licence, "{}", text(package, "name"));
        }
        let mut found = Vec::new();
        licences(&top(""), &mut found);
        found.retain(|(_, other)| other != licence);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn each_dependency_comes_from_crates_io_with_a_checksum() {
        let lock = fs::read_to_string(top("Cargo.lock")).expect("Cargo.lock");
        for package in lock.split("[[package]]").skip(1).filter(|package| package.contains("\nsource = ")) {
            let right = package
                .contains("\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n")
                && package.contains("\nchecksum = \"");
            assert!(right, "{package}");
        }
    }

    #[test]
    fn each_dependency_is_there_in_one_version() {
        let packages = packages();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in &packages {
            versions.entry(text(package, "name")).or_default().push(text(package, "version"));
        }
        versions.retain(|_, versions| versions.len() > 1);
        assert!(versions.is_empty(), "{versions:?}");
    }
}

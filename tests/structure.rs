//! The imports between the files of a crate have no cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path in its crate; empty for lib.rs.
type Module = Vec<String>;

/// The modules of a crate, each with the modules that it imports from.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of the workspace's crates.
fn members() -> Vec<String> {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).expect("the workspace's Cargo.toml");
    let (_, list) = manifest.split_once("members = [").expect("a list of members");
    let (list, _) = list.split_once(']').expect("the end of the list");
    list.split(',')
        .map(|name| name.trim().trim_matches('"').to_string())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The Rust files below a folder, except tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The imports between the files of a crate.
fn imports(source: &Path) -> Imports {
    let mut files = Vec::new();
    sources(source, &mut files);
    // programs next to the library are separate crates
    files.retain(|file| !file.starts_with(source.join("bin")) && file != &source.join("main.rs"));
    let texts: BTreeMap<Module, String> = files
        .iter()
        .map(|file| (module(source, file), code(&fs::read_to_string(file).expect("a source"))))
        .collect();
    let known: BTreeSet<Module> = texts.keys().cloned().collect();
    texts.iter().map(|(module, text)| (module.clone(), imported(module, text, &known))).collect()
}

fn module(source: &Path, file: &Path) -> Module {
    let inside = file.strip_prefix(source).expect("below src").with_extension("");
    let mut names: Module = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| last == "mod" || names.len() == 1 && last == "lib") {
        names.pop();
    }
    names
}

/// A file's code without comments and test modules.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let item = lines.next().unwrap_or_default();
            if item.ends_with('{') {
                let end = format!(
                    "{}}}",
                    item.split(|each: char| !each.is_whitespace()).next().unwrap_or_default()
                );
                lines.by_ref().find(|line| *line == end);
            }
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or_default());
            code.push('\n');
        }
    }
    code
}

/// The modules that a file imports from. A parent that only re-exports its child's items does not count:
/// nothing in the parent needs the import.
fn imported(module: &Module, text: &str, known: &BTreeSet<Module>) -> BTreeSet<Module> {
    let mut paths = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("use ") {
        paths.extend(qualified(before));
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let is_import = ["", "pub", "pub(crate)", "pub(super)"].contains(&line);
        let (tree, after) =
            if is_import { after.split_once(';').unwrap_or((after, "")) } else { ("", after) };
        if line != "pub" {
            flatten(tree, "", &mut paths);
        }
        rest = after;
    }
    paths.extend(qualified(rest));
    let targets = paths.iter().filter_map(|path| target(module, path, known));
    targets.filter(|target| target != module).collect()
}

/// Each path of more than one name, anywhere in the text.
fn qualified(text: &str) -> impl Iterator<Item = String> {
    let of_path = |each: char| each.is_alphanumeric() || each == '_' || each == ':';
    text.split(move |each| !of_path(each)).filter(|path| path.contains("::")).map(str::to_string)
}

/// Each path of an import tree.
fn flatten(tree: &str, start: &str, paths: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return paths.push(format!("{start}{}", path.trim()));
    };
    let start = format!("{start}{}", head.trim());
    let (mut depth, mut begin) = (0, 0);
    for (at, each) in rest.char_indices() {
        match each {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                let part = rest.get(begin..at).unwrap_or_default().trim();
                if !part.is_empty() {
                    flatten(part, &start, paths);
                }
                if each == '}' {
                    return;
                }
                begin = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The module in which the path ends, as seen from a module: the longest known one.
fn target(from: &Module, path: &str, known: &BTreeSet<Module>) -> Option<Module> {
    let mut names: Vec<&str> = path.split("::").collect();
    let mut full = from.clone();
    match names.first().copied()? {
        "crate" => full.clear(),
        "self" | "super" => {}
        first => {
            // of this module's own children, or of another crate
            full.push(first.to_string());
            return known.contains(&full).then(|| deepest(from, &names, known));
        }
    }
    while let Some(&first) = names.first() {
        match first {
            "super" => drop(full.pop()),
            "crate" | "self" => {}
            _ => break,
        }
        names.remove(0);
    }
    Some(deepest(&full, &names, known))
}

fn deepest(from: &Module, names: &[&str], known: &BTreeSet<Module>) -> Module {
    let mut full = from.clone();
    full.extend(names.iter().map(|name| name.to_string()));
    while !full.is_empty() && !known.contains(&full) {
        full.pop();
    }
    full
}

/// The cycles: each set of modules that import each other, directly or not.
fn circles(imports: &Imports) -> BTreeSet<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        imports.keys().map(|module| (module, reachable(module, imports))).collect();
    let of = |module: &Module| {
        let back = reached[module].iter().filter(|other| reached[*other].contains(module));
        back.map(|other| (*other).clone()).collect::<BTreeSet<Module>>()
    };
    imports.keys().map(of).filter(|circle| circle.len() > 1).collect()
}

fn reachable<'a>(from: &Module, imports: &'a Imports) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut todo: Vec<&Module> = imports[from].iter().collect();
    while let Some(module) = todo.pop() {
        if found.insert(module) {
            todo.extend(imports.get(module).into_iter().flatten());
        }
    }
    found
}

fn shown(circle: &BTreeSet<Module>) -> String {
    let names = circle.iter().map(|module| if module.is_empty() { "lib".into() } else { module.join("::") });
    names.collect::<Vec<_>>().join(", ")
}

mod in_tree {
    use super::*;

    #[test]
    fn no_circle_of_imports_joins_the_files_of_a_crate() {
        let mut found = Vec::new();
        for member in members() {
            let circles = circles(&imports(&workspace().join(&member).join("src")));
            found.extend(circles.iter().map(|circle| format!("{member}: {}", shown(circle))));
        }
        assert!(found.is_empty(), "files that import each other:\n{}", found.join("\n"));
    }
}

#[test]
fn a_circle_is_found_and_a_chain_of_imports_is_not_one() {
    let module = |name: &str| -> Module {
        name.split("::").filter(|part| !part.is_empty()).map(String::from).collect()
    };
    let files = [
        ("", "mod a; mod b; mod c;\npub use a::A;\n"),
        ("a", "use crate::b::{self, B};\nfn a() { crate::c::c() }\n"),
        ("a::inner", "use super::super::c::C;\n"),
        ("b", "// use crate::a::A;\nfn b() { super::a::inner::c() }\n"),
        ("d", "mod inner;\npub use inner::x;\nuse inner::z;\n"),
        ("d::inner", "use super::y;\n"),
        ("e", "mod inner;\npub use inner::x;\n"),
        ("e::inner", "use super::y;\n"),
        ("c", "use std::fs;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
    ];
    let known: BTreeSet<Module> = files.iter().map(|(name, _)| module(name)).collect();
    let imports: Imports = files
        .iter()
        .map(|(name, text)| (module(name), imported(&module(name), &code(text), &known)))
        .collect();
    assert_eq!(imports[&module("a")], [module("b"), module("c")].into());
    assert_eq!(imports[&module("b")], [module("a::inner")].into());
    assert_eq!(circles(&imports).iter().map(shown).collect::<Vec<_>>(), ["d, d::inner"]);
    let mut closed = imports;
    closed.insert(module("a::inner"), [module("a")].into());
    assert_eq!(circles(&closed).iter().map(shown).collect::<Vec<_>>(), ["a, a::inner, b", "d, d::inner"]);
}

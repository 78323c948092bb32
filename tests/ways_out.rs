//! The ways out of a container, each tried; the table in chroot-rs/README.md shows the results.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tests::accounts::unused_id;
use tests::{Run, Scratch, documents, file_handle, tools};

const README: &str = "chroot-rs/README.md";
const BEGIN: &str = "<!-- what tests/ways_out.rs found -->\n";
const END: &str = "<!-- end -->\n";

/// A root, a file outside it, and the programs in a place where every user can run them.
struct Place {
    scratch: Scratch,
    root: PathBuf,
    handle: String,
}

/// Who tries, and from where.
const COLUMNS: [(&str, Who, &[&str]); 6] = [
    ("root: chroot-rs", Who::Root, &["chroot-rs"]),
    ("root: the chain", Who::Root, &["unshare-rs", "--", "cgexec-rs", "--", "chroot-rs"]),
    (
        "root of a user namespace",
        Who::Root,
        &["unshare-rs", "--user", "--map-users=all", "--map-groups=all", "--", "chroot-rs"],
    ),
    ("root: --userns auto", Who::Root, &["chroot-rs", "--userns", "auto"]),
    ("user: the chain", Who::User, &["unshare-rs", "--", "cgexec-rs", "--", "chroot-rs"]),
    ("root: --privileged", Who::Root, &["chroot-rs", "--privileged"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    User,
}

impl Place {
    fn new() -> Self {
        let scratch = Scratch::new();
        let root = scratch.path("root");
        fs::set_permissions(scratch.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["bin", "dev", "proc", "sys", "tmp", "read-only"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::create_dir(scratch.path("shown")).unwrap();
        fs::write(scratch.path("secret"), "outside").unwrap();
        // the kernel's log
        mknod(&root.join("node"), SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 11)).unwrap();
        for program in [tools().unshare(), tools().cgexec(), tools().chroot(), tools().ways_out()] {
            fs::copy(&program, scratch.path(program.file_name().unwrap())).unwrap();
        }
        fs::copy(tools().ways_out(), root.join("bin/ways_out")).unwrap();
        let handle = file_handle::of(&scratch.path("secret"));
        Self { scratch, root, handle }
    }

    /// What each way is, with "can", "cannot" or "-".
    fn try_all(&self, who: Who, words: &[&str]) -> Vec<(String, String)> {
        let id = unused_id();
        let program = |word: &&str| match word.ends_with("-rs") {
            true => self.scratch.path(word).into_os_string(),
            false => OsString::from(word),
        };
        let mut all: Vec<OsString> = Vec::new();
        if who == Who::User {
            let setpriv = ["setpriv", &format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups"];
            all.extend(setpriv.map(OsString::from));
        }
        all.extend([self.scratch.path("ways_out").into(), "--with-key".into()]);
        all.extend(words.iter().map(program));
        let bind = format!("--bind={}:/read-only:ro", self.scratch.path("shown").display());
        all.extend([
            bind.into(),
            self.root.clone().into(),
            "/bin/ways_out".into(),
            self.handle.clone().into(),
        ]);
        let (program, args) = all.split_first().unwrap();
        let out = Run::new(program).args(args).end().ok();
        let found: Vec<_> = out
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(way, it)| (way.into(), it.into()))
            .collect();
        assert!(found.len() > 20, "{words:?}: {out}");
        found
    }
}

fn table(found: &[Vec<(String, String)>]) -> String {
    let head: Vec<&str> = COLUMNS.iter().map(|(name, _, _)| *name).collect();
    let mut table = format!("| from inside | {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len() + 1));
    for (row, (way, _)) in found[0].iter().enumerate() {
        let shown = |column: &Vec<(String, String)>| match column[row].1.as_str() {
            "can" => "**can**",
            "cannot" => "cannot",
            _ => "",
        };
        let cells: Vec<&str> = found.iter().map(shown).collect();
        table.push_str(&format!("| {way} | {} |\n", cells.join(" | ")));
    }
    table
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and setpriv"]
    fn by_default_no_way_leads_out_and_the_readme_says_so() {
        let place = Place::new();
        let found: Vec<_> = COLUMNS.iter().map(|(_, who, words)| place.try_all(*who, words)).collect();
        let mut open = BTreeMap::new();
        for ((name, who, words), ways) in COLUMNS.iter().zip(&found) {
            for (way, _) in ways.iter().filter(|(_, outcome)| outcome == "can") {
                let is_meant =
                    words.contains(&"--privileged") || (*who == Who::User && way == "make a user namespace");
                if !is_meant {
                    open.insert(format!("{name}: {way}"), ());
                }
            }
        }
        assert!(open.is_empty(), "{:#?}", open.keys());
        let privileged = found.last().unwrap();
        let counted = privileged.iter().filter(|(_, outcome)| outcome == "can").count();
        assert!(counted > 10, "the ways are tried as they should be: {privileged:#?}");
        let readme = documents::text(README);
        let (before, rest) = readme.split_once(BEGIN).expect("where the table begins");
        let (written, after) = rest.split_once(END).expect("where the table ends");
        let table = table(&found);
        if documents::updating() {
            documents::write(README, &format!("{before}{BEGIN}{table}{END}{after}"));
        } else if Path::new("/sys/fs/cgroup").exists() {
            assert_eq!(written, table, "CHAIN_UPDATE=1 writes it");
        }
    }
}

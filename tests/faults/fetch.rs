//! rootfs-fetch, which has no plan: each call that creates, fills or renames a file of the root.

use std::fs;

use tests::tar::Tar;
use tests::trace::{TracedCall, counted};
use tests::{End, Ended, Scratch, Trace, tools};

use crate::errnos::errnos;
use crate::table::Table;

/// The calls that turn an archive into a directory.
const CALLS: [&str; 20] = [
    "clone3",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "flock",
    "fsetxattr",
    "ftruncate",
    "linkat",
    "mkdirat",
    "mknodat",
    "openat",
    "openat2",
    "pwrite64",
    "read",
    "renameat2",
    "symlinkat",
    "umask",
    "utimensat",
    "write",
];

/// An archive with one entry of each kind, and the run that unpacks it.
pub struct Fetch {
    scratch: Scratch,
}

impl Fetch {
    /// With a separate archive.
    pub fn new() -> Self {
        let scratch = Scratch::new();
        let archive =
            Tar::new().dir("d", 0o755).file("d/f", b"text").hardlink("d/h", "d/f").symlink("l", "d");
        fs::write(scratch.path("a.tar"), archive.fifo("p").end()).expect("an archive");
        Self { scratch }
    }

    fn run(&self, trace: Trace) -> tests::trace::Traced {
        trace.run([tools().fetch(), self.scratch.path("a.tar"), self.scratch.path("out")])
    }

    /// The calls on the archive and the directory, each with its number among calls of this name in its
    /// thread.
    fn calls(&self) -> Vec<(usize, TracedCall)> {
        let traced = self.run(Trace::new().only(CALLS.join(",")));
        assert_eq!(traced.ended.end, End::Exit(0), "{}", traced.ended.err());
        fs::remove_dir_all(self.scratch.path("out")).expect("a directory to take away");
        let own = self.scratch.path("").to_string_lossy().trim_end_matches('/').to_string();
        let counted = counted(&traced.calls).into_iter().map(|(nth, call)| (nth, call.clone()));
        // the summary at the end is not a call on a file, although it contains a path
        let on_files = |call: &TracedCall| call.args.contains(&own) && !call.args.starts_with("<pipe:");
        counted.filter(|(_, call)| call.worked() && on_files(call)).collect()
    }

    /// Makes each of them fail, and returns what is wrong with the results.
    pub fn refuse(&self, table: &mut Table) -> Vec<String> {
        let mut wrong = Vec::new();
        for (nth, call) in self.calls() {
            let more: &[&str] = if call.name == "write" { &["EDQUOT", "EFBIG"] } else { &[] };
            for errno in errnos(&call.name).chain(more.iter().copied()) {
                // a real ENOENT there means that another run has removed the directory, so nothing can be
                // left
                if errno == "ENOENT" && call.args.contains(", \"out.partial-") {
                    continue;
                }
                let ended = self.run(Trace::new().fail_with(&call.name, nth, errno)).ended;
                match self.judge(&call, errno, &ended) {
                    Ok((status, said)) => table.add("rootfs-fetch", &call.name, errno, &status, &said),
                    Err(why) => wrong.push(format!("{errno} {}\n  {why}", call.text())),
                }
            }
        }
        wrong
    }

    fn judge(&self, call: &TracedCall, errno: &str, ended: &Ended) -> Result<(String, String), String> {
        let err = ended.err();
        let (failures, hints): (Vec<&str>, Vec<&str>) =
            err.lines().partition(|line| !line.contains(": hint: "));
        let wrong = |what: &str| Err(format!("{what}: {:?}, said {failures:?} {hints:?}", ended.end));
        let entries = fs::read_dir(self.scratch.path("")).expect("the directory").flatten();
        let left: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| !path.ends_with("a.tar")).collect();
        if goes_on(call, errno) && ended.end == End::Exit(0) && left == [self.scratch.path("out")] {
            fs::remove_dir_all(self.scratch.path("out")).expect("a directory to take away");
            return Ok(("0".into(), "(another way: the directory is there)".into()));
        }
        if !left.is_empty() {
            left.iter().for_each(|dir| fs::remove_dir_all(dir).expect("a directory to take away"));
            return wrong(&format!("left behind {left:?}"));
        }
        let (End::Exit(status @ 1..=7), [failure]) = (ended.end, failures.as_slice()) else {
            return wrong("not one line and a status of its own");
        };
        if !failure.ends_with(&format!(" ({errno})")) || hints.len() > 1 {
            return wrong("not its errno");
        }
        let said = failure.rsplit_once(": ").map_or(*failure, |(said, _)| said);
        Ok((status.to_string(), self.without_places(said)))
    }

    /// Removes the scratch directory's path and the random letters of a partial directory.
    fn without_places(&self, said: &str) -> String {
        let own = self.scratch.path("");
        let own = own.to_string_lossy();
        let said = said.replace(&*own, "").replace(own.trim_end_matches('/'), ".");
        match said.split_once(".partial-") {
            Some((before, rest)) => format!("{before}.partial{}", rest.get(10..).unwrap_or_default()),
            None => said,
        }
    }
}

/// Which failures have an alternative, and why.
fn goes_on(call: &TracedCall, errno: &str) -> bool {
    match call.name.as_str() {
        // the search for what killed runs left need not succeed
        "openat" => call.args.ends_with(">, \".\", O_RDONLY|O_LARGEFILE|O_CLOEXEC|O_DIRECTORY"),
        // it is only a faster way to open a directory
        "openat2" => true,
        // file systems without locks
        "flock" => errno == "ENOLCK",
        // another process created it meanwhile: it is removed, or another name is tried
        "mknodat" | "symlinkat" | "mkdirat" | "renameat2" => errno == "EEXIST",
        // a file system without hard links, owners of links or times: a copy is created, or the loss is
        // counted
        "linkat" => ["EMLINK", "EPERM", "EACCES", "EXDEV"].contains(&errno),
        "utimensat" => ["EPERM", "EACCES", "EINVAL"].contains(&errno),
        _ => false,
    }
}

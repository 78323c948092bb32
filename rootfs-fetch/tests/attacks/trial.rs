//! An attack, as each user that tests can become, with and without openat2(2).

use std::fs;
use std::path::Path;

use tests::fetch::{As, Scratch, feed};

/// The expected reaction to an archive.
pub enum Taken {
    /// Exit code 4, and a line that contains this.
    Refused(&'static str),
    /// Exit code 0, and this is true of the new root.
    Confined(fn(&Path)),
}
pub use Taken::{Confined, Refused};

/// Unpacks an archive with the tool.
#[track_caller]
pub fn attack(archive: &[u8], taken: &Taken) {
    attack_with(archive, taken, &[]);
}

/// The same with options.
#[track_caller]
pub fn attack_with(archive: &[u8], taken: &Taken, options: &[&str]) {
    // for other programs, and for fuzzing: the corpus as files, named after their tricks
    if let (Some(corpus), Some(name)) = (std::env::var_os("ATTACK_CORPUS"), std::thread::current().name()) {
        fs::write(Path::new(&corpus).join(format!("{name}.tar")), archive).expect("the corpus is written");
    }
    for &who in As::all() {
        for walk in [false, true] {
            let scratch = Scratch::new();
            let before = scratch.surroundings();
            let mut command = scratch.command(who);
            command.args(options).args(["-", "root"]);
            if walk {
                command.env("ROOTFS_FETCH_NO_OPENAT2", "1");
            }
            let outcome = feed(command, archive);
            let context = format!("as {who:?}, walk {walk}: {outcome:?}");
            assert_eq!(scratch.surroundings(), before, "something outside changed, {context}");
            match taken {
                Refused(line) => {
                    assert_eq!(outcome.code, Some(4), "{context}");
                    assert!(outcome.stderr.contains(line), "{line:?} is not said, {context}");
                    let said = outcome.stderr.lines().filter(|line| !line.contains(": hint: ")).count();
                    assert_eq!(said, 1, "{context}");
                    assert_eq!(scratch.left(), Vec::<String>::new(), "{context}");
                }
                Confined(check) => {
                    assert_eq!(outcome.code, Some(0), "{context}");
                    assert_eq!(scratch.left(), ["root"], "{context}");
                    check(&scratch.work().join("root"));
                }
            }
        }
    }
}

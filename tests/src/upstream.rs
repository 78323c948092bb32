//! The tests of coreutils and util-linux for their own programs, run with ours.
//!
//! `tests/upstream` downloads them once; they are under the GPL and not in this repository.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::run::{Ended, Run};
use crate::scratch::Scratch;
use crate::tools::tools;

/// The downloaded tests.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// chroot(1) as coreutils' tests call it, implemented by chroot-rs.
///
/// Its standard error differs intentionally: our name, and advice where GNU refers to --help. `ROOT` replaces
/// `/`.
const CHROOT: &str = r#"#!/bin/sh
said=$(mktemp)
for word; do
    shift
    [ "$word" != / ] || word=$ROOT
    set -- "$@" "$word"
done
"$CHROOT_RS" $OPTIONS "$@" 2>"$said"
status=$?
sed "s/^chroot-rs: hint: .*/Try 'chroot --help' for more information./; s/^chroot-rs: /chroot: /" "$said" >&2
rm -f "$said"
exit $status
"#;

/// The argument of chroot-rs where a test has `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slash {
    /// The same.
    Slash,
    /// Another mount point of the same tree, so that the root does change.
    Elsewhere,
}

/// One of coreutils' tests of chroot(1), by its name, for chroot-rs with `options`.
#[track_caller]
pub fn coreutils(test: &str, options: &str, slash: Slash) -> Ended {
    let source = source().join("coreutils");
    let build = Scratch::new();
    for dir in ["src", "elsewhere"] {
        fs::create_dir(build.path(dir)).expect("a directory");
    }
    crate::scratch::write_script(&build.path("src/chroot"), CHROOT);
    fs::write(build.path("config.h"), "#define HAVE_SETGROUPS 1\n").expect("config.h");
    // its init.sh writes to descriptor 9, and changes to a new directory below this one
    let script = r#"[ "$ROOT" = / ] || mount --rbind / "$ROOT"; exec /bin/sh "$1" 9>&2"#;
    let program: &[&str] = match slash {
        Slash::Slash => &["/bin/sh"],
        Slash::Elsewhere => &["unshare", "--mount", "--propagation", "private", "/bin/sh"],
    };
    // root has its group among its supplementary ones only after a login, and a test relies on it
    let login = nix::unistd::geteuid().is_root().then_some(["setpriv", "--groups=0"]);
    let words: Vec<&str> = login.iter().flatten().chain(program).copied().collect();
    let (program, args) = words.split_first().expect("a program");
    let root = if slash == Slash::Slash { PathBuf::from("/") } else { build.path("elsewhere") };
    Run::new(program)
        .args(args)
        .args(["-euc", script, "sh"])
        .arg(source.join("tests/chroot").join(test))
        .env("srcdir", &source)
        .env("abs_top_builddir", build.path(""))
        .env("CONFIG_HEADER", build.path("config.h"))
        .env("built_programs", "chroot pwd")
        .env("CHROOT_RS", tools().chroot())
        .env("OPTIONS", options)
        .env("ROOT", root)
        .with(|run| _ = run.current_dir(build.path("")))
        .end()
}

/// One of util-linux' tests, as `COMPONENT/TEST`, with unshare-rs as unshare(1).
#[track_caller]
pub fn util_linux(test: &str) -> Ended {
    let source = source().join("util-linux");
    let build = Scratch::new();
    let helper = source.join("test_sigreceive");
    for (target, name) in [(tools().unshare(), "unshare"), (helper, "test_sigreceive")] {
        symlink(target, build.path(name)).expect("a link");
    }
    Run::new("bash")
        .arg(source.join("tests/ts").join(test))
        .arg(format!("--srcdir={}", source.display()))
        .arg(format!("--builddir={}", build.path("").display()))
        .args(["--nolocks", "--show-diff"])
        .end()
}

/// The directory made by `tests/upstream`: `CHAIN_UPSTREAM`, set by tests/run, or the one of this tree.
#[track_caller]
fn source() -> PathBuf {
    if let Some(source) = env::var_os("CHAIN_UPSTREAM") {
        return source.into();
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = tests.join("../.cache/upstream");
    if !source.exists() {
        Run::new(tests.join("upstream")).patience(DOWNLOAD_TIMEOUT).end().ok();
    }
    source
}

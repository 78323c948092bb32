//! A sandbox for arbitrary command lines: bubblewrap, read-only except for an empty /tmp, without network,
//! and entered as nobody, so that no argument reaches the machine.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::time::Duration;

use tests::{Run, Scratch, tools};

/// What bash does inside: it runs each command line, and prints its status and its output. No tool needs as
/// long as timeout(1) allows.
const EACH: &str = r#"
mkdir /tmp/work; cd /tmp/work
exec 3</tmp/batch/argv
while IFS= read -r -d '' count <&3; do
    words=()
    while ((count-- > 0)); do IFS= read -r -d '' word <&3; words+=("$word"); done
    answer=/dev/null
    [[ " ${words[*]} " != *" --check "* ]] || answer=/tmp/answer
    timeout -k 5 20 "/tmp/batch/$0" "${words[@]}" </dev/null >$answer 2>/tmp/said 3<&-
    printf '%s\0' "$?"
    { said=$(</tmp/said); } 2>/dev/null
    printf '%s\0' "${said:0:2000}"
    [ ! -s $answer ]
    printf '%s\0' "$?"
done
"#;

/// The result of a command line.
#[derive(Debug)]
pub struct Tried {
    /// The exit status, 128 and more for a signal.
    pub status: i32,
    /// Standard error.
    pub said: String,
    /// Whether --check wrote its answer to standard output.
    pub answered: bool,
}

/// Runs command lines of a tool, one after the other.
#[track_caller]
pub fn try_all(tool: &str, lines: &[Vec<OsString>]) -> Vec<Tried> {
    let batch = Scratch::new();
    batch.install(&tools().dir().join(tool), "");
    let mut argv = Vec::new();
    for line in lines {
        argv.extend(format!("{}\0", line.len()).into_bytes());
        for word in line {
            argv.extend(word.as_bytes());
            argv.push(0);
        }
    }
    fs::write(batch.path("argv"), argv).expect("command lines, written");
    let ended = sandbox(&batch.path("")).args(["bash", "-c", EACH, tool]).patience(Duration::from_secs(900));
    let ended = ended.end();
    let mut parts = ended.stdout.split(|byte| *byte == 0);
    let mut tried = Vec::new();
    while let (Some(status), Some(said), Some(answered)) = (parts.next(), parts.next(), parts.next()) {
        let status = String::from_utf8_lossy(status).parse().expect("a status");
        tried.push(Tried {
            status,
            said: String::from_utf8_lossy(said).into_owned(),
            answered: answered == b"1",
        });
    }
    assert_eq!(tried.len(), lines.len(), "{tool}: not all were tried: {:?}, {}", ended.end, ended.err());
    tried
}

fn sandbox(batch: &Path) -> Run {
    let nobody: &[&str] = if nix::unistd::geteuid().is_root() {
        &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    } else {
        &[]
    };
    let words = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev"];
    let words = nobody.iter().copied().chain(words).map(OsString::from);
    let mut words = words.chain(["--proc", "/proc", "--tmpfs", "/tmp", "--ro-bind"].map(OsString::from));
    let program = words.next().expect("a program");
    let run = Run::new(program).args(words).arg(batch).arg("/tmp/batch").arg("--");
    // none of the caller's settings that a tool would read: proxies, credentials, the cache
    run.with(|command| {
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/tmp/work").env("LC_ALL", "C");
    })
}

/// A command line in shell syntax, to be tried by hand.
pub fn typed(tool: &str, line: &[OsString]) -> String {
    let quoted = |word: &OsString| {
        let bytes = word.clone().into_vec();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=./:,+%@".contains(byte);
        if !bytes.is_empty() && bytes.iter().all(plain) {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        let bytes = bytes.iter().map(|byte| match byte {
            b'\'' | b'\\' | 0..=31 | 127.. => format!("\\x{byte:02x}"),
            _ => char::from(*byte).to_string(),
        });
        format!("$'{}'", bytes.collect::<String>())
    };
    format!("{tool} {}", line.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

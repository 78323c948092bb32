//! The fuzz targets: each feeds arbitrary bytes to a parser of foreign input. `fuzz/` runs them under
//! libFuzzer, `tests/corpus.rs` replays the corpus with its own mutations.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Component, Path};
use std::time::Duration;

use cgexec_rs::dbus::{Connection, Message};
use cgexec_rs::hierarchy::Hierarchies;
use cgexec_rs::systemd::Scope;

/// The size of a socket's buffer.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Reads D-Bus messages, one after another.
pub fn message(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((message, len))) = Message::parse(rest) {
        assert!(len >= 16, "a message has a header");
        if let Ok(texts) = message.texts() {
            let length: usize = texts.iter().map(String::len).sum();
            assert!(length <= len, "what is read was there");
        }
        let _ = message.number();
        assert!(len <= rest.len(), "a message ends where there are still bytes");
        rest = rest.get(len..).unwrap_or_default();
    }
}

/// Requests a scope and reads `data` as the response. The first byte selects systemd or a bus.
pub fn conversation(data: &[u8]) {
    let Some((bus, answer)) = data.split_first() else { return };
    let (Ok((ours, mut theirs)), true) = (UnixStream::pair(), answer.len() <= MAX_ANSWER_BYTES) else {
        return;
    };
    let all = theirs.write_all(answer).and_then(|()| theirs.shutdown(Shutdown::Write));
    let scope = Scope { name: "cgexec-0123456789abcdef.scope".to_string(), ..Scope::default() };
    // the end of the response ends the conversation, not the clock
    let timeout = Duration::from_secs(60);
    if let (Ok(()), Ok(connection)) = (all, Connection::over(ours, timeout)) {
        let _ = scope.start(connection, bus & 1 == 1);
    }
}

/// Parses a mount table and /proc/self/cgroup, separated by a line of `#`.
pub fn hierarchies(data: &[u8]) {
    let middle = data.windows(3).position(|three| three == b"\n#\n").unwrap_or(data.len());
    let (table, own) = data.split_at(middle);
    for hierarchy in Hierarchies::parse(table, own.get(3..).unwrap_or_default()).list {
        // for all bytes, the current group is below the mount
        let below = hierarchy.own.strip_prefix(&hierarchy.mount);
        let is_below = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        assert!(below.is_ok_and(is_below));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is fuzzed: each reader of foreign bytes, fed with any. `fuzz/` runs these under
//! libFuzzer, `tests/corpus.rs` replays its corpus with mutations of its own.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Component, Path};
use std::time::Duration;

use crate::dbus::{Connection, Message};
use crate::hierarchy::Hierarchies;
use crate::systemd::Scope;

/// What a socket holds while nobody reads.
const MOST: usize = 64 << 10;

/// Messages of D-Bus, one after the other.
pub fn message(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((message, len))) = Message::parse(rest) {
        assert!(len >= 16, "a message has a head");
        if let Ok(texts) = message.texts() {
            let length: usize = texts.iter().map(String::len).sum();
            assert!(length <= len, "what is read was there");
        }
        assert!(len <= rest.len(), "a message ends where there still are bytes");
        rest = rest.get(len..).unwrap_or_default();
    }
}

/// All that a systemd, or a bus before it, says while it is asked for a scope; the first byte chooses.
pub fn conversation(data: &[u8]) {
    let Some((bus, says)) = data.split_first() else { return };
    let (Ok((ours, mut theirs)), true) = (UnixStream::pair(), says.len() <= MOST) else { return };
    let all = theirs.write_all(says).and_then(|()| theirs.shutdown(Shutdown::Write));
    let scope = Scope { name: "cgexec-0123456789abcdef.scope".to_string() };
    // a peer that has said all there is ends it, not the clock
    let timeout = Duration::from_secs(60);
    if let (Ok(()), Ok(connection)) = (all, Connection::over(ours, timeout)) {
        let _ = scope.start(connection, bus & 1 == 1);
    }
}

/// A mount table and the own places in it, with a line of `#` between.
pub fn hierarchies(data: &[u8]) {
    let middle = data.windows(3).position(|three| three == b"\n#\n").unwrap_or(data.len());
    let (table, own) = data.split_at(middle);
    for hierarchy in Hierarchies::parse(table, own.get(3..).unwrap_or_default()).list {
        // whatever the bytes were, the own group lies below the mount
        let below = hierarchy.own.strip_prefix(&hierarchy.mount);
        let is_below = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        assert!(below.is_ok_and(is_below));
    }
}

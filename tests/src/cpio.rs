// SPDX-License-Identifier: MIT OR Apache-2.0
//! An archive as the kernel unpacks it for its first root: cpio(5), the "new" format.

use std::path::Path;

/// An archive that grows in memory; everything in it belongs to root.
#[derive(Debug, Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

/// What an entry is, in the high bits of its mode: inode(7).
#[derive(Clone, Copy)]
enum Kind {
    Directory = 0o04_0000,
    File = 0o10_0000,
    Link = 0o12_0000,
    CharDevice = 0o02_0000,
}

impl Cpio {
    /// Adds a directory; the kernel wants it before what is inside.
    pub fn directory(&mut self, path: &str, mode: u32) {
        self.entry(path, Kind::Directory, mode, (0, 0), &[]);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, Kind::File, mode, (0, 0), content);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.entry(path, Kind::Link, 0o777, (0, 0), target.as_bytes());
    }

    /// Adds a character device with its major and minor number.
    pub fn device(&mut self, path: &str, mode: u32, number: (u32, u32)) {
        self.entry(path, Kind::CharDevice, mode, number, &[]);
    }

    /// The archive with its end mark.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", Kind::File, 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, kind: Kind, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let name = Path::new(path).strip_prefix("/").map_or(path, |inside| inside.to_str().unwrap_or(path));
        let size = u32::try_from(content.len()).expect("a file below 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a short name");
        self.bytes.extend(b"070701");
        let number = self.entries;
        // inode, mode, uid, gid, links, time, size, device, device of a node, name, checksum
        let fields = [number, kind as u32 | mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_start_at_a_multiple_of_four() {
        let mut cpio = Cpio::default();
        cpio.directory("/etc", 0o755);
        cpio.file("/etc/motd", 0o644, b"hello");
        let bytes = cpio.finish();
        let text = String::from_utf8(bytes).unwrap();
        let starts: Vec<_> = text.match_indices("070701").map(|(at, _)| at % 4).collect();
        assert_eq!(starts, [0, 0, 0]);
        assert!(text.contains("etc/motd\0\0hello\0\0\x00070701"), "{text:?}");
        assert!(text.starts_with("07070100000001000041ed00000000"), "{text:?}");
    }

    mod as_anyone {
        use super::*;
        use crate::scratch::busybox;
        use crate::{Run, Scratch};

        #[test]
        #[ignore = "needs busybox-static"]
        fn busybox_unpacks_what_was_packed() {
            let mut cpio = Cpio::default();
            cpio.directory("/dir", 0o755);
            cpio.file("/dir/file", 0o640, b"content");
            cpio.link("/dir/link", "file");
            let scratch = Scratch::new();
            let unpack = |command: &mut std::process::Command| {
                command.current_dir(scratch.path(""));
            };
            Run::new(busybox()).args(["cpio", "-i"]).with(unpack).stdin(cpio.finish()).end().ok();
            assert_eq!(std::fs::read_to_string(scratch.path("dir/link")).unwrap(), "content");
        }
    }
}

//! An archive for the kernel's initramfs: cpio(5), the "new" format.

use std::io::Write as _;

use cpio::newc::{Builder, ModeFileType, trailer};

/// An archive that grows in memory; everything in it belongs to root.
#[derive(Debug, Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    /// Each file has its own number: the kernel treats equal numbers as names of one file.
    inodes: u32,
}

impl Cpio {
    /// Adds a directory; the kernel needs it before its contents.
    pub fn directory(&mut self, path: &str, mode: u32) {
        self.entry(path, ModeFileType::Directory, mode, (0, 0), &[]);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, ModeFileType::Regular, mode, (0, 0), content);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.entry(path, ModeFileType::Symlink, 0o777, (0, 0), target.as_bytes());
    }

    /// Adds a character device with its major and minor number.
    pub fn device(&mut self, path: &str, mode: u32, (major, minor): (u32, u32)) {
        self.entry(path, ModeFileType::Char, mode, (major, minor), &[]);
    }

    /// The archive with its end mark.
    pub fn finish(self) -> Vec<u8> {
        trailer(self.bytes).expect("a Vec takes all")
    }

    fn entry(&mut self, path: &str, kind: ModeFileType, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inodes += 1;
        let builder = Builder::new(path.trim_start_matches('/')).ino(self.inodes).nlink(1).mode(mode);
        let builder = builder.set_mode_file_type(kind).rdev_major(device.0).rdev_minor(device.1);
        let size = u32::try_from(content.len()).expect("a file below 4 GiB");
        let mut writer = builder.write(&mut self.bytes, size);
        writer.write_all(content).and_then(|()| writer.finish().map(drop)).expect("a Vec takes all");
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

//! The files of an image on this machine: in a directory, or in a tar archive that is read in place.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use chain::reporter::quoted;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::archive::decode::{HEAD_BYTES, is_plain};
use crate::archive::open::open;
use crate::archive::stream::{SizeLimit, Stream};
use crate::archive::tar::EntryKind;
use crate::archive::tar::reader::{Reader, padded};
use crate::digest::Digest;
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::io;
use crate::tree::Tree;
use crate::tree::directories::Origin;
use crate::tree::entry_path::EntryPath;
use crate::tree::name::Name;

/// The maximum number of files in an archive; an image has a few hundred.
const MAX_MEMBERS: usize = 100_000;
/// The maximum number of bytes of their names.
const MAX_NAME_BYTES: usize = 32 << 20;
/// The maximum number of links followed from one file to another.
const MAX_LINKS: usize = 8;

/// The files of an image, by name.
#[derive(Debug)]
pub enum Layout {
    /// Files below a directory.
    Directory(OwnedFd),
    /// Members of an archive.
    Archive(Arc<File>, HashMap<Name, Member>),
}

/// A member of an archive.
#[derive(Debug)]
pub enum Member {
    /// Bytes of the archive.
    Bytes {
        /// Offset in the archive.
        offset: u64,
        /// Length.
        size: u64,
    },
    /// The target of a link: docker save links to a layer that it has already written.
    Link(Vec<u8>),
}

/// The bytes of a blob.
pub type BlobReader = Box<dyn Read + Send>;

impl Layout {
    /// Opens an image layout.
    ///
    /// # Errors
    /// Not found, denied.
    pub fn directory(path: &Path) -> Result<Self> {
        crate::tree::open_plain(path).map(Self::Directory).map_err(|error| {
            Failure::call("open the image", format_args!("openat({})", quoted(path)), error).or_not_found()
        })
    }

    /// Lists the members of an archive. A compressed archive is first decoded into an unnamed file in
    /// `temp_dir`.
    ///
    /// # Errors
    /// Damaged, I/O.
    pub fn archive(path: &Path, temp_dir: &Path, max_bytes: u64, interrupt: &Interrupt) -> Result<Self> {
        let mut file = File::from(open(path)?);
        let mut head = [0; HEAD_BYTES];
        let count = file.read_at(&mut head, 0).map_err(Failure::read)?;
        if !is_plain(head.get(..count).unwrap_or_default()) {
            file = decode(file, temp_dir, max_bytes, interrupt)?;
        }
        Self::of_file(Arc::new(file), max_bytes, interrupt)
    }

    /// Lists the members of an archive that is not compressed.
    ///
    /// # Errors
    /// Damaged, I/O.
    pub fn of_file(file: Arc<File>, max_bytes: u64, interrupt: &Interrupt) -> Result<Self> {
        let members = members(&file, max_bytes, interrupt)?;
        Ok(Self::Archive(file, members))
    }

    /// Parts in memory, each under its own name and under its SHA-256.
    pub fn of_memory(parts: &[(&str, &[u8])]) -> Option<Self> {
        let fd = rustix::fs::memfd_create("parts", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
        let mut members = HashMap::new();
        let mut offset = 0;
        for (name, data) in parts {
            let size = data.len() as u64;
            io::write_all(&fd, data).ok()?;
            for name in [(*name).to_owned(), Digest::of(data).blob()] {
                members.insert(Name::parse(name.as_bytes()).ok()?, Member::Bytes { offset, size });
            }
            offset += size;
        }
        Some(Self::Archive(Arc::new(fd.into()), members))
    }

    /// Opens a file and returns its size in bytes; None if it does not exist.
    ///
    /// # Errors
    /// Damaged, for cyclic links; those of openat2(2).
    pub fn open(&self, name: &str) -> Result<Option<(BlobReader, u64)>> {
        match self {
            Self::Directory(dir) => open_file(dir, name),
            Self::Archive(file, members) => {
                let mut name = Name::parse(name.as_bytes())?;
                for _ in 0..MAX_LINKS {
                    match members.get(&name) {
                        None => return Ok(None),
                        Some(&Member::Bytes { offset, size }) => {
                            let end = offset.saturating_add(size);
                            return Ok(Some((
                                Box::new(Section { file: file.clone(), at: offset, end }),
                                size,
                            )));
                        }
                        Some(Member::Link(target)) => name = resolve_link(&name, target)?,
                    }
                }
                Err(Failure::damaged(format_args!("links in the image form a cycle at {name}")))
            }
        }
    }

    /// Reads a small file.
    ///
    /// # Errors
    /// Those of [`Self::open`]; damaged, if it is too large.
    pub fn read(&self, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
        let Some((part, size)) = self.open(name)? else { return Ok(None) };
        if size > max_bytes {
            return Err(Failure::damaged(format_args!("refused {name:?}: larger than {max_bytes} bytes")));
        }
        let mut data = Vec::new();
        part.take(max_bytes).read_to_end(&mut data).map_err(Failure::read)?;
        Ok(Some(data))
    }
}

fn open_file(dir: &OwnedFd, name: &str) -> Result<Option<(BlobReader, u64)>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    // docker save writes links for layers; no link may lead out of the image
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let opened = match rustix::fs::openat2(dir, name, flags - OFlags::NOFOLLOW, Mode::empty(), inside) {
        // AGAIN: it was at a "..", and something was renamed or mounted anywhere on the machine meanwhile
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => match walk(dir, name)? {
            Some(entry_path) => rustix::fs::openat(entry_path.dir(), entry_path.leaf(), flags, Mode::empty()),
            None => Err(Errno::NOENT),
        },
        other => other,
    };
    match opened {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(Failure::entry_call("read the image", format_args!("openat({name:?})"), error)),
        Ok(fd) => {
            let file = File::from(fd);
            let meta = file.metadata().map_err(Failure::read)?;
            if !meta.is_file() {
                return Err(Failure::damaged(format_args!("{name:?} of the image is not a file")));
            }
            Ok(Some((Box::new(file), meta.len())))
        }
    }
}

/// The same without openat2(2), before Linux 5.6, or if that was disturbed.
fn walk(dir: &OwnedFd, name: &str) -> Result<Option<EntryPath>> {
    let root = dir.try_clone().map_err(Failure::read)?;
    let mut tree = Tree::new(root, Origin::Found)?;
    let mut name = Name::parse(name.as_bytes())?;
    for _ in 0..MAX_LINKS {
        let Some(entry_path) = tree.existing_entry_path(&name)? else { return Ok(None) };
        match rustix::fs::readlinkat(entry_path.dir(), entry_path.leaf(), Vec::new()) {
            Ok(target) if target.as_bytes().starts_with(b"/") => name = Name::parse(target.as_bytes())?,
            Ok(target) => name = resolve_link(&name, target.as_bytes())?,
            // not a link, or missing
            Err(_) => return Ok(Some(entry_path)),
        }
    }
    Ok(None)
}

/// The name that a link at `name` leads to; `..` stops at the root.
fn resolve_link(name: &Name, target: &[u8]) -> Result<Name> {
    let (directory, _) = name.split();
    let mut parts: Vec<&[u8]> = directory.split(|&byte| byte == b'/').collect();
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Name::parse(&parts.join(&b'/'))
}

fn members(file: &Arc<File>, max_bytes: u64, interrupt: &Interrupt) -> Result<HashMap<Name, Member>> {
    let section = Box::new(Section::whole(file.clone()));
    let mut stream = Stream::start(section, None, SizeLimit::new(max_bytes), interrupt)?.known_to_be_whole();
    let mut reader = Reader::default();
    let mut members = HashMap::new();
    let mut name_bytes = 0;
    while let Some(entry) = reader.next(&mut stream)? {
        let name = Name::parse(&entry.raw_name)?;
        let member = match entry.kind {
            EntryKind::File => Some(Member::Bytes { offset: stream.taken_by_reader(), size: entry.stored }),
            EntryKind::Symlink(target) => Some(Member::Link(target)),
            // hard links are relative to the root
            EntryKind::HardLink(target) => Some(Member::Link([b"/".as_slice(), &target].concat())),
            _ => None,
        };
        name_bytes += name.bytes().len();
        if let Some(Member::Link(target)) = &member {
            name_bytes += target.len();
        }
        members.extend(member.map(|member| (name, member)));
        if members.len() > MAX_MEMBERS || name_bytes > MAX_NAME_BYTES {
            return Err(Failure::damaged("refused: no image has so many parts"));
        }
        stream.skip(padded(entry.stored))?;
    }
    Ok(members)
}

/// Decodes an archive into an unnamed file.
fn decode(file: File, temp_dir: &Path, max_bytes: u64, interrupt: &Interrupt) -> Result<File> {
    let mut stream = Stream::start(Box::new(file), None, SizeLimit::new(max_bytes), interrupt)?;
    let plain = io::unnamed_file(temp_dir, "decode the image archive")?;
    while !stream.at_end()? {
        io::write_all(&plain, stream.bytes(u64::MAX)?)?;
    }
    Ok(plain)
}

/// Part of a file that other readers share.
#[derive(Debug)]
pub struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Section {
    /// All of a file.
    pub fn whole(file: Arc<File>) -> Self {
        Self { file, at: 0, end: u64::MAX }
    }
}

impl Read for Section {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let max_bytes = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(into.len());
        let count = self.file.read_at(into.get_mut(..max_bytes).unwrap_or_default(), self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_an_archive_is_seen_from_where_it_is() {
        let name = |text: &str| Name::parse(text.as_bytes()).expect("a name");
        assert_eq!(
            resolve_link(&name("a/layer.tar"), b"../b/layer.tar").expect("inside"),
            name("b/layer.tar")
        );
        assert_eq!(resolve_link(&name("a"), b"b").expect("inside"), name("b"));
        assert_eq!(resolve_link(&name("a/b"), b"../../../c").expect("clamped"), name("c"));
    }
}

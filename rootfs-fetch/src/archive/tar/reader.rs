//! From a stream of blocks to entries: headers, the headers that extend them, end marks.

use chain::reporter::Quoted;

use crate::archive::foreign;
use crate::archive::stream::Stream;
use crate::archive::tar::header::{Format, Header, text};
use crate::archive::tar::pax::Pax;
use crate::archive::tar::sparse::{self, Lines, Map};
use crate::archive::tar::{BLOCK, Entry, EntryKind, Time};
use crate::failure::{Failure, Result};

/// How much of data that begins with zeros is kept to identify it: a descriptor of ISO 9660 is at 32 KiB.
const KNOWN_BY: usize = 0x8006;

/// The maximum number of bytes of headers for one entry.
const MAX_METADATA_BYTES: u64 = 1 << 20;

/// Reads entries one after the other.
#[derive(Debug, Default)]
pub struct Reader {
    global: Pax,
    last: Vec<u8>,
    entries: u64,
    may_be_empty: bool,
    followed: bool,
}

/// The headers before the header of one entry.
#[derive(Debug, Default)]
struct PendingHeaders {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    bytes: u64,
}

impl Reader {
    /// A reader for a layer, which can be completely empty.
    pub fn of_layer() -> Self {
        Self { may_be_empty: true, ..Self::default() }
    }

    /// The next entry. Its contents, padded to a block, come next in the stream.
    ///
    /// # Errors
    /// Damaged, and those of the stream.
    pub fn next(&mut self, stream: &mut Stream) -> Result<Option<Entry>> {
        let entry = self.find(stream).map_err(|failure| self.located(failure))?;
        if let Some(entry) = &entry {
            self.entries += 1;
            self.last.clone_from(&entry.raw_name);
        }
        Ok(entry)
    }

    /// Adds the position of the entry at which a failure was noticed.
    fn located(&self, failure: Failure) -> Failure {
        if self.last.is_empty() {
            return failure;
        }
        failure.located(format_args!("entry {}, after {}", self.entries + 1, Quoted(&self.last)))
    }

    fn find(&mut self, stream: &mut Stream) -> Result<Option<Entry>> {
        let mut before = PendingHeaders::default();
        if !self.may_be_empty && self.entries == 0 && stream.has_less_than_a_block()? {
            return Err(if stream.at_end()? { Failure::damaged("the archive is empty") } else { not_tar() });
        }
        loop {
            let Some(block) = stream.block()? else {
                return if stream.is_whole() { Ok(None) } else { Err(no_end_mark()) };
            };
            if block.iter().all(|&byte| byte == 0) {
                return self.close(stream).map(|()| None);
            }
            let block = *block;
            let header = Header::new(&block).map_err(|failure| self.not_tar(failure))?;
            match header.typeflag() {
                b'g' => {
                    let data = metadata(stream, &header, &mut before)?;
                    self.global.read_global(&data)?;
                }
                b'x' | b'X' => {
                    let data = metadata(stream, &header, &mut before)?;
                    let mut pax = Pax::default();
                    pax.read(&data)?;
                    once(&mut before.pax, pax)?;
                }
                b'L' => {
                    let data = metadata(stream, &header, &mut before)?;
                    once(&mut before.name, text(&data).to_vec())?;
                }
                b'K' => {
                    let data = metadata(stream, &header, &mut before)?;
                    once(&mut before.link, text(&data).to_vec())?;
                }
                // the label of a volume is not an entry
                b'V' => stream.skip(padded(header.size()?))?,
                _ => return self.entry(stream, &header, before).map(Some),
            }
        }
    }

    /// After the first block of zeros: reads the rest for its checksums, and distinguishes an archive without
    /// entries from other data that begins with zeros.
    fn close(&mut self, stream: &mut Stream) -> Result<()> {
        let mut head = vec![0; BLOCK];
        let mut more = false;
        stream.drain(|bytes| {
            head.extend_from_slice(
                bytes.get(..bytes.len().min(KNOWN_BY.saturating_sub(head.len()))).unwrap_or_default(),
            );
            more = more || bytes.iter().any(|&byte| byte != 0);
        })?;
        if more && self.entries == 0 && !self.may_be_empty {
            return Err(foreign::image(&head).map_or_else(not_tar, foreign::refused));
        }
        self.followed = more;
        Ok(())
    }

    /// Whether data other than zeros came after the end mark, such as a second archive.
    pub fn is_followed(&self) -> bool {
        self.followed
    }

    fn not_tar(&self, failure: Failure) -> Failure {
        if self.entries == 0 && self.last.is_empty() {
            return not_tar();
        }
        failure
    }

    fn entry(&self, stream: &mut Stream, header: &Header<'_>, before: PendingHeaders) -> Result<Entry> {
        let pax = before.pax.unwrap_or_default();
        let (name, link) = (before.name, before.link);
        let mut stored = match pax.size {
            Some(size) => size,
            None => header.size()?,
        };
        let raw_name =
            (pax.sparse.name.clone()).or(pax.path.clone()).or(name).unwrap_or_else(|| header.name());
        let linkname = pax.linkpath.clone().or(link).unwrap_or_else(|| header.linkname().to_vec());
        let kind = match self.kind(stream, header, &pax, &mut stored)? {
            EntryKind::Symlink(_) => EntryKind::Symlink(linkname),
            EntryKind::HardLink(_) => EntryKind::HardLink(linkname),
            // before POSIX, a directory was a name with a trailing slash, and readers still accept that
            EntryKind::File if raw_name.ends_with(b"/") => EntryKind::Directory,
            kind => kind,
        };
        let entry = Entry {
            mode: header.mode()?,
            uid: owner(pax.uid.or(self.global.uid).value(), || header.uid())?,
            gid: owner(pax.gid.or(self.global.gid).value(), || header.gid())?,
            mtime: match pax.mtime.or(self.global.mtime).value() {
                Some(time) => time,
                None => Time { seconds: header.mtime()?, nanoseconds: 0 },
            },
            xattrs: pax.xattrs,
            raw_name,
            kind,
            stored,
        };
        check_size(entry)
    }

    fn kind(
        &self,
        stream: &mut Stream,
        header: &Header<'_>,
        pax: &Pax,
        stored: &mut u64,
    ) -> Result<EntryKind> {
        Ok(match header.typeflag() {
            b'0' | 0 | b'7' => return sparse_file(stream, pax, stored),
            b'S' => {
                let layout = if header.format() == Format::Star { &sparse::STAR } else { &sparse::OLD_GNU };
                let mut segments = Vec::new();
                let mut more = sparse::segments(header.block(), layout, &mut segments)?;
                while more {
                    let block =
                        stream.block()?.ok_or_else(|| Failure::damaged("the archive is cut short"))?;
                    more = sparse::segments(block, &sparse::EXTENSION, &mut segments)?;
                }
                EntryKind::Sparse(Map::new(segments, sparse::real_size(header.block(), layout)?, *stored)?)
            }
            // whatever their size field says, no contents follow: POSIX requires this, except for hard links;
            // GNU tar, libarchive, Go and Python do it for hard links, too
            flag @ b'1'..=b'6' => {
                *stored = 0;
                without_contents(flag, header)?
            }
            b'D' => {
                // a list of names in an incremental dump, which a full unpack does not need
                stream.skip(padded(*stored))?;
                *stored = 0;
                EntryKind::Directory
            }
            b'M' | b'N' => return Err(Failure::damaged("this is one volume of a multi-volume archive")),
            other => EntryKind::Unknown(other),
        })
    }
}

fn not_tar() -> Failure {
    Failure::damaged("this is not a tar archive, plain or compressed with gzip, xz, zstd, bzip2, lz4 or lzip")
}

fn without_contents(kind: u8, header: &Header<'_>) -> Result<EntryKind> {
    Ok(match kind {
        b'1' => EntryKind::HardLink(Vec::new()),
        b'2' => EntryKind::Symlink(Vec::new()),
        b'3' => EntryKind::CharDevice(header.device()?.0, header.device()?.1),
        b'4' => EntryKind::BlockDevice(header.device()?.0, header.device()?.1),
        b'5' => EntryKind::Directory,
        _ => EntryKind::Fifo,
    })
}

/// A regular file; with a map of its holes, if pax records say that it has some.
fn sparse_file(stream: &mut Stream, pax: &Pax, stored: &mut u64) -> Result<EntryKind> {
    let keys = &pax.sparse;
    if (keys.major, keys.minor) == (Some(1), Some(0)) {
        let mut lines = Lines::default();
        loop {
            let block = stream.block()?.ok_or_else(|| Failure::damaged("the archive is cut short"))?;
            *stored = stored
                .checked_sub(BLOCK as u64)
                .ok_or_else(|| Failure::damaged("the map of a sparse file is longer than the entry"))?;
            if lines.block(block)? {
                break;
            }
        }
        let size = keys.size.ok_or_else(|| Failure::damaged("a sparse file has no size"))?;
        return Ok(EntryKind::Sparse(Map::new(lines.segments(), size, *stored)?));
    }
    match keys.size {
        Some(size) if keys.major.unwrap_or(0) == 0 => {
            Ok(EntryKind::Sparse(Map::new(keys.map.clone(), size, *stored)?))
        }
        Some(_) => Err(Failure::damaged("a sparse file has an unknown version")),
        None => Ok(EntryKind::File),
    }
}

/// Readers disagree whether contents follow an entry that is a directory only by its name: refuse it.
fn check_size(entry: Entry) -> Result<Entry> {
    if i64::try_from(entry.stored).is_err() {
        return Err(Failure::damaged("the size of an entry is out of range"));
    }
    match entry.kind {
        EntryKind::File | EntryKind::Sparse(_) | EntryKind::Unknown(_) => Ok(entry),
        _ if entry.stored == 0 => Ok(entry),
        _ => Err(Failure::damaged(format_args!(
            "refused {}: it has a directory's name, but also contents",
            Quoted(&entry.raw_name)
        ))),
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Failure::damaged("two headers of one kind describe the same entry")),
    }
}

/// The id from a pax header, or else from the header; None if it is not a valid id.
fn owner(pax: Option<i64>, header: impl FnOnce() -> Result<i64>) -> Result<Option<u32>> {
    let id = match pax {
        Some(id) => id,
        None => header()?,
    };
    // (uid_t)-1 means "unchanged" to chown(2)
    Ok(u32::try_from(id).ok().filter(|&id| id != u32::MAX))
}

/// The contents of an entry that only extends another one.
fn metadata(stream: &mut Stream, header: &Header<'_>, before: &mut PendingHeaders) -> Result<Vec<u8>> {
    let size = header.size()?;
    before.bytes = before.bytes.saturating_add(size).saturating_add(BLOCK as u64);
    if before.bytes > MAX_METADATA_BYTES {
        return Err(Failure::damaged(format_args!(
            "refused: the headers of one entry claim more than {MAX_METADATA_BYTES} bytes"
        )));
    }
    let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let mut rest = size;
    while rest > 0 {
        let bytes = stream.bytes(rest)?;
        data.extend_from_slice(bytes);
        rest -= bytes.len() as u64;
    }
    stream.skip(padded(size) - size)?;
    Ok(data)
}

/// A size rounded up to whole blocks.
pub fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}

/// Skips the rest of an entry of `stored` bytes, of which `used` were read, and its padding.
///
/// # Errors
/// Damaged, if the archive ends before.
pub fn skip_rest(stream: &mut Stream, stored: u64, used: u64) -> Result<()> {
    stream.skip(stored.saturating_sub(used))?;
    stream.skip_padding(padded(stored) - used.max(stored))
}

fn no_end_mark() -> Failure {
    Failure::damaged("the archive is cut short: its end mark is missing")
        .hint("if its writer omits the end mark, save the archive to a file, or use --digest")
}

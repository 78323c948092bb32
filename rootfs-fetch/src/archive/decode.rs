//! Detects the compression of an archive by its first bytes, and decodes it.

use std::io::{BufRead, Cursor, Read, copy, sink};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::archive::foreign;
use crate::archive::read_ahead::ReadAhead;
use crate::archive::tar::header;
use crate::failure::{Failure, Kind, Result};

/// Enough to detect every format: a tar header.
pub const HEAD_BYTES: usize = 512;
/// Memory limit of the xz decoder; `xz -9` needs 65 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 1 << 30;
/// The largest zstd window, 2 GiB, as a power of two: `zstd --long=31` writes it. Only the part that the
/// archive fills takes memory.
const ZSTD_WINDOW_LOG: u32 = if usize::BITS < 64 { 27 } else { 31 };

/// The compression of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None.
    Plain,
    /// gzip, one member or many.
    Gzip,
    /// xz.
    Xz,
    /// zstd, one frame or many.
    Zstd,
    /// bzip2.
    Bzip2,
    /// lz4 frames.
    Lz4,
    /// lzip, as `.lz`.
    Lzip,
    /// The predecessor of xz, without checksums: `.lzma`.
    Lzma,
}

impl Compression {
    /// Detects the compression by the first bytes.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            // the second is the legacy format without frames: `lz4 -l`, kernel images
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4,
            [b'L', b'Z', b'I', b'P', ..] => Self::Lzip,
            // properties, and a dictionary whose size is a multiple of 64 KiB
            [0x5d, 0, 0, ..] => Self::Lzma,
            _ => Self::Plain,
        }
    }
}

/// Whether an archive with this beginning is not compressed: it begins with a tar header, which can look like
/// anything, or with no known compression.
pub fn is_plain(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(header::is_header)
        || Compression::detect(head) == Compression::Plain && skippable(head).is_none()
}

/// The length of a skippable frame, which zstd and lz4 share, if one begins here.
fn skippable(head: &[u8]) -> Option<u64> {
    match head {
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] => {
            Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d])))
        }
        _ => None,
    }
}

/// Reads enough of `input` to detect its format. Returns the decoded bytes and the compression.
///
/// # Errors
/// I/O from reading; damaged, for an unsupported format.
pub fn decoded(mut input: Box<dyn Read + Send>) -> Result<(Box<dyn Read + Send>, Compression)> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    fill_head(&mut head, &mut input)?;
    // a tar archive begins with a name, which can look like anything
    if head.first_chunk().is_some_and(header::is_header) {
        return Ok((Box::new(Cursor::new(head).chain(input)), Compression::Plain));
    }
    // pzstd and zstd:chunked write skippable frames first; lz4 has them as well
    while let Some(length) = skippable(&head) {
        let in_head = head.len().min(usize::try_from(8 + length).unwrap_or(usize::MAX));
        head.drain(..in_head);
        let rest = 8 + length - in_head as u64;
        if copy(&mut input.by_ref().take(rest), &mut sink()).map_err(Failure::read)? < rest {
            return Err(Failure::damaged("the compressed data are cut short"));
        }
        fill_head(&mut head, &mut input)?;
    }
    if let Some(found) = foreign::format(&head) {
        return Err(foreign::refused(found));
    }
    if head.starts_with(b"\x1f\x9d") {
        return Err(Failure::damaged("this archive is compressed with compress(1), which is not supported")
            .hint("decompress it with gzip: zcat ARCHIVE.Z | rootfs-fetch - DIRECTORY"));
    }
    let compression = Compression::detect(&head);
    let input = Cursor::new(head).chain(input);
    if compression == Compression::Plain {
        // nothing to decode, so no thread is needed
        return Ok((Box::new(input), compression));
    }
    Ok((decoder(compression, ReadAhead::start(input))?, compression))
}

/// Reads until there are enough bytes to detect a format, or no more.
fn fill_head(head: &mut Vec<u8>, input: &mut impl Read) -> Result<()> {
    let missing = HEAD_BYTES.saturating_sub(head.len()) as u64;
    input.take(missing).read_to_end(head).map(drop).map_err(Failure::read)
}

fn decoder(compression: Compression, input: impl BufRead + Send + 'static) -> Result<Box<dyn Read + Send>> {
    Ok(match compression {
        Compression::Plain => Box::new(input),
        Compression::Gzip => {
            let start = |rest| Ok(flate2::bufread::GzDecoder::new(rest));
            let member = Some(flate2::bufread::GzDecoder::new(input));
            let rest = flate2::bufread::GzDecoder::into_inner;
            Box::new(Members { member, start, rest, begins: |byte| byte == 0x1f })
        }
        Compression::Xz => {
            let share = XzShare::take();
            let member = Some(xz(input).map_err(|error| cannot_start("xz", &error))?);
            let rest = liblzma::bufread::XzDecoder::into_inner;
            Box::new(Shared { decoder: Members { member, start: xz, rest, begins: |_| true }, _share: share })
        }
        Compression::Zstd => {
            let mut zstd = zstd::Decoder::with_buffer(input).map_err(|error| cannot_start("zstd", &error))?;
            zstd.window_log_max(ZSTD_WINDOW_LOG).map_err(|error| cannot_start("zstd", &error))?;
            Box::new(zstd)
        }
        Compression::Bzip2 => {
            let start = |rest| Ok(bzip2::bufread::BzDecoder::new(rest));
            let member = Some(bzip2::bufread::BzDecoder::new(input));
            Box::new(Members { member, start, rest: bzip2::bufread::BzDecoder::into_inner, begins: |_| true })
        }
        Compression::Lz4 => {
            let member = Some(lz4_flex::frame::FrameDecoder::new(input));
            let rest = lz4_flex::frame::FrameDecoder::into_inner;
            Box::new(Members { member, start: lz4, rest, begins: |_| true })
        }
        Compression::Lzip | Compression::Lzma => {
            let stream = if compression == Compression::Lzip { lzip() } else { lzma() };
            let stream = stream.map_err(|error| cannot_start("lzma", &error.into()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
    })
}

fn cannot_start(format: &str, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Io, format_args!("cannot start the decoder of {format}: {error}"))
}

/// The number of xz decoders that are running: layers are decoded ahead.
static XZ_DECODERS: AtomicU64 = AtomicU64::new(0);

/// A share of the memory for decoding blocks in parallel.
struct XzShare;

impl XzShare {
    fn take() -> Self {
        XZ_DECODERS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for XzShare {
    fn drop(&mut self) {
        XZ_DECODERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A decoder with its share.
struct Shared<D> {
    decoder: D,
    _share: XzShare,
}

impl<D: Read> Read for Shared<D> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.decoder.read(into)
    }
}

/// liblzma decodes blocks in parallel; a file with one block uses one thread.
fn xz<R: BufRead>(input: R) -> std::io::Result<liblzma::bufread::XzDecoder<R>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(16);
    let stream = liblzma::stream::MtStreamBuilder::new()
        .threads(u32::try_from(threads).unwrap_or(1))
        .memlimit_threading(MAX_XZ_MEMORY_BYTES / 4 / XZ_DECODERS.load(Ordering::Relaxed).max(1))
        .memlimit_stop(MAX_XZ_MEMORY_BYTES)
        .decoder()?;
    Ok(liblzma::bufread::XzDecoder::new_stream(input, stream))
}

/// The next frame, after skippable ones.
fn lz4<R: BufRead>(mut rest: R) -> std::io::Result<lz4_flex::frame::FrameDecoder<R>> {
    while rest.fill_buf()?.first().is_some_and(|first| (0x50..=0x5f).contains(first)) {
        let mut head = [0; 8];
        rest.read_exact(&mut head)?;
        let length = skippable(&head).ok_or_else(|| std::io::Error::other("other data follow them"))?;
        if copy(&mut rest.by_ref().take(length), &mut sink())? < length {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(lz4_flex::frame::FrameDecoder::new(rest))
}

/// One member after the other: `plzip` writes many.
fn lzip() -> std::result::Result<liblzma::stream::Stream, liblzma::stream::Error> {
    liblzma::stream::Stream::new_lzip_decoder(MAX_XZ_MEMORY_BYTES, liblzma::stream::CONCATENATED)
}

fn lzma() -> std::result::Result<liblzma::stream::Stream, liblzma::stream::Error> {
    liblzma::stream::Stream::new_lzma_decoder(MAX_XZ_MEMORY_BYTES)
}

/// Several members one after the other, with zeros between them and at the end, because tapes and disks are
/// written in blocks.
struct Members<R, D> {
    member: Option<D>,
    start: fn(R) -> std::io::Result<D>,
    rest: fn(D) -> R,
    /// Whether a member can begin with this byte: some decoders report any other data as truncated.
    begins: fn(u8) -> bool,
}

impl<R: BufRead, D: Read> Read for Members<R, D> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let Some(ended) = self.member.take() else { break };
            let mut rest = (self.rest)(ended);
            match skip_padding(&mut rest)? {
                Some(byte) if (self.begins)(byte) => self.member = Some((self.start)(rest)?),
                Some(_) => return Err(std::io::Error::other("other data follow them")),
                None => {}
            }
        }
        Ok(0)
    }
}

/// Skips the zeros after a member; returns the byte that follows them.
fn skip_padding(rest: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let next = bytes.get(zeros).copied();
        rest.consume(zeros);
        if next.is_some() {
            return Ok(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_first_bytes() {
        assert_eq!(Compression::detect(b"\x1f\x8b\x08"), Compression::Gzip);
        assert_eq!(Compression::detect(b"\xfd7zXZ\0\0"), Compression::Xz);
        assert_eq!(Compression::detect(b"\x28\xb5\x2f\xfd"), Compression::Zstd);
        assert_eq!(Compression::detect(b"BZh9"), Compression::Bzip2);
        assert_eq!(Compression::detect(b"\x04\x22\x4d\x18"), Compression::Lz4);
        assert_eq!(Compression::detect(b"\x02\x21\x4c\x18"), Compression::Lz4);
        assert_eq!(Compression::detect(b"usr/bin/env"), Compression::Plain);
        assert_eq!(Compression::detect(b"LZIP\x01"), Compression::Lzip);
        assert_eq!(Compression::detect(b"\x5d\0\0\x80\0"), Compression::Lzma);
        assert_eq!(Compression::detect(b""), Compression::Plain);
    }

    #[test]
    fn what_is_no_tar_archive_is_named() {
        let failure = decoded(Box::new(&b"PK\x03\x04zip"[..])).map(drop).expect_err("it is a zip archive");
        assert_eq!(failure.to_string(), "this is a zip archive; expected a tar archive");
    }
}

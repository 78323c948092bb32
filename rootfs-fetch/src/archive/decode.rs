// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an archive is compressed with, found by its first bytes, and the way back.

use std::io::{BufRead, Cursor, Read};
use std::num::NonZeroUsize;

use crate::archive::read_ahead::ReadAhead;
use crate::failure::{Failure, Kind, Result};

/// Enough to know every format by: a tar header.
const HEAD_BYTES: usize = 512;
/// The most a decoder of xz may use; `xz -9` needs 65 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 1 << 30;

/// How the bytes of an archive are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
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
}

impl Compression {
    /// Recognises the first bytes of an archive.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // a skippable frame may come first, as zstd:chunked and pzstd write
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            // the second is from before the format had frames: `lz4 -l`, and what kernels are packed with
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4,
            _ => Self::Plain,
        }
    }
}

/// The first bytes of what is not an archive we read, and what to call it.
const FOREIGN: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"hsqs", "a squashfs image"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"0707", "a cpio archive"),
    (b"!<arch>\n", "an ar archive (a .deb?)"),
    (b"<", "a page of text, not an archive"),
];

/// Reads enough of `input` to know it, and returns the decoded bytes.
///
/// # Errors
/// I/O from reading; damaged, for a format that is not one of ours.
pub fn decoded(mut input: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    input.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(Failure::read)?;
    if head.is_empty() {
        return Err(Failure::damaged("the archive is empty"));
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(Failure::damaged(format_args!("this is {what}; a tar archive is needed")));
    }
    let compression = Compression::detect(&head);
    let input = Cursor::new(head).chain(input);
    if compression == Compression::Plain {
        // nothing to decode: whoever takes these bytes is the reader
        return Ok(Box::new(input));
    }
    let input = ReadAhead::start(input).map_err(|error| Failure::no_thread(&error))?;
    decoder(compression, input)
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
            let member = Some(xz(input).map_err(|error| cannot_start("xz", &error))?);
            Box::new(Members {
                member,
                start: xz,
                rest: liblzma::bufread::XzDecoder::into_inner,
                begins: |_| true,
            })
        }
        Compression::Zstd => {
            // libzstd's own limit holds: a window of 128 MiB
            let zstd = zstd::Decoder::with_buffer(input);
            Box::new(zstd.map_err(|error| cannot_start("zstd", &error))?)
        }
        Compression::Bzip2 => {
            let start = |rest| Ok(bzip2::bufread::BzDecoder::new(rest));
            let member = Some(bzip2::bufread::BzDecoder::new(input));
            Box::new(Members { member, start, rest: bzip2::bufread::BzDecoder::into_inner, begins: |_| true })
        }
        Compression::Lz4 => {
            let member = Some(lz4_flex::frame::FrameDecoder::new(input));
            let start = |rest| Ok(lz4_flex::frame::FrameDecoder::new(rest));
            Box::new(Members {
                member,
                start,
                rest: lz4_flex::frame::FrameDecoder::into_inner,
                begins: |_| true,
            })
        }
    })
}

fn cannot_start(format: &str, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Io, format_args!("cannot start the decoder of {format}: {error}"))
}

/// One thread a block; where the file is one block, liblzma uses one thread by itself.
fn xz<R: BufRead>(input: R) -> std::io::Result<liblzma::bufread::XzDecoder<R>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(16);
    let stream = liblzma::stream::MtStreamBuilder::new()
        .threads(u32::try_from(threads).unwrap_or(1))
        .memlimit_threading(MAX_XZ_MEMORY_BYTES / 4)
        .memlimit_stop(MAX_XZ_MEMORY_BYTES)
        .decoder()?;
    Ok(liblzma::bufread::XzDecoder::new_stream(input, stream))
}

/// Files of several members one after the other, zeros between them and at the end: tapes and
/// disks are written in blocks.
struct Members<R, D> {
    member: Option<D>,
    start: fn(R) -> std::io::Result<D>,
    rest: fn(D) -> R,
    /// Whether a member may begin so: some decoders take anything for one that is cut short.
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
                Some(_) => return Err(std::io::Error::other("something else follows them")),
                None => {}
            }
        }
        Ok(0)
    }
}

/// Passes over the zeros that may follow a member; the first byte of what comes after them.
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
        assert_eq!(Compression::detect(b""), Compression::Plain);
    }

    #[test]
    fn what_is_no_tar_archive_is_named() {
        let failure = decoded(Box::new(&b"PK\x03\x04zip"[..])).map(drop).expect_err("it is a zip archive");
        assert_eq!(failure.to_string(), "this is a zip archive; a tar archive is needed");
    }
}

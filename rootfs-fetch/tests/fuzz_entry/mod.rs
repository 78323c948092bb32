//! The fuzz targets: each feeds arbitrary bytes to a parser of untrusted input. `fuzz/` runs them
//! under libFuzzer, `tests/corpus.rs` replays the corpus with mutations of its own.

use std::path::Path;

use chain::{Reporter, Verbosity};

use rootfs_fetch::archive::decode::is_plain;
use rootfs_fetch::archive::stream::{SizeLimit, Stream};
use rootfs_fetch::archive::tar::pax::Pax;
use rootfs_fetch::archive::tar::reader::{Reader, padded};
use rootfs_fetch::config::ChecksumsFile;
use rootfs_fetch::digest::Digest;
use rootfs_fetch::host::elf::Elf;
use rootfs_fetch::host::libraries::read_cache;
use rootfs_fetch::interrupt::Interrupt;
use rootfs_fetch::net::resolve;
use rootfs_fetch::net::url::Url;
use rootfs_fetch::oci::docker_archive;
use rootfs_fetch::oci::image::ImageFormat;
use rootfs_fetch::oci::layout::Layout;
use rootfs_fetch::oci::manifest;
use rootfs_fetch::oci::model::{ImageChoice, Query};
use rootfs_fetch::oci::platform::{Platform, WantedPlatform};
use rootfs_fetch::oci::reference::Reference;
use rootfs_fetch::oci::registry::challenge;
use rootfs_fetch::source::checksums;
use rootfs_fetch::source::distro::pattern::VersionPattern;
use rootfs_fetch::tree::Tree;
use rootfs_fetch::tree::directories::Origin;
use rootfs_fetch::tree::name::Name;
use rootfs_fetch::unpack::policy::{Owners, Policy};
use rootfs_fetch::unpack::{ArchiveKind, Unpacker};

/// Larger archives are not interesting.
const MAX_BYTES: u64 = 1 << 22;

fn stream(data: &[u8]) -> Option<Stream> {
    if is_plain(data) {
        // a thread takes longer to start than most of these bytes to read
        return Some(Stream::of_memory(data.to_vec(), SizeLimit::new(MAX_BYTES)));
    }
    Stream::start(
        Box::new(std::io::Cursor::new(data.to_vec())),
        None,
        SizeLimit::new(MAX_BYTES),
        &Interrupt::default(),
    )
    .ok()
}

/// Headers, of a plain or a compressed archive.
pub fn tar(data: &[u8]) {
    let Some(mut stream) = stream(data) else { return };
    let mut reader = Reader::of_layer();
    while let Ok(Some(entry)) = reader.next(&mut stream) {
        // for all bytes, an accepted name cannot leave the root
        if let Ok(name) = Name::parse(&entry.raw_name) {
            assert!(name.bytes().split(|&byte| byte == b'/').all(|part| part != b".."));
        }
        if stream.skip(padded(entry.stored)).is_err() {
            return;
        }
    }
}

/// The records of a pax header.
pub fn pax(data: &[u8]) {
    let mut pax = Pax::default();
    let _ = pax.read(data);
    let _ = pax.read_global(data);
}

/// An ELF file.
pub fn elf(data: &[u8]) {
    let _ = Elf::read(data);
}

/// The loader's cache.
pub fn ld_cache(data: &[u8]) {
    let _ = read_cache(data);
}

/// The documents of an image, as an index, a manifest and docker's list at once; then those between lines of `#`,
/// the first of which leads to the second and so on: `"digest": "@"` is the next one's, with its size.
pub fn manifest(data: &[u8]) {
    read_image(&[("index.json", data), ("manifest.json", data), ("config", data)]);
    let mut documents: Vec<Vec<u8>> = Vec::new();
    for document in String::from_utf8_lossy(data).split("\n#\n").take(5).collect::<Vec<_>>().into_iter().rev()
    {
        let next = documents.last().map_or(&b""[..], Vec::as_slice);
        let descriptor = format!("\"{}\", \"size\": {}", Digest::of(next), next.len());
        documents.push(document.replace("\"@\"", &descriptor).into_bytes());
    }
    let names = ["index.json", "1", "2", "3", "4"];
    let parts: Vec<(&str, &[u8])> =
        names.into_iter().zip(documents.iter().rev().map(Vec::as_slice)).collect();
    read_image(&parts);
    let platform = WantedPlatform::host();
    if let (Some(layout), Some((_, first))) = (Layout::of_memory(&parts), parts.first()) {
        let _ = manifest::registry(&layout, first, Digest::of(first), &platform);
    }
}

fn read_image(parts: &[(&str, &[u8])]) {
    let Some(layout) = Layout::of_memory(parts) else { return };
    let _ = ImageFormat::detect(&layout);
    let platform = WantedPlatform::host();
    for image in [ImageChoice::Only, ImageChoice::At(0), ImageChoice::Named("a")] {
        let query = Query { image, platform: &platform, source: "oci:d" };
        let _ = manifest::oci(&layout, query);
        let _ = docker_archive::find(&layout, query);
    }
}

/// The name of an image, a platform, a URL and where it leads, a challenge, checksums, names with a version: what
/// people and servers write.
pub fn reference(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(reference) = text.parse::<Reference>() {
        // what was parsed is parsed the same way after it is printed
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
    if let Ok(url) = text.parse::<Url>() {
        assert!(!url.path().bytes().any(|byte| byte <= b' '), "{}", url.path());
        // what was parsed is parsed the same way after it is printed
        assert_eq!(url.whole().as_str().parse(), Ok(url.clone()));
    }
    if let Ok(base) = "https://h/a/b?c".parse::<Url>()
        && let Ok(joined) = base.join(&text)
    {
        assert!(joined.path().starts_with('/') && !joined.path().bytes().any(|byte| byte <= b' '));
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse(), Ok(platform));
    }
    let _ = challenge::parse(&text);
    let _ = checksums::digest(data, "a", &ChecksumsFile::File("SHA256SUMS".into()));
    let _ = VersionPattern::new("a-*/b-*.tar").newest(&text);
}

/// A response of a name server.
pub fn dns(data: &[u8]) {
    let id = data.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
    let _ = resolve::dns::parse_answer(id, data);
}

/// A whole archive, into a directory whose neighbour must not change; as a tree and as a layer.
pub fn unpack(data: &[u8]) {
    let top = std::env::temp_dir().join(format!("rootfs-fetch-fuzz-{}", std::process::id()));
    let (root, neighbour) = (top.join("root"), top.join("neighbour"));
    if std::fs::create_dir_all(&root).is_err() || std::fs::create_dir_all(&neighbour).is_err() {
        return;
    }
    for kind in [ArchiveKind::Whole, ArchiveKind::Layer] {
        fill(&root, data, kind);
        let untouched = std::fs::read_dir(&neighbour).is_ok_and(|mut entries| entries.next().is_none());
        let names = std::fs::read_dir(&top).map_or(0, Iterator::count);
        assert!(untouched && names == 2, "something was written outside");
    }
    let _ = std::fs::remove_dir_all(&top);
}

fn fill(root: &Path, data: &[u8], kind: ArchiveKind) {
    let Ok(fd) = rootfs_fetch::tree::open_plain(root) else { return };
    let Ok(tree) = fd.try_clone().map_err(drop).and_then(|fd| Tree::new(fd, Origin::Made).map_err(drop))
    else {
        return;
    };
    let policy = Policy { owners: Owners::Caller, max_entries: 200, ..Policy::for_caller() };
    let mut unpacker = Unpacker::new(tree, policy, Reporter::new("fuzz", Verbosity::Quiet));
    if let Some(mut stream) = stream(data)
        && unpacker.archive(&mut stream, kind, &Interrupt::default()).is_ok()
    {
        let _ = unpacker.finish();
    }
    let _ = system::removal::empty(std::os::fd::AsFd::as_fd(&fd), &mut |_| {});
}

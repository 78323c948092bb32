//! The images that the tests push to a registry.

use serde_json::Value;
use tests::Scratch;
use tests::layout::{Layer, Layout, Packing};
use tests::server::noise;
use tests::tar::{Head, Tar};

/// One layer.
pub const ONE: &str = "one";
/// Forty of them, with whiteouts and opaque directories.
pub const FORTY: &str = "forty";
/// An index of images for three platforms; the one for amd64 is [`ONE`].
pub const PLATFORMS: &str = "platforms";
/// [`FORTY`], compressed with zstd.
pub const ZSTD: &str = "zstd";

/// A layout with all of them.
pub fn images(scratch: &Scratch) -> Layout {
    let layout = Layout::new(scratch.path("layout"));
    let one =
        |architecture: &str| layout.image(&[layout.layer(&first(architecture), Packing::Gzip)], architecture);
    let of_host = one(host());
    layout.tag(of_host, ONE);
    let forty = |packing| -> Value {
        let layers: Vec<Layer> = (0..40).map(|number| layout.layer(&numbered(number), packing)).collect();
        layout.image(&layers, host())
    };
    layout.tag(forty(Packing::Gzip), FORTY);
    layout.tag(forty(Packing::Zstd), ZSTD);
    let all: Vec<Value> = ["s390x", "arm64", "amd64"].into_iter().map(one).collect();
    layout.tag(layout.index(&all), PLATFORMS);
    layout
}

/// A layout with an image `big` of a gigabyte of holes.
pub fn gigabyte(scratch: &Scratch) -> Layout {
    let layout = Layout::new(scratch.path("layout"));
    let layer = layout.layer_of_zeros(1 << 30);
    layout.tag(layout.image(&[layer], host()), "big");
    layout
}

/// This machine's architecture, in the spelling of images.
fn host() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A layer with some of everything that a root contains.
fn first(architecture: &str) -> Vec<u8> {
    let owned = |typeflag, name: &str, owner: u32| {
        let mut head = Head::new(typeflag, name);
        head.uid = format!("{owner:07o}\0").into_bytes();
        head.gid = format!("{owner:07o}\0").into_bytes();
        head
    };
    let long = format!("usr/{}/{}", "long".repeat(20), "name".repeat(20));
    let tar = Tar::new().dir("./", 0o755).dir("etc/", 0o755).dir("usr/", 0o755).dir("usr/bin/", 0o755);
    let tar = tar.file("etc/architecture", architecture.as_bytes());
    let tar = tar.file("usr/bin/tool", &noise(70_000)).hardlink("usr/bin/other", "usr/bin/tool");
    let tar = tar.symlink("bin", "usr/bin").symlink("etc/mtab", "/proc/self/mounts");
    let tar = tar.entry(&Head::new(b'0', "usr/bin/su").mode(0o4755).size(3), b"su\n");
    let tar = tar.entry(&owned(b'5', "home/", 0).mode(0o755), b"");
    let tar = tar.entry(&owned(b'5', "home/user/", 1000).mode(0o700), b"");
    let tar = tar.entry(&owned(b'0', "home/user/note", 1000).mode(0o640).size(5), b"note\n");
    let tar = tar.dir("tmp/", 0o1777).fifo("tmp/pipe").dir("sealed/", 0o555).file("sealed/file", b"");
    let tar = tar.pax(&[("path", long.as_bytes())]).file("short", b"a long name\n");
    // through an absolute link, which means the root of the image
    tar.symlink("var", "/usr").dir("var/lib/", 0o755).file("var/lib/inside", b"below usr\n").end()
}

/// Layer `number` of forty: it adds, replaces, removes, and makes directories opaque.
fn numbered(number: usize) -> Vec<u8> {
    if number == 0 {
        return first(host());
    }
    let name = |what: &str, number: usize| format!("data/{what}-{number}");
    let mut tar = Tar::new().dir("data/", 0o755);
    tar = tar.file(name("kept", number), &noise(1000 + number));
    tar = tar.file("data/replaced", format!("by layer {number}\n").as_bytes());
    tar = tar.dir(format!("data/dir-{}/", number % 5), 0o750);
    tar = tar.file(format!("data/dir-{}/file-{number}", number % 5), b"in a directory\n");
    if number.is_multiple_of(3) {
        // removes what an earlier layer created
        tar = tar.file(format!("data/.wh.kept-{}", number - 1), b"");
    }
    if number.is_multiple_of(7) {
        // only this layer's files stay in it
        tar = tar.file(format!("data/dir-{}/.wh..wh..opq", number % 5), b"");
    }
    if number == 20 {
        // a directory becomes a file, and a file a directory
        tar = tar.file("home", b"a file now\n").file("etc/.wh.mtab", b"").dir("etc/mtab/", 0o700);
    }
    if number == 30 {
        tar =
            tar.file("usr/.wh.bin", b"").symlink("again", "data/replaced").hardlink("twice", "data/replaced");
    }
    tar.end()
}

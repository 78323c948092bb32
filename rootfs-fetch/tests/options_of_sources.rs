//! Each option with each kind of source: it has its effect, or is refused. None is ignored, unless it cannot make a
//! difference.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rootfs_fetch::cli::{Options, TOOL};
use rootfs_fetch::digest::Digest;
use serde_json::json;
use tests::fetch::{As, Files, Outcome, Scratch, archive, feed, file, oci_archive, shell};
use tests::layout::media;
use tests::server::{Server, answer};
use tests::tar::Tar;

/// One of each kind. All but the first have the file `etc/note`.
const SOURCES: [&str; 10] = [
    "host:sh",
    "plain.tar",
    "-",
    "URL",
    "oci.tar",
    "oci:image",
    "oci-archive:oci.tar",
    "docker-archive:docker.tar",
    "docker://SERVER/it",
    "distro:alpine:3.24",
];

/// What shows the effect of an option, in the new directory.
type Effect = fn(&Path, &Outcome) -> bool;

/// An option with its value, and the exit status with each source, in their order.
type Row = (&'static [&'static str], [i32; 10], Effect);

const ANY: Effect = |_, _| true;
const OK: [i32; 10] = [0; 10];
const HOST: [i32; 10] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const NOWHERE: [i32; 10] = [2; 10];
const DAMAGED: [i32; 10] = [4; 10];
/// Of 64 zeros.
const WRONG: &str = "--digest=sha256:0000000000000000000000000000000000000000000000000000000000000000";

const ROWS: &[Row] = &[
    (&["--quiet"], OK, |_, outcome| outcome.stderr.is_empty()),
    (&["--verbose"], OK, |_, outcome| outcome.stderr.contains("etc")),
    (&["--dry-run"], OK, |root, outcome| !root.exists() && outcome.stderr.lines().count() > 1),
    (&["--mirror=http://127.0.0.1:1/"], [2, 2, 2, 2, 2, 2, 2, 2, 2, 6], ANY),
    (&["--platform=linux/mips"], [2, 3, 3, 3, 3, 3, 3, 3, 3, 3], ANY),
    (&["--platform=linux/mips", "--into"], [2, 3, 3, 3, 3, 3, 3, 3, 3, 3], ANY),
    (&["--platform=linux/mips", "--dry-run"], [2, 3, 3, 3, 3, 3, 3, 3, 3, 3], ANY),
    (&["--platform=linux/amd64"], [2, 3, 3, 3, 0, 0, 0, 0, 0, 0], ANY),
    (&["--config=c.json"], [2, 4, 4, 4, 0, 0, 0, 0, 0, 4], |root, _| root.with_file_name("c.json").exists()),
    (&["--config=c.json", "--dry-run"], [2, 4, 4, 4, 0, 0, 0, 0, 0, 4], ANY),
    (&[WRONG], [2, 4, 4, 4, 4, 4, 4, 4, 4, 4], ANY),
    (&["--checksums=WRONG"], [2, 4, 2, 4, 4, 2, 2, 2, 2, 2], ANY),
    // without checksums to be signed; those of the distribution are not
    (&["--keyring=keys"], [2, 2, 2, 2, 2, 2, 2, 2, 2, 3], ANY),
    (&["--max-size=1"], DAMAGED, ANY),
    (&["--max-size=1", "--dry-run"], DAMAGED, ANY),
    (&["--max-files=0"], DAMAGED, ANY),
    (&["--max-files=0", "--dry-run"], DAMAGED, ANY),
    (&["--cacert=no-such.pem"], [3; 10], ANY),
    (&["--insecure-http"], OK, ANY),
    (&["--insecure-registry=registry.example"], OK, ANY),
    // TLS is then also tried with this machine, and the server here has none
    (
        &["--insecure-registry=registry.example", "--insecure-tls", "--timeout=1"],
        [0, 0, 0, 0, 0, 0, 0, 0, 6, 0],
        ANY,
    ),
    (&["--timeout=20"], OK, ANY),
    (&["--cache-dir=cache"], OK, ANY),
    (&["--no-cache"], OK, ANY),
    (&["--strip-components=1"], HOST, |root, _| root.join("note").exists()),
    (&["--subdir=etc"], HOST, |root, _| root.join("note").exists()),
    (&["--exclude=n*"], OK, |root, _| {
        root.join("etc").exists()
            && ["note", "nsswitch.conf"].iter().all(|name| !root.join("etc").join(name).exists())
    }),
    (&["--exclude=*"], [3; 10], ANY),
    (&["--exclude=*", "--dry-run"], [3; 10], ANY),
    (&["--devices"], HOST, ANY),
    (&["--sparse"], HOST, ANY),
    (&["--replace"], OK, |root, _| !root.join("old").exists() && root.join("etc").exists()),
    (&["--into"], OK, |root, _| root.join("old").exists() && root.join("etc").exists()),
    (&["--mode=0711"], OK, |root, _| mode(root) == 0o711),
    (&["--mode=0711", "--into"], OK, |root, _| mode(root) == 0o711),
    (&["--no-same-owner"], OK, ANY),
    (&["--squash"], OK, ANY),
];

/// The same without DIRECTORY.
const WITHOUT_DIRECTORY: &[Row] = &[
    (&["--print-digest"], [2, 0, 0, 0, 0, 0, 0, 4, 0, 0], ANY),
    (&["--print-digest", "--platform=linux/amd64"], [2, 2, 2, 2, 2, 0, 0, 4, 0, 0], ANY),
    (&["--config=c.json"], [2, 4, 2, 2, 0, 0, 0, 0, 0, 2], |root, _| root.with_file_name("c.json").exists()),
    (&["--list"], NOWHERE, ANY),
];

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// Sources of each kind, and a server for those that need one.
struct Sources {
    scratch: Scratch,
    server: Server,
    plain: Vec<u8>,
}

impl Sources {
    fn new() -> Self {
        let scratch = Scratch::new();
        let plain = Tar::new().dir("./", 0o755).dir("etc", 0o755).file("etc/note", b"text").end();
        let (layer, image) = (archive("text"), oci_archive("text"));
        let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]}});
        let saved = Tar::new().file("c.json", config.to_string().as_bytes()).file("l.tar", &layer);
        let saved = saved.file("manifest.json", br#"[{"Config":"c.json","Layers":["l.tar"]}]"#).end();
        for (name, data) in [("plain.tar", &plain), ("oci.tar", &image), ("docker.tar", &saved)] {
            fs::write(scratch.work().join(name), data).unwrap();
        }
        let wrong = ["plain.tar", "oci.tar"].map(|name| format!("{}  {name}\n", "0".repeat(64)));
        fs::write(scratch.work().join("WRONG"), wrong.concat()).unwrap();
        fs::write(scratch.work().join("keys"), "").unwrap();
        shell(&scratch, "mkdir image && tar -C image -xf oci.tar");
        let server = server(&scratch, &plain);
        Self { scratch, server, plain }
    }

    /// Runs the tool with a source of a kind.
    fn run(&self, options: &[&str], kind: &str, directory: &[&str]) -> Outcome {
        let mut command = self.scratch.command(As::Caller);
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        let source = match kind {
            "URL" => self.server.url("plain.tar"),
            _ => kind.replace("SERVER", &format!("127.0.0.1:{}", self.server.port())),
        };
        let names = |option: &str| options.iter().any(|given| given.starts_with(option));
        if kind.starts_with("distro:") {
            // in this order, so that an option of the row is the one that counts
            command.arg("--platform=linux/amd64");
            if !names("--mirror") {
                command.arg(format!("--mirror={}", self.server.url("")));
            }
        }
        command.env("HOME", self.scratch.path("home")).args(options).arg(source).args(directory);
        feed(command, &self.plain)
    }

    fn check(&self, row: &Row, directory: &[&str], wrong: &mut Vec<String>) {
        let (options, codes, effect) = row;
        let root = self.scratch.work().join("root");
        for (kind, code) in SOURCES.iter().zip(codes) {
            if options.iter().any(|option| ["--replace", "--into"].contains(option)) {
                fs::create_dir(&root).unwrap();
                fs::write(root.join("old"), "").unwrap();
            }
            let outcome = self.run(options, kind, directory);
            let is_told = *code == 0 || outcome.stderr.lines().any(|line| line.starts_with("rootfs-fetch: "));
            let has_effect = *code != 0 || effect(&root, &outcome);
            if outcome.code != Some(*code) || !is_told || !has_effect {
                wrong.push(format!("{options:?} {kind}: expected {code}, got {outcome:?}"));
            }
            // a refused option has changed nothing
            if *code == 2 && root.join("etc").exists() {
                wrong.push(format!("{options:?} {kind}: refused after the fact"));
            }
            shell(&self.scratch, "rm -rf root c.json");
        }
    }
}

/// A server with an archive, an image in a registry and a distribution.
fn server(scratch: &Scratch, plain: &[u8]) -> Server {
    let image = scratch.work().join("image");
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(image.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let manifest = fs::read(image.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))).unwrap();
    let name = "alpine-minirootfs-3.24.10-x86_64.tar.gz";
    let at = "v3.24/releases/x86_64";
    let list = format!(
        "---\n-\n  title: \"Mini root\"\n  flavor: alpine-minirootfs\n  file: {name}\n  sha256: {}\n",
        Digest::of(plain).to_string().trim_start_matches("sha256:")
    );
    let sum = format!("{}  {name}\n", Digest::of(plain).to_string().trim_start_matches("sha256:"));
    let mut files: Files = vec![
        file("plain.tar", plain),
        file("v2/", "{}"),
        file(&format!("{at}/latest-releases.yaml"), list),
        file(&format!("{at}/{name}.sha256"), sum),
        file(&format!("{at}/{name}"), plain),
    ];
    for blob in fs::read_dir(image.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        let path = format!("v2/it/blobs/sha256:{}", blob.file_name().to_string_lossy());
        files.push(file(&path, fs::read(blob.path()).unwrap()));
    }
    Server::bytes(move |head| {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if path.contains("/manifests/") {
            let kind = format!("Content-Type: {}\r\nDocker-Content-Digest: {digest}\r\n", media::MANIFEST);
            return Some(match method {
                "HEAD" => format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{kind}\r\n").into_bytes(),
                _ => answer("200 OK", &kind, &manifest),
            });
        }
        let found = files.iter().find(|(known, _)| format!("/{known}") == path);
        Some(found.map_or_else(|| answer("404 No", "", b"no"), |(_, data)| answer("200 OK", "", data)))
    })
}

#[test]
fn every_option_has_its_effect_or_is_refused_with_every_source() {
    let sources = Sources::new();
    let mut wrong = Vec::new();
    ROWS.iter().for_each(|row| sources.check(row, &["root"], &mut wrong));
    WITHOUT_DIRECTORY.iter().for_each(|row| sources.check(row, &[], &mut wrong));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_option() {
    let rows = ROWS.iter().chain(WITHOUT_DIRECTORY);
    let words = rows.flat_map(|(options, ..)| options.iter());
    let tried: BTreeSet<&str> =
        words.map(|word| word.trim_start_matches('-').split('=').next().unwrap_or_default()).collect();
    let mut command = chain::args::command::<Options>(&TOOL);
    command.build();
    for option in command.get_arguments().filter_map(|option| option.get_long()) {
        let has_no_source = ["help", "version", "explain"].contains(&option);
        assert!(has_no_source || tried.contains(option), "--{option}");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! `distro:`, `--checksums` and `--keyring` against a server that has what the real ones are
//! said to have, in their forms.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails may say so in the shortest way"
)]

mod support;

use std::fs;
use std::process::Command;

use rootfs_fetch::digest::Digest;
use serde_json::json;
use support::scratch::feed;
use support::{As, Outcome, Scratch, Server, Tar, answer};

/// Paths on a server and what is there.
type Files = Vec<(String, Vec<u8>)>;

fn run(scratch: &Scratch, args: &[&str]) -> Outcome {
    let mut command = scratch.command(As::Caller);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("HOME", scratch.path("home")).args(args);
    feed(command, b"")
}

fn serve(files: Files) -> Server {
    Server::start(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let found = files.iter().find(|(known, _)| format!("/{known}") == path);
        Some(found.map_or_else(|| answer("404 No", "", b"no"), |(_, data)| answer("200 OK", "", data)))
    })
}

/// A root archive whose note says which it is.
fn archive(note: &str) -> Vec<u8> {
    Tar::new().dir("etc", 0o755).file("etc/note", note.as_bytes()).end()
}

fn sha256(data: &[u8]) -> String {
    Digest::of(data).hex()
}

fn file(path: &str, data: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (path.to_string(), data.into())
}

/// An image in the form of OCI whose one layer is an archive.
fn oci_archive(note: &str) -> Vec<u8> {
    let layer = archive(note);
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]}});
    let config = config.to_string().into_bytes();
    let describe = |data: &[u8], kind: &str| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": Digest::of(data).to_string(), "size": data.len()});
    let manifest = json!({"schemaVersion": 2, "config": describe(&config, "config.v1+json"), "layers": [describe(&layer, "layer.v1.tar")]});
    let manifest = manifest.to_string().into_bytes();
    let index =
        json!({"schemaVersion": 2, "manifests": [describe(&manifest, "manifest.v1+json")]}).to_string();
    let mut tar = Tar::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    tar = tar.file("index.json", index.as_bytes());
    for part in [&layer, &config, &manifest] {
        tar = tar.file(Digest::of(part).blob(), part);
    }
    tar.end()
}

/// A distribution's files, and the path of the archive that is to be found.
struct Published {
    operand: &'static str,
    archive: &'static str,
    files: Files,
}

/// What each server is said to have, for amd64: an older archive beside the newest, other
/// machines' and other kinds.
fn published() -> Vec<Published> {
    let (right, old, other) = (archive("right"), archive("old"), archive("other"));
    let [sum, old_sum, other_sum] = [&right, &old, &other].map(|data| sha256(data));
    let gnu = |sum: &str, name: &str| format!("{sum}  {name}\n");
    let bsd = |sum: &str, name: &str| format!("SHA256 ({name}) = {sum}\n");
    let signed = |text: &str| {
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n"
        )
    };
    let mut all = Vec::new();
    let mut add = |operand, archive, files| all.push(Published { operand, archive, files });

    let at = "v3.24/releases/x86_64/";
    let name = "alpine-minirootfs-3.24.10-x86_64.tar.gz";
    let yaml = format!(
        "---\n-\n  title: \"Netboot\"\n  flavor: alpine-netboot\n  file: alpine-netboot-3.24.10-x86_64.tar.gz\n-\n  flavor: alpine-minirootfs\n  file: {name}\n  sha256: {sum}\n"
    );
    add(
        "distro:alpine:3.24",
        "v3.24/releases/x86_64/alpine-minirootfs-3.24.10-x86_64.tar.gz",
        vec![
            file(&format!("{at}latest-releases.yaml"), yaml),
            file(&format!("{at}{name}.sha256"), gnu(&sum, name)),
            file(&format!("{at}{name}"), right.clone()),
        ],
    );

    let bootstrap = Tar::new().dir("root.x86_64", 0o755).dir("root.x86_64/etc", 0o755);
    let bootstrap = bootstrap.file("root.x86_64/etc/note", b"right").file("pkglist.x86_64.txt", b"x").end();
    let name = "archlinux-bootstrap-x86_64.tar.zst";
    let sums = gnu(&old_sum, "archlinux-2026.11.01-x86_64.iso") + &gnu(&sha256(&bootstrap), name);
    add(
        "distro:archlinux",
        "iso/latest/archlinux-bootstrap-x86_64.tar.zst",
        vec![file("iso/latest/sha256sums.txt", sums), file(&format!("iso/latest/{name}"), bootstrap)],
    );

    let at = "dist-amd64/trixie/oci/blobs/";
    let manifest = json!({"schemaVersion": 2, "config": {"digest": format!("sha256:{old_sum}"), "size": 1},
        "layers": [{"digest": format!("sha256:{sum}"), "size": right.len()}]});
    add(
        "distro:debian",
        "dist-amd64/trixie/oci/blobs/rootfs.tar.gz",
        vec![
            file(&format!("{at}image-manifest.json"), manifest.to_string()),
            file(&format!("{at}rootfs.tar.gz"), right.clone()),
        ],
    );

    let at = "releases/44/Container/x86_64/images/";
    let name = "Fedora-Container-Base-Generic-44-1.7.x86_64.oci.tar.xz";
    let minimal = "Fedora-Container-Base-Generic-Minimal-44-1.7.x86_64.oci.tar.xz";
    let image = oci_archive("right");
    let page = format!(
        "<a href=\"../\">up</a><a href=\"{name}\">{name}</a> <a href=\"Fedora-Container-44-1.7-x86_64-CHECKSUM\">x</a>"
    );
    let sums = format!("# {name}: 12 bytes\n") + &bsd(&sha256(&image), name) + &bsd(&other_sum, minimal);
    add(
        "distro:fedora:44",
        "releases/44/Container/x86_64/images/Fedora-Container-Base-Generic-44-1.7.x86_64.oci.tar.xz",
        vec![
            file(at, page),
            file(&format!("{at}Fedora-Container-44-1.7-x86_64-CHECKSUM"), signed(&sums)),
            file(&format!("{at}{name}"), image.clone()),
        ],
    );

    let at = "releases/amd64/autobuilds/";
    let name = "20261101T170322Z/stage3-amd64-openrc-20261101T170322Z.tar.xz";
    let base = "stage3-amd64-openrc-20261101T170322Z.tar.xz";
    add(
        "distro:gentoo",
        "releases/amd64/autobuilds/20261101T170322Z/stage3-amd64-openrc-20261101T170322Z.tar.xz",
        vec![
            file(
                &format!("{at}latest-stage3-amd64-openrc.txt"),
                signed(&format!("# Latest as of now\n{name} 287539200\n")),
            ),
            file(&format!("{at}{name}.sha256"), signed(&gnu(&sum, base))),
            file(&format!("{at}{name}"), right.clone()),
        ],
    );

    let name = "tumbleweed/appliances/opensuse-tumbleweed-image.x86_64-lxc.tar.xz";
    add(
        "distro:opensuse",
        name,
        vec![
            file(
                &format!("{name}.sha256"),
                gnu(&sum, "opensuse-tumbleweed-image.x86_64-1.0.0-lxc-Snapshot20261120.tar.xz"),
            ),
            file(name, right.clone()),
        ],
    );

    let name = "10/images/x86_64/Rocky-10-Container-Base.latest.x86_64.tar.xz";
    add(
        "distro:rocky",
        name,
        vec![
            file(
                &format!("{name}.CHECKSUM"),
                bsd(&sha256(&image), "Rocky-10-Container-Base.latest.x86_64.tar.xz"),
            ),
            file(name, image),
        ],
    );

    let at = "ubuntu-base/releases/24.04/release/";
    let of = |version: &str, machine: &str| format!("ubuntu-base-{version}-base-{machine}.tar.gz");
    let line = |sum: &str, name: &str| format!("{sum} *{name}\n");
    let sums = line(&old_sum, &of("24.04.9", "amd64")) + &line(&sum, &of("24.04.10", "amd64"));
    let sums = sums + &line(&other_sum, &of("24.04.11", "arm64")) + &line(&old_sum, &of("24.04", "amd64"));
    add(
        "distro:ubuntu:24.04",
        "ubuntu-base/releases/24.04/release/ubuntu-base-24.04.10-base-amd64.tar.gz",
        vec![
            file(&format!("{at}SHA256SUMS"), sums),
            file(&format!("{at}{}", of("24.04.9", "amd64")), old.clone()),
            file(&format!("{at}{}", of("24.04.10", "amd64")), right.clone()),
        ],
    );

    let musl = "void-x86_64-musl-ROOTFS-20260202.tar.xz";
    let name = "void-x86_64-ROOTFS-20260202.tar.xz";
    add(
        "distro:void",
        "live/current/void-x86_64-ROOTFS-20260202.tar.xz",
        vec![
            file("live/current/sha256sum.txt", bsd(&other_sum, musl) + &bsd(&sum, name)),
            file(&format!("live/current/{musl}"), other.clone()),
            file(&format!("live/current/{name}"), right.clone()),
        ],
    );
    all
}

#[test]
fn each_distribution_of_the_table_is_found_and_checked() {
    let all = published();
    let known: Vec<&str> = rootfs_fetch::distro::table::all().iter().map(|it| it.name).collect();
    let tested: Vec<&str> = all.iter().map(|it| it.operand.split(':').nth(1).unwrap()).collect();
    assert_eq!(tested, known);
    for Published { operand, archive, files } in all {
        let scratch = Scratch::new();
        let server = serve(files);
        let mirror = server.url("");
        let outcome = run(&scratch, &["--platform=linux/amd64", "--mirror", &mirror, operand, "root"]);
        assert_eq!(outcome.code, Some(0), "{operand}: {outcome:?}");
        assert!(outcome.stderr.contains(&format!(" is {}\n", server.url(archive))), "{outcome:?}");
        assert_eq!(fs::read_to_string(scratch.work().join("root/etc/note")).unwrap(), "right", "{operand}");
        assert!(!scratch.work().join("root/pkglist.x86_64.txt").exists());
        assert_eq!(scratch.left(), ["root"]);
    }
}

#[test]
fn an_archive_that_is_not_the_one_that_was_published_leaves_nothing() {
    for Published { operand, archive, mut files } in published() {
        let scratch = Scratch::new();
        let (_, data) = files.iter_mut().find(|(path, _)| path == archive).unwrap();
        // within the note, so that only the digest tells
        let at = data.windows(5).position(|part| part == b"right").unwrap();
        data[at] = b'f';
        let server = serve(files);
        let mirror = server.url("");
        let outcome = run(&scratch, &["--platform=linux/amd64", "--mirror", &mirror, operand, "root"]);
        assert_eq!(outcome.code, Some(4), "{operand}: {outcome:?}");
        assert!(outcome.stderr.contains("the digest is sha256:"), "{outcome:?}");
        assert!(scratch.left().is_empty(), "{operand}: {:?}", scratch.left());
    }
}

#[test]
fn a_release_that_is_not_there_is_told_with_those_that_are() {
    let scratch = Scratch::new();
    let server = serve(Vec::new());
    let outcome = run(&scratch, &["--mirror", &server.url("u"), "distro:ubuntu:23.04", "root"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let url = server.url("u/ubuntu-base/releases/23.04/release/SHA256SUMS");
    let line = format!("rootfs-fetch: cannot get {url}: the server answers 404 Not Found\n");
    assert_eq!(outcome.stderr, line + "rootfs-fetch: hint: releases of ubuntu are 26.04 24.04 22.04\n");
    let server = serve(vec![file("live/current/sha256sum.txt", "")]);
    let outcome =
        run(&scratch, &["--platform=linux/amd64", "--mirror", &server.url(""), "distro:void", "root"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let says =
        "/live/current/ has no void-x86_64-ROOTFS-*.tar.xz\nrootfs-fetch: hint: it may have moved since";
    assert!(outcome.stderr.contains(says), "{outcome:?}");
    assert!(scratch.left().is_empty());
}

#[test]
fn a_password_of_a_mirror_is_said_to_the_mirror_and_to_nobody_else() {
    let scratch = Scratch::new();
    let Published { operand, archive, mut files } = published().pop().unwrap();
    let elsewhere = serve(files.clone());
    files.retain(|(path, _)| path != archive);
    let target = elsewhere.url(archive).replace("127.0.0.1", "localhost");
    let server = Server::start(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let found = files.iter().find(|(known, _)| format!("/{known}") == path);
        let redirect = || answer("302 There", &format!("Location: {target}\r\n"), b"");
        Some(found.map_or_else(redirect, |(_, data)| answer("200 OK", "", data)))
    });
    let mirror = server.url("").replace("http://", "http://me:secret@");
    let outcome = run(&scratch, &["--platform=linux/amd64", "--mirror", &mirror, operand, "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stderr.contains("secret"), "{outcome:?}");
    let named = |head: &String| head.contains("Authorization: Basic bWU6c2VjcmV0\r\n");
    assert!(server.asked().len() == 2 && server.asked().iter().all(named), "{:?}", server.asked());
    assert!(elsewhere.asked().len() == 1 && !elsewhere.asked().iter().any(named), "{:?}", elsewhere.asked());
}

#[test]
fn a_digest_that_is_demanded_is_compared_before_the_archive_comes() {
    let scratch = Scratch::new();
    let Published { operand, archive, files } = published().pop().unwrap();
    let data = files.iter().find(|(path, _)| path == archive).unwrap().1.clone();
    let server = serve(files);
    let fetch = |digest: Digest, directory: &str| {
        let digest = digest.to_string();
        let mirror = server.url("");
        run(
            &scratch,
            &["--platform=linux/amd64", "--digest", &digest, "--mirror", &mirror, operand, directory],
        )
    };
    let outcome = fetch(Digest::of(b"x"), "one");
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(!server.asked().iter().any(|head| head.contains(archive)), "{:?}", server.asked());
    assert_eq!(fetch(Digest::of(&data), "two").code, Some(0));
    assert_eq!(scratch.left(), ["two"]);
}

#[test]
fn of_an_image_in_an_archive_nothing_can_be_chosen() {
    let scratch = Scratch::new();
    let all = published();
    let Published { operand, files, .. } = all.into_iter().find(|it| it.operand.contains("fedora")).unwrap();
    let server = serve(files);
    for option in ["--exclude=usr", "--into", "--subdir=etc", "--strip-components=1"] {
        let mirror = server.url("");
        let outcome =
            run(&scratch, &["--platform=linux/amd64", option, "--mirror", &mirror, operand, "root"]);
        assert_eq!(outcome.code, Some(2), "{option}: {outcome:?}");
        assert!(outcome.stderr.contains("distro:fedora:44 is an image: "), "{outcome:?}");
    }
    assert!(scratch.left().is_empty());
}

#[test]
fn a_directory_that_is_no_image_is_told() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.work().join("ubuntu")).unwrap();
    let outcome = run(&scratch, &["ubuntu", "root"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.starts_with("rootfs-fetch: \"ubuntu\" is a directory, and no archive\n"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("hint: 'docker://ubuntu' takes an image"), "{outcome:?}");
    assert_eq!(scratch.left(), ["ubuntu"]);
}

#[test]
fn names_on_a_page_lead_nowhere_else() {
    let scratch = Scratch::new();
    let at = "releases/amd64/autobuilds/";
    let text = "../../../evil/stage3-amd64-openrc-9.tar.xz //127.0.0.2/x/stage3-amd64-openrc-9.tar.xz";
    let server = serve(vec![file(&format!("{at}latest-stage3-amd64-openrc.txt"), text)]);
    let outcome =
        run(&scratch, &["--platform=linux/amd64", "--mirror", &server.url(""), "distro:gentoo", "root"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert_eq!(server.asked().len(), 1, "{:?}", server.asked());
}

#[test]
fn a_page_without_an_end_is_refused() {
    let scratch = Scratch::new();
    let page = vec![b'a'; (4 << 20) + 1];
    let server = serve(vec![file("live/current/sha256sum.txt", page)]);
    let outcome = run(&scratch, &["--mirror", &server.url(""), "distro:void", "root"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    assert!(outcome.stderr.contains("larger than 4194304 bytes"), "{outcome:?}");
}

#[test]
fn checksums_of_any_archive_are_demanded_from_a_url_or_a_file() {
    let scratch = Scratch::new();
    let data = archive("right");
    let sums = format!("{}  other.tar\n{} *a.tar\n", sha256(b""), sha256(&data));
    let server = serve(vec![
        file("x/a.tar", data.clone()),
        file("x/SUMS", sums.clone()),
        file("x/wrong", sums.replace("other", "x").replace(&sha256(&data), &sha256(b""))),
    ]);
    fs::write(scratch.work().join("a.tar"), &data).unwrap();
    fs::write(scratch.work().join("SUMS"), &sums).unwrap();
    let (url, remote) = (server.url("x/a.tar?token=1"), server.url("x/SUMS"));
    let url = url.replace("?token=1", "");
    for (number, (sums, source)) in
        [(&remote[..], &url[..]), ("SUMS", &url), (&remote, "a.tar"), ("SUMS", "./a.tar")].iter().enumerate()
    {
        let outcome = run(&scratch, &["--checksums", sums, source, &format!("root-{number}")]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stderr.contains(&sha256(&data)), "{outcome:?}");
    }
    let before = scratch.left();
    let outcome = run(&scratch, &["--checksums", &server.url("x/wrong"), &url, "root"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let outcome = run(&scratch, &["--checksums", &server.url("x/none"), &url, "root"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    fs::write(scratch.work().join("b.tar"), &data).unwrap();
    let outcome = run(&scratch, &["--checksums", "SUMS", "b.tar", "root"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: \"SUMS\" has no checksum of \"b.tar\"\n\
         rootfs-fetch: hint: it has those of \"other.tar\", \"a.tar\"\n"
    );
    fs::remove_file(scratch.work().join("b.tar")).unwrap();
    assert_eq!(scratch.left(), before);
    // the digest is not said of what is another archive
    let outcome = run(&scratch, &["--checksums", &server.url("x/wrong"), "--print-digest", &url]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
}

#[test]
fn an_image_in_a_file_is_checked_by_its_checksum_too() {
    let scratch = Scratch::new();
    let image = oci_archive("right");
    fs::write(scratch.work().join("image.tar"), &image).unwrap();
    fs::write(scratch.work().join("image.tar.sha256"), sha256(&image)).unwrap();
    let outcome = run(&scratch, &["--checksums", "image.tar.sha256", "image.tar", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::read_to_string(scratch.work().join("root/etc/note")).unwrap(), "right");
}

#[test]
fn options_that_do_not_go_with_a_source_are_told() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("keys"), "").unwrap();
    for (args, says) in [
        (&["--mirror", "http://127.0.0.1:1/", "a.tar"][..], "--mirror is for distro: alone"),
        (&["--keyring", "keys", "a.tar"], "--keyring is for checksums: of distro:, or named by --checksums"),
        (
            &["--checksums", "SUMS", "-"],
            "--checksums needs an archive with a name, which standard input has not",
        ),
        (
            &["--checksums", "SUMS", "docker://x"],
            "--checksums is for archives; an image has digests of its own",
        ),
        (&["--checksums", "SUMS", "distro:void"], "--checksums is not for distro:, which has its own"),
    ] {
        let outcome = run(&scratch, &[args, &["root"]].concat());
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert_eq!(outcome.stderr, format!("rootfs-fetch: {says}\n"));
    }
}

#[test]
fn without_gpgv_a_signature_is_not_checked_and_that_is_an_error() {
    let scratch = Scratch::new();
    let data = archive("right");
    fs::write(scratch.work().join("a.tar"), &data).unwrap();
    fs::write(scratch.work().join("SUMS"), format!("{}  a.tar\n", sha256(&data))).unwrap();
    fs::write(scratch.work().join("SUMS.gpg"), "x").unwrap();
    fs::write(scratch.work().join("keys"), "").unwrap();
    let mut command = scratch.command(As::Caller);
    command.env("PATH", scratch.path("nothing")).args([
        "--checksums",
        "SUMS",
        "--keyring",
        "keys",
        "a.tar",
        "root",
    ]);
    let outcome = feed(command, b"");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "rootfs-fetch: \"SUMS\": cannot check the signature: execvp(\"gpgv\"): No such file or directory (ENOENT)\n\
         rootfs-fetch: hint: install gpgv, which comes with GnuPG\n"
    );
    fs::remove_file(scratch.work().join("SUMS.gpg")).unwrap();
    let outcome = run(&scratch, &["--checksums", "SUMS", "--keyring", "keys", "a.tar", "root"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("\"SUMS\" is not signed"), "{outcome:?}");
    assert!(!scratch.work().join("root").exists());
}

mod peers {
    use super::*;

    /// Keys of a test's own; what gpg(1) started for them ends with this.
    struct Keys<'a>(&'a Scratch);

    impl<'a> Keys<'a> {
        fn new(scratch: &'a Scratch) -> Self {
            use std::os::unix::fs::DirBuilderExt as _;
            fs::DirBuilder::new().mode(0o700).create(scratch.path("gnupg")).unwrap();
            let keys = Self(scratch);
            for name in ["trusted", "stranger"] {
                keys.gpg(&["--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", "never"]);
                keys.gpg(&["--output", &format!("{name}.gpg"), "--export", name]);
                keys.gpg(&["--armor", "--output", &format!("{name}.asc"), "--export", name]);
            }
            keys
        }

        fn gpg(&self, args: &[&str]) {
            let mut gpg = Command::new("gpg");
            gpg.args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--homedir"]);
            let ended = gpg.arg(self.0.path("gnupg")).args(args).current_dir(self.0.work()).output().unwrap();
            assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
        }

        fn sign(&self, who: &str, how: &str, to: &str) {
            self.gpg(&["--local-user", who, "--output", to, how, "SUMS"]);
        }
    }

    impl Drop for Keys<'_> {
        fn drop(&mut self) {
            let mut end = Command::new("gpgconf");
            let _ = end.arg("--homedir").arg(self.0.path("gnupg")).args(["--kill", "all"]).status();
        }
    }

    #[test]
    #[ignore = "needs gpg and gpgv"]
    fn checksums_are_taken_only_if_a_key_of_the_keyring_signed_them() {
        let scratch = Scratch::new();
        let keys = Keys::new(&scratch);
        let work = scratch.work();
        let data = archive("right");
        let sums = format!("{}  a.tar\n", sha256(&data));
        fs::write(work.join("a.tar"), &data).unwrap();
        fs::write(work.join("SUMS"), &sums).unwrap();
        let fetch = |sums: &str, keyring: &str| {
            let outcome =
                run(&scratch, &["--replace", "--checksums", sums, "--keyring", keyring, "a.tar", "root"]);
            (outcome.code, outcome.stderr)
        };
        for (how, end) in [("--detach-sign", "gpg"), ("--detach-sign", "sig")] {
            keys.sign("trusted", how, &format!("SUMS.{end}"));
            assert_eq!(fetch("SUMS", "trusted.gpg").0, Some(0), "{end}");
            assert_eq!(fetch("SUMS", "trusted.asc").0, Some(0), "{end}");
            let (code, said) = fetch("SUMS", "stranger.gpg");
            assert_eq!(code, Some(4), "{said}");
            assert_eq!(
                said,
                "rootfs-fetch: \"SUMS\": the signature is not good: gpgv: Can't check signature: No public key\n"
            );
            fs::remove_file(work.join(format!("SUMS.{end}"))).unwrap();
        }
        keys.gpg(&["--local-user", "trusted", "--armor", "--output", "SUMS.asc", "--detach-sign", "SUMS"]);
        assert_eq!(fetch("SUMS", "trusted.asc").0, Some(0));
        // two may have signed, and one is enough
        keys.gpg(&[
            "--local-user",
            "stranger",
            "--local-user",
            "trusted",
            "--output",
            "SUMS.asc",
            "--detach-sign",
            "SUMS",
        ]);
        assert_eq!(fetch("SUMS", "trusted.gpg").0, Some(0));
        fs::write(work.join("SUMS"), sums.clone() + "\n").unwrap();
        let (code, said) = fetch("SUMS", "trusted.gpg");
        assert_eq!((code, said.contains("BAD signature")), (Some(4), true), "{said}");
    }

    #[test]
    #[ignore = "needs gpg and gpgv"]
    fn of_a_text_with_a_signature_in_it_only_what_is_signed_counts() {
        let scratch = Scratch::new();
        let keys = Keys::new(&scratch);
        let work = scratch.work();
        let data = archive("right");
        fs::write(work.join("a.tar"), &data).unwrap();
        fs::write(work.join("SUMS"), format!("# a.tar\n{}  a.tar\n", sha256(&data))).unwrap();
        keys.sign("trusted", "--clear-sign", "signed");
        let server =
            serve(vec![file("a.tar", data.clone()), file("signed", fs::read(work.join("signed")).unwrap())]);
        let fetch = |sums: &str, keyring: &str| {
            run(
                &scratch,
                &["--replace", "--checksums", sums, "--keyring", keyring, &server.url("a.tar"), "root"],
            )
        };
        assert_eq!(fetch("signed", "trusted.gpg").code, Some(0));
        assert_eq!(fetch(&server.url("signed"), "trusted.asc").code, Some(0));
        assert_eq!(fetch("signed", "stranger.gpg").code, Some(4));
        // what is written after it, or before it, nobody has signed
        let text = fs::read_to_string(work.join("signed")).unwrap();
        let evil = format!("{}  b.tar\n", sha256(b"evil"));
        for forged in [format!("{text}{evil}"), format!("{evil}{text}"), text.replace("# a.tar", "# b.tar")] {
            fs::write(work.join("forged"), &forged).unwrap();
            fs::write(work.join("b.tar"), b"evil").unwrap();
            let outcome =
                run(&scratch, &["--checksums", "forged", "--keyring", "trusted.gpg", "b.tar", "evil"]);
            assert!(matches!(outcome.code, Some(3 | 4)), "{forged}: {outcome:?}");
            assert!(!outcome.stderr.contains("the archive"), "it was read: {outcome:?}");
        }
    }
}

//! `distro:` with a server that has files like those of the real ones, in their forms. The file is long
//! because it contains the files of each distribution in the table.
#![cfg(test)]

use std::fs;

use rootfs_fetch::digest::Digest;
use serde_json::json;
use tests::fetch::{Files, Scratch, archive, file, oci_archive, run, serve};
use tests::layout::hex;
use tests::server::{Server, answer};
use tests::tar::Tar;

/// A distribution's files, and the path of the archive to be found.
struct Published {
    operand: &'static str,
    archive: &'static str,
    files: Files,
}

/// The files of each server, for amd64: an older archive next to the newest, and archives of other machines and
/// kinds.
fn published() -> Vec<Published> {
    let (right, old, other) = (archive("right"), archive("old"), archive("other"));
    let [sum, old_sum, other_sum] = [&right, &old, &other].map(|data| hex(data));
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
    let sums = gnu(&old_sum, "archlinux-2026.11.01-x86_64.iso") + &gnu(&hex(&bootstrap), name);
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
    let sums = format!("# {name}: 12 bytes\n") + &bsd(&hex(&image), name) + &bsd(&other_sum, minimal);
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
                bsd(&hex(&image), "Rocky-10-Container-Base.latest.x86_64.tar.xz"),
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
    let known: Vec<&str> = rootfs_fetch::source::distro::table::all().iter().map(|it| it.name).collect();
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
        // inside the note, so that only the digest differs
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
        "/live/current/ has no void-x86_64-ROOTFS-*.tar.xz\nrootfs-fetch: hint: it may have moved: use";
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
    let server = Server::bytes(move |head| {
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
    assert!(server.heads().len() == 2 && server.heads().iter().all(named), "{:?}", server.heads());
    assert!(elsewhere.heads().len() == 1 && !elsewhere.heads().iter().any(named), "{:?}", elsewhere.heads());
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
    assert!(!server.heads().iter().any(|head| head.contains(archive)), "{:?}", server.heads());
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
        outcome.stderr.starts_with("rootfs-fetch: \"ubuntu\" is a directory, not an archive\n"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("hint: use 'docker://ubuntu' for an image"), "{outcome:?}");
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
    assert_eq!(server.heads().len(), 1, "{:?}", server.heads());
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

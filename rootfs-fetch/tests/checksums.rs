//! `--checksums` and `--keyring`: archives with and without a checksum or a signature.
#![cfg(test)]

use std::fs;
use std::process::Command;

use tests::fetch::{As, Scratch, archive, feed, file, oci_archive, run, serve};
use tests::layout::hex;

#[test]
fn checksums_of_any_archive_are_demanded_from_a_url_or_a_file() {
    let scratch = Scratch::new();
    let data = archive("right");
    let sums = format!("{}  other.tar\n{} *a.tar\n", hex(b""), hex(&data));
    let server = serve(vec![
        file("x/a.tar", data.clone()),
        file("x/SUMS", sums.clone()),
        file("x/wrong", sums.replace("other", "x").replace(&hex(&data), &hex(b""))),
    ]);
    fs::write(scratch.work().join("a.tar"), &data).unwrap();
    fs::write(scratch.work().join("SUMS"), &sums).unwrap();
    let (url, remote) = (server.url("x/a.tar?token=1"), server.url("x/SUMS"));
    let url = url.replace("?token=1", "");
    for (number, (sums, source)) in
        [(remote.as_str(), url.as_str()), ("SUMS", &url), (&remote, "a.tar"), ("SUMS", "./a.tar")]
            .iter()
            .enumerate()
    {
        let outcome = run(&scratch, &["--checksums", sums, source, &format!("root-{number}")]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stderr.contains(&hex(&data)), "{outcome:?}");
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
         rootfs-fetch: hint: it has checksums of \"other.tar\", \"a.tar\"\n"
    );
    fs::remove_file(scratch.work().join("b.tar")).unwrap();
    assert_eq!(scratch.left(), before);
    // the digest is that of another archive
    let outcome = run(&scratch, &["--checksums", &server.url("x/wrong"), "--print-digest", &url]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
}

#[test]
fn an_image_in_a_file_is_checked_by_its_checksum_too() {
    let scratch = Scratch::new();
    let image = oci_archive("right");
    fs::write(scratch.work().join("image.tar"), &image).unwrap();
    fs::write(scratch.work().join("image.tar.sha256"), hex(&image)).unwrap();
    let outcome = run(&scratch, &["--checksums", "image.tar.sha256", "image.tar", "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::read_to_string(scratch.work().join("root/etc/note")).unwrap(), "right");
}

#[test]
fn options_that_do_not_go_with_a_source_are_told() {
    let scratch = Scratch::new();
    fs::write(scratch.work().join("keys"), "").unwrap();
    for (args, says) in [
        (&["--mirror", "http://127.0.0.1:1/", "a.tar"][..], "--mirror works only with distro:"),
        (&["--keyring", "keys", "a.tar"], "--keyring needs checksums: use distro: or --checksums"),
        (&["--checksums", "SUMS", "-"], "--checksums needs an archive with a name, not standard input"),
        (
            &["--checksums", "SUMS", "docker://x"],
            "--checksums works only with archives; for an image, use --digest",
        ),
        (
            &["--checksums", "SUMS", "distro:void"],
            "--checksums does not work with distro:, which has its own",
        ),
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
    fs::write(scratch.work().join("SUMS"), format!("{}  a.tar\n", hex(&data))).unwrap();
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

    /// Keys for one test; the processes that gpg(1) started for them end with this value.
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
        let sums = format!("{}  a.tar\n", hex(&data));
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
        // one of two signatures is enough
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
        fs::write(work.join("SUMS"), format!("# a.tar\n{}  a.tar\n", hex(&data))).unwrap();
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
        // text after or before the signed part is not signed
        let text = fs::read_to_string(work.join("signed")).unwrap();
        let evil = format!("{}  b.tar\n", hex(b"evil"));
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

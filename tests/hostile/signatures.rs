//! Certificates with every signature that curl accepts, from a server of openssl(1).

use std::process::Command;

use tests::certificates::Certificates;
use tests::daemon::Daemon;

use super::*;

/// An openssl server for the files in a directory, and its port.
fn serve(scratch: &Scratch, certificates: &Certificates, version: &str) -> (Daemon, u16) {
    let mut command = Command::new("openssl");
    command.current_dir(scratch.path("work"));
    command.args(["s_server", "-accept", "127.0.0.1:0", "-WWW", version, "-cert"]);
    command.arg(&certificates.server).arg("-key").arg(&certificates.key);
    let mut daemon = Daemon::start(command, scratch.path("server.log"));
    let port = daemon.until("openssl to listen", |said| {
        let line = said.lines().find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:"))?;
        line.trim().parse().ok()
    });
    (daemon, port)
}

/// Fetches an archive from a server whose certificates have these options: trusting its own authority, and
/// then another one with the same name, which has not signed them.
#[track_caller]
fn is_trusted_by_its_authority(options: &[&str], version: &str) {
    let client = Client::new();
    let certificates = Certificates::signed_with(&client.scratch, options);
    let archive = tests::tar::Tar::new().file("motd", b"hello\n").end();
    fs::write(client.scratch.path("work/root.tar"), archive).unwrap();
    let (_server, port) = serve(&client.scratch, &certificates, version);
    let fetch = |authority: &Path| {
        let run = client.run().arg("--cacert").arg(authority);
        run.arg(format!("https://127.0.0.1:{port}/root.tar")).arg(client.tree()).patience(3 * SOON).end()
    };
    let other = Scratch::new();
    let ended = fetch(&Certificates::signed_with(&other, options).authority);
    assert_eq!(ended.end, End::Exit(6), "{options:?}: {}", ended.err());
    assert!(ended.err().contains("its certificate is not trusted"), "{options:?}: {}", ended.err());
    let ended = fetch(&certificates.authority);
    assert_eq!(ended.end, End::Exit(0), "{options:?}: {}", ended.err());
    assert_eq!(fs::read_to_string(client.tree().join("motd")).unwrap(), "hello\n");
}

mod with_registry {
    use super::*;

    #[test]
    #[ignore = "needs openssl"]
    fn each_curve_is_accepted_with_each_hash() {
        for (curve, hash) in [
            ("P-256", "-sha512"),
            ("P-384", "-sha256"),
            ("P-384", "-sha512"),
            ("P-521", "-sha256"),
            ("P-521", "-sha384"),
            ("P-521", "-sha512"),
        ] {
            let curve = format!("ec_paramgen_curve:{curve}");
            is_trusted_by_its_authority(&["-newkey", "ec", "-pkeyopt", &curve, hash], "-tls1_3");
        }
    }

    #[test]
    #[ignore = "needs openssl"]
    fn rsa_pss_is_accepted_with_any_usual_salt() {
        for salt in ["-1", "-2", "20"] {
            let salt = format!("rsa_pss_saltlen:{salt}");
            let options = ["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", &salt];
            for version in ["-tls1_2", "-tls1_3"] {
                is_trusted_by_its_authority(&options, version);
            }
        }
        let longer = ["-newkey", "rsa:3072", "-sigopt", "rsa_padding_mode:pss", "-sha512"];
        is_trusted_by_its_authority(&longer, "-tls1_3");
    }

    #[test]
    #[ignore = "needs openssl"]
    fn keys_that_are_for_rsa_pss_alone_are_accepted() {
        is_trusted_by_its_authority(&["-newkey", "rsa-pss", "-sha384"], "-tls1_3");
        let one_hash = ["rsa_pss_keygen_md", "rsa_pss_keygen_mgf1_md"].map(|name| format!("{name}:sha256"));
        let [hash, mask] = one_hash.each_ref().map(String::as_str);
        let salt = ["-pkeyopt", "rsa_pss_keygen_saltlen:32", "-sigopt", "rsa_pss_saltlen:32"];
        let options = [&["-newkey", "rsa-pss", "-pkeyopt", hash, "-pkeyopt", mask][..], &salt].concat();
        is_trusted_by_its_authority(&options, "-tls1_3");
    }
}

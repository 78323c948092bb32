//! Which servers are trusted and get our certificate: the files in `certs.d` for one server are for that one
//! only.

use std::os::unix::fs::symlink;

use tests::certificates::Certificates;

use super::*;

fn fetch(client: &Client, server: &Server, status: i32) -> String {
    let run = client.run().env("XDG_CONFIG_HOME", client.scratch.path("config"));
    let run = run.arg(format!("docker://{}/it", server.address())).arg(client.tree()).patience(3 * SOON);
    run.end().ended(End::Exit(status)).err()
}

/// Creates the directory of a server in `certs.d`.
fn directory(client: &Client, server: &str) -> PathBuf {
    let directory = client.scratch.path("config/containers/certs.d").join(server);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A server that requires a client certificate, its own certificates, and those of a client.
fn guarded(client: &Client) -> (Server, Certificates, (PathBuf, PathBuf)) {
    let certificates = Certificates::signed(&client.scratch);
    let image = Image::new(1000);
    let server = Server::tls_for_clients(&certificates, move |request| image.answer(request));
    let own = certificates.client(&client.scratch);
    (server, certificates, own)
}

mod with_registry {
    use super::*;

    #[test]
    #[ignore = "needs openssl"]
    fn a_server_is_trusted_and_shown_a_certificate_as_its_directory_says() {
        let client = Client::new();
        let (server, certificates, (certificate, key)) = guarded(&client);
        let own = directory(&client, &server.address());
        assert!(fetch(&client, &server, 6).contains("no trusted authority has signed it"));
        // as administrators do: links to where the files are kept
        symlink(&certificates.authority, own.join("ca.crt")).unwrap();
        let said = fetch(&client, &server, 5);
        assert!(said.contains("it requires a client certificate"), "{said}");
        assert!(said.contains(&format!("certs.d/{}/", server.address())), "{said}");
        fs::copy(&certificate, own.join("client.cert")).unwrap();
        let said = fetch(&client, &server, 4);
        assert!(said.contains("has no key beside it"), "{said}");
        assert_eq!(count(&server), 0);
        fs::copy(&key, own.join("client.key")).unwrap();
        fetch(&client, &server, 0);
        assert_eq!(fs::read_to_string(client.tree().join("etc/motd")).unwrap(), "hello\n");
    }

    #[test]
    #[ignore = "needs openssl"]
    fn what_is_there_for_another_server_is_not_used() {
        let client = Client::new();
        let (server, certificates, (certificate, key)) = guarded(&client);
        let port = server.address().rsplit(':').next().unwrap().to_string();
        let others = ["localhost".to_string(), format!("127.0.0.2:{port}"), "127.0.0.1:1".to_string()];
        for other in &others {
            let directory = directory(&client, other);
            fs::copy(&certificates.authority, directory.join("ca.crt")).unwrap();
            fs::copy(&certificate, directory.join("client.cert")).unwrap();
            fs::copy(&key, directory.join("client.key")).unwrap();
        }
        assert!(fetch(&client, &server, 6).contains("no trusted authority has signed it"));
        client.nothing_left();
    }

    #[test]
    #[ignore = "needs openssl"]
    fn a_server_that_is_trusted_is_not_shown_what_is_damaged() {
        let client = Client::new();
        let (server, certificates, (_, key)) = guarded(&client);
        let own = directory(&client, &server.address());
        fs::copy(&certificates.authority, own.join("ca.crt")).unwrap();
        fs::copy(&key, own.join("client.key")).unwrap();
        fs::write(own.join("client.cert"), "no certificate").unwrap();
        let said = fetch(&client, &server, 4);
        assert!(said.contains("client.cert\" has no certificate in PEM"), "{said}");
        symlink("client.cert", own.join("other.crt")).unwrap();
        fs::remove_file(own.join("client.cert")).unwrap();
        // a link to nothing
        let said = fetch(&client, &server, 3);
        assert!(said.contains("(ENOENT)"), "{said}");
        client.nothing_left();
    }
}

#[test]
fn a_name_that_leads_out_of_certs_d_is_no_server() {
    let client = Client::new();
    let outside = client.scratch.path("config/containers/outside");
    fs::create_dir_all(&outside).unwrap();
    // the reader reports it
    fs::write(outside.join("ca.crt"), "no certificate").unwrap();
    directory(&client, "x");
    for name in ["../outside", "..", "x/../../outside", ".", "..%2foutside", "..:5000"] {
        let run = client.run().env("XDG_CONFIG_HOME", client.scratch.path("config"));
        let run = run.args(["--timeout", "1"]).arg(format!("docker://{name}/it")).arg(client.tree());
        let ended = run.patience(3 * SOON).end();
        assert!(!ended.err().contains("ca.crt"), "{name}: {}", ended.err());
        assert_ne!(ended.end, End::Exit(0), "{name}");
        client.nothing_left();
    }
}

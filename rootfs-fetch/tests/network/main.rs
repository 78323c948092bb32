//! URLs and registries on this machine: the requests, their servers, and what is left behind.
#![cfg(test)]

mod layers_ahead;
mod manners;
mod proxies;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rootfs_fetch::digest::Digest;
use serde_json::json;
use tests::fetch::{As, Outcome, Scratch, feed};
use tests::server::{Server, answer};
use tests::tar::Tar;

const OK: &str = "200 OK";

/// The tool, without the login, the cache and the proxies of the caller.
fn tool(scratch: &Scratch, args: &[&str]) -> Command {
    let mut command = unsettled(scratch, scratch.command(As::Caller));
    command.args(args);
    command
}

fn unsettled(scratch: &Scratch, mut command: Command) -> Command {
    for name in [
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "DOCKER_CONFIG",
        "no_proxy",
        "NO_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("HOME", scratch.path("home")).env("XDG_CACHE_HOME", scratch.path("cache"));
    command
}

fn run(scratch: &Scratch, args: &[&str]) -> Outcome {
    feed(tool(scratch, args), b"")
}

fn archive() -> Vec<u8> {
    Tar::new().file("note", &[b'x'; 3_000_000]).end()
}

/// A registry with one image of one layer; `guard` may answer first, or not at all.
fn registry(guard: impl Fn(&str) -> Option<Option<Vec<u8>>> + Send + Sync + 'static) -> Server {
    registry_of(vec![archive()], guard)
}

/// A registry with one image of these layers.
fn registry_of(
    layers: Vec<Vec<u8>>,
    guard: impl Fn(&str) -> Option<Option<Vec<u8>>> + Send + Sync + 'static,
) -> Server {
    let config = br#"{"os":"linux","architecture":"amd64","config":{"Env":["A=b"]}}"#.to_vec();
    let describe = |data: &[u8], kind: &str| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": Digest::of(data).to_string(), "size": data.len()});
    let manifest = json!({
        "schemaVersion": 2, "config": describe(&config, "config.v1+json"), "layers": layers.iter().map(|layer| describe(layer, "layer.v1.tar")).collect::<Vec<_>>(),
    });
    let manifest = manifest.to_string().into_bytes();
    Server::bytes(move |head| {
        if let Some(said) = guard(head) {
            return said;
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let mut parts = layers.iter().chain([&config]);
        let found = parts.find(|data| path.ends_with(&Digest::of(data).to_string()));
        let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
        let kind = format!("{kind}Docker-Content-Digest: {}\r\n", Digest::of(&manifest));
        Some(match found {
            Some(data) => answer(OK, "", data),
            None if path.contains("/manifests/") && head.starts_with("HEAD") => {
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{kind}\r\n").into_bytes()
            }
            None if path.contains("/manifests/") => answer(OK, &kind, &manifest),
            None => answer(OK, "", b"{}"),
        })
    })
}

fn count(server: &Server, part: &str) -> usize {
    server.heads().iter().filter(|head| head.starts_with("GET") && head.contains(part)).count()
}

#[test]
fn an_archive_at_a_url_is_unpacked_and_its_digest_may_be_demanded() {
    let scratch = Scratch::new();
    let server = Server::bytes(|_| Some(answer(OK, "", &archive())));
    let digest = Digest::of(&archive()).to_string();
    assert_eq!(run(&scratch, &[&server.url("a.tar"), "one"]).code, Some(0));
    assert_eq!(run(&scratch, &["--digest", &digest, &server.url("a.tar"), "two"]).code, Some(0));
    let wrong = Digest::of(b"").to_string();
    assert_eq!(run(&scratch, &["--digest", &wrong, &server.url("a.tar"), "three"]).code, Some(4));
    let output = tool(&scratch, &["--print-digest", &server.url("a.tar")]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), digest);
    assert_eq!(scratch.left(), ["one", "two"]);
}

#[test]
fn an_image_archive_at_a_url_is_an_image() {
    let layer = Tar::new().file("note", b"inside").end();
    let config = json!({"rootfs": {"diff_ids": [Digest::of(&layer).to_string()]}}).to_string();
    let manifest = json!([{"Config": "c.json", "Layers": ["a/layer.tar"]}]).to_string();
    // docker save writes a layer that it already has as a link
    let image = Tar::new().file("manifest.json", manifest.as_bytes()).file("c.json", config.as_bytes());
    let image = image.file("repositories", b"{}").file("b/layer.tar", &layer);
    let image = image.dir("a", 0o755).symlink("a/layer.tar", "../b/layer.tar").end();
    let scratch = Scratch::new();
    let server = Server::bytes(move |_| Some(answer(OK, "", &image)));
    let outcome = run(&scratch, &[&server.url("saved.tar"), "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::read(scratch.work().join("root/note")).unwrap(), b"inside");
    assert_eq!(scratch.left(), ["root"]);
}

/// Breaks off half way, and answers a request for the rest with `rest`.
fn breaking(tag: &'static str, rest: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::bytes(move |head| {
        let whole = archive();
        if head.contains("Range: bytes=") {
            return Some(rest(&whole));
        }
        let mut cut = answer(OK, tag, &whole);
        cut.truncate(1_000_000);
        Some(cut)
    })
}

fn from(head: &str) -> usize {
    let range = head.split("Range: bytes=").nth(1).and_then(|rest| rest.split('-').next());
    range.and_then(|from| from.parse().ok()).unwrap_or(0)
}

#[test]
fn a_broken_transfer_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let server = Server::bytes(|head| {
        let (whole, from) = (archive(), from(head));
        let range = format!("Content-Range: bytes {from}-{}/{}\r\n", whole.len() - 1, whole.len());
        Some(match from {
            0 => answer(OK, "ETag: \"x\"\r\n", &whole)[..1_000_000].to_vec(),
            from => answer("206 Partial Content", &range, &whole[from..]),
        })
    });
    let outcome = run(&scratch, &[&server.url("a.tar"), "root"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::metadata(scratch.work().join("root/note")).unwrap().len(), 3_000_000);
    let again = server.heads().pop().unwrap();
    assert!(again.contains("If-Range: \"x\"\r\n") && from(&again) > 900_000, "{again}");
}

#[test]
fn the_rest_of_another_file_is_not_taken_for_the_rest_of_this_one() {
    let changed = breaking("ETag: \"x\"\r\n", |whole| answer(OK, "ETag: \"y\"\r\n", whole));
    let nameless = breaking("", |whole| answer("206 Partial Content", "", &whole[1_000_000..]));
    for (server, says) in [(changed, "it changed during the download"), (nameless, "it broke off after")] {
        let scratch = Scratch::new();
        let outcome = run(&scratch, &[&server.url("a.tar"), "root"]);
        assert_eq!(outcome.code, Some(6), "{outcome:?}");
        assert!(outcome.stderr.contains(says), "{outcome:?}");
        assert!(scratch.left().is_empty());
    }
}

#[test]
fn a_status_is_told_by_its_own_exit_code() {
    for (status, code) in
        [("404 No", 3), ("410 Gone", 3), ("401 Who", 5), ("403 No", 5), ("400 What", 6), ("302 Lost", 6)]
    {
        let scratch = Scratch::new();
        let server = Server::bytes(move |_| Some(answer(status, "", b"")));
        let outcome = run(&scratch, &[&server.url("a.tar?signature=secret"), "root"]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(
            outcome.stderr.contains(&server.url("a.tar")) && !outcome.stderr.contains("secret"),
            "{outcome:?}"
        );
        assert!(scratch.left().is_empty());
    }
}

#[test]
fn a_second_fetch_asks_for_no_layer_and_one_by_digest_for_nothing() {
    let scratch = Scratch::new();
    let server = registry(|_| None);
    let name = format!("docker://127.0.0.1:{}/it", server.port());
    for directory in ["one", "two"] {
        let outcome = run(&scratch, &[&name, directory]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        // the configuration and the layer
        assert_eq!((count(&server, "/blobs/"), count(&server, "/manifests/")), (2, 1));
    }
    let output = tool(&scratch, &["--print-digest", &name]).output().unwrap();
    let before = server.heads().len();
    let exact = format!("{name}@{}", String::from_utf8(output.stdout).unwrap().trim());
    let outcome = run(&scratch, &[&exact, "three"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(server.heads().len(), before);
    assert_eq!(run(&scratch, &["--no-cache", &exact, "four"]).code, Some(0));
    assert_eq!(count(&server, "/blobs/"), 4);
}

#[test]
fn a_damaged_layer_in_the_cache_is_fetched_again_and_said() {
    let scratch = Scratch::new();
    let server = registry(|_| None);
    let name = format!("docker://127.0.0.1:{}/it", server.port());
    assert_eq!(run(&scratch, &["--cache-dir", "kept", &name, "one"]).code, Some(0));
    let layer = scratch.work().join("kept").join(Digest::of(&archive()).blob());
    let mut data = archive();
    data[2_000_000] = b'y';
    fs::write(&layer, &data).unwrap();
    let outcome = run(&scratch, &["--cache-dir", "kept", &name, "two"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("a layer in the cache was damaged"), "{outcome:?}");
    assert_eq!(count(&server, "/blobs/"), 3);
    assert_eq!(fs::read(layer).unwrap(), archive());
    assert_eq!(scratch.left(), ["kept", "one", "two"]);
}

#[test]
fn a_password_of_a_helper_is_given_to_the_token_server_alone() {
    let scratch = Scratch::new();
    let helper = scratch.path("docker-credential-test");
    let script = "#!/bin/sh\nread server\necho '{\"Username\":\"me\",\"Secret\":\"for '$server'\"}'\n";
    tests::scratch::write_script(&helper, script);
    let realm = Server::bytes(|head| {
        let known = head.contains("Authorization: Basic ");
        Some(if known { answer(OK, "", br#"{"access_token":"open"}"#) } else { answer("401 Who", "", b"") })
    });
    let challenge = format!("WWW-Authenticate: Bearer realm=\"{}\",service=\"s\"\r\n", realm.url("token"));
    let server = registry(move |head| {
        let known = head.contains("Authorization: Bearer open\r\n") || head.starts_with("GET /v2/ ");
        (!known).then(|| Some(answer("401 Who", &challenge, b"")))
    });
    let host = format!("127.0.0.1:{}", server.port());
    fs::write(scratch.path("auth.json"), json!({"credHelpers": {&host: "test"}}).to_string()).unwrap();
    let mut command = tool(&scratch, &[&format!("docker://{host}/it"), "root"]);
    command.env("REGISTRY_AUTH_FILE", scratch.path("auth.json"));
    command.env("PATH", format!("{}:/usr/bin:/bin", scratch.path("").display()));
    let outcome = feed(command, b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        realm
            .heads()
            .iter()
            .all(|head| head.starts_with("GET /token?service=s&scope=repository%3Ait%3Apull "))
    );
    assert!(server.heads().iter().all(|head| !head.contains("Basic")));
}

#[test]
fn a_proxy_is_asked_for_what_is_elsewhere_and_not_for_this_machine() {
    let scratch = Scratch::new();
    let proxy = Server::bytes(|head| {
        if head.starts_with("CONNECT") {
            Some(answer("403 No", "", b""))
        } else {
            Some(answer(OK, "", &archive()))
        }
    });
    let here = Server::bytes(|_| Some(answer(OK, "", &archive())));
    let by_proxy = |args: &[&str]| {
        let mut command = tool(&scratch, args);
        let url = format!("http://u:p@127.0.0.1:{}", proxy.port());
        command.env("http_proxy", &url).env("https_proxy", &url);
        feed(command, b"")
    };
    let outcome = by_proxy(&["--insecure-http", "http://elsewhere.invalid/a.tar", "one"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(proxy.heads().concat().starts_with("GET http://elsewhere.invalid/a.tar HTTP/1.1\r\n"));
    assert!(proxy.heads().concat().contains("Proxy-Authorization: Basic dTpw\r\n"));
    let outcome = by_proxy(&["https://elsewhere.invalid/a.tar", "two"]);
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert!(
        outcome.stderr.contains("the proxy answers 403") && !outcome.stderr.contains("u:p"),
        "{outcome:?}"
    );
    assert!(proxy.heads().concat().contains("CONNECT elsewhere.invalid:443 HTTP/1.1\r\n"));
    let before = proxy.heads().len();
    assert_eq!(by_proxy(&[&here.url("a.tar"), "three"]).code, Some(0));
    assert_eq!(proxy.heads().len(), before);
}

/// Spellings of this machine's address.
const THIS_MACHINE: [&str; 4] = ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"];

/// Runs the tool with a proxy that acts as every server except those of this machine.
fn by_proxy(scratch: &Scratch, proxy: &Server, args: &[&str]) -> Outcome {
    let mut command = tool(scratch, args);
    command.env("http_proxy", format!("http://127.0.0.1:{}", proxy.port()));
    command.env("no_proxy", THIS_MACHINE.join(","));
    feed(command, b"")
}

#[test]
fn a_redirect_from_elsewhere_to_this_machine_is_not_followed_however_it_is_spelled() {
    for host in THIS_MACHINE {
        let scratch = Scratch::new();
        let here = Server::bytes(|_| Some(answer(OK, "", &archive())));
        let location = format!("Location: http://{host}:{}/a.tar\r\n", here.port());
        let elsewhere = Server::bytes(move |_| Some(answer("302 Found", &location, b"")));
        let outcome =
            by_proxy(&scratch, &elsewhere, &["--insecure-http", "http://elsewhere.invalid/a.tar", "root"]);
        assert!(here.heads().is_empty(), "{host} {:?}", here.heads());
        assert_eq!(outcome.code, Some(6), "{host} {outcome:?}");
        assert!(outcome.stderr.contains("an address of this machine"), "{host} {outcome:?}");
    }
}

#[test]
fn a_mirror_elsewhere_leads_to_nothing_on_this_machine() {
    for host in THIS_MACHINE {
        let scratch = Scratch::new();
        let here = registry(|_| None);
        let location = format!("Location: http://{host}:{}/v2/it/manifests/latest\r\n", here.port());
        // both servers are elsewhere, behind the proxy
        let elsewhere = Server::bytes(move |_| Some(answer("302 Found", &location, b"")));
        let rules = "[[registry]]\nlocation = \"elsewhere.invalid\"\n\
            [[registry.mirror]]\nlocation = \"mirror.invalid\"\ninsecure = true\n";
        fs::write(scratch.path("registries.conf"), rules).unwrap();
        let mut command = tool(&scratch, &["--insecure-http", "docker://elsewhere.invalid/it", "root"]);
        command.env("CONTAINERS_REGISTRIES_CONF", scratch.path("registries.conf"));
        command.env("http_proxy", format!("http://127.0.0.1:{}", elsewhere.port()));
        command.env("no_proxy", THIS_MACHINE.join(","));
        let outcome = feed(command, b"");
        assert!(here.heads().is_empty(), "{host} {:?}", here.heads());
        assert_eq!(outcome.code, Some(6), "{host} {outcome:?}");
        let passed_over = outcome.stderr.contains("skipping the mirror mirror.invalid");
        assert!(passed_over && elsewhere.heads().len() > 1, "{host} {outcome:?}");
        assert_eq!(outcome.stderr.matches("an address of this machine").count(), 2, "{outcome:?}");
        assert!(scratch.left().is_empty(), "{host}");
    }
}

#[test]
fn a_token_server_on_this_machine_is_not_asked_for_a_registry_elsewhere() {
    for host in THIS_MACHINE {
        let scratch = Scratch::new();
        let here = Server::bytes(|_| Some(answer(OK, "", br#"{"token":"x"}"#)));
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}:{}/token\"\r\n", here.port());
        let elsewhere = Server::bytes(move |_| Some(answer("401 Who", &challenge, b"")));
        let outcome =
            by_proxy(&scratch, &elsewhere, &["--insecure-http", "docker://elsewhere.invalid/it", "root"]);
        assert!(here.heads().is_empty(), "{host} {:?}", here.heads());
        assert_eq!(outcome.code, Some(5), "{host} {outcome:?}");
        assert!(outcome.stderr.contains("its token server is this machine"), "{host} {outcome:?}");
    }
}

#[test]
fn a_signal_ends_a_fetch_that_waits_and_nothing_is_left() {
    let scratch = Scratch::new();
    let layer = Digest::of(&archive()).to_string();
    let asked = format!("GET /v2/it/blobs/{layer}");
    let server = registry(move |head| head.contains(&asked).then_some(None));
    let mut command = tool(&scratch, &[&format!("docker://127.0.0.1:{}/it", server.port()), "root"]);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tests::deadline::until("a layer to be asked for, and something begun", || {
        (count(&server, &layer) > 0 && !scratch.left().is_empty()).then_some(())
    });
    let started = Instant::now();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
    assert!(started.elapsed() < Duration::from_secs(20), "it did not end soon");
    assert!(scratch.left().is_empty());
}

#[test]
fn the_configuration_of_an_image_is_fetched_without_its_layers() {
    let scratch = Scratch::new();
    let server = registry(|_| None);
    let output = tool(&scratch, &["--config", "-", &format!("docker://localhost:{}/it", server.port())])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        r#"{"os":"linux","architecture":"amd64","config":{"Env":["A=b"]}}"#
    );
    assert_eq!(count(&server, "/blobs/"), 1);
}

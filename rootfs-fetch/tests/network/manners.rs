//! What real registries and logins need beyond the specification: missing helpers, headers with one value,
//! unrequested compression, busy servers.

use std::fs;
use std::io::Write as _;

use serde_json::json;
use tests::fetch::{Outcome, Scratch, feed};
use tests::server::{Server, answer};

use crate::{OK, archive, count, registry, run, tool};

/// A run with a credentials file, and with the programs of this scratch directory before the system's.
fn with_login(scratch: &Scratch, login: &serde_json::Value, args: &[&str]) -> Outcome {
    fs::write(scratch.path("auth.json"), login.to_string()).unwrap();
    let mut command = tool(scratch, args);
    command.env("REGISTRY_AUTH_FILE", scratch.path("auth.json"));
    command.env("PATH", format!("{}:/usr/bin:/bin", scratch.path("").display()));
    feed(command, b"")
}

fn helper(scratch: &Scratch, name: &str, script: &str) {
    let path = scratch.path(format!("docker-credential-{name}"));
    tests::scratch::write_script(&path, &format!("#!/bin/sh\n{script}\n"));
}

/// A registry that gives its images to every client, after a challenge.
fn asking(refuses: bool) -> (Server, Server) {
    let realm = Server::bytes(move |_| {
        Some(if refuses { answer("401 Who", "", b"") } else { answer(OK, "", br#"{"token":"T"}"#) })
    });
    let challenge = format!("WWW-Authenticate: Bearer realm=\"{}\",service=\"s\"\r\n", realm.url("token"));
    let server = registry(move |head| {
        let known = head.contains("Authorization: Bearer T\r\n");
        (!known).then(|| Some(answer("401 Who", &challenge, b"")))
    });
    (realm, server)
}

#[test]
fn a_helper_that_cannot_be_asked_is_told_and_the_run_goes_on_without() {
    for (login, script, why) in [
        (json!({"credsStore": "gone"}), None, Some("No such file or directory (ENOENT)")),
        (json!({"credsStore": "bad"}), Some("exit 3"), Some("it ended with exit status: 3")),
        (json!({"credsStore": "bad"}), Some("cat >/dev/null"), Some("its answer is empty")),
        (json!({"credsStore": "bad"}), Some("cat >/dev/null; echo x"), Some("its answer is not JSON")),
        (json!({"credsStore": "none"}), Some("echo credentials not found in it; exit 1"), None),
        (json!({"credsStore": ""}), None, None),
    ] {
        let scratch = Scratch::new();
        let store = login["credsStore"].as_str().unwrap();
        if let Some(script) = script {
            helper(&scratch, store, script);
        }
        let (_realm, server) = asking(false);
        let name = format!("docker://127.0.0.1:{}/it", server.port());
        let outcome = with_login(&scratch, &login, &["-q", &name, "root"]);
        let file = scratch.path("auth.json");
        let line = |why| {
            format!(
                "rootfs-fetch: cannot run docker-credential-{store}, which \"{}\" asks for: {why}; \
                 continuing without credentials\n",
                file.display()
            )
        };
        assert_eq!((outcome.code, outcome.stderr), (Some(0), why.map(line).unwrap_or_default()), "{login}");
    }
}

#[test]
fn a_registry_that_refuses_who_has_no_credentials_ends_the_run_with_5() {
    let scratch = Scratch::new();
    let (_realm, server) = asking(true);
    let name = format!("docker://127.0.0.1:{}/it", server.port());
    let outcome = with_login(&scratch, &json!({"credsStore": "gone"}), &[&name, "root"]);
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(outcome.stderr.contains("docker-credential-gone") && outcome.stderr.contains("auth.json"));
}

#[test]
fn a_helper_has_the_callers_umask() {
    let scratch = Scratch::new();
    let seen = scratch.path("umask");
    helper(&scratch, "mask", &format!("umask >{}; echo credentials not found; exit 1", seen.display()));
    let (_realm, server) = asking(false);
    let name = format!("docker://127.0.0.1:{}/it", server.port());
    fs::write(scratch.path("auth.json"), r#"{"credsStore":"mask"}"#).unwrap();
    let mut shell = scratch.as_who(tests::fetch::As::Caller, "sh");
    let run = format!("umask 027; exec {} --no-cache {name} root", scratch.path("tool").display());
    shell.args(["-c", &run]).env("REGISTRY_AUTH_FILE", scratch.path("auth.json"));
    shell.env("PATH", format!("{}:/usr/bin:/bin", scratch.path("").display())).env("HOME", scratch.path("h"));
    let outcome = feed(shell, b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(fs::read_to_string(seen).unwrap(), "0027\n");
}

#[test]
fn each_media_type_has_a_field_of_its_own() {
    let scratch = Scratch::new();
    let server = registry(|_| None);
    assert_eq!(run(&scratch, &[&format!("docker://127.0.0.1:{}/it", server.port()), "root"]).code, Some(0));
    let heads = server.heads();
    let asked = heads.iter().find(|head| head.contains("/manifests/")).unwrap();
    let fields: Vec<&str> = asked.lines().filter(|line| line.starts_with("Accept: ")).collect();
    assert_eq!(fields.len(), 4, "{asked}");
    assert!(fields.iter().all(|field| !field.contains(',')), "{asked}");
}

/// A registry whose responses are all compressed, and declared as such.
fn packing(lies: bool) -> Server {
    let plain = registry(|_| None);
    Server::bytes(move |head| {
        let path = head.split(' ').nth(1).unwrap();
        let mut asked = std::net::TcpStream::connect(("127.0.0.1", plain.port())).unwrap();
        write!(asked, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut asked, &mut said).unwrap();
        let end = said.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let body = said.split_off(end);
        let kind = "Content-Encoding: gzip\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n";
        let kind = if path.contains("/manifests/") { kind } else { "Content-Encoding: gzip\r\n" };
        let body = if lies { body } else { tests::server::gzip(&body) };
        Some(answer(OK, kind, &body))
    })
}

#[test]
fn what_a_registry_packs_unasked_is_unpacked_before_it_is_checked() {
    // and a response that is only declared as compressed is used as it is
    for lies in [false, true] {
        let scratch = Scratch::new();
        let server = packing(lies);
        for cache in [&["--no-cache"][..], &[]] {
            let name = format!("docker://127.0.0.1:{}/it", server.port());
            let outcome = run(&scratch, &[cache, &["-q", "--replace", &name, "root"]].concat());
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{lies}");
            assert_eq!(fs::metadata(scratch.work().join("root/note")).unwrap().len(), 3_000_000);
        }
    }
}

#[test]
fn a_server_that_is_busy_for_long_is_told() {
    let scratch = Scratch::new();
    let server = Server::bytes(|head| {
        let first = !head.contains("/later");
        let busy = head.starts_with("GET /a.tar") && first;
        Some(if busy { answer("429 Many", "Retry-After: 100\r\n", b"") } else { answer(OK, "", &archive()) })
    });
    let outcome = run(&scratch, &[&server.url("a.tar"), "root"]);
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    let hint = "rootfs-fetch: hint: it asks to come back after 100 s; --timeout SECONDS waits longer\n";
    assert!(outcome.stderr.ends_with(hint), "{outcome:?}");
    // a short wait is announced, and the file is fetched after it
    let asked = std::sync::atomic::AtomicBool::new(false);
    let server = Server::bytes(move |_| {
        let again = asked.swap(true, std::sync::atomic::Ordering::Relaxed);
        Some(if again { answer(OK, "", &archive()) } else { answer("429 Many", "Retry-After: 3\r\n", b"") })
    });
    let outcome = run(&scratch, &[&server.url("a.tar"), "root"]);
    assert_eq!((outcome.code, count(&server, "/a.tar")), (Some(0), 2), "{outcome:?}");
    let line = format!("127.0.0.1:{} is busy (HTTP 429): trying again in 3 s, as it asks", server.port());
    assert!(outcome.stderr.contains(&line), "{outcome:?}");
}

#[test]
fn mirrors_are_asked_before_the_registry_and_passed_over_if_they_fail() {
    let scratch = Scratch::new();
    let empty = Server::bytes(|_| Some(answer("404 No", "", b"")));
    let (mirror, registry) = (registry(|_| None), registry(|_| None));
    let conf = format!(
        "[[registry]]\nprefix = \"r.invalid/team\"\nlocation = \"127.0.0.1:{}/own\"\n\
         [[registry.mirror]]\nlocation = \"127.0.0.1:{}/m\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:{}\"\n\
         pull-from-mirror = \"digest-only\"\n[[registry]]\nprefix = \"blocked.invalid\"\nblocked = true\n",
        registry.port(),
        empty.port(),
        mirror.port(),
    );
    fs::write(scratch.path("registries.conf"), conf).unwrap();
    let fetch = |args: &[&str]| {
        let mut command = tool(&scratch, args);
        command.env("CONTAINERS_REGISTRIES_CONF", scratch.path("registries.conf"));
        feed(command, b"")
    };
    let outcome = fetch(&["docker://r.invalid/team/app", "one"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let line = format!("rootfs-fetch: skipping the mirror 127.0.0.1:{}: ", empty.port());
    assert!(outcome.stderr.starts_with(&line), "{outcome:?}");
    assert_eq!((count(&empty, "/v2/m/app/"), count(&registry, "/v2/own/app/manifests/")), (1, 1));
    assert!(mirror.heads().is_empty());
    let digest =
        tool(&scratch, &["--print-digest", &format!("docker://127.0.0.1:{}/own/app", registry.port())]);
    let digest = String::from_utf8({ digest }.output().unwrap().stdout).unwrap();
    let outcome = fetch(&["--no-cache", &format!("docker://r.invalid/team/app@{}", digest.trim()), "two"]);
    assert_eq!((outcome.code, count(&mirror, "/v2/app/manifests/")), (Some(0), 1), "{outcome:?}");
    let outcome = fetch(&["docker://blocked.invalid/it", "three"]);
    let line = format!(
        "rootfs-fetch: blocked.invalid/it:latest is blocked by \"{}\"\n",
        scratch.path("registries.conf").display()
    );
    assert_eq!((outcome.code, outcome.stderr), (Some(5), line));
}

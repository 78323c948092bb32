//! Status codes and headers: what is retried, what is followed, and when that stops.

use std::sync::atomic::{AtomicUsize, Ordering};

use tests::certificates::Certificates;

use super::*;

/// A server that gives this response to the first requests for a path, and then the right one.
fn at_first(image: &Image, path: String, times: usize, answer: Answer) -> Server {
    let image = image.clone();
    let asked = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.path() == path && asked.fetch_add(1, Ordering::Relaxed) < times {
            return answer.clone();
        }
        image.answer(request)
    })
}

#[test]
fn a_server_that_is_busy_is_asked_again_when_it_wants() {
    let image = Image::new(1000);
    for path in ["/v2/it/manifests/latest".to_string(), image.path(0)] {
        let busy = Answer::error(429, "TOOMANYREQUESTS", "slowly").header("Retry-After", "2");
        let server = at_first(&image, path.clone(), 1, busy);
        Client::new().fetched(&server, &[]);
        let times: Vec<Instant> = server
            .requests()
            .iter()
            .filter(|request| request.path() == path)
            .filter_map(|one| one.at)
            .collect();
        let [first, second] = times[..] else { panic!("asked {} times", times.len()) };
        assert!(second - first >= Duration::from_millis(1900), "{:?}", second - first);
    }
}

#[test]
fn errors_of_the_server_pass() {
    let image = Image::new(1000);
    for status in [500, 502, 503, 504, 408] {
        for path in ["/v2/it/manifests/latest".to_string(), image.path(0)] {
            Client::new().fetched(&at_first(&image, path, 1, Answer::new(status)), &[]);
        }
    }
}

#[test]
fn errors_of_the_server_that_do_not_pass_are_told() {
    let server = Server::start(|_| Answer::error(503, "UNAVAILABLE", "the disk is full"));
    let said = Client::new().refused_within(2 * SOON, &server, &[], 6);
    assert!(said.contains("503"), "{said}");
    assert!(count(&server) < 20, "{} requests", count(&server));
}

#[test]
fn a_server_that_wants_to_be_asked_tomorrow_is_not_waited_for() {
    let server = Server::start(|_| Answer::new(429).header("Retry-After", "86400"));
    let said = Client::new().refused_within(2 * SOON, &server, &[], 6);
    assert!(said.contains("429"), "{said}");
}

#[test]
fn a_registrys_own_words_are_told_in_one_line_without_control_characters() {
    let server = Server::start(|_| {
        Answer::error(404, "MANIFEST_UNKNOWN", "gone\\u001b[2J\\nrootfs-fetch: done\\u0007")
    });
    let said = Client::new().refused(&server, &[], 3);
    assert!(
        said.trim_end().chars().all(|character| character == '\n' || !character.is_control()),
        "{said:?}"
    );
}

#[test]
fn a_circle_of_redirects_ends() {
    let server = with_layer(&Image::new(1000), |image, _| Answer::redirect(image.path(0)));
    Client::new().refused(&server, &[], 6);
    assert!(count(&server) < 60, "{} requests", count(&server));
    let server = Server::start(|request| Answer::redirect(format!("{}x", request.target)));
    Client::new().refused(&server, &[], 6);
}

#[test]
fn a_redirect_to_nowhere_is_told() {
    for location in
        ["", "http://", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://127.0.0.1:1/x", "\u{1}"]
    {
        let location = location.to_string();
        let server = with_layer(&Image::new(1000), move |_, _| Answer::redirect(&location));
        let client = Client::new();
        let ended = client.fetch(&server, &["--timeout=2"]);
        assert!(matches!(ended.end, End::Exit(4 | 6)), "{:?} {}", ended.end, ended.err());
        client.nothing_left();
    }
}

#[test]
fn a_flood_of_headers_is_stopped() {
    let server = Server::start(|_| {
        let mut answer = Answer::new(200);
        for number in 0..200_000 {
            answer = answer.header(&format!("X-{number}"), "flood ".repeat(20));
        }
        answer
    });
    Client::new().refused(&server, &[], 6);
}

#[test]
fn a_header_without_an_end_is_stopped() {
    let server = Server::start(|_| Answer::new(200).header("X", "x".repeat(50 << 20)));
    Client::new().refused(&server, &[], 6);
}

#[test]
fn what_is_no_http_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    let client = Client::new();
    let source = format!("docker://{address}/it");
    let run = client.run().args(["--timeout=2", &source]).arg(client.tree()).patience(2 * SOON);
    run.end().ended(End::Exit(6));
    client.nothing_left();
}

mod with_registry {
    use super::*;

    #[test]
    #[ignore = "needs openssl"]
    fn a_redirect_out_of_tls_is_not_followed() {
        let image = Image::new(1000);
        let path = image.path(0);
        let plain = {
            let image = image.clone();
            Server::elsewhere(move |request| image.answer(request))
        };
        let target = format!("http://{}{path}", plain.address());
        let client = Client::new();
        let certificates = Certificates::signed(&client.scratch);
        let server = Server::tls(&certificates, move |request| {
            if request.path() == path { Answer::redirect(&target) } else { image.answer(request) }
        });
        let authority = format!("--cacert={}", certificates.authority.display());
        client.refused(&server, &[&authority], 6);
        assert_eq!(count(&plain), 0);
    }

    #[test]
    #[ignore = "needs openssl"]
    fn a_registry_that_speaks_tls_is_understood() {
        let image = Image::new(100_000);
        let client = Client::new();
        let certificates = Certificates::signed(&client.scratch);
        let server = Server::tls(&certificates, move |request| image.answer(request));
        let authority = format!("--cacert={}", certificates.authority.display());
        client.fetched(&server, &[&authority]);
    }
}

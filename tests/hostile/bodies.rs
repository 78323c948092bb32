//! Layers that differ from what their digests and sizes promise.

use tests::server::{Then, gzip, noise};
use tests::tar::Tar;

use super::*;

#[test]
fn a_layer_with_another_digest_is_refused() {
    let server = with_layer(&Image::new(100_000), |image, _| {
        let mut data = image.packed(0).to_vec();
        data[50_000] ^= 1;
        Answer::ok(data)
    });
    let said = Client::new().refused(&server, &[], 4);
    assert!(said.contains("sha256:"), "{said}");
}

#[test]
fn another_archive_of_the_same_length_is_refused() {
    let image = Image::new(0).with(&Tar::new().file("a", b"1").end());
    let server = with_layer(&image, |image, _| {
        let mut other = gzip(&Tar::new().file("etc/motd", b"other\n").end());
        other.resize(image.packed(0).len(), 0);
        Answer::ok(other)
    });
    Client::new().refused(&server, &[], 4);
}

#[test]
fn a_layer_that_is_too_short_is_refused() {
    let server = with_layer(&Image::new(100_000), |image, _| Answer::ok(&image.packed(0)[..60_000]));
    Client::new().refused(&server, &[], 4);
}

#[test]
fn a_layer_that_is_too_long_is_refused() {
    let long = |image: &Image| [image.packed(0), b"and more"].concat();
    let server = with_layer(&Image::new(100_000), move |image, _| Answer::ok(long(image)));
    Client::new().refused(&server, &[], 4);
    let server = with_layer(&Image::new(100_000), move |image, _| Answer::ok(long(image)).undeclared());
    Client::new().refused(&server, &[], 4);
}

#[test]
fn a_layer_without_an_end_is_refused() {
    let server = with_layer(&Image::new(100_000), |_, _| Answer::ok(noise(100_000)).undeclared().for_ever());
    Client::new().refused(&server, &[], 4);
    let server = with_layer(&Image::new(100_000), |_, _| {
        Answer::ok(noise(100_000)).declared(u64::MAX / 2).then(Then::Close).for_ever()
    });
    Client::new().refused(&server, &[], 4);
}

#[test]
fn a_connection_that_always_breaks_is_given_up() {
    let server = with_layer(&Image::new(100_000), |image, request| {
        // never more bytes than before
        if request.from().is_some() { Answer::new(503) } else { Answer::ok(image.packed(0)).cut(50_000) }
    });
    Client::new().refused_within(2 * SOON, &server, &[], 6);
    assert!(count(&server) < 30, "{} requests", count(&server));
}

/// A server that ends each response early, in this way, and the offsets at which it was asked to continue.
fn resumed(then: Then) -> Vec<usize> {
    let image = Image::new(1_000_000);
    let server = with_layer(&image, move |image, request| match request.from() {
        None => Answer::ok(image.packed(0)).cut(400_000).then(then),
        Some(from) if from < 700_000 => {
            let rest = &image.packed(0)[from..];
            let range = format!("bytes {from}-{}/{}", image.packed(0).len() - 1, image.packed(0).len());
            Answer::new(206).header("Content-Range", range).body(rest).cut(300_000).then(then)
        }
        Some(_) => image.answer(request),
    });
    Client::new().fetched(&server, &[]);
    let of_layer = server.requests().into_iter().filter(|one| one.path() == image.path(0));
    of_layer.filter_map(|one| one.from()).collect()
}

#[test]
fn a_body_that_breaks_off_is_resumed_at_the_byte() {
    assert_eq!(resumed(Then::Close), [400_000, 700_000]);
}

#[test]
fn a_reset_in_the_middle_is_resumed_after_what_came() {
    // a reset discards data in transit
    let places = resumed(Then::Reset);
    let forward = places.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(forward && places.first().is_some_and(|first| (1..=400_000).contains(first)), "{places:?}");
}

#[test]
fn a_server_without_ranges_starts_again_and_the_layer_is_whole() {
    let image = Image::new(1_000_000);
    let server = with_layer(&image, |image, request| match request.from() {
        None => Answer::ok(image.packed(0)).cut(400_000),
        Some(_) => Answer::ok(image.packed(0)),
    });
    Client::new().fetched(&server, &[]);
}

#[test]
fn a_range_that_was_not_asked_for_never_gets_into_the_tree() {
    let image = Image::new(1_000_000);
    let server = with_layer(&image, |image, request| match request.from() {
        None => Answer::ok(image.packed(0)).cut(400_000),
        Some(from) => {
            let range = format!("bytes {}-{}/{}", from + 7, image.packed(0).len() - 1, image.packed(0).len());
            Answer::new(206).header("Content-Range", range).body(&image.packed(0)[from + 7..])
        }
    });
    let client = Client::new();
    let ended = client.fetch(&server, &[]);
    assert!(matches!(ended.end, End::Exit(4 | 6)), "{:?} {}", ended.end, ended.err());
    client.nothing_left();
}

#[test]
fn a_bomb_of_gzip_is_stopped_by_the_size_that_is_allowed() {
    let image = Image::default().with(&Tar::new().file("etc/motd", &vec![0; 200 << 20]).end()).finished();
    assert!(image.packed(0).len() < 2 << 20);
    let server = Server::start(move |request| image.answer(request));
    let said = Client::new().refused(&server, &["--max-size=64M"], 4);
    assert!(said.contains("--max-size"), "{said}");
}

#[test]
fn a_layer_that_drips_is_given_up() {
    let server = with_layer(&Image::new(100_000), |image, _| {
        Answer::ok(image.packed(0)).drip(Duration::from_millis(50))
    });
    Client::new().refused_within(2 * SOON, &server, &["--timeout=1"], 6);
}

#[test]
fn a_server_that_accepts_and_is_silent_is_given_up() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_secs(20));
        Answer::new(500)
    });
    Client::new().refused_within(2 * SOON, &server, &["--timeout=1"], 6);
}

//! Manifests and indexes that lie about what they are.

use serde_json::{Value, json};
use tests::layout::media;
use tests::server::noise;

use super::*;

fn serve(image: Image) -> Server {
    Server::start(move |request| image.answer(request))
}

/// Serves this manifest for every image, with this media type.
fn serve_manifest(body: impl Into<Vec<u8>>, media_type: &'static str) -> Server {
    let body = body.into();
    Server::start(move |request| {
        if !request.path().contains("/manifests/") {
            return Image::new(10).answer(request);
        }
        Answer::ok(body.as_slice()).header("Content-Type", media_type)
    })
}

#[test]
fn a_manifest_without_an_end_is_refused() {
    let server = Server::start(|request| {
        if request.path() == "/v2/" {
            return Answer::ok("{}");
        }
        let filler = Answer::ok(" ".repeat(1 << 20)).header("Content-Type", media::MANIFEST);
        filler.undeclared().for_ever()
    });
    Client::new().refused(&server, &[], 4);
}

#[test]
fn a_packed_manifest_is_no_longer_than_a_plain_one_may_be() {
    // 64 MiB of spaces after the first bytes of a manifest
    let bomb = tests::server::gzip(&[b"{\"schemaVersion\":2".as_slice(), &vec![b' '; 64 << 20]].concat());
    let twice = tests::server::gzip(&bomb);
    for (body, coding) in [(&bomb, "gzip"), (&twice, "gzip, gzip"), (&twice, "gzip")] {
        let (body, coding) = (body.clone(), coding.to_string());
        let server = Server::start(move |request| {
            if request.path() == "/v2/" {
                return Answer::ok("{}");
            }
            let answer = Answer::ok(body.clone()).header("Content-Type", media::MANIFEST);
            answer.header("Content-Encoding", coding.as_str())
        });
        Client::new().refused(&server, &[], 4);
    }
}

#[test]
fn a_manifest_that_is_nested_too_deep_is_refused() {
    Client::new().refused(&serve_manifest("[".repeat(1 << 20), media::MANIFEST), &[], 4);
    let deep = format!(r#"{{"schemaVersion":2,"layers":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    Client::new().refused(&serve_manifest(deep, media::MANIFEST), &[], 4);
}

#[test]
fn a_page_that_is_no_manifest_is_refused() {
    for (body, kind) in [("<html>log in</html>", "text/html"), ("", media::MANIFEST), ("{}", media::MANIFEST)]
    {
        Client::new().refused(&serve_manifest(body, kind), &[], 4);
    }
    Client::new().refused(&serve_manifest(noise(1000), "application/octet-stream"), &[], 4);
}

#[test]
fn a_manifest_with_another_digest_than_asked_for_is_refused() {
    let image = Image::new(10);
    let server = Server::start(move |request| {
        let latest = Request { target: "/v2/it/manifests/latest".into(), ..request.clone() };
        image.answer(if request.path().contains("/manifests/") { &latest } else { request })
    });
    let client = Client::new();
    let source = format!("docker://{}/it@sha256:{}", server.address(), "1".repeat(64));
    let ended = client.run().arg(source).arg(client.tree()).end().ended(End::Exit(4));
    assert!(ended.err().contains(&"1".repeat(64)), "{}", ended.err());
    client.nothing_left();
}

#[test]
fn a_list_that_leads_to_itself_ends() {
    // no index can contain its own digest, so the server lies: each one is the same index again
    let digest = format!("sha256:{}", "2".repeat(64));
    let entry = json!({
        "mediaType": media::INDEX, "digest": digest, "size": 300,
        "platform": {"os": "linux", "architecture": "amd64"},
    });
    let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [entry]});
    let server = serve_manifest(index.to_string(), media::INDEX);
    Client::new().refused(&server, &["--platform=linux/amd64"], 4);
    assert!(count(&server) < 10, "{} requests", count(&server));
}

#[test]
fn lists_of_lists_without_end_are_refused() {
    let mut image = Image::new(10);
    let mut inner = image.manifest("innermost", b"{}", media::INDEX);
    for number in 0..50 {
        inner["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [inner]}).to_string();
        let tag = if number == 49 { "latest" } else { "inner" };
        inner = image.manifest(tag, index.as_bytes(), media::INDEX);
    }
    let server = serve(image);
    Client::new().refused(&server, &["--platform=linux/amd64"], 4);
    assert!(count(&server) < 20, "{} requests", count(&server));
}

#[test]
fn the_first_schema_is_refused_by_name() {
    let body = r#"{"schemaVersion":1,"name":"it","tag":"latest","fsLayers":[],"history":[]}"#;
    for kind in [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/json",
    ] {
        let said = Client::new().refused(&serve_manifest(body, kind), &[], 4);
        assert!(said.contains("schema 1") || said.contains("schema version 1"), "{said}");
    }
}

#[test]
fn a_layer_that_is_kept_elsewhere_is_refused_with_the_reason() {
    let image = Image::new(10);
    let mut layer = image.layer(0).clone();
    layer["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    layer["urls"] = json!(["http://127.0.0.1:1/layer"]);
    let server = serve(image.clone().with_layers(&json!([layer])));
    let said = Client::new().refused(&server, &[], 4);
    assert!(said.contains("foreign"), "{said}");
    assert_eq!(server.count(&image.path(0)), 0);
}

#[test]
fn a_layer_or_an_image_of_an_unknown_kind_is_refused() {
    let image = Image::new(10);
    let mut layer = image.layer(0).clone();
    layer["mediaType"] = json!("application/vnd.example.model.v1.safetensors");
    let said = Client::new().refused(&serve(image.clone().with_layers(&json!([layer]))), &[], 4);
    assert!(said.contains("safetensors"), "{said}");
    let said = Client::new().refused(&serve_manifest("{}", "application/vnd.example.thing+json"), &[], 4);
    assert!(said.contains("thing"), "{said}");
}

#[test]
fn a_document_that_is_both_a_list_and_an_image_is_refused() {
    let image = Image::new(10);
    let both = json!({
        "schemaVersion": 2,
        "config": image.layer(0),
        "layers": [image.layer(0)],
        "manifests": [image.layer(0)],
    });
    Client::new().refused(&serve_manifest(both.to_string(), media::MANIFEST), &[], 4);
    Client::new().refused(&serve_manifest(both.to_string(), media::INDEX), &[], 4);
}

#[test]
fn sizes_and_digests_that_cannot_be_are_refused() {
    let image = Image::new(10);
    let path = image.path(0);
    let changes: [fn(&mut Value); 6] = [
        |layer| layer["size"] = json!(-1),
        |layer| layer["size"] = json!(1e300),
        |layer| layer["size"] = json!(u64::MAX),
        |layer| layer["digest"] = json!("sha256:../../../../etc/passwd"),
        |layer| layer["digest"] = json!("md5:d41d8cd98f00b204e9800998ecf8427e"),
        |layer| layer["digest"] = Value::Null,
    ];
    for change in changes {
        let mut layer = image.layer(0).clone();
        change(&mut layer);
        let server = serve(image.clone().with_layers(&json!([layer])));
        Client::new().refused(&server, &[], 4);
        assert!(server.count(&path) < 5);
    }
}

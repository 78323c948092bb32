//! SOCKS proxies, and proxies with TLS.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use tests::certificates::Certificates;

use super::*;

/// What a SOCKS proxy has learned: user and password, and the requested server.
#[derive(Debug, PartialEq, Eq)]
struct SocksRequest {
    user: Option<String>,
    server: String,
}

/// A SOCKS 5 proxy on a free port, which acts as any server itself and answers with an archive.
fn socks(reply: u8) -> (u16, Receiver<SocksRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // the client may disconnect at any time
            if let Some(one) = greet(&mut stream, reply) {
                let _ = sender.send(one);
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&answer(OK, "", &archive()));
            }
        }
    });
    (port, asked)
}

/// RFC 1928 and 1929 up to the reply.
fn greet(stream: &mut TcpStream, reply: u8) -> Option<SocksRequest> {
    let methods = bytes(stream, 2)?[1];
    let by_password = bytes(stream, methods)?.contains(&2);
    stream.write_all(&[5, if by_password { 2 } else { 0 }]).ok()?;
    let mut user = None;
    if by_password {
        bytes(stream, 1)?;
        user = Some(format!("{}:{}", text(stream)?, text(stream)?));
        stream.write_all(&[1, 0]).ok()?;
    }
    let server = match bytes(stream, 4)?[3] {
        1 => bytes(stream, 4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        _ => text(stream)?,
    };
    let port = bytes(stream, 2)?;
    stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    Some(SocksRequest { user, server: format!("{server}:{}", u16::from_be_bytes([port[0], port[1]])) })
}

fn bytes(stream: &mut TcpStream, count: u8) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count.into()];
    stream.read_exact(&mut bytes).ok().map(|()| bytes)
}

/// A string with its length before it.
fn text(stream: &mut TcpStream) -> Option<String> {
    let length = bytes(stream, 1)?[0];
    Some(String::from_utf8_lossy(&bytes(stream, length)?).into_owned())
}

fn through(scratch: &Scratch, proxy: &str, url: &str) -> Outcome {
    let mut command = tool(scratch, &["--insecure-http", "--timeout", "5", url, "root"]);
    command.env("all_proxy", proxy).env_remove("http_proxy").env_remove("https_proxy").env_remove("no_proxy");
    feed(command, b"")
}

#[test]
fn a_socks_proxy_looks_up_the_server_and_is_told_who_asks() {
    let (port, asked) = socks(0);
    let scratch = Scratch::new();
    let proxy = format!("socks5h://u:p%40ss@127.0.0.1:{port}");
    let outcome = through(&scratch, &proxy, "http://elsewhere.invalid:81/a.tar");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let expected = SocksRequest { user: Some("u:p@ss".into()), server: "elsewhere.invalid:81".into() };
    assert_eq!(asked.try_recv(), Ok(expected));
}

#[test]
fn with_socks5_this_machine_looks_up_the_server() {
    let (port, asked) = socks(0);
    let scratch = Scratch::new();
    let proxy = format!("socks5://127.0.0.1:{port}");
    let outcome = through(&scratch, &proxy, "http://elsewhere.invalid/a.tar");
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert!(asked.try_recv().is_err());
    // TEST-NET-1: only the proxy may be asked for it
    let outcome = through(&scratch, &proxy, "http://192.0.2.1/a.tar");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(asked.try_recv(), Ok(SocksRequest { user: None, server: "192.0.2.1:80".into() }));
}

#[test]
fn a_socks_proxy_that_refuses_is_an_error_with_its_reason() {
    let (port, _asked) = socks(2);
    let scratch = Scratch::new();
    let proxy = format!("socks5h://u:secret@127.0.0.1:{port}");
    let outcome = through(&scratch, &proxy, "https://elsewhere.invalid/a.tar");
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    let line = format!("by the proxy 127.0.0.1:{port}: the proxy does not connect to it: ");
    assert!(outcome.stderr.contains(&line) && !outcome.stderr.contains("secret"), "{outcome:?}");
    assert!(scratch.left().is_empty());
}

mod with_registry {
    use super::*;

    #[test]
    #[ignore = "needs openssl"]
    fn a_proxy_behind_tls_is_trusted_as_a_server_is() {
        let scratch = Scratch::new();
        let keys = tests::Scratch::new();
        let certificates = Certificates::signed(&keys);
        let proxy = Server::tls(&certificates, |request| {
            let is_get = request.head.starts_with("GET http://elsewhere.invalid/a.tar ");
            tests::server::Answer::raw(if is_get {
                answer(OK, "", &archive())
            } else {
                answer("403 No", "", b"")
            })
        });
        let url = format!("https://127.0.0.1:{}", proxy.port());
        let outcome = through(&scratch, &url, "http://elsewhere.invalid/a.tar");
        assert_eq!(outcome.code, Some(6), "{outcome:?}");
        assert!(outcome.stderr.contains("no trusted authority has signed it"), "{outcome:?}");
        let trusted = |server: &str| {
            let mut command = tool(&scratch, &["--insecure-http", "--cacert"]);
            command.arg(&certificates.authority).args([server, "root"]).env("all_proxy", &url);
            feed(command, b"")
        };
        let outcome = trusted("https://elsewhere.invalid/a.tar");
        assert_eq!(outcome.code, Some(6), "{outcome:?}");
        assert!(outcome.stderr.contains("the proxy does not connect to it"), "{outcome:?}");
        assert_eq!(trusted("http://elsewhere.invalid/a.tar").code, Some(0));
        assert!(proxy.heads().concat().contains("CONNECT elsewhere.invalid:443 HTTP/1.1\r\n"));
    }
}

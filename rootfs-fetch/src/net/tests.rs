//! The network against servers of a few lines: answers byte by byte, silence, dead addresses.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Kind, Result};
use crate::interrupt::Interrupt;
use crate::net::client::{Net, Rules};
use crate::net::error::RequestError;
use crate::net::request::Request;
use crate::net::url::Url;

/// A network that waits a second, and takes plain HTTP for granted.
fn net() -> Arc<Net> {
    patient(1)
}

/// What [`net`] may do.
fn rules() -> Rules {
    Rules {
        authorities: None,
        insecure_http: true,
        insecure_registries: Vec::new(),
        insecure_tls: false,
        patience: Duration::from_secs(1),
        reporter: None,
    }
}

fn patient(seconds: u64) -> Arc<Net> {
    let patience = Duration::from_secs(seconds);
    Net::new(Rules { patience, ..rules() }, &Interrupt::default())
}

/// Serves each connection with `serve`; the URL to ask, and how many connections there were.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let url = url("127.0.0.1", &listener);
    let (count, serve) = (Arc::new(AtomicUsize::new(0)), Arc::new(serve));
    let counted = count.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let serve = serve.clone();
            thread::spawn(move || serve(client));
        }
    });
    (url, count)
}

fn url(host: &str, listener: &TcpListener) -> Url {
    let port = listener.local_addr().expect("its address").port();
    format!("http://{host}:{port}/x").parse().expect("a URL")
}

/// Reads the head of a request; false when the client has gone.
fn heard(client: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        head.push(byte[0]);
    }
    true
}

/// A server that answers every request with these bytes, and closes.
fn saying(answer: impl Into<Vec<u8>>) -> (Url, Arc<AtomicUsize>) {
    let answer = answer.into();
    server(move |mut client| {
        if heard(&mut client) {
            // the client may have heard enough
            let _ = client.write_all(&answer);
        }
    })
}

/// What a client reads of such an answer.
fn read(answer: &str) -> Result<String> {
    let (url, _) = saying(answer);
    let mut text = String::new();
    let response = net().ask(&Request::get(url.clone()));
    let mut response = response.map_err(|error| error.into_failure(&url))?;
    response.read_to_string(&mut text).map_err(|error| crate::net::error::broken(&url, &error))?;
    Ok(text)
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn the_end_of_a_body_is_where_the_head_says() {
    let is = |answer: &str, body: &str| assert_eq!(read(answer).expect("a body"), body);
    is(&format!("{OK}Content-Length: 3\r\n\r\nabcd"), "abc");
    is(&format!("{OK}Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde"), "abcde");
    is(&format!("{OK}Content-Length: 0\r\n\r\nabcd"), "");
    is(&format!("{CHUNKED}3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nField: 1\r\n\r\nrest"), "abcd");
    is(&format!("{OK}\r\nabc"), "abc");
    is("HTTP/1.0 200 OK\r\n\r\nabc", "abc");
    is("HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc", "abc");
}

#[test]
fn a_body_that_ends_early_or_cannot_be_read_is_an_error() {
    assert!(read(&format!("{OK}Content-Length: 4\r\n\r\nabc")).is_err());
    let many = format!("0\r\n{}", "a: b\r\n".repeat(5000));
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(50_000));
    for wrong in [
        "",
        "3\r\nab",
        "3\r\nabc",
        "3\r\nabc\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "x\r\nabc\r\n0\r\n\r\n",
        "-1\r\n",
        "\r\n",
        "ffffffffffffffffff\r\n",
        "0\r\n",
        &many,
        &long,
    ] {
        assert!(read(&format!("{CHUNKED}{wrong}")).is_err(), "{wrong:.40}");
    }
}

#[test]
fn a_head_that_cannot_be_read_is_an_error() {
    let long = format!("{OK}x: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("{OK}{}\r\n", "x: y\r\n".repeat(1000));
    for wrong in ["", "\r\n", "SSH-2.0\r\n\r\n", OK, "HTTP/1.1 abc\r\n\r\n", &long, &many] {
        assert!(read(wrong).is_err(), "{wrong:.40}");
    }
    for wrong in ["5\r\nContent-Length: 6", "5, 6", "-1", "+5", "5x", "", "99999999999999999999"] {
        assert!(read(&format!("{OK}Content-Length: {wrong}\r\n\r\nabcdef")).is_err(), "{wrong}");
    }
}

#[test]
fn an_answer_that_lies_about_itself_is_not_asked_for_again() {
    for lie in
        ["Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip", "Content-Length: 5, 6", "No colon"]
    {
        let (url, asked) = saying(format!("{OK}{lie}\r\n\r\n0\r\n\r\n"));
        let Err(failure) = net().fetch(&Request::get(url)) else { panic!("{lie} was believed") };
        let line = failure.to_string();
        assert!(failure.is(Kind::Network) && line.contains("the answer is not HTTP: "), "{line}");
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{lie}");
    }
}

#[test]
fn an_idle_connection_is_used_again_unless_it_was_closed() {
    let answer = format!("{OK}Content-Length: 2\r\n\r\nok");
    let ask = |net: &Net, url: &Url| {
        let response = net.ask(&Request::get(url.clone())).expect("an answer");
        assert_eq!(response.all(10).expect("its body"), b"ok");
    };
    let again = answer.clone();
    let (url, connections) =
        server(move |mut client| while heard(&mut client) && client.write_all(again.as_bytes()).is_ok() {});
    let net = net();
    (0..3).for_each(|_| ask(&net, &url));
    assert_eq!(connections.load(Ordering::Relaxed), 1);

    // closed after each answer, which the head does not say
    let closed = Arc::new(AtomicUsize::new(0));
    let counted = closed.clone();
    let (url, connections) = server(move |mut client| {
        heard(&mut client);
        client.write_all(answer.as_bytes()).expect("a reader");
        drop(client);
        counted.fetch_add(1, Ordering::Release);
    });
    for number in 1..=3 {
        ask(&net, &url);
        let is_closed = || (closed.load(Ordering::Acquire) >= number).then_some(());
        ::tests::deadline::until("the server to close the connection", is_closed);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[test]
fn a_drip_ends_in_time_and_a_flow_does_not() {
    let (url, _) = server(|mut client| {
        heard(&mut client);
        let _ = client.write_all(format!("{OK}\r\n").as_bytes());
        while client.write_all(b".").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut drip = net().ask(&Request::get(url)).expect("a head");
    let started = Instant::now();
    let error = io::copy(&mut drip, &mut io::sink()).expect_err("went on for ever");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(10));

    let (url, _) = server(|mut client| {
        heard(&mut client);
        let _ = client.write_all(format!("{OK}\r\n").as_bytes());
        for _ in 0..30 {
            client.write_all(&[0; 100]).expect("a reader");
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut flow = net().ask(&Request::get(url)).expect("a head");
    assert_eq!(io::copy(&mut flow, &mut io::sink()).expect("all of it"), 3000);
}

#[test]
fn silence_ends_in_time() {
    let (url, _) = server(|client| {
        thread::sleep(Duration::from_secs(10));
        drop(client);
    });
    let started = Instant::now();
    let Err(RequestError::Broken(error)) = net().ask(&Request::get(url)) else { panic!("no answer") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_port_nobody_listens_at_is_told() {
    let url = url("127.0.0.1", &TcpListener::bind("127.0.0.1:0").expect("a socket"));
    let refused = net().ask(&Request::get(url.clone()));
    let Err(RequestError::Unreachable(failure)) = refused else { panic!("nobody is there: {refused:?}") };
    let authority = url.origin.authority();
    assert_eq!(
        failure.to_string(),
        format!("cannot connect to {authority}: Connection refused (ECONNREFUSED)")
    );
    assert!(failure.is(Kind::Network));
}

/// A listener at 127.0.0.2 whose queue is full, so that it answers no SYN, and what fills it.
fn dead(port: u16) -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind(("127.0.0.2", port)).expect("a socket");
    rustix::net::listen(listener.as_fd(), 0).expect("a short queue");
    let address: SocketAddr = listener.local_addr().expect("its address");
    let fill = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let filling = (0..4).map_while(fill).collect();
    (listener, filling)
}

#[test]
fn a_dead_address_does_not_keep_from_the_next_one_for_long() {
    let (at, _) = saying(format!("{OK}Content-Length: 0\r\n\r\n"));
    let _dead = dead(at.origin.port);
    let net = patient(30);
    let both: [IpAddr; 2] = [Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into()];
    net.addresses().insert("two.test", &both);
    let url = format!("http://two.test:{}/", at.origin.port).parse().expect("a URL");
    let started = Instant::now();
    net.ask(&Request::get(url)).expect("an answer");
    let took = started.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[test]
fn a_redirect_does_not_lead_out_of_tls_nor_into_this_machine() {
    let net = net();
    net.addresses().insert("a", &["192.0.2.1".parse().expect("an address")]);
    net.addresses().insert("b", &["192.0.2.2".parse().expect("an address")]);
    let both = ["192.0.2.2".parse().expect("an address"), Ipv4Addr::LOCALHOST.into()];
    net.addresses().insert("this-machine.example", &both);
    let refused = |from: &str, to: &str| {
        let origin = |text: &str| text.parse::<Url>().expect("a URL").origin;
        net.forbidden(&origin(from), &origin(from), &origin(to)).expect("an address").is_some()
    };
    assert!(!refused("https://a", "https://b"));
    assert!(!refused("http://127.0.0.1:1", "http://127.0.0.1:2"));
    assert!(!refused("http://localhost", "https://b"));
    assert!(!refused("http://this-machine.example", "http://127.0.0.1"));
    assert!(refused("https://a", "http://a"));
    for inside in [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "[fe80::1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "this-machine.example",
    ] {
        assert!(refused("https://a", &format!("https://{inside}:8080")), "{inside}");
    }
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    let rules = Rules { insecure_http: false, ..rules() };
    let net = Net::new(rules, &Interrupt::default());
    let request = Request::get("http://192.0.2.1/x".parse().expect("a URL"));
    let Err(failure) = net.fetch(&request) else { panic!("it was asked") };
    let line = failure.to_string();
    assert_eq!(line, "refused http://192.0.2.1: plain HTTP can be read and changed on the way");
}

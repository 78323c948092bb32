// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server of a test's own: says what it is told to say, and remembers what it was asked.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens on this machine as long as the process lives.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` gets the head of each request, and says all bytes of the answer; the
    /// connection is closed after it, or kept open where there is none.
    pub fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = listener.local_addr().expect("its address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for client in listener.incoming() {
                let mut client = client.expect("a client");
                let head = head(&mut client);
                log.lock().expect("no test panicked here").push(head.clone());
                match answer(&head) {
                    Some(bytes) => {
                        // the client may have heard enough
                        let _ = client.write_all(&bytes);
                        let _ = client.shutdown(Shutdown::Write);
                    }
                    None => open.push(client),
                }
            }
        });
        Self { port, asked }
    }

    /// The heads of all requests.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panicked here").clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

fn head(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|count| count > 0) {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer with a body of the length it says.
pub fn answer(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

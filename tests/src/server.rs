//! An HTTP server that answers as a test decides, correctly or not, and records the requests.

mod answer;
mod image;
mod request;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Certificates;

pub use answer::{Answer, Then, answer};
pub use image::{Image, gzip, noise};
pub use request::Request;

/// A client that is silent for this long is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// How a test answers a request.
pub type Script = dyn Fn(&Request) -> Answer + Send + Sync;

/// A server that runs as long as this value lives.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

/// The state for all connections.
struct Shared {
    script: Box<Script>,
    requests: Arc<Mutex<Vec<Request>>>,
    tls: Option<Arc<ServerConfig>>,
    stop: Arc<AtomicBool>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Server {
    /// A server on a free port of 127.0.0.1, without TLS.
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1", None, Box::new(script))
    }

    /// The same on another loopback address: another host.
    pub fn elsewhere(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.2", None, Box::new(script))
    }

    /// The same with TLS.
    pub fn tls(
        certificates: &Certificates,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.1", Some(Arc::new(settings(certificates, false))), Box::new(script))
    }

    /// The same, only for clients with a certificate of the same authority.
    pub fn tls_for_clients(
        certificates: &Certificates,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.1", Some(Arc::new(settings(certificates, true))), Box::new(script))
    }

    fn listen(host: &str, tls: Option<Arc<ServerConfig>>, script: Box<Script>) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a free port of the loopback");
        let address = listener.local_addr().expect("its address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared { script, requests: requests.clone(), tls, stop: stop.clone() });
        let listening = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                // it ends with the client, which every test waits for
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, requests, stop, listening: Some(listening) }
    }

    /// A server that sends the bytes that `script` returns for the head of a request, and then closes the
    /// connection; without bytes, it is silent until the client closes the connection.
    pub fn bytes(script: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::start(move |request| script(&request.head).map_or_else(Answer::silent, Answer::raw))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a file on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.head).collect()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of requests for a path.
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path() == path).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // wakes it up; if this fails, it is not waiting
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl Shared {
    /// Answers one client until the client or the script ends the connection.
    fn serve(&self, socket: TcpStream) {
        // a client that disconnects in the middle is part of every test of a hostile server
        let _ = self.answer_all(&socket);
    }

    fn answer_all(&self, socket: &TcpStream) -> io::Result<()> {
        socket.set_read_timeout(Some(SILENCE))?;
        socket.set_write_timeout(Some(SILENCE))?;
        socket.set_nodelay(true)?;
        let plain = socket.try_clone()?;
        let mut stream: Box<dyn Stream> = match &self.tls {
            Some(settings) => {
                let session = ServerConnection::new(settings.clone()).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(session, plain))
            }
            None => Box::new(plain),
        };
        while let Some(mut request) = Request::read(&mut stream)? {
            request.at = Some(Instant::now());
            self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            let answer = (self.script)(&request);
            let then = answer.write(&request, &mut stream, &|| self.stop.load(Ordering::Relaxed))?;
            match then {
                Then::Listen => {}
                Then::Close => return Ok(()),
                Then::Reset => return reset(socket),
                Then::Hold => return io::copy(&mut stream, &mut io::sink()).map(drop),
            }
        }
        Ok(())
    }
}

/// Makes the next close a reset: socket(7), `SO_LINGER`.
fn reset(socket: &TcpStream) -> io::Result<()> {
    let now = libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Linger, &now)?;
    Ok(())
}

fn settings(certificates: &Certificates, asks_who: bool) -> ServerConfig {
    let chain = CertificateDer::from_pem_file(&certificates.server).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&certificates.key).expect("a private key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let settings = settings.expect("versions of TLS");
    let settings = if asks_who {
        let authority = CertificateDer::from_pem_file(&certificates.authority).expect("a certificate");
        let mut known = RootCertStore::empty();
        known.add(authority).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(known), provider).build();
        settings.with_client_cert_verifier(verifier.expect("who is known"))
    } else {
        settings.with_no_client_auth()
    };
    settings.with_single_cert(vec![chain], key).expect("a key that fits its certificate")
}

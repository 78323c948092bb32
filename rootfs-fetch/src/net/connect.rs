// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP connections, made to the first address that answers, and watched while they are read.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;

/// How soon a signal or a deadline is noticed.
const SLICE: Duration = Duration::from_millis(100);
/// How long one address is tried alone: RFC 8305, section 5.
const HEAD_START: Duration = Duration::from_millis(250);
/// A body that comes slower than this, in bytes a second, has stopped for all purposes.
const SLOWEST: u64 = 512;

/// Connects to the first address that answers; each further one is tried a moment later.
///
/// # Errors
/// Network, with the reason of the address that was tried first; a signal.
pub fn connect(
    name: &str,
    addresses: &[IpAddr],
    port: u16,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<Watched> {
    let started = Instant::now();
    let failed = |why: &str| Failure::new(Kind::Network, format_args!("cannot connect to {name}: {why}"));
    let (say, said) = mpsc::channel();
    let mut waiting = addresses.iter();
    let mut tried = 0;
    let mut failures = 0;
    let mut first: Option<String> = None;
    loop {
        interrupt.check()?;
        let due = HEAD_START * tried;
        if (failures == tried || started.elapsed() >= due)
            && let Some(&address) = waiting.next()
        {
            let say = say.clone();
            let try_one = move || {
                // nobody may wait any more
                let _ = say.send(TcpStream::connect_timeout(&SocketAddr::new(address, port), patience));
            };
            let thread = thread::Builder::new().spawn(try_one);
            thread.map_err(|error| Failure::no_thread(&error).kind(Kind::Network))?;
            tried += 1;
        }
        match said.recv_timeout(SLICE) {
            Ok(Ok(stream)) => {
                return Watched::new(stream, patience, interrupt).map_err(|error| failed(&why(&error)));
            }
            Ok(Err(error)) => {
                failures += 1;
                first.get_or_insert_with(|| why(&error));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if failures == tried && waiting.len() == 0 {
            return Err(failed(&first.unwrap_or_else(|| "it has no address".into())));
        }
        if started.elapsed() >= patience {
            return Err(failed(&format!("no answer in {} s", patience.as_secs())));
        }
    }
}

/// An error as people read it: `Connection refused (ECONNREFUSED)`.
pub fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => chain::reporter::ErrnoText(nix::errno::Errno::from_raw(errno)).to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the connection was closed too early".into(),
        None => error.to_string(),
    }
}

/// What a connection is waited for.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// Everything until then: a handshake, the head of an answer.
    Until(Instant),
    /// A body, as long as it comes at a rate that gets somewhere.
    Flow,
}

/// A connection that ends in time: each wait is cut in slices, between which signals,
/// deadlines and the rate are looked at. It stands below TLS, where every byte counts.
#[derive(Debug)]
pub struct Watched {
    stream: TcpStream,
    patience: Duration,
    interrupt: Interrupt,
    wait: Wait,
    /// Of the current stretch of a body: time spent waiting, and what it brought.
    waited: Duration,
    came: u64,
}

impl Watched {
    fn new(stream: TcpStream, patience: Duration, interrupt: &Interrupt) -> io::Result<Self> {
        stream.set_read_timeout(Some(SLICE))?;
        stream.set_write_timeout(Some(SLICE))?;
        // a request is one write, and what it asks for is wanted now
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            patience,
            interrupt: interrupt.clone(),
            wait: Wait::Until(Instant::now() + patience),
            waited: Duration::ZERO,
            came: 0,
        })
    }

    /// Each step after the connection may take so long.
    pub fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The next step has the whole patience.
    pub fn begin_step(&mut self) {
        self.wait = Wait::Until(Instant::now() + self.patience);
    }

    /// From here on a body comes.
    pub fn begin_body(&mut self) {
        self.wait = Wait::Flow;
        self.waited = Duration::ZERO;
        self.came = 0;
    }

    fn look(&mut self) -> io::Result<()> {
        self.interrupt.check().map_err(Failure::into_io)?;
        let seconds = self.patience.as_secs();
        let late = |why: String| Err(io::Error::new(io::ErrorKind::TimedOut, why));
        match self.wait {
            Wait::Until(deadline) if Instant::now() >= deadline => late(format!("no answer in {seconds} s")),
            Wait::Flow if self.waited >= self.patience => {
                let came = std::mem::take(&mut self.came);
                self.waited = Duration::ZERO;
                if came >= SLOWEST * self.patience.as_secs().max(1) {
                    return Ok(());
                }
                late(format!("{came} bytes in {seconds} s are too few to go on"))
            }
            Wait::Until(_) | Wait::Flow => Ok(()),
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let started = Instant::now();
            let read = self.stream.read(into);
            self.waited += started.elapsed();
            match read {
                Err(error) if is_pause(&error) => self.look()?,
                Err(error) => return Err(error),
                Ok(count) => {
                    self.came += count as u64;
                    // one byte each slice is no pause, but no flow either
                    self.look()?;
                    return Ok(count);
                }
            }
        }
    }
}

impl Write for Watched {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(from) {
                Err(error) if is_pause(&error) => self.look()?,
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn watched(patience: Duration, serve: impl FnOnce(TcpStream) + Send + 'static) -> Watched {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || serve(listener.accept().expect("a client").0));
        // the first address refuses; the second is found
        let addresses = [Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into()];
        connect("test", &addresses, port, patience, &Interrupt::default()).expect("a connection")
    }

    #[test]
    fn a_drip_ends_in_time_and_a_flow_does_not() {
        let mut drip = watched(Duration::from_secs(1), |mut client| {
            while client.write_all(b".").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        drip.begin_body();
        let started = Instant::now();
        let error = io::copy(&mut drip, &mut io::sink()).expect_err("went on for ever");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(10));

        let mut flow = watched(Duration::from_secs(1), |mut client| {
            for _ in 0..30 {
                client.write_all(&[0; 100]).expect("a reader");
                thread::sleep(Duration::from_millis(50));
            }
        });
        flow.begin_body();
        assert_eq!(io::copy(&mut flow, &mut io::sink()).expect("all of it"), 3000);
    }

    #[test]
    fn silence_ends_in_time() {
        let mut silent = watched(Duration::from_secs(1), |client| {
            thread::sleep(Duration::from_secs(3));
            drop(client);
        });
        silent.begin_step();
        assert_eq!(silent.read(&mut [0]).expect_err("no answer").kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_port_nobody_listens_at_is_told() {
        let gone =
            TcpListener::bind("127.0.0.1:0").expect("a socket").local_addr().expect("its address").port();
        let addresses = [Ipv4Addr::LOCALHOST.into()];
        let refused = connect("h", &addresses, gone, Duration::from_secs(5), &Interrupt::default());
        let Err(failure) = refused else { panic!("nobody is there") };
        let line = failure.to_string();
        assert_eq!(line, "cannot connect to h: Connection refused (ECONNREFUSED)");
        assert!(failure.is(Kind::Network));
    }
}

//! A connection over a unix socket: authentication, a call, its reply, a signal.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, send};

use super::wire::{ERROR, MethodCall, REPLY, SIGNAL};
use super::{Body, Error, Message};

/// An authenticated connection.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    read: Vec<u8>,
    serial: u32,
    deadline: Instant,
    signals: Vec<Message>,
}

/// The bus's own name, path and interface.
const BUS: MethodCall<'static> = MethodCall {
    destination: Some("org.freedesktop.DBus"),
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    signature: "",
};

impl Connection {
    /// Connects and authenticates.
    ///
    /// # Errors
    /// There is no socket, or the peer refuses the connection.
    pub fn open(path: &Path, timeout: Duration) -> Result<Self, Error> {
        Self::over(UnixStream::connect(path)?, timeout)
    }

    /// The same over an open socket.
    ///
    /// # Errors
    /// Those of [`Connection::open`].
    pub fn over(socket: UnixStream, timeout: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + timeout;
        let mut connection = Self { socket, read: Vec::new(), serial: 0, deadline, signals: Vec::new() };
        connection.authenticate()?;
        Ok(connection)
    }

    /// The kernel passes our user id to the peer, so we claim none: inside a user namespace, the id that we
    /// see would be wrong.
    fn authenticate(&mut self) -> Result<(), Error> {
        self.write(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        loop {
            while let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                if line.starts_with(b"OK ") {
                    return Ok(());
                }
                if !line.starts_with(b"DATA") {
                    return Err(Error::Rejected);
                }
            }
            if self.read.len() > 4096 {
                return Err(Error::Malformed("an endless line"));
            }
            self.fill()?;
        }
    }

    /// Joins the bus, and subscribes to a signal. A peer's own socket is not a bus.
    ///
    /// # Errors
    /// Those of [`Connection::call`].
    pub fn join_bus(&mut self, rule: &str) -> Result<(), Error> {
        self.call(BUS, &Body::default())?;
        let mut body = Body::default();
        body.text(rule);
        self.call(MethodCall { member: "AddMatch", signature: "s", ..BUS }, &body).map(drop)
    }

    /// Makes a call and waits for its reply.
    ///
    /// # Errors
    /// The peer's refusal, or its silence.
    pub fn call(&mut self, call: MethodCall<'_>, body: &Body) -> Result<Message, Error> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&call.to_bytes(serial, body))?;
        loop {
            let message = self.next()?;
            match message.kind {
                REPLY if message.answers == Some(serial) => return Ok(message),
                ERROR if message.answers == Some(serial) => {
                    let text = message.texts().ok().and_then(|texts| texts.into_iter().next());
                    return Err(Error::Refused(message.error, text.unwrap_or_default()));
                }
                // it can arrive before the reply
                SIGNAL => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// Waits for a signal in which `find` finds something.
    ///
    /// # Errors
    /// The peer sends nothing more.
    pub fn signal<T>(&mut self, find: impl Fn(&Message) -> Option<T>) -> Result<T, Error> {
        if let Some(found) = self.signals.iter().find_map(&find) {
            return Ok(found);
        }
        loop {
            let message = self.next()?;
            if let Some(found) = Some(&message).filter(|message| message.kind == SIGNAL).and_then(&find) {
                return Ok(found);
            }
        }
    }

    fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some((message, len)) = Message::parse(&self.read)? {
                self.read.drain(..len);
                return Ok(message);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // a peer that never stops sending must not delay the deadline, and a timeout of zero is none
        if left.is_zero() {
            return Err(Error::Io(std::io::ErrorKind::TimedOut));
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut some = [0; 4096];
        match self.socket.read(&mut some) {
            Ok(0) => Err(Error::Io(std::io::ErrorKind::UnexpectedEof)),
            Ok(count) => {
                self.read.extend(some.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            // a closed connection is an error, and must not raise SIGPIPE
            let sent = send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
                .map_err(|errno| io::Error::from_raw_os_error(errno as i32))?;
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }
}

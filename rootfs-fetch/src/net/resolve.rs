//! Looks up the addresses of a name without the C library's resolver.
//!
//! In a static program, getaddrinfo(3) loads the host's modules of nsswitch.conf(5) into a process that they
//! were not built for, which can crash. getent(1) is a program of the host, so it uses them safely: mdns,
//! resolved, LDAP. Without getent, [`dns`] reads hosts(5) and asks the servers in resolv.conf(5).

pub mod dns;

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;
use crate::net::resolve::dns::{MAX_ADDRESSES, SLICE, no_answer};

/// The addresses of a host, the best one first.
///
/// # Errors
/// Network, if the host is unknown or no server answers in time.
pub fn resolve(host: &str, patience: Duration, interrupt: &Interrupt) -> Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let deadline = Instant::now() + patience;
    let addresses = match by_getent(host, deadline, interrupt)? {
        Some(addresses) => addresses,
        None => dns::resolve(host, deadline, interrupt)?,
    };
    if addresses.is_empty() {
        return Err(Failure::new(Kind::Network, format_args!("cannot find {host:?}: unknown host")));
    }
    Ok(addresses)
}

/// The output of getent(1); None if it is missing or does not know this database.
fn by_getent(host: &str, deadline: Instant, interrupt: &Interrupt) -> Result<Option<Vec<IpAddr>>> {
    let mut command = Command::new("getent");
    command.args(["ahosts", host]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return Ok(None) };
    let (say, said) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        let read = move || {
            let mut text = Vec::new();
            let _ = output.take(64 * 1024).read_to_end(&mut text);
            // the caller may have stopped waiting
            let _ = say.send(text);
        };
        // without a thread the channel closes
        drop(thread::Builder::new().spawn(read));
    }
    let text = wait(&said, deadline, interrupt);
    if text.is_err() {
        let _ = child.kill();
    }
    let status = child.wait();
    let addresses = parse(&String::from_utf8_lossy(&text?.unwrap_or_default()));
    match status.ok().and_then(|status| status.code()) {
        Some(0) if !addresses.is_empty() => Ok(Some(addresses)),
        // getent(1): one or more keys were not found
        Some(2) => Ok(Some(Vec::new())),
        _ => Ok(None),
    }
}

fn wait(said: &mpsc::Receiver<Vec<u8>>, deadline: Instant, interrupt: &Interrupt) -> Result<Option<Vec<u8>>> {
    loop {
        interrupt.check()?;
        match said.recv_timeout(SLICE) {
            Ok(text) => return Ok(Some(text)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(RecvTimeoutError::Timeout) => return Err(no_answer()),
        }
    }
}

/// `192.0.2.1  STREAM example.org`, in order of preference, with a line for each type of an address.
fn parse(text: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for line in text.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        // the zone of a link-local address means nothing to other programs
        let address = first.split('%').next().unwrap_or_default().parse();
        if let Some(address) = address.ok().filter(|address| !addresses.contains(address)) {
            addresses.push(address);
        }
    }
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own_and_localhost_is_this_machine() {
        let resolve =
            |host| resolve(host, Duration::from_secs(5), &Interrupt::default()).expect("an address");
        assert_eq!(resolve("192.0.2.7"), ["192.0.2.7".parse::<IpAddr>().expect("an address")]);
        assert_eq!(resolve("::1"), ["::1".parse::<IpAddr>().expect("an address")]);
        assert!(resolve("localhost").contains(&Ipv4Addr::LOCALHOST.into()));
        assert!(resolve("a.localhost").contains(&Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn what_getent_says_is_read_once_and_in_order() {
        let text = "2001:db8::1     STREAM example.org\n2001:db8::1     DGRAM\n192.0.2.1  STREAM\n\
            fe80::1%eth0 STREAM\nnonsense\n";
        let addresses: Vec<String> = parse(text).iter().map(IpAddr::to_string).collect();
        assert_eq!(addresses, ["2001:db8::1", "192.0.2.1", "fe80::1"]);
    }
}

//! The addresses of hosts, looked up once per run: the addresses that were checked are those that are used.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::net::resolve::resolve;

/// The longest time to wait for one address while there are others to try.
const MAX_ADDRESS_WAIT: Duration = Duration::from_secs(2);

/// A cache of addresses. reqwest finds them here and never asks for others.
#[derive(Debug)]
pub struct Addresses {
    known: Mutex<HashMap<String, Vec<IpAddr>>>,
    connect_timeout: Duration,
}

impl Addresses {
    /// An empty cache; `connect_timeout` is the time limit for a connection.
    pub fn new(connect_timeout: Duration) -> Self {
        Self { known: Mutex::default(), connect_timeout }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Vec<IpAddr>>> {
        // a thread that panicked has ended the process
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn insert(&self, host: &str, addresses: &[IpAddr]) {
        self.known().insert(host.to_owned(), addresses.to_vec());
    }

    /// The addresses of a host, the best one first.
    ///
    /// # Errors
    /// Network, if the host is unknown or no name server answers in time; a signal.
    pub fn find(&self, host: &str, interrupt: &Interrupt) -> Result<Vec<IpAddr>> {
        let known = self.known().get(host).cloned();
        if let Some(addresses) = known {
            return Ok(addresses);
        }
        let found = resolve(host, self.connect_timeout, interrupt)?;
        // another thread may have been faster, and its addresses may be in use
        Ok(self.known().entry(host.to_owned()).or_insert(found).clone())
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let known = self.known().get(name.as_str()).cloned();
        let addresses = known.map(|addresses| {
            let addresses = repeated(&addresses, self.connect_timeout);
            Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs
        });
        Box::pin(std::future::ready(addresses.ok_or_else(|| "the host was not looked up".into())))
    }
}

/// The same addresses several times. hyper tries the addresses of one family one after the other and divides
/// the timeout by their number, so a longer list means a shorter wait for each.
fn repeated(addresses: &[IpAddr], timeout: Duration) -> Vec<IpAddr> {
    let v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
    let tried = v4.max(addresses.len() - v4);
    let rounds = match tried {
        0 | 1 => 1,
        _ => timeout.as_millis().div_ceil(MAX_ADDRESS_WAIT.as_millis() * tried as u128),
    };
    addresses.repeat(usize::try_from(rounds).unwrap_or(1).max(1))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_dead_address_is_waited_for_two_seconds_at_most() {
        let (four, six) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
        let count = |addresses: &[IpAddr], seconds| repeated(addresses, Duration::from_secs(seconds)).len();
        assert_eq!(count(&[four], 15), 1);
        assert_eq!(count(&[four, six], 15), 2);
        assert_eq!(count(&[four, four], 15), 8);
        assert_eq!(count(&[four, four], 1), 2);
        assert_eq!(count(&[four; 16], 15), 16);
    }
}

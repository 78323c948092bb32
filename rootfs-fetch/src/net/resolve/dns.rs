//! hosts(5) and DNS, for a machine without getent(1): a bare container, a small router.
//!
//! Written by hand around `simple-dns`: hickory-resolver would add 33 crates, one of them in a second
//! version, for this fallback.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;

const PORT: u16 = 53;
/// The maximum number of addresses; others are ignored.
pub const MAX_ADDRESSES: usize = 16;
/// How soon a signal is noticed.
pub const SLICE: Duration = Duration::from_millis(100);

/// The failure if no response arrives in time.
pub fn no_answer() -> Failure {
    Failure::new(Kind::Network, "no name server answers")
}

/// Looks up addresses in /etc/hosts, then with the servers in /etc/resolv.conf.
///
/// # Errors
/// Network, if no server answers.
pub fn resolve(host: &str, deadline: Instant, interrupt: &Interrupt) -> Result<Vec<IpAddr>> {
    let known = hosts(&read("/etc/hosts"), host);
    if !known.is_empty() {
        return Ok(known);
    }
    Servers::parse(&read("/etc/resolv.conf")).ask(host, deadline, interrupt)
}

fn read(path: &str) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    lines
        .filter_map(|mut words| {
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .take(MAX_ADDRESSES)
        .collect()
}

/// The contents of resolv.conf(5).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Servers {
    addresses: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    timeout: Duration,
    attempts: u32,
}

/// A server's response about a name.
#[derive(Debug)]
pub enum Answer {
    /// Its addresses of the requested type, perhaps none.
    Addresses(Vec<IpAddr>),
    /// The name does not exist.
    NoSuchName,
}

impl Servers {
    fn parse(text: &str) -> Self {
        let mut servers = Self {
            addresses: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address =
                        words.next().and_then(|word| word.split('%').next()?.parse::<IpAddr>().ok());
                    servers.addresses.extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => servers.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| servers.option(word)),
                _ => {}
            }
        }
        servers.addresses.truncate(3);
        if servers.addresses.is_empty() {
            // resolv.conf(5): without a nameserver line, the one on this machine
            servers.addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        servers
    }

    fn option(&mut self, word: &str) {
        match word.split_once(':').map(|(name, value)| (name, value.parse::<u32>())) {
            Some(("ndots", Ok(count))) => self.ndots = count.min(15) as usize,
            Some(("timeout", Ok(seconds))) => self.timeout = Duration::from_secs(seconds.clamp(1, 30).into()),
            Some(("attempts", Ok(count))) => self.attempts = count.clamp(1, 5),
            _ => {}
        }
    }

    /// The names to look up, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(whole) = host.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{host}.{domain}")).collect();
        let dots = host.matches('.').count();
        names.insert(if dots >= self.ndots { 0 } else { names.len() }, host.to_owned());
        names
    }

    fn ask(&self, host: &str, deadline: Instant, interrupt: &Interrupt) -> Result<Vec<IpAddr>> {
        for name in self.candidates(host) {
            let mut addresses = Vec::new();
            for kind in [TYPE::A, TYPE::AAAA] {
                match self.ask_each(&name, kind, deadline, interrupt)? {
                    Answer::NoSuchName => break,
                    Answer::Addresses(more) => addresses.extend(more),
                }
            }
            if !addresses.is_empty() {
                addresses.truncate(MAX_ADDRESSES);
                return Ok(addresses);
            }
        }
        Ok(Vec::new())
    }

    fn ask_each(&self, name: &str, kind: TYPE, deadline: Instant, interrupt: &Interrupt) -> Result<Answer> {
        let (id, query) = query(name, kind)?;
        for _ in 0..self.attempts {
            for &server in &self.addresses {
                interrupt.check()?;
                let until = deadline.min(Instant::now() + self.timeout);
                let said = by_udp(server, id, &query, until, interrupt).and_then(|answer| {
                    if truncated(&answer) { by_tcp(server, &query, until) } else { Ok(answer) }
                });
                if let Some(said) = said.ok().and_then(|answer| parse_answer(id, &answer)) {
                    return Ok(said);
                }
                if Instant::now() >= deadline {
                    return Err(no_answer());
                }
            }
        }
        Err(no_answer())
    }
}

fn query(name: &str, kind: TYPE) -> Result<(u16, Vec<u8>)> {
    let wrong = || Failure::new(Kind::Network, format_args!("cannot find {name:?}: not a host name"));
    let mut id = [0; 2];
    // harder to guess for others who could respond; the port changes as well
    let _ = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty());
    let id = u16::from_ne_bytes(id);
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).map_err(|_| wrong())?;
    packet.questions.push(Question::new(name, kind.into(), CLASS::IN.into(), false));
    Ok((id, packet.build_bytes_vec().map_err(|_| wrong())?))
}

fn by_udp(
    server: SocketAddr,
    id: u16,
    query: &[u8],
    until: Instant,
    interrupt: &Interrupt,
) -> io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(SLICE))?;
    socket.send(query)?;
    let mut answer = vec![0; 4096];
    while Instant::now() < until && interrupt.check().is_ok() {
        match socket.recv(&mut answer) {
            Ok(count) if answer.get(..2) == Some(&id.to_be_bytes()) => {
                answer.truncate(count);
                return Ok(answer);
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Whether the response was truncated: the flag TC.
fn truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 2 != 0)
}

fn by_tcp(server: SocketAddr, query: &[u8], until: Instant) -> io::Result<Vec<u8>> {
    let left = until.saturating_duration_since(Instant::now()).max(SLICE);
    let mut stream = TcpStream::connect_timeout(&server, left)?;
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Parses the response to the query `id`; None if it is malformed, or the server failed.
pub fn parse_answer(id: u16, answer: &[u8]) -> Option<Answer> {
    let packet = Packet::parse(answer).ok()?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    match packet.rcode() {
        RCODE::NoError => {
            let addresses = packet.answers.iter().filter_map(|record| match &record.rdata {
                RData::A(a) => Some(IpAddr::from(Ipv4Addr::from(a.address))),
                RData::AAAA(aaaa) => Some(IpAddr::from(Ipv6Addr::from(aaaa.address))),
                _ => None,
            });
            Some(Answer::Addresses(addresses.collect()))
        }
        RCODE::NameError => Some(Answer::NoSuchName),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;

    use super::*;

    #[test]
    fn the_file_of_hosts_is_read_as_hosts_5_says() {
        let text = "127.0.0.1 localhost # comment db\n192.0.2.1\tdb.example DB\n2001:db8::1 db\n";
        let found: Vec<String> = hosts(text, "db").iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["192.0.2.1", "2001:db8::1"]);
        assert!(hosts(text, "comment").is_empty());
    }

    #[test]
    fn the_search_list_comes_after_a_name_with_dots_and_before_one_without() {
        let servers =
            Servers::parse("search a b\nnameserver 192.0.2.1\noptions ndots:2 timeout:1 attempts:9\n# x\n");
        assert_eq!(servers.addresses, ["192.0.2.1:53".parse().expect("an address")]);
        assert_eq!(servers.attempts, 5);
        assert_eq!(servers.candidates("x.y.z"), ["x.y.z", "x.y.z.a", "x.y.z.b"]);
        assert_eq!(servers.candidates("x.y"), ["x.y.a", "x.y.b", "x.y"]);
        assert_eq!(servers.candidates("x."), ["x"]);
        assert_eq!(Servers::parse("").addresses, ["127.0.0.1:53".parse().expect("an address")]);
    }

    /// A server on this machine that knows `known.test` and responds to at least two queries.
    fn server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("its address");
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                let query = Packet::parse(&buffer[..count]).expect("a query");
                let question = &query.questions[0];
                let mut reply = Packet::new_reply(query.id());
                reply.questions.push(question.clone());
                if question.qname.to_string() != "known.test" {
                    *reply.rcode_mut() = RCODE::NameError;
                } else if question.qtype == TYPE::A.into() {
                    let rdata = RData::A(A { address: Ipv4Addr::new(192, 0, 2, 9).into() });
                    reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 1, rdata));
                }
                let bytes = reply.build_bytes_vec().expect("a reply");
                // a packet from another sender is not the response
                let _ = socket.send_to(&[&(query.id() ^ 1).to_be_bytes(), &bytes[2..]].concat(), from);
                let _ = socket.send_to(&bytes, from);
            }
        });
        address
    }

    #[test]
    fn a_server_is_asked_and_believed_only_for_its_own_answer() {
        let servers = Servers { addresses: vec![server()], ..Servers::parse("") };
        let deadline = Instant::now() + Duration::from_secs(10);
        let ask = |name| servers.ask(name, deadline, &Interrupt::default()).expect("an answer");
        assert_eq!(ask("known.test"), ["192.0.2.9".parse::<IpAddr>().expect("an address")]);
        assert!(ask("unknown.test").is_empty());
    }

    #[test]
    fn a_silent_server_is_not_waited_for_longer_than_allowed() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let servers =
            Servers { addresses: vec![silent.local_addr().expect("its address")], ..Servers::parse("") };
        let deadline = Instant::now() + Duration::from_millis(300);
        assert!(servers.ask("known.test", deadline, &Interrupt::default()).is_err());
        assert!(Instant::now() < deadline + Duration::from_secs(5));
    }
}

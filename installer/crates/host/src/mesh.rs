//! Whether hosts reach each other: ports that are open for a moment, and tries to reach those of others.
//!
//! A firewall between two hosts shows only when a packet is sent. So each host opens the ports that the cluster will
//! use, all others try them, and everything is closed again: after a fixed time, and at once when the agent ends.
//! A listener says one word and reads nothing; over UDP it sends back only what begins with that word, so that nobody
//! else can use it to send packets around.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sealift_checks::Protocol;
use sealift_checks::facts::Attempt;

use crate::context::Context;
use crate::protocol::{Failure, MeshPort, MeshTarget, Progress};

/// How long ports are open at most, whatever the seat asks.
const LONGEST: Duration = Duration::from_mins(2);
/// Most ports at once.
const MOST: usize = 32;
/// Patience with one connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// Times that a datagram is sent before it counts as lost.
const DATAGRAMS: u32 = 3;
/// Targets that are tried at once.
const AT_ONCE: usize = 16;
/// Headers of a datagram: IP and UDP, bytes.
const HEADERS: (u32, u32) = (28, 48);
/// Largest datagram that is sent or sent back, bytes: jumbo frames and some.
const LARGEST: usize = 9_216;
/// A datagram that fits through anything, bytes.
const SMALL: usize = 64;

/// Opens ports for a while. Gives those that a program holds already; it stays as it is.
pub fn open(ports: &[MeshPort], token: &str, seconds: u32) -> Result<Vec<MeshPort>, Failure> {
    if ports.len() > MOST || token.len() < 16 || token.len() > SMALL {
        return Err(Failure::other(
            "these ports cannot be opened: too many, or no word to know each other by",
        ));
    }
    let (mut sockets, mut held) = (Vec::new(), Vec::new());
    for port in ports {
        match Socket::bind(*port) {
            Ok(socket) => sockets.push(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => held.push(*port),
            Err(error) => {
                let what = format!("port {}/{} cannot be opened", port.port, port.protocol.name());
                return Err(Failure::other(what).because(&error));
            }
        }
    }
    let until = Instant::now() + LONGEST.min(Duration::from_secs(seconds.into()));
    let token = token.to_owned();
    thread::Builder::new()
        .name("mesh".to_owned())
        .spawn(move || serve(&sockets, &token, until))
        .map_err(|error| Failure::other("cannot open ports").because(&error))?;
    Ok(held)
}

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Socket {
    fn bind(port: MeshPort) -> io::Result<Self> {
        // A kernel without IPv6 has only the second.
        let places = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
        let mut last = io::Error::other("no address");
        for place in places {
            let bound = match port.protocol {
                Protocol::Tcp => TcpListener::bind((place, port.port))
                    .and_then(|socket| socket.set_nonblocking(true).map(|()| Self::Tcp(socket))),
                Protocol::Udp => UdpSocket::bind((place, port.port))
                    .and_then(|socket| socket.set_nonblocking(true).map(|()| Self::Udp(socket))),
            };
            match bound {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// One visitor. Whoever goes away or sends nonsense is left alone.
    fn answer(&self, token: &[u8]) {
        match self {
            Self::Tcp(listener) => {
                let _ = listener.accept().and_then(|(mut visitor, _)| visitor.write_all(token));
            }
            Self::Udp(socket) => {
                let mut buffer = [0u8; LARGEST];
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
                if buffer[..length].starts_with(token) {
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

fn serve(sockets: &[Socket], token: &str, until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(left) = Timespec::try_from(left) else { return };
        let mut waiting: Vec<PollFd<'_>> =
            sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        match poll(&mut waiting, Some(&left)) {
            Ok(0) => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        let ready = waiting.iter().map(|one| !one.revents().is_empty()).collect::<Vec<_>>();
        for (socket, _) in sockets.iter().zip(ready).filter(|(_, ready)| *ready) {
            socket.answer(token.as_bytes());
        }
    }
}

/// Tries every port of every target, several targets at once.
pub fn reach(ctx: &Context<'_>, targets: &[MeshTarget], token: &str) -> Result<Vec<Attempt>, Failure> {
    let reporter = ctx.reporter();
    let next = Mutex::new(targets.iter());
    let found = Mutex::new(Vec::new());
    let one_after_the_other = || {
        while !reporter.lost() {
            let target = next.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
            let Some(target) = target else { return };
            let attempts: Vec<Attempt> =
                target.ports.iter().map(|port| attempt(target, *port, token)).collect();
            let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            found.push((target.host.clone(), attempts));
            let (done, total) = (found.len() as u64, targets.len() as u64);
            reporter.progress(Progress { message: "trying the other hosts' ports".to_owned(), done, total });
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(targets.len()) {
            scope.spawn(one_after_the_other);
        }
    });
    ctx.still_wanted()?;
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found.into_iter().flat_map(|(_, attempts)| attempts).collect())
}

fn attempt(target: &MeshTarget, port: MeshPort, token: &str) -> Attempt {
    let address = SocketAddr::new(target.address, port.port);
    let result = match port.protocol {
        Protocol::Tcp => connect(address, token),
        Protocol::Udp => whole_packets(address, target.packet, token),
    };
    let (micros, problem) = match result {
        Ok(time) => (u64::try_from(time.as_micros()).ok(), String::new()),
        Err(problem) => (None, problem),
    };
    Attempt { host: target.host.clone(), protocol: port.protocol, port: port.port, micros, problem }
}

/// How long a connection takes: one way there and back. The listener's word shows that it is ours.
fn connect(address: SocketAddr, token: &str) -> Result<Duration, String> {
    let before = Instant::now();
    let words = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer: dropped on the way".to_owned(),
        io::ErrorKind::ConnectionRefused => "refused on the way".to_owned(),
        _ => error.to_string(),
    };
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(words)?;
    let time = before.elapsed();
    let mut word = vec![0u8; token.len()];
    stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.read_exact(&mut word)).map_err(words)?;
    if word == token.as_bytes() { Ok(time) } else { Err("something else answers".to_owned()) }
}

/// A datagram that fills a whole packet, as the pod network's do; Linux sends it with "do not fragment" (path MTU
/// discovery is on by default, ip(7)).
fn whole_packets(address: SocketAddr, packet: u32, token: &str) -> Result<Duration, String> {
    let headers = if address.is_ipv4() { HEADERS.0 } else { HEADERS.1 };
    let size = (packet.saturating_sub(headers) as usize).clamp(SMALL, LARGEST);
    let lost = match echo(address, size, token) {
        Ok(time) => return Ok(time),
        Err(lost) => lost,
    };
    match echo(address, SMALL, token) {
        Ok(_) => Err(format!("packets of {packet} bytes are lost, small ones are not")),
        Err(_) => Err(lost),
    }
}

fn echo(address: SocketAddr, size: usize, token: &str) -> Result<Duration, String> {
    let here: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut datagram = token.as_bytes().to_vec();
    datagram.resize(size, 0);
    let words = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer: dropped on the way".to_owned(),
        _ => error.to_string(),
    };
    let socket = UdpSocket::bind((here, 0)).map_err(words)?;
    socket.connect(address).and_then(|()| socket.set_read_timeout(Some(PATIENCE / 2))).map_err(words)?;
    let mut last = String::new();
    for _ in 0..DATAGRAMS {
        let before = Instant::now();
        let mut answer = [0u8; LARGEST];
        match socket.send(&datagram).and_then(|_| socket.recv(&mut answer)) {
            Ok(length) if answer[..length] == datagram[..] => return Ok(before.elapsed()),
            Ok(_) => "something else answers".clone_into(&mut last),
            Err(error) => last = words(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    const TOKEN: &str = "sealift-mesh-0123456789";

    /// Ports that were free a moment ago.
    fn free(protocol: Protocol) -> MeshPort {
        let port = match protocol {
            Protocol::Tcp => TcpListener::bind("127.0.0.1:0").unwrap().local_addr(),
            Protocol::Udp => UdpSocket::bind("127.0.0.1:0").unwrap().local_addr(),
        };
        MeshPort { protocol, port: port.unwrap().port() }
    }

    fn target(ports: Vec<MeshPort>) -> MeshTarget {
        MeshTarget { host: "m2".into(), address: Ipv4Addr::LOCALHOST.into(), packet: 1500, ports }
    }

    fn tried(target: MeshTarget, token: &str) -> Vec<Attempt> {
        let recorder = Recorder::default();
        reach(&Context::new(&Paths::system(), &recorder, "", ""), &[target], token).unwrap()
    }

    #[test]
    fn open_ports_are_reached_and_closed_ones_say_why_not() {
        let ports = vec![free(Protocol::Tcp), free(Protocol::Udp)];
        assert_eq!(open(&ports, TOKEN, 60).unwrap(), []);
        let closed = free(Protocol::Tcp);
        let attempts = tried(target(vec![ports[0], ports[1], closed]), TOKEN);
        assert!(attempts[0].micros.is_some() && attempts[1].micros.is_some(), "{attempts:?}");
        assert_eq!((attempts[2].micros, attempts[2].problem.as_str()), (None, "refused on the way"));
    }

    #[test]
    fn who_does_not_know_the_word_gets_nothing_back() {
        let port = free(Protocol::Udp);
        open(&[port], TOKEN, 60).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.port));
        let answer = echo(address, SMALL, "another-word-of-16-letters");
        assert_eq!(answer, Err("no answer: dropped on the way".to_owned()));
        assert!(echo(address, SMALL, TOKEN).is_ok());
    }

    #[test]
    fn ports_close_by_themselves_and_what_is_held_is_left_alone() {
        let holder = TcpListener::bind("0.0.0.0:0").unwrap();
        let held = MeshPort { protocol: Protocol::Tcp, port: holder.local_addr().unwrap().port() };
        let port = free(Protocol::Tcp);
        assert_eq!(open(&[held, port], TOKEN, 0).unwrap(), [held]);
        // Open for no time at all: whoever binds it next gets it.
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpListener::bind(("0.0.0.0", port.port)).is_err() {
            assert!(Instant::now() < deadline, "still open");
            thread::yield_now();
        }
        assert!(open(&[port; MOST + 1], TOKEN, 1).is_err() && open(&[port], "short", 1).is_err());
    }
}

//! Handing this very program on to neighbours, so that its bytes cross the seat's link once.
//!
//! The program is no secret, and whoever takes it compares its digest before running it: so plain TCP will do, which
//! any shell can read. Nothing that a neighbour sends is looked at.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::protocol::Failure;

/// Where the running program can be read, even when its file has been removed.
const PROGRAM: &str = "/proc/self/exe";
/// How long neighbours may come: they all are asked in the same moments.
const OPEN_FOR: Duration = Duration::from_mins(2);
/// Longest pause of a neighbour that takes nothing.
const STALLED: Duration = Duration::from_secs(10);
/// Neighbours served at once.
const AT_ONCE: usize = 4;

/// Opens a port that gives the program to whoever connects, two minutes long. Gives its number.
pub fn lend() -> Result<u16, Failure> {
    let refused =
        |error: io::Error| Failure::other("cannot hand the agent on to other hosts").because(&error);
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
        // A kernel without IPv6.
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let port = listener.local_addr().map_err(refused)?.port();
    let until = Instant::now() + OPEN_FOR;
    for _ in 0..AT_ONCE {
        let listener = listener.try_clone().map_err(refused)?;
        thread::Builder::new()
            .name("lend".to_owned())
            .spawn(move || serve(&listener, until))
            .map_err(refused)?;
    }
    Ok(port)
}

fn serve(listener: &TcpListener, until: Instant) {
    loop {
        let Ok(left) = Timespec::try_from(until.saturating_duration_since(Instant::now())) else { return };
        match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&left)) {
            Ok(0) => return,
            // Another thread may have taken the neighbour.
            Ok(_) => drop(listener.accept().map(|(stream, _)| give(&stream))),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// A neighbour that goes away gets the program from the seat.
fn give(mut stream: &TcpStream) {
    let _ = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_write_timeout(Some(STALLED)))
        .and_then(|()| File::open(PROGRAM))
        .and_then(|mut program| io::copy(&mut program, &mut stream));
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_neighbour_gets_the_whole_program() {
        let port = lend().unwrap();
        let own = std::fs::read(PROGRAM).unwrap();
        // One that takes nothing stands in nobody's way.
        let idle = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let readers: Vec<_> = (0..6)
            .map(|_| {
                thread::spawn(move || {
                    let mut got = Vec::new();
                    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                    stream.read_to_end(&mut got).map(|_| got)
                })
            })
            .collect();
        for reader in readers {
            assert!(reader.join().unwrap().unwrap() == own);
        }
        drop(idle);
    }
}

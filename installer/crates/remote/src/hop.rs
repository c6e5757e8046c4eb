//! The way through a bastion: a channel of one session carries another session.
//!
//! One thread owns the bastion's session and moves bytes between its forwarded channel and one end of a socket pair; the
//! session with the host talks to the other end as if it were its TCP connection.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{Shutdown, shutdown};
use ssh2::Channel;

use crate::connection::{Connection, TICK, poll_all};
use crate::error::{LostCause, RemoteError};
use crate::target::{Target, Timeouts};

const CHUNK: usize = 128 << 10;

/// A running way through a bastion. Ends when dropped.
pub(crate) struct Hop {
    thread: Option<JoinHandle<()>>,
    sockets: Vec<OwnedFd>,
    end: Arc<OnceLock<String>>,
}

impl Hop {
    /// Logs in to the bastion and opens the way to `to`; gives the near end.
    pub(crate) fn open(
        bastion: &Target,
        to: &Target,
        timeouts: Timeouts,
    ) -> Result<(UnixStream, Self), RemoteError> {
        let connection = Connection::open(bastion, timeouts)?;
        let channel = connection.forward(to)?;
        let unusable = |source| RemoteError::Unreachable { peer: to.peer(), source };
        let (near, far) = UnixStream::pair().map_err(unusable)?;
        far.set_nonblocking(true).map_err(unusable)?;
        let mut sockets = connection.sockets().map_err(unusable)?;
        sockets.push(OwnedFd::from(far.try_clone().map_err(unusable)?));
        let end = Arc::new(OnceLock::new());
        let reason = Arc::clone(&end);
        let thread = thread::Builder::new().name(format!("hop-{}", bastion.name)).spawn(move || {
            let peer = connection.peer.clone();
            let (upward, downward) = (Vec::new(), Vec::new());
            let mut pump = Pump { connection, channel, far, upward, downward, retried: false };
            if let Err(error) = pump.run() {
                // The first reason counts, and nothing else sets one.
                let _ = reason.set(format!("the way through the bastion {peer} broke: {error}"));
            }
            let _ = pump.far.shutdown(std::net::Shutdown::Both);
        });
        let thread = Some(thread.map_err(unusable)?);
        Ok((near, Self { thread, sockets, end }))
    }

    /// Why the way ended, where it broke.
    pub(crate) fn end(&self) -> Option<String> {
        self.end.get().cloned()
    }

    pub(crate) fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        self.sockets.iter().map(OwnedFd::try_clone).collect()
    }

    pub(crate) fn shut_down(&self) {
        for socket in &self.sockets {
            // Already closed is as good.
            let _ = shutdown(socket, Shutdown::Both);
        }
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.shut_down();
        if let Some(thread) = self.thread.take() {
            // Its sockets are shut down: it ends at once. A panic there has nothing to add.
            let _ = thread.join();
        }
    }
}

struct Pump {
    connection: Connection,
    channel: Channel,
    far: UnixStream,
    /// Towards the host.
    upward: Vec<u8>,
    /// Towards the seat.
    downward: Vec<u8>,
    /// Whether the last turn was a repetition without waiting.
    retried: bool,
}

impl Pump {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let up = self.move_up()?;
            let down = self.move_down()?;
            if up == Moved::End || down == Moved::End {
                return Ok(());
            }
            if up == Moved::Nothing && down == Moved::Nothing {
                // Reading may have brought in leave to send more: then the socket has nothing left to wake us.
                self.retried =
                    !self.retried && !self.upward.is_empty() && self.channel.write_window().remaining > 0;
                if !self.retried {
                    self.wait()?;
                }
            }
        }
    }

    fn move_up(&mut self) -> io::Result<Moved> {
        let mut moved = Moved::Nothing;
        if self.upward.is_empty() {
            let mut chunk = vec![0; CHUNK];
            match self.far.read(&mut chunk) {
                Ok(0) => return Ok(Moved::End),
                Ok(count) => {
                    chunk.truncate(count);
                    self.upward = chunk;
                    moved = Moved::Some;
                }
                Err(error) if passing(&error) => return Ok(Moved::Nothing),
                Err(error) => return Err(error),
            }
        }
        while !self.upward.is_empty() {
            let Some(count) =
                self.connection.write(&mut self.channel, &self.upward).map_err(|cause| lost(&cause))?
            else {
                break;
            };
            self.upward.drain(..count);
            moved = Moved::Some;
        }
        Ok(moved)
    }

    /// After `move_up`: writing may bring in what only reading finds.
    fn move_down(&mut self) -> io::Result<Moved> {
        let mut moved = Moved::Nothing;
        if self.downward.is_empty() {
            let mut chunk = vec![0; CHUNK];
            match self.connection.read(&self.channel, 0, &mut chunk).map_err(|cause| lost(&cause))? {
                None if self.channel.eof() => return Ok(Moved::End),
                None => return Ok(Moved::Nothing),
                Some(count) => {
                    chunk.truncate(count);
                    self.downward = chunk;
                    moved = Moved::Some;
                }
            }
        }
        match self.far.write(&self.downward) {
            Ok(count) => {
                self.downward.drain(..count);
                Ok(Moved::Some)
            }
            Err(error) if passing(&error) => Ok(moved),
            // The near end was dropped.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Moved::End),
            Err(error) => Err(error),
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut near = PollFlags::empty();
        near.set(PollFlags::IN, self.upward.is_empty());
        near.set(PollFlags::OUT, !self.downward.is_empty());
        let mut fds = [
            PollFd::from_borrowed_fd(self.connection.socket().as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.far.as_fd(), near),
        ];
        poll_all(&mut fds, TICK)?;
        self.connection.keep_alive().map_err(|cause| lost(&cause))
    }
}

#[derive(PartialEq, Eq)]
enum Moved {
    Nothing,
    Some,
    End,
}

fn passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn lost(cause: &LostCause) -> io::Error {
    io::Error::other(cause.to_string())
}

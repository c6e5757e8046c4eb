//! One logged-in SSH session and the rules for using it.
//!
//! The library's sessions have sharp edges; they are filed off here, and nobody else calls them:
//!
//! - One session is used by one thread at a time, channels included.
//! - After login the session does not block. A packet that is sent in part must be finished before anything else is sent
//!   on the session, so [`Connection::step`] waits for that one alone, and for nothing else.
//! - A keepalive that finds the socket full would block the session for good: it is sent only into a writable socket.
//! - Dropping a channel or session that still talks can wait for the other side: the sockets are shut down first.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown, sockopt};
use ssh2::{BlockDirections, Channel, ErrorCode, MethodType, Session};

use crate::error::{LostCause, RemoteError};
use crate::hop::Hop;
use crate::host_keys::{Expected, HostKey, Verdict};
use crate::login;
use crate::target::{Peer, Target, Timeouts};

/// Longest wait at a time, so that keepalives go out and silence is counted in small parts.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// With the processor's help AES-GCM is about twice as fast as the library's first choice; the rest stays on offer.
const CIPHERS: &str = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,\
                       aes256-ctr,aes192-ctr,aes128-ctr";

/// A logged-in session that does not block.
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    pub(crate) user: String,
    pub(crate) timeouts: Timeouts,
    session: Session,
    /// The session's socket once more, to wait on and to shut down.
    socket: OwnedFd,
    hop: Option<Hop>,
    kept_alive: Cell<Instant>,
}

impl Connection {
    /// Connects, compares the host key, logs in.
    pub(crate) fn open(target: &Target, timeouts: Timeouts) -> Result<Self, RemoteError> {
        Self::open_trusted(target, timeouts)?.logged_in(target)
    }

    /// Logs in on a host whose key was compared.
    pub(crate) fn logged_in(self, target: &Target) -> Result<Self, RemoteError> {
        login::login(&self.session, target)?;
        let keepalive = u32::try_from(self.timeouts.keepalive.as_secs()).unwrap_or(60).max(1);
        self.session.set_keepalive(false, keepalive);
        self.session.set_blocking(false);
        tracing::debug!(host = self.peer.name(), user = self.user, "logged in");
        Ok(self)
    }

    /// Connects and compares the host key. Nobody is logged in, nothing secret was sent; on the way there a bastion had to
    /// let somebody in.
    pub(crate) fn open_trusted(target: &Target, timeouts: Timeouts) -> Result<Self, RemoteError> {
        let expected = target.host_keys.expected(&target.name, &target.address, target.port);
        let mut refusal = None;
        for preference in expected.preferences() {
            let greeted = Self::greet(target, timeouts, &preference);
            match (greeted, refusal.take()) {
                (Ok(connection), earlier) => match connection.judge(&expected) {
                    Ok(()) => return Ok(connection),
                    // Only another trusted type may follow a changed key.
                    Err(error @ RemoteError::HostKeyChanged { .. }) => refusal = earlier.or(Some(error)),
                    Err(error) => return Err(error),
                },
                // The host has no key of this family.
                (Err(_), Some(earlier)) => refusal = Some(earlier),
                (Err(error), None) => return Err(error),
            }
        }
        Err(refusal.unwrap_or_else(|| RemoteError::Lost {
            peer: target.peer(),
            doing: "during the SSH handshake",
            cause: LostCause::Protocol("no host key".to_owned()),
            log: String::new(),
        }))
    }

    fn greet(target: &Target, timeouts: Timeouts, host_key_methods: &str) -> Result<Self, RemoteError> {
        let peer = target.peer();
        let (socket, hop) = match &target.bastion {
            None => (OwnedFd::from(dial(target, timeouts)?), None),
            Some(bastion) => {
                let (socket, hop) = Hop::open(bastion, target, timeouts)?;
                (OwnedFd::from(socket), Some(hop))
            }
        };
        let handshake =
            |error: ssh2::Error| RemoteError::Handshake { peer: peer.clone(), source: error.into() };
        let unusable = |source| RemoteError::Unreachable { peer: peer.clone(), source };
        let session = Session::new().map_err(handshake)?;
        let twin = socket.try_clone().map_err(unusable)?;
        let now = Cell::new(Instant::now());
        let user = target.user.clone();
        let mut connection =
            Self { peer: peer.clone(), user, timeouts, session, socket, hop, kept_alive: now };
        let session = &mut connection.session;
        session.set_tcp_stream(twin);
        session.set_timeout(u32::try_from(timeouts.login.as_millis()).unwrap_or(u32::MAX));
        session.method_pref(MethodType::HostKey, host_key_methods).map_err(handshake)?;
        if has_aes() {
            for direction in [MethodType::CryptCs, MethodType::CryptSc] {
                session.method_pref(direction, CIPHERS).map_err(handshake)?;
            }
        }
        let begun = Instant::now();
        match session.handshake() {
            Ok(()) => Ok(connection),
            Err(error)
                if is(&error, libssh2_sys::LIBSSH2_ERROR_TIMEOUT) || begun.elapsed() >= timeouts.login =>
            {
                Err(RemoteError::TimedOut { peer, doing: "during the SSH handshake", after: timeouts.login })
            }
            Err(error) => Err(RemoteError::Handshake { peer, source: error.into() }),
        }
    }

    fn judge(&self, expected: &Expected) -> Result<(), RemoteError> {
        let peer = self.peer.clone();
        let blob = self.host_key_blob()?;
        let got = HostKey::from_blob(blob);
        match expected.judge(blob) {
            Verdict::Trusted => Ok(()),
            Verdict::Unknown => Err(RemoteError::HostKeyUnknown { peer, got }),
            Verdict::Revoked => Err(RemoteError::HostKeyRevoked { peer, got }),
            Verdict::Changed(expected) => Err(RemoteError::HostKeyChanged { peer, expected, got }),
        }
    }

    fn host_key_blob(&self) -> Result<&[u8], RemoteError> {
        let shown = self.session.host_key().map(|(blob, _)| blob);
        let cause = || LostCause::Protocol("no host key".to_owned());
        shown.ok_or_else(|| self.lost("during the SSH handshake", cause()))
    }

    /// The key that the host shows.
    pub(crate) fn host_key(&self) -> Result<HostKey, RemoteError> {
        self.host_key_blob().map(HostKey::from_blob)
    }

    /// A channel that runs `command` in the user's login shell.
    pub(crate) fn execute(&self, command: &str, doing: &'static str) -> Result<Channel, RemoteError> {
        let mut channel = self.open_channel(doing)?;
        self.finish(doing, || channel.exec(command))?;
        Ok(channel)
    }

    /// A host that allows one channel at a time frees the last one a moment after it was closed.
    fn open_channel(&self, doing: &'static str) -> Result<Channel, RemoteError> {
        const PAUSE: Duration = Duration::from_millis(100);
        let limit = self.timeouts.login;
        for _ in 0..20 {
            match self.repeat(limit, || self.session.channel_session()) {
                Err(Obstacle::Refused(_)) => {
                    self.wait(PAUSE).map_err(|error| self.lost(doing, broken(&error)))?;
                }
                opened => return opened.map_err(|obstacle| self.stopped(doing, limit, obstacle)),
            }
        }
        self.finish(doing, || self.session.channel_session())
    }

    /// A channel to another address, as the other side sees it.
    pub(crate) fn forward(&self, to: &Target) -> Result<Channel, RemoteError> {
        let limit = self.timeouts.connect;
        let forwarded = self.repeat(limit, || self.session.channel_direct_tcpip(&to.address, to.port, None));
        forwarded.map_err(|obstacle| match obstacle {
            Obstacle::Refused(error) => {
                let (peer, bastion) = (to.peer(), self.peer.clone());
                RemoteError::BehindBastion { peer, bastion, source: error.into() }
            }
            Obstacle::TimeOut => {
                let doing = "while the bastion was connecting to it";
                RemoteError::TimedOut { peer: to.peer(), doing, after: limit }
            }
            Obstacle::Broken(cause) => self.lost("while connecting through it", cause),
        })
    }

    /// Repeats an operation until it no longer has to wait.
    pub(crate) fn finish<T>(
        &self,
        doing: &'static str,
        operation: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<T, RemoteError> {
        let limit = self.timeouts.login;
        self.repeat(limit, operation).map_err(|obstacle| self.stopped(doing, limit, obstacle))
    }

    fn repeat<T>(
        &self,
        limit: Duration,
        mut operation: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<T, Obstacle> {
        let begun = Instant::now();
        loop {
            match operation() {
                Ok(value) => return Ok(value),
                Err(error) if is(&error, libssh2_sys::LIBSSH2_ERROR_EAGAIN) => {}
                Err(error) if is(&error, libssh2_sys::LIBSSH2_ERROR_CHANNEL_FAILURE) => {
                    return Err(Obstacle::Refused(error));
                }
                Err(error) => return Err(Obstacle::Broken(self.cause(&error.into()))),
            }
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(Obstacle::TimeOut);
            }
            self.wait(left).map_err(|error| Obstacle::Broken(broken(&error)))?;
        }
    }

    fn stopped(&self, doing: &'static str, after: Duration, obstacle: Obstacle) -> RemoteError {
        match obstacle {
            Obstacle::TimeOut => RemoteError::TimedOut { peer: self.peer.clone(), doing, after },
            Obstacle::Refused(error) => self.lost(doing, LostCause::Connection(error.message().to_owned())),
            Obstacle::Broken(cause) => self.lost(doing, cause),
        }
    }

    /// Reads what is there: the bytes read, or `None` where nothing is.
    pub(crate) fn read(
        &self,
        channel: &Channel,
        stream: i32,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, LostCause> {
        let mut stream = channel.stream(stream);
        self.step(|| io::Read::read(&mut stream, buffer)).map(|count| count.filter(|count| *count > 0))
    }

    /// Writes what the other side takes now: the bytes written, or `None` where it takes nothing.
    pub(crate) fn write(&self, channel: &mut Channel, bytes: &[u8]) -> Result<Option<usize>, LostCause> {
        self.step(|| channel.write(bytes)).map(|count| count.filter(|count| *count > 0))
    }

    /// One operation; where it leaves a packet half sent, until that packet is out.
    fn step(&self, mut operation: impl FnMut() -> io::Result<usize>) -> Result<Option<usize>, LostCause> {
        let mut stalled = Duration::ZERO;
        loop {
            match operation() {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.cause(&error)),
            }
            if !self.half_sent() {
                return Ok(None);
            }
            let begun = Instant::now();
            let woken = poll_one(&self.socket, PollFlags::OUT, TICK).map_err(|error| broken(&error))?;
            stalled = if woken.is_empty() { stalled + begun.elapsed().min(TICK) } else { Duration::ZERO };
            if stalled >= self.timeouts.silence {
                return Err(LostCause::Silence(stalled));
            }
        }
    }

    fn half_sent(&self) -> bool {
        matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    /// Waits until the session can go on, at most `limit` and one [`TICK`]; sends a keepalive where one is due.
    pub(crate) fn wait(&self, limit: Duration) -> io::Result<()> {
        let direction = if self.half_sent() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        poll_one(&self.socket, direction, limit.min(TICK))?;
        self.keep_alive().map_err(|cause| io::Error::other(cause.to_string()))
    }

    /// Sends a keepalive where one is due and the socket takes it.
    pub(crate) fn keep_alive(&self) -> Result<(), LostCause> {
        if self.kept_alive.get().elapsed() < self.timeouts.keepalive || self.half_sent() {
            return Ok(());
        }
        let ready = poll_one(&self.socket, PollFlags::OUT, Duration::ZERO).map_err(|error| broken(&error))?;
        if ready == PollFlags::OUT {
            self.session.keepalive_send().map_err(|error| self.cause(&error.into()))?;
            self.kept_alive.set(Instant::now());
        }
        Ok(())
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Every socket on the way, to shut them down from elsewhere.
    pub(crate) fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let mut sockets = vec![self.socket.try_clone()?];
        if let Some(hop) = &self.hop {
            sockets.extend(hop.sockets()?);
        }
        Ok(sockets)
    }

    /// Why an operation failed: a broken bastion explains more than its symptom.
    pub(crate) fn cause(&self, error: &io::Error) -> LostCause {
        match self.hop.as_ref().and_then(Hop::end) {
            Some(end) => LostCause::Connection(end),
            None => LostCause::Connection(error.to_string()),
        }
    }

    pub(crate) fn lost(&self, doing: &'static str, cause: LostCause) -> RemoteError {
        RemoteError::Lost { peer: self.peer.clone(), doing, cause, log: String::new() }
    }

    /// Breaks the connection off; whatever waits for it wakes up.
    pub(crate) fn shut_down(&self) {
        // Already closed by the other side is as good.
        let _ = shutdown(&self.socket, Shutdown::Both);
        if let Some(hop) = &self.hop {
            hop.shut_down();
        }
    }
}

/// Why a repeated operation gave nothing.
enum Obstacle {
    TimeOut,
    /// The other side does not open the channel.
    Refused(ssh2::Error),
    Broken(LostCause),
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shut_down();
        // Else freeing the session could wait for an answer.
        self.session.set_blocking(false);
    }
}

fn dial(target: &Target, timeouts: Timeouts) -> Result<TcpStream, RemoteError> {
    let peer = target.peer();
    let addresses = (target.address.as_str(), target.port).to_socket_addrs();
    let addresses = addresses.map_err(|source| RemoteError::Resolve { peer: peer.clone(), source })?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeouts.connect) {
            Ok(stream) => {
                watch(&stream).map_err(|source| RemoteError::Unreachable { peer, source })?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(match last.kind() {
        io::ErrorKind::ConnectionRefused => RemoteError::Refused { peer },
        io::ErrorKind::TimedOut => {
            RemoteError::TimedOut { peer, doing: "while connecting", after: timeouts.connect }
        }
        _ => RemoteError::Unreachable { peer, source: last },
    })
}

/// Lets the kernel notice a host that is gone within some 15 s, whether data is under way or not.
fn watch(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(3))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_tcp_user_timeout(stream, 15_000)?;
    Ok(())
}

/// Whether this processor has instructions for AES; of others than these it is taken for granted.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// Waits for one descriptor; empty where time ran out. An interrupted wait counts as woken.
pub(crate) fn poll_one(fd: &OwnedFd, events: PollFlags, limit: Duration) -> io::Result<PollFlags> {
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), events)];
    poll_all(&mut fds, limit)?;
    Ok(fds[0].revents())
}

/// Waits for any of several descriptors.
pub(crate) fn poll_all(fds: &mut [PollFd<'_>], limit: Duration) -> io::Result<()> {
    let limit = Timespec::try_from(limit).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    match poll(fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn is(error: &ssh2::Error, code: i32) -> bool {
    error.code() == ErrorCode::Session(code)
}

fn broken(error: &io::Error) -> LostCause {
    LostCause::Connection(error.to_string())
}

//! Both directions of one running command at once, so that neither side can block the other.

use std::time::{Duration, Instant};

use ssh2::Channel;
use zeroize::Zeroizing;

use crate::connection::{Connection, TICK};
use crate::error::{LostCause, RemoteError};

/// Bytes of stderr that are kept.
const STDERR_KEPT: usize = 8 << 10;
/// Bytes of stdout that may wait for being taken: one longest frame and some.
const STDOUT_KEPT: usize = 33 << 20;
const STDERR: i32 = 1;

/// A channel with a running command.
pub(crate) struct Wire {
    channel: Channel,
    outgoing: Outgoing,
    sent: usize,
    /// What came and was not taken yet.
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    /// The last of what came on stderr.
    pub(crate) stderr: Tail,
    /// Whether the other side has ended its output.
    pub(crate) ended: bool,
    /// Time waited since something was heard.
    pub(crate) unheard: Duration,
    /// Time waited since anything moved.
    pub(crate) idle: Duration,
    /// Whether the last turn was a repetition without waiting.
    retried: bool,
    buffer: Zeroizing<Vec<u8>>,
}

impl Wire {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            channel,
            outgoing: Outgoing::Plain(Vec::new()),
            sent: 0,
            stdout: Zeroizing::default(),
            stderr: Tail::default(),
            ended: false,
            unheard: Duration::ZERO,
            idle: Duration::ZERO,
            retried: false,
            buffer: Zeroizing::new(vec![0; 64 << 10]),
        }
    }

    /// Whether bytes wait to be sent.
    pub(crate) fn sending(&self) -> bool {
        self.sent < self.outgoing.bytes().len()
    }

    /// The bytes to send next. Only where nothing waits.
    pub(crate) fn send(&mut self, bytes: Outgoing) {
        debug_assert!(!self.sending(), "the earlier bytes are out");
        self.outgoing = bytes;
        self.sent = 0;
    }

    /// Moves what can be moved in both directions; where nothing can and `wait`, waits a moment for either.
    pub(crate) fn turn(&mut self, connection: &Connection, wait: bool) -> Result<(), LostCause> {
        let wrote = self.write(connection)?;
        // Reading one stream takes in the other's bytes too, and the socket then wakes nobody: see `take_in`.
        let heard = self.take_in(connection)?;
        if heard {
            self.unheard = Duration::ZERO;
        }
        if wrote || heard {
            self.idle = Duration::ZERO;
            return Ok(());
        }
        if !wait || self.ended {
            return Ok(());
        }
        // Reading may have brought in leave to send more.
        self.retried =
            !self.retried && (self.unread() || self.sending() && self.channel.write_window().remaining > 0);
        if self.retried {
            return Ok(());
        }
        let begun = Instant::now();
        connection.wait(TICK).map_err(|error| connection.cause(&error))?;
        // A seat that slept must not take its own sleep for the host's silence.
        let waited = begun.elapsed().min(TICK);
        self.unheard += waited;
        self.idle += waited;
        Ok(())
    }

    fn write(&mut self, connection: &Connection) -> Result<bool, LostCause> {
        let mut wrote = false;
        while self.sending() && !self.ended {
            match connection.write(&mut self.channel, &self.outgoing.bytes()[self.sent..])? {
                Some(count) => self.sent += count,
                None => break,
            }
            wrote = true;
        }
        Ok(wrote)
    }

    fn take_in(&mut self, connection: &Connection) -> Result<bool, LostCause> {
        let mut heard = false;
        if let Some(count) = connection.read(&self.channel, STDERR, &mut self.buffer)? {
            self.stderr.push(&self.buffer[..count]);
            heard = true;
        }
        if self.stdout.len() < STDOUT_KEPT
            && let Some(count) = connection.read(&self.channel, 0, &mut self.buffer)?
        {
            self.stdout.extend_from_slice(&self.buffer[..count]);
            heard = true;
        }
        self.ended = !heard && self.channel.eof();
        Ok(heard)
    }

    fn unread(&self) -> bool {
        self.channel.read_window().available > 0
    }

    /// Tells the command that its input is over.
    pub(crate) fn end_input(
        &mut self,
        connection: &Connection,
        doing: &'static str,
    ) -> Result<(), RemoteError> {
        connection.finish(doing, || self.channel.send_eof())
    }

    /// How the command ended, where the host tells. A signal first: beside a signal the status reads as success.
    pub(crate) fn end(&mut self, connection: &Connection) -> LostCause {
        let closed = connection.finish("while ending", || self.channel.wait_close());
        let signal = self.channel.exit_signal().ok().and_then(|signal| signal.exit_signal);
        let status = self.channel.exit_status().ok().filter(|_| closed.is_ok() && signal.is_none());
        // The channel is over either way.
        let _ = connection.finish("while ending", || self.channel.close());
        LostCause::Ended { status, signal }
    }
}

/// Bytes on their way out. Wiping costs time that blobs need not spend.
pub(crate) enum Outgoing {
    Plain(Vec<u8>),
    Secret(Zeroizing<Vec<u8>>),
}

impl Outgoing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Secret(bytes) => bytes,
        }
    }
}

/// The last bytes of a stream.
#[derive(Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let excess = self.0.len().saturating_sub(STDERR_KEPT);
        self.0.drain(..excess);
    }

    /// As text, without surrounding blanks.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_and_keeps_the_end() {
        let mut tail = Tail::default();
        for _ in 0..10_000 {
            tail.push(b"noise ");
        }
        tail.push(b"the last words\n");
        assert!(tail.0.len() <= STDERR_KEPT);
        assert!(tail.text().ends_with("the last words"));
    }
}

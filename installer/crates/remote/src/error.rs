//! What can go wrong between seat and host, with the data that a hint needs.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sealift_host::protocol::Failure;
use thiserror::Error;

use crate::host_keys::HostKey;
use crate::target::Peer;

/// Why a host cannot be worked on. Every variant names the host; `Display` never repeats its source.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// The name has no address on the seat.
    #[error("the address of {peer} cannot be resolved")]
    Resolve {
        /// The host.
        peer: Peer,
        /// What the resolver said.
        source: io::Error,
    },
    /// The host is up, nothing listens there.
    #[error("{peer} refuses the connection: nothing answers on port {}", peer.port())]
    Refused {
        /// The host.
        peer: Peer,
    },
    /// No way to the host.
    #[error("{peer} cannot be reached")]
    Unreachable {
        /// The host.
        peer: Peer,
        /// What the network said.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{peer} did not answer within {} s {doing}", after.as_secs())]
    TimedOut {
        /// The host.
        peer: Peer,
        /// What was being done, as in "while connecting".
        doing: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The bastion cannot open a connection to the host.
    #[error("{peer} cannot be reached through the bastion {bastion}")]
    BehindBastion {
        /// The host.
        peer: Peer,
        /// The bastion.
        bastion: Peer,
        /// What the bastion said.
        source: io::Error,
    },
    /// The two sides do not come to terms, or the other side is no SSH server.
    #[error("the SSH handshake with {peer} failed")]
    Handshake {
        /// The host.
        peer: Peer,
        /// What the library said.
        source: io::Error,
    },
    /// Nobody vouches for the host's key.
    #[error("the host key of {peer} is not known: it shows {got}")]
    HostKeyUnknown {
        /// The host.
        peer: Peer,
        /// The key shown.
        got: HostKey,
    },
    /// The host shows another key than the trusted ones.
    #[error("{peer} shows another host key than the trusted one: expected {}, got {got}", expected.join(" or "))]
    HostKeyChanged {
        /// The host.
        peer: Peer,
        /// Fingerprints of the trusted keys.
        expected: Vec<String>,
        /// The key shown.
        got: HostKey,
    },
    /// The host shows a key that the known hosts mark as revoked.
    #[error("{peer} shows a revoked host key: {got}")]
    HostKeyRevoked {
        /// The host.
        peer: Peer,
        /// The key shown.
        got: HostKey,
    },
    /// The private key has a passphrase and none was given.
    #[error("the private key of user {user} for {peer} needs a passphrase")]
    PassphraseNeeded {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
    },
    /// The passphrase does not open the private key.
    #[error("the passphrase does not open the private key of user {user} for {peer}")]
    PassphraseWrong {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
    },
    /// The private key is not one that can be used.
    #[error("the private key of user {user} for {peer} cannot be read")]
    KeyUnreadable {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
        /// What the library said.
        source: io::Error,
    },
    /// The host does not take this key.
    #[error("{peer} does not accept the key of user {user}")]
    KeyRejected {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
        /// Ways to log in that the host offers.
        offered: Vec<String>,
    },
    /// The host does not take this password.
    #[error("{peer} refused the password of user {user}{}", if *key_also { ", and the key before" } else { "" })]
    PasswordRejected {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
        /// Ways to log in that the host offers.
        offered: Vec<String>,
        /// Whether a key was tried first.
        key_also: bool,
    },
    /// The password must be changed before it can be used.
    #[error("the password of user {user} on {peer} has expired")]
    PasswordExpired {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
    },
    /// Nothing that was given fits what the host offers.
    #[error("{peer} offers user {user} no way to log in that fits: it offers {}", list(offered))]
    NoLoginMethod {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
        /// Ways to log in that the host offers.
        offered: Vec<String>,
    },
    /// The account runs no commands.
    #[error("{peer} runs no shell commands for user {user}{}", said(said_text))]
    NoShell {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
        /// What came instead of an answer.
        said_text: String,
    },
    /// No `sudo` on the host, or the user may not use it.
    #[error("user {user} cannot become root on {peer}{}", said(said_text))]
    NoSudo {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
        /// What sudo said, or that it is not there.
        said_text: String,
    },
    /// sudo asks for a password and none was given.
    #[error("sudo on {peer} asks user {user} for a password, and none was given")]
    SudoPasswordNeeded {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
    },
    /// sudo does not take the password.
    #[error("sudo on {peer} refused the password of user {user}")]
    SudoPasswordWrong {
        /// The host.
        peer: Peer,
        /// Login name.
        user: String,
    },
    /// The program on the seat cannot be read, or its digest is malformed.
    #[error("the agent program {} cannot be read for {peer}", path.display())]
    AgentProgram {
        /// The host.
        peer: Peer,
        /// The file on the seat.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No folder on the host takes the agent and lets it run.
    #[error("no folder on {peer} can hold and run the agent: {}", list(refusals))]
    NoExecFolder {
        /// The host.
        peer: Peer,
        /// What each folder said.
        refusals: Vec<FolderRefusal>,
    },
    /// The agent was brought over and did not start.
    #[error("the agent {path} did not start on {peer}{}", said(said_text))]
    AgentStart {
        /// The host.
        peer: Peer,
        /// Path on the host.
        path: String,
        /// What came instead, last lines.
        said_text: String,
    },
    /// The connection is gone.
    #[error("the connection to {peer} was lost {doing}: {cause}{}", said(log))]
    Lost {
        /// The host.
        peer: Peer,
        /// What was being done, as in "while logging in".
        doing: &'static str,
        /// How it was noticed.
        cause: LostCause,
        /// The agent's last words on stderr.
        log: String,
    },
}

impl RemoteError {
    /// The host that this is about.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        match self {
            Self::Resolve { peer, .. }
            | Self::Refused { peer }
            | Self::Unreachable { peer, .. }
            | Self::TimedOut { peer, .. }
            | Self::BehindBastion { peer, .. }
            | Self::Handshake { peer, .. }
            | Self::HostKeyUnknown { peer, .. }
            | Self::HostKeyChanged { peer, .. }
            | Self::HostKeyRevoked { peer, .. }
            | Self::PassphraseNeeded { peer, .. }
            | Self::PassphraseWrong { peer, .. }
            | Self::KeyUnreadable { peer, .. }
            | Self::KeyRejected { peer, .. }
            | Self::PasswordRejected { peer, .. }
            | Self::PasswordExpired { peer, .. }
            | Self::NoLoginMethod { peer, .. }
            | Self::NoShell { peer, .. }
            | Self::NoSudo { peer, .. }
            | Self::SudoPasswordNeeded { peer, .. }
            | Self::SudoPasswordWrong { peer, .. }
            | Self::AgentProgram { peer, .. }
            | Self::NoExecFolder { peer, .. }
            | Self::AgentStart { peer, .. }
            | Self::Lost { peer, .. } => peer,
        }
    }
}

/// How a lost connection was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostCause {
    /// Nothing was heard for so long.
    Silence(Duration),
    /// The connection itself broke.
    Connection(String),
    /// The agent, or a setup command, ended: its exit status, or the signal that ended it.
    Ended {
        /// Exit status; absent where a signal ended it or the host told none.
        status: Option<i32>,
        /// Signal name without `SIG`.
        signal: Option<String>,
    },
    /// What came is not the protocol.
    Protocol(String),
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(time) => write!(f, "nothing was heard for {} s", time.as_secs()),
            Self::Connection(text) => f.write_str(text),
            Self::Ended { signal: Some(signal), .. } => {
                write!(f, "the program there was ended by signal {signal}")
            }
            Self::Ended { status: Some(status), .. } => {
                write!(f, "the program there ended with status {status}")
            }
            Self::Ended { .. } => f.write_str("the program there ended"),
            Self::Protocol(text) => write!(f, "the agent's answer makes no sense ({text})"),
        }
    }
}

/// A folder on the host that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRefusal {
    /// The folder as it was tried.
    pub folder: String,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for FolderRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.folder, self.reason)
    }
}

/// Why a call gave no response.
#[derive(Debug, Error)]
pub enum CallError {
    /// The agent worked and says no. The session can be used further.
    #[error("{0}")]
    Failed(Failure),
    /// The session is gone; connect again.
    #[error(transparent)]
    Lost(#[from] RemoteError),
    /// The seat could not deliver a blob that the agent asked for. The session is closed with it.
    #[error("the blob {digest} cannot be read on the seat")]
    Blob {
        /// The blob.
        digest: String,
        /// Why.
        source: io::Error,
    },
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

//! What to connect to, and how long to wait.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::host_keys::HostKeys;
use crate::lenders::Lenders;

/// How one host, or a bastion, is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name for people, e.g. the node name; also looked up in `known_hosts`.
    pub name: String,
    /// IP address or DNS name. Behind a bastion it is the bastion that resolves it.
    pub address: String,
    /// SSH port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Private key, PEM or OpenSSH text.
    pub private_key: Option<SecretString>,
    /// Passphrase of the private key.
    pub passphrase: Option<SecretString>,
    /// Login password; also answers keyboard-interactive questions.
    pub password: Option<SecretString>,
    /// Password for sudo; the login password is tried where this is absent.
    pub sudo_password: Option<SecretString>,
    /// The host keys that are trusted. Nothing else is accepted, ever.
    pub host_keys: HostKeys,
    /// The host to go through.
    pub bastion: Option<Box<Target>>,
}

impl Target {
    /// Name, address and port, for messages.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer(Arc::new(Names { name: self.name.clone(), address: self.address.clone(), port: self.port }))
    }
}

/// Which host a message is about. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer(Arc<Names>);

#[derive(Debug, PartialEq, Eq)]
struct Names {
    name: String,
    address: String,
    port: u16,
}

impl Peer {
    /// The host's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its address as configured.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Its SSH port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Names { name, address, port } = &*self.0;
        match port {
            22 => write!(f, "{name} ({address})"),
            _ if address.contains(':') => write!(f, "{name} ([{address}]:{port})"),
            _ => write!(f, "{name} ({address}:{port})"),
        }
    }
}

/// The program that becomes the agent.
#[derive(Debug, Clone)]
pub struct AgentProgram {
    /// The file on the seat.
    pub path: PathBuf,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Where a host that was installed before has the same program. Used in place if owned by root and of the same digest.
    pub installed_at: String,
    /// Folders on the host to try, in this order; `~` is the login user's home.
    pub folders: Vec<String>,
    /// Who hands the program on; shared by all hosts that are to get it from each other.
    pub lenders: Arc<Lenders>,
}

impl AgentProgram {
    /// The program at `path`, with the usual places on the hosts.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, digest: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            digest: digest.into(),
            installed_at: "/var/lib/sealift/bin/installer".to_owned(),
            folders: ["/var/tmp", "~", "/tmp"].map(str::to_owned).to_vec(),
            lenders: Arc::default(),
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP connection, also for the bastion's to the host.
    pub connect: Duration,
    /// For each step of handshake and login, and for sudo.
    pub login: Duration,
    /// For a setup command or an upload that moves no byte.
    pub command: Duration,
    /// After so much silence of a working agent the connection counts as lost.
    pub silence: Duration,
    /// Between keepalives; also how often an idle session is looked after.
    pub keepalive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            login: Duration::from_secs(30),
            command: Duration::from_secs(30),
            silence: Duration::from_secs(20),
            keepalive: Duration::from_secs(5),
        }
    }
}

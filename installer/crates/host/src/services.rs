//! Whether this host can use the services that the site runs itself: connect, agree on encryption, log in, be answered.
//!
//! Each service is tried as the product's pods will use it, from this host, whose address their connections carry.
//! Nothing is asked that changes anything there. A try ends at the first thing that does not go, and says which.
//!
//! PostgreSQL is spoken with `postgres-protocol`: the messages and the SCRAM login of the maintained `postgres` family,
//! without its sockets, so that no second runtime comes into the program and each stage can be told from the next.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use sealift_bundle::services::ServiceKind;
use sealift_checks::facts::{ServiceAttempt, ServiceStage, ServiceTrouble};
use serde::{Deserialize, Serialize};

use crate::protocol::SecretFiles;

mod http;
mod postgresql;
mod tls;

/// Patience with one connection, and with each answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most that a service is listened to, bytes: what says more before it has said what is asked is something else.
const LONGEST: usize = 64 << 10;

/// A service of the site, as a host shall try it. Its password comes beside it, under the service's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTarget {
    /// Which.
    pub service: ServiceKind,
    /// Address or name, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the way is protected.
    pub encryption: Encryption,
    /// User, where there is a login.
    pub user: Option<String>,
    /// What is spoken there.
    pub language: Language,
}

/// How the way to a service is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Encryption {
    /// Not at all.
    None,
    /// TLS with whoever answers.
    Unchecked,
    /// TLS with a certificate for the service's own name or address.
    Verified {
        /// Certificates (PEM) of the authorities that count.
        ca: String,
    },
}

/// What is spoken with a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Language {
    /// PostgreSQL's own protocol.
    Postgresql {
        /// Name of the database.
        database: String,
    },
    /// HTTP.
    Http {
        /// The whole URL.
        url: String,
    },
}

/// Tries services, all at once. One attempt for each, in the same order.
#[must_use]
pub fn try_all(targets: &[ServiceTarget], passwords: &SecretFiles) -> Vec<ServiceAttempt> {
    let password = |target: &ServiceTarget| {
        let mut all = passwords.0.iter();
        all.find(|file| file.name == target.service.name()).map(|file| file.content.as_str())
    };
    thread::scope(|scope| {
        let start = |target| (target, scope.spawn(move || attempt(target, password(target))));
        let workers: Vec<_> = targets.iter().map(start).collect();
        let joined = workers.into_iter().map(|(target, worker)| {
            let broken = || trouble(ServiceStage::Reach, "the try broke down: a defect of the installer");
            worker.join().unwrap_or_else(|_| ServiceAttempt { trouble: Some(broken()), ..untried(target) })
        });
        joined.collect()
    })
}

fn untried(target: &ServiceTarget) -> ServiceAttempt {
    ServiceAttempt {
        service: target.service,
        address: format!("{}:{}", target.host, target.port),
        micros: None,
        tls: None,
        version: None,
        trouble: None,
    }
}

fn attempt(target: &ServiceTarget, password: Option<&str>) -> ServiceAttempt {
    let mut attempt = untried(target);
    attempt.trouble = walk(target, password, &mut attempt).err();
    attempt
}

fn walk(
    target: &ServiceTarget,
    password: Option<&str>,
    attempt: &mut ServiceAttempt,
) -> Result<(), ServiceTrouble> {
    let (stream, address, time) = connect(&target.host, target.port)?;
    attempt.address = address.to_string();
    attempt.micros = u64::try_from(time.as_micros()).ok();
    match &target.language {
        Language::Postgresql { database } => postgresql::walk(stream, target, database, password, attempt),
        Language::Http { url } => http::walk(stream, target, url, password, attempt),
    }
}

/// The first of its addresses that takes a connection, and how long that took.
fn connect(host: &str, port: u16) -> Result<(TcpStream, SocketAddr, Duration), ServiceTrouble> {
    let unknown = "this host finds no address for that name";
    let mut last = trouble(ServiceStage::Reach, unknown);
    for address in (host, port).to_socket_addrs().map_err(|_| trouble(ServiceStage::Reach, unknown))? {
        let before = Instant::now();
        let stream = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => return Ok((stream, address, before.elapsed())),
            Err(error) => last = trouble(ServiceStage::Reach, words(&error)),
        }
    }
    Err(last)
}

/// Both directions of a connection, encrypted or not.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

fn trouble(stage: ServiceStage, problem: impl Into<String>) -> ServiceTrouble {
    ServiceTrouble { stage, problem: problem.into() }
}

/// What happened to a connection, for people.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("no answer within {} s: dropped on the way, or the service hangs", PATIENCE.as_secs())
        }
        io::ErrorKind::ConnectionRefused => {
            "refused: nothing listens there, or a firewall says no".to_owned()
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            "it ended the connection".to_owned()
        }
        _ => error.to_string(),
    }
}

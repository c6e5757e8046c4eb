//! What the seat and the agent say to each other over the agent's stdin and stdout.
//!
//! Frames: one kind byte (`J` JSON, `D` data, `A` alive), a big-endian `u32` length, the payload. The agent opens with
//! [`MAGIC`] so that the seat can skip banners. One request at a time; replies end with `Done` or `Failed`.
//! The seat says [`ALIVE`] whenever it has said nothing for some seconds: a cable that is pulled for good tells an agent
//! nothing else, and an agent without a seat must let go of its host.
//! After [`Reply::NeedBlobs`] the seat sends exactly the missing bytes of each blob, in that order, as data frames.

use std::io::{self, Read, Write};

use sealift_checks::facts::{Attempt, Facts, ServiceAttempt, WriteTimes};
use sealift_checks::{Fix, Protocol};
use sealift_plan::changes::found::FoundFile;
use sealift_plan::operation::{Blob, Operation, SecretSet};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::fix::Fixed;
use crate::services::ServiceTarget;

/// First bytes of the agent's output.
pub const MAGIC: &[u8] = b"\nsealift-agent/1\n";
/// Longest JSON frame, bytes.
pub const MAX_JSON: u32 = 32 << 20;
/// Longest data frame, bytes.
pub const MAX_DATA: u32 = 1 << 20;

/// The seat's whole frame that says that it is there, between any two others.
pub const ALIVE: &[u8] = b"A\0\0\0\0";

/// What the seat asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "request")]
pub enum Request {
    /// Measure the host.
    Probe(ProbeOptions),
    /// Say the time at once, so that the seat can tell the host's clock and the way to it apart.
    Clock,
    /// Measure how fast small writes reach the disk below a path; makes load for up to a minute.
    TimeWrites {
        /// The path, which need not exist yet.
        path: String,
    },
    /// Open ports for a while, so that other hosts can try them, see [`crate::mesh`].
    OpenPorts {
        /// Which.
        ports: Vec<MeshPort>,
        /// What hosts of this check know each other by, 16 to 64 characters.
        token: String,
        /// How long at most, seconds.
        seconds: u32,
    },
    /// Try ports of other hosts.
    Reach {
        /// Which.
        targets: Vec<MeshTarget>,
        /// As in `OpenPorts`.
        token: String,
    },
    /// Try the services that the site runs itself, see [`crate::services`].
    TryServices {
        /// Which.
        targets: Vec<ServiceTarget>,
        /// Their passwords, by the service's name.
        passwords: SecretFiles,
    },
    /// Take this host for a run; refused while another run holds it. Held until the session ends.
    Lock {
        /// Who: user and seat.
        owner: String,
        /// Run identifier; sessions of one run share the lock.
        run: String,
    },
    /// Probe, apply, verify one operation.
    Apply {
        /// Run identifier, for the host's journal.
        run: String,
        /// Step identifier.
        step: String,
        /// What to do.
        operation: Box<Operation>,
        /// The secrets it needs.
        secrets: SecretFiles,
    },
    /// Hand out secrets for another host.
    Export {
        /// Which.
        set: SecretSet,
        /// For `JoinDiscovery`: the address that the joining host shall ask.
        address: String,
    },
    /// Ask the cluster for its state, for the closing proof.
    ClusterState,
    /// Hand out what stands in these places, as far as everybody on the host may read it.
    ReadFiles {
        /// Absolute paths.
        paths: Vec<String>,
    },
    /// Hand this program on to other hosts, see [`crate::lend`].
    Lend,
    /// Make small changes that checks ask for, see [`crate::fix`].
    Fix {
        /// Run identifier of the lock that this session holds.
        run: String,
        /// Which.
        fixes: Vec<Fix>,
    },
    /// Say what `UndoFixes` would do.
    Fixes,
    /// Take all fixes on this host back.
    UndoFixes {
        /// Run identifier of the lock that this session holds.
        run: String,
    },
    /// End the session.
    Bye,
}

/// What a probe shall look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeOptions {
    /// Paths whose file systems to measure.
    pub paths: Vec<String>,
    /// Kernel modules to look for.
    pub modules: Vec<String>,
    /// Programs to look for.
    pub commands: Vec<String>,
    /// Kernel settings to read, by their names with dots.
    pub settings: Vec<String>,
}

/// A port that is opened for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshPort {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
}

/// Another host and the ports that shall be tried there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshTarget {
    /// Its name in the profile.
    pub host: String,
    /// Its address.
    pub address: std::net::IpAddr,
    /// Size of the packets that must come through over UDP, headers included, bytes.
    pub packet: u32,
    /// The ports.
    pub ports: Vec<MeshPort>,
}

/// Secret files by name, wiped when dropped, never printed.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct SecretFiles(pub Vec<SecretFile>);

/// One secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct SecretFile {
    /// File or key name, e.g. `ca.key`.
    pub name: String,
    /// Content.
    pub content: String,
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        self.content.zeroize();
    }
}

impl std::fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|file| &file.name)).finish()
    }
}

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecretFile").field(&self.name).finish()
    }
}

/// What the agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "reply")]
pub enum Reply {
    /// Still at it. At least one every two seconds.
    Progress(Progress),
    /// Send these now.
    NeedBlobs {
        /// In the order to send.
        needs: Vec<BlobNeed>,
    },
    /// The request is done.
    Done(Box<Response>),
    /// The request failed.
    Failed(Failure),
}

/// How far a request is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is being done now, for people.
    pub message: String,
    /// Bytes (or things) done; 0 of 0 where it cannot be counted.
    pub done: u64,
    /// Bytes (or things) in all.
    pub total: u64,
}

/// A blob that the store lacks, from a byte on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobNeed {
    /// The blob.
    pub blob: Blob,
    /// Bytes that the store has already, from the start.
    pub offset: u64,
}

/// What a request gave.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "response")]
pub enum Response {
    /// To `Probe`.
    Facts(Box<Facts>),
    /// To `Clock`.
    Clock {
        /// Milliseconds since the epoch, as the host sees it.
        unix_millis: i64,
    },
    /// To `TimeWrites`.
    WriteTimes(WriteTimes),
    /// To `OpenPorts`.
    PortsOpen {
        /// Ports that a program of the host holds already.
        held: Vec<MeshPort>,
    },
    /// To `Reach`.
    Reached {
        /// One for each port.
        attempts: Vec<Attempt>,
    },
    /// To `TryServices`, in the same order.
    ServicesTried {
        /// One for each.
        attempts: Vec<ServiceAttempt>,
    },
    /// To `Lock` and `Bye`.
    Ok,
    /// To `Apply`.
    Outcome(Outcome),
    /// To `Export`.
    Secrets {
        /// The secrets.
        files: SecretFiles,
    },
    /// To `ClusterState`.
    ClusterState(ClusterState),
    /// To `ReadFiles`, in the same order.
    Files {
        /// What stands there.
        files: Vec<FoundFile>,
    },
    /// To `Fix`, one for each.
    Fixed {
        /// What came of them.
        results: Vec<Fixed>,
    },
    /// To `Fixes` and `UndoFixes`.
    Undone {
        /// What would be or was done, in words.
        changes: Vec<String>,
    },
    /// To `Lend`.
    Lent {
        /// TCP port that gives the program to whoever connects.
        port: u16,
    },
}

/// What an operation came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Whether anything was changed.
    pub changed: bool,
    /// One line for people: what was done or found.
    pub summary: String,
    /// Bytes moved over a network for it.
    pub bytes: u64,
    /// Acceptance results, one per test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestResult>,
}

/// One acceptance test's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct Failure {
    /// Sort of failure; decides hint and exit code on the seat.
    pub kind: FailureKind,
    /// What failed, naming the object.
    pub message: String,
    /// Causes, outermost first.
    pub causes: Vec<String>,
    /// What to do next, where the host knows better than the seat.
    pub hint: Option<String>,
    /// Last lines of the log of a failed command.
    pub log: Vec<String>,
}

/// Sorts of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// A digest or signature does not match.
    Verification,
    /// The disk is full or too small.
    DiskFull,
    /// Another run holds the host.
    Locked,
    /// A command ended badly.
    Command,
    /// A gate did not open in time.
    Timeout,
    /// Files or state on the host stand in the way.
    Conflict,
    /// Network between hosts.
    Network,
    /// The probe found work to do that needs secrets, and none came with the request: ask again with them.
    NeedsSecrets,
    /// Anything else; also kinds of newer agents.
    #[serde(other)]
    Other,
}

/// The cluster as one master sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterState {
    /// Nodes.
    pub nodes: Vec<NodeState>,
    /// Healthy, started etcd voters.
    pub etcd_voters: u32,
    /// Pods that are neither Ready nor Succeeded, `namespace/name`.
    pub pods_not_ready: Vec<String>,
    /// Pods in all.
    pub pods: u32,
}

/// A node as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeState {
    /// Name.
    pub name: String,
    /// `control-plane`, `worker`.
    pub roles: Vec<String>,
    /// kubelet version.
    pub version: String,
    /// Ready condition.
    pub ready: bool,
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A JSON document.
    Json(Vec<u8>),
    /// Bytes of a blob.
    Data(Vec<u8>),
}

/// Writes one JSON frame and flushes.
pub fn write_json<T: Serialize>(out: &mut impl Write, value: &T) -> io::Result<()> {
    let body = serde_json::to_vec(value)?;
    write_frame(out, b'J', &body)?;
    out.flush()
}

/// Writes one data frame; the caller flushes.
pub fn write_data(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_frame(out, b'D', bytes)
}

fn write_frame(out: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| io::Error::other("frame too long"))?;
    out.write_all(&[kind])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(body)
}

/// Reads one frame, passing over signs of life; `UnexpectedEof` where the other side has gone.
pub fn read_frame(input: &mut impl Read) -> io::Result<Frame> {
    loop {
        let mut header = [0u8; 5];
        input.read_exact(&mut header)?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let limit = match header[0] {
            b'J' => MAX_JSON,
            b'D' => MAX_DATA,
            b'A' => 0,
            other => return Err(invalid(format!("unknown frame kind {other:#04x}"))),
        };
        if length > limit {
            return Err(invalid(format!("frame of {length} bytes, limit {limit}")));
        }
        let mut body = vec![0u8; length as usize];
        input.read_exact(&mut body)?;
        match header[0] {
            b'J' => return Ok(Frame::Json(body)),
            b'D' => return Ok(Frame::Data(body)),
            _ => {}
        }
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

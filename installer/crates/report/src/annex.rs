//! The annex: what engineers need to see that the rest is true. In the words of the rooms that it comes from.

use serde::{Deserialize, Serialize};

/// For engineers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Annex {
    /// Hosts with what is known of them.
    pub hosts: Vec<HostLine>,
    /// Findings counted, in one line; none where nobody looked.
    pub summary: Option<String>,
    /// Every finding that is not as it should be.
    pub findings: Vec<FindingLine>,
    /// Checks by group and host, one letter each (`.` ok, `W` warning, `F` fails, `A` accepted, `B` blocked, `?` broke,
    /// `-` not run).
    pub matrix: Vec<MatrixRow>,
    /// Every number of the sizing with its sentence.
    pub sizing: Vec<String>,
    /// What must be reachable from where.
    pub ports: Vec<PortLine>,
    /// What is packed: name, version, digest.
    pub versions: Vec<VersionLine>,
    /// Digests that identify bundle, key and plan.
    pub digests: Vec<(String, String)>,
    /// What the run said at its end or where it stopped.
    pub run: Vec<String>,
    /// The profile as YAML, secrets as references.
    pub profile: String,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostLine {
    /// Name in the profile.
    pub name: String,
    /// Address.
    pub address: String,
    /// `control plane` or `worker`.
    pub role: String,
    /// Operating system, where the host was looked at.
    pub system: String,
    /// Processors and memory, where the host was looked at.
    pub size: String,
}

/// A finding that is not as it should be; the same on several hosts stands there once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindingLine {
    /// The check.
    pub check: String,
    /// Its title, English.
    pub title: String,
    /// Risk of the list that it belongs to, e.g. `R1`; empty where it belongs to none.
    pub risk: String,
    /// Hosts.
    pub hosts: Vec<String>,
    /// In the word that people read: `FAIL`, `warning` …
    pub state: String,
    /// What was seen.
    pub measured: String,
    /// What it is compared with.
    pub limit: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// A row of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatrixRow {
    /// Group of checks.
    pub group: String,
    /// A letter for each host, in the order of the profile; the site as a whole last.
    pub marks: Vec<char>,
}

/// A flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortLine {
    /// On which machines.
    pub on: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Number.
    pub port: u16,
    /// Who listens.
    pub listener: String,
    /// Who connects.
    pub from: String,
    /// What for.
    pub purpose: String,
}

/// Something packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionLine {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Digest.
    pub digest: String,
}

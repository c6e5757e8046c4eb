//! What a check found.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::catalogue::Severity;
use crate::fix::Fix;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Pass,
    /// Works, but somebody should know.
    Warn,
    /// In the way.
    Fail,
    /// Something else must be right first.
    Blocked,
    /// Does not apply as things are.
    NotRun,
    /// The check itself could not be made. Never as good as [`State::Pass`].
    Error,
}

impl State {
    /// The word that people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "ok",
            Self::Warn => "warning",
            Self::Fail => "FAIL",
            Self::Blocked => "blocked",
            Self::NotRun => "not run",
            Self::Error => "broke",
        }
    }
}

/// Rows of the matrix that checks are shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// What the installer may do there.
    Access,
    /// Who the host is and whose it is.
    Identity,
    /// Operating system, processor, memory.
    System,
    /// Clocks.
    Time,
    /// Addresses, routes, ports.
    Network,
    /// File systems.
    Disks,
    /// Answers that the product needs.
    Product,
}

impl Group {
    /// The word that people read.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Access => "Access",
            Self::Identity => "Identity",
            Self::System => "System",
            Self::Time => "Time",
            Self::Network => "Network",
            Self::Disks => "Disks",
            Self::Product => "Product",
        }
    }

    /// All rows, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Access, Self::Identity, Self::System, Self::Time, Self::Network, Self::Disks, Self::Product];
}

/// One check on one host, or on the site as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check's id, e.g. `disk.space`.
    pub check: &'static str,
    /// The check's title.
    pub title: &'static str,
    /// The host's name in the profile; none for the site as a whole.
    pub host: Option<String>,
    /// Row of the matrix.
    pub group: Group,
    /// How it came out.
    pub state: State,
    /// What that means: the check's own severity, or a graver one where the measured value is far off.
    pub severity: Severity,
    /// What was seen, with units.
    pub measured: String,
    /// What it is compared with, with units.
    pub threshold: String,
    /// Why it matters, in one plain sentence.
    pub why: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
    /// What of that can be done by itself (`check --fix`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
}

impl fmt::Display for Finding {
    /// The block that people read; its empty parts are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.check)?;
        if let Some(host) = &self.host {
            write!(f, " on {host}")?;
        }
        write!(f, ": {}", self.state.word())?;
        let why = if self.state == State::Pass { "" } else { &self.why };
        let parts = [
            ("Measured", self.measured.as_str()),
            ("Limit", &self.threshold),
            ("Why", why),
            ("What to do", &self.remedy),
        ];
        for (name, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
            write!(f, "\n  {name:<10}  {text}")?;
        }
        Ok(())
    }
}

/// How many findings of each state there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Findings in all.
    pub findings: usize,
    /// Hosts that findings name.
    pub hosts: usize,
    /// As it should be.
    pub pass: usize,
    /// Works, but somebody should know.
    pub warn: usize,
    /// In the way.
    pub fail: usize,
    /// Wait for something else.
    pub blocked: usize,
    /// Do not apply.
    pub not_run: usize,
    /// Could not be made.
    pub error: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let count = |state| findings.iter().filter(|finding| finding.state == state).count();
        let hosts: BTreeSet<_> = findings.iter().filter_map(|finding| finding.host.as_deref()).collect();
        Self {
            findings: findings.len(),
            hosts: hosts.len(),
            pass: count(State::Pass),
            warn: count(State::Warn),
            fail: count(State::Fail),
            blocked: count(State::Blocked),
            not_run: count(State::NotRun),
            error: count(State::Error),
        }
    }
}

impl fmt::Display for Summary {
    /// `118 checks on 5 hosts: 0 fail, 1 warning`; what there is none of, but for failures, is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let Self { findings, hosts, fail, .. } = *self;
        write!(f, "{findings} check{} on {hosts} host{}: {fail} fail", plural(findings), plural(hosts))?;
        let rest = [
            (self.error, "broke"),
            (self.blocked, "blocked"),
            (self.warn, if self.warn == 1 { "warning" } else { "warnings" }),
            (self.not_run, "not run"),
        ];
        for (count, word) in rest.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {word}")?;
        }
        Ok(())
    }
}

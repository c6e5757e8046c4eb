//! The registry of checks: what there is, why, and which function looks.

mod clock;
mod disks;
mod identity;
mod network;
mod ownership;
mod ports;
mod product;
mod system;

use std::sync::LazyLock;

use sealift_profile::{Host, HostRole, Site};

use crate::facts::Facts;
use crate::finding::{Group, State};
use crate::requirements::{Requirements, RoleNeeds};
use crate::run::CheckInput;

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Stable id, also in `acceptedRisks` of a profile.
    pub id: &'static str,
    /// For headings.
    pub title: &'static str,
    /// Why it matters, in one plain sentence.
    pub why: &'static str,
    /// Row of the matrix.
    pub group: Group,
    /// What a failure means.
    pub severity: Severity,
    /// Facts without which it says *error*: names as in [`Facts`]' JSON.
    pub(crate) facts: &'static [&'static str],
    pub(crate) scope: Scope,
}

/// What a failure of a check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing can be installed; no acceptance helps.
    Stop,
    /// Blocks, unless somebody accepts the risk.
    Block,
    /// Never blocks: at most a warning.
    Advice,
}

/// What a check looks at in one go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    /// One host.
    Host(fn(&HostInput<'_>) -> Verdict),
    /// All hosts, compared with each other.
    Peers(for<'a> fn(&[Peer<'a>]) -> PeerVerdicts<'a>),
    /// Profile and bundle alone.
    Site(fn(&CheckInput<'_>) -> Verdict),
}

/// A verdict for each host, and where it concerns no host in particular, for the site.
pub(crate) type PeerVerdicts<'a> = Vec<(Option<&'a Host>, Verdict)>;

/// One host and all that matters for it.
pub(crate) struct HostInput<'a> {
    pub site: &'a Site,
    pub host: &'a Host,
    pub facts: &'a Facts,
    pub all: &'a Requirements,
    pub need: &'a RoleNeeds,
    pub platforms: &'a [String],
}

impl<'a> HostInput<'a> {
    pub fn new(input: &'a CheckInput<'_>, host: &'a Host, facts: &'a Facts) -> Self {
        Self {
            site: input.site,
            host,
            facts,
            all: &input.need,
            need: input.need.of(host.role),
            platforms: &input.document.platforms,
        }
    }

    /// Whether an earlier run of ours holds this host for this site.
    pub fn ours(&self) -> bool {
        self.facts.claim.as_ref().is_some_and(|claim| claim.site == self.site.metadata.name)
    }
}

/// A host among others.
pub(crate) struct Peer<'a> {
    pub host: &'a Host,
    pub facts: &'a Facts,
}

/// What a check has to say.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub state: State,
    pub measured: String,
    pub threshold: String,
    pub remedy: String,
}

impl Verdict {
    pub fn pass(measured: impl Into<String>) -> Self {
        Self {
            state: State::Pass,
            measured: measured.into(),
            threshold: String::new(),
            remedy: String::new(),
        }
    }

    pub fn warn(measured: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Warn, remedy: remedy.into(), ..Self::pass(measured) }
    }

    pub fn fail(measured: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Fail, remedy: remedy.into(), ..Self::pass(measured) }
    }

    pub fn error(measured: impl Into<String>) -> Self {
        let remedy =
            "look on the host why, mend it, then check again: what cannot be seen is not taken for good";
        Self { state: State::Error, remedy: remedy.to_owned(), ..Self::pass(measured) }
    }

    pub fn limit(mut self, threshold: impl Into<String>) -> Self {
        self.threshold = threshold.into();
        self
    }
}

/// All checks, in the order in which they are shown.
#[must_use]
pub fn catalogue() -> &'static [Check] {
    static ALL: LazyLock<Vec<Check>> = LazyLock::new(|| {
        [
            identity::CHECKS,
            ownership::CHECKS,
            system::CHECKS,
            clock::CHECKS,
            network::CHECKS,
            ports::CHECKS,
            disks::CHECKS,
            product::CHECKS,
        ]
        .concat()
    });
    &ALL
}

/// The check of this id.
#[must_use]
pub fn check(id: &str) -> Option<&'static Check> {
    catalogue().iter().find(|check| check.id == id)
}

/// A role for people.
fn role(role: HostRole) -> &'static str {
    match role {
        HostRole::ControlPlane => "a control plane",
        HostRole::Worker => "a worker",
    }
}

//! The registry of checks: what there is, why, and which function looks.

mod access;
mod age;
mod capacity;
mod certificates;
mod clock;
mod clones;
mod commands;
mod disks;
mod etcd;
mod folders;
mod identity;
mod kernel;
mod links;
mod machine;
mod mesh;
mod names;
mod network;
mod ownership;
mod placement;
mod ports;
mod product;
mod protection;
mod remains;
mod resources;
mod services;
mod system;

use std::sync::LazyLock;

pub use capacity::given_host;
pub use product::risk_faults;

use sealift_bundle::document::BundleDocument;
use sealift_profile::{Host, HostRole, Site};
use serde::Serialize;

use crate::facts::{Details, Facts};
use crate::finding::{Group, State};
use crate::fix::Fix;
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
    /// Where there is a second limit beyond which a failure means more than [`Check::severity`]: what it then means.
    pub beyond: Option<Severity>,
    /// Whether it needs a measurement that makes load and is made only on request.
    pub deep: bool,
    /// Whether some of its findings can be mended by themselves ([`crate::Finding::fixes`]).
    pub fixable: bool,
    /// Facts without which it says *error*: names as in [`Facts`]' JSON; [`SEAT`] and [`BUNDLE`] besides.
    pub(crate) facts: &'static [&'static str],
    pub(crate) scope: Scope,
}

/// Stands among a check's facts where only the seat can see it, when it asks the host itself.
pub(crate) const SEAT: &str = "seat";
/// Stands among a check's facts where it compares with the bundle.
pub(crate) const BUNDLE: &str = "bundle";

/// A function that looks at one host.
type Look = fn(&HostInput<'_>) -> Verdict;
/// A function that looks at profile and bundle.
type LookAtSite = fn(&CheckInput<'_>, &BundleDocument) -> Verdict;
/// A function that compares hosts.
type Compare = for<'a> fn(&[Peer<'a>]) -> PeerVerdicts<'a>;

impl Check {
    const fn new(
        (group, severity): (Group, Severity),
        id: &'static str,
        title: &'static str,
        why: &'static str,
        facts: &'static [&'static str],
        scope: Scope,
    ) -> Self {
        Self { id, title, why, group, severity, beyond: None, deep: false, fixable: false, facts, scope }
    }

    /// A check of each host.
    const fn on_host(
        kind: (Group, Severity),
        id: &'static str,
        title: &'static str,
        why: &'static str,
        facts: &'static [&'static str],
        look: Look,
    ) -> Self {
        Self::new(kind, id, title, why, facts, Scope::Host(look))
    }

    /// A check of each master.
    const fn on_masters(
        kind: (Group, Severity),
        id: &'static str,
        title: &'static str,
        why: &'static str,
        facts: &'static [&'static str],
        look: Look,
    ) -> Self {
        Self::new(kind, id, title, why, facts, Scope::Masters(look))
    }

    /// A check that compares hosts.
    const fn among_hosts(
        kind: (Group, Severity),
        id: &'static str,
        title: &'static str,
        why: &'static str,
        facts: &'static [&'static str],
        look: Compare,
    ) -> Self {
        Self::new(kind, id, title, why, facts, Scope::Peers(look))
    }

    /// One of whose findings some can be mended by themselves.
    const fn fixable(mut self) -> Self {
        self.fixable = true;
        self
    }

    /// A check of the site's answers.
    const fn of_site(
        severity: Severity,
        id: &'static str,
        title: &'static str,
        why: &'static str,
        look: LookAtSite,
    ) -> Self {
        Self::new((Group::Product, severity), id, title, why, &[], Scope::Site(look))
    }
}

/// What a failure of a check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Never blocks: at most a warning.
    Advice,
    /// Blocks, unless somebody accepts the risk.
    Block,
    /// Nothing can be installed; no acceptance helps.
    Stop,
}

impl Severity {
    /// The words that people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Advice => "warns",
            Self::Block => "blocks unless accepted",
            Self::Stop => "blocks always",
        }
    }
}

/// What a check looks at in one go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    /// One host.
    Host(Look),
    /// One master.
    Masters(Look),
    /// All hosts, compared with each other.
    Peers(Compare),
    /// The site as a whole: profile, bundle, all hosts together.
    Site(LookAtSite),
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
    /// Milliseconds since the facts were taken, where they came in a file.
    pub age: Option<i64>,
}

impl<'a> HostInput<'a> {
    pub fn new(input: &'a CheckInput<'_>, host: &'a Host, facts: &'a Facts) -> Self {
        Self {
            site: input.site,
            host,
            facts,
            all: &input.need,
            need: input.need.of(host.role),
            platforms: input.document.map_or(&[], |document| &document.platforms),
            age: input.ages.and_then(|ages| ages.get(&host.name)).copied(),
        }
    }

    /// The finer facts; empty where the host gave none, which no check that names such a fact gets to see.
    pub fn details(&self) -> &'a Details {
        self.facts.details.as_ref().unwrap_or(&NO_DETAILS)
    }

    /// Whether a fix may set this kernel setting: in a container, only what belongs to its own network.
    pub fn settable(&self, name: &str) -> bool {
        let own = name.starts_with("net.") || !self.details().machine.container;
        own && self.details().settings.get(name).is_some_and(|setting| setting.writable)
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

static NO_DETAILS: LazyLock<Details> = LazyLock::new(Details::default);

/// What a check has to say.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub state: State,
    /// Graver than the check itself says.
    pub severity: Option<Severity>,
    pub measured: String,
    pub threshold: String,
    pub remedy: String,
    pub fixes: Vec<Fix>,
}

impl Verdict {
    pub fn pass(measured: impl Into<String>) -> Self {
        Self {
            state: State::Pass,
            severity: None,
            measured: measured.into(),
            threshold: String::new(),
            remedy: String::new(),
            fixes: Vec::new(),
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

    /// Does not apply as things are.
    pub fn not_run(measured: impl Into<String>) -> Self {
        Self { state: State::NotRun, ..Self::pass(measured) }
    }

    /// Blocks unless somebody accepts the risk, though the check itself is advice.
    pub fn unless_accepted(mut self) -> Self {
        self.severity = Some(Severity::Block);
        self
    }

    /// Far enough off that nobody may accept it.
    pub fn beyond_acceptance(mut self) -> Self {
        self.severity = Some(Severity::Stop);
        self
    }

    /// What can be done by itself, each as far as it may be.
    pub fn fixed_by(mut self, fixes: impl IntoIterator<Item = Fix>) -> Self {
        self.fixes.extend(fixes);
        self
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
            access::CHECKS,
            identity::CHECKS,
            clones::CHECKS,
            names::CHECKS,
            ownership::CHECKS,
            remains::CHECKS,
            system::CHECKS,
            age::CHECKS,
            resources::CHECKS,
            machine::CHECKS,
            kernel::CHECKS,
            commands::CHECKS,
            protection::CHECKS,
            clock::CHECKS,
            certificates::CHECKS,
            network::CHECKS,
            links::CHECKS,
            ports::CHECKS,
            mesh::CHECKS,
            disks::CHECKS,
            folders::CHECKS,
            etcd::CHECKS,
            product::CHECKS,
            capacity::CHECKS,
            placement::CHECKS,
            services::CHECKS,
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

//! What `check`, `plan` and `install` have in common: verified bundle, loaded profile, probed hosts, findings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealift_bundle::Bundle;
use sealift_checks::facts::Facts;
use sealift_checks::{CheckInput, Finding, State};
use sealift_host::protocol::ProbeOptions;
use sealift_plan::inputs::Inputs;
use sealift_plan::{Plan, PlanInput};
use sealift_profile::{Etcd, Site};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::matrix;
use crate::output::{Output, counted};
use crate::services;
use crate::sessions::{Sessions, own_program};
use crate::site::{OpenSite, ask, verify_bundle};
use crate::trust::Trust;
use crate::tui::Ask;

/// Bundle and profile.
// No group: verbs that take these among their own would have two groups of this name.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// The site profile; given more than once, later ones lie over earlier ones.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) profile: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// Everything that is known before anything changes.
pub(crate) struct Prepared {
    pub(crate) bundle: Bundle,
    pub(crate) site: OpenSite,
    pub(crate) sessions: Sessions,
    pub(crate) facts: BTreeMap<String, Facts>,
}

impl Prepared {
    /// Verifies, loads, connects, probes. Changes nothing on any host but a temporary copy of this program.
    pub(crate) fn new(arguments: &Arguments, output: Output) -> Result<Self, Failure> {
        let mut prepared = Self::open(arguments, output)?;
        prepared.probe()?;
        Ok(prepared)
    }

    /// The same, asking for passwords in another way than at the terminal.
    pub(crate) fn new_asking(arguments: &Arguments, output: Output, ask: Ask<'_>) -> Result<Self, Failure> {
        let mut prepared = Self::open_asking(arguments, output, ask)?;
        prepared.probe()?;
        Ok(prepared)
    }

    /// The part of [`Prepared::new`] that speaks to no host.
    pub(crate) fn open(arguments: &Arguments, output: Output) -> Result<Self, Failure> {
        Self::open_asking(arguments, output, &ask)
    }

    /// The same, asking for passwords in another way than at the terminal.
    pub(crate) fn open_asking(arguments: &Arguments, output: Output, ask: Ask<'_>) -> Result<Self, Failure> {
        let site = OpenSite::load_asking(&arguments.profile, output, ask)?;
        risks_make_sense(&site.site)?;
        let bundle = arguments.trust.open(&arguments.bundle, output)?;
        verify_bundle(&bundle, output)?;
        let sessions = Sessions::new(site.targets(), own_program()?);
        Ok(Self { bundle, site, sessions, facts: BTreeMap::new() })
    }

    /// Connects and probes.
    pub(crate) fn probe(&mut self) -> Result<(), Failure> {
        self.facts = self
            .sessions
            .probe(&probe_options(&self.site.site.etcd))
            .inspect_err(|_| self.sessions.close())?;
        services::try_from_all(&self.site, &self.sessions, &mut self.facts);
        Ok(())
    }

    /// As [`Prepared::probe`], and goes on with those that answer; gives what is wrong with the others.
    pub(crate) fn probe_each(&mut self) -> Result<(), Failure> {
        let (facts, answered) = self.sessions.probe_each(&probe_options(&self.site.site.etcd));
        self.facts = facts;
        services::try_from_all(&self.site, &self.sessions, &mut self.facts);
        answered
    }

    /// What all checks find.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        sealift_checks::run(&CheckInput::new(&self.site.site, self.bundle.document(), &self.facts))
    }

    /// Runs all checks and shows what they found; blocking findings that nobody accepted are a failure.
    pub(crate) fn check(&self, output: Output) -> Result<(), Failure> {
        self.check_answers(Ok(()), output)
    }

    /// The same after [`Prepared::probe_each`], with what that gave.
    pub(crate) fn check_answers(&self, answered: Result<(), Failure>, output: Output) -> Result<(), Failure> {
        verdict(&self.findings(), &self.site.site, self.facts.len(), answered, output)
    }

    /// Makes the plan.
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        Ok(sealift_plan::plan(&self.input())?)
    }

    /// What a plan would be made from; hosts as far as they were probed.
    pub(crate) fn inputs(&self) -> Inputs {
        Inputs::of(&self.input())
    }

    fn input(&self) -> PlanInput<'_> {
        PlanInput {
            site: &self.site.site,
            document: self.bundle.document(),
            index: self.bundle.index_json(),
            signature: self.bundle.signature(),
            public_key: self.bundle.public_key(),
            agent_digest: self.sessions.agent_digest(),
            facts: &self.facts,
        }
    }
}

/// What the checks need to know of a host.
pub(super) fn probe_options(etcd: &Etcd) -> ProbeOptions {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    ProbeOptions {
        paths: words(&sealift_checks::paths(etcd)),
        modules: words(&sealift_checks::MODULES),
        commands: words(&sealift_checks::COMMANDS),
        settings: words(&sealift_checks::SETTINGS),
    }
}

/// Shows what checks found on so many hosts; blocking findings that nobody accepted are a failure, and so is a host that
/// did not answer: then that is the reason, and not each check that could not be made there.
pub(super) fn verdict(
    findings: &[Finding],
    site: &Site,
    hosts: usize,
    answered: Result<(), Failure>,
    output: Output,
) -> Result<(), Failure> {
    let blocking = sealift_checks::blocking(findings, site);
    let count = |state: State| findings.iter().filter(|finding| finding.state == state).count();
    let blocked = match count(State::Blocked) {
        0 => String::new(),
        count => format!(", {count} blocked"),
    };
    let text = format!(
        "{} checks on {}: {} failed, {}{blocked}",
        sealift_checks::catalogue().len(),
        counted(hosts, "host"),
        count(State::Fail) + count(State::Error),
        counted(count(State::Warn), "warning"),
    );
    output.line("check", &text, &findings);
    let others: Vec<&Finding> =
        findings.iter().filter(|finding| !blocking.iter().any(|one| std::ptr::eq(*one, *finding))).collect();
    for line in matrix::exceptions(&others) {
        output.remark(&line);
    }
    let fixable = findings.iter().filter(|finding| !finding.fixes.is_empty()).count();
    if fixable > 0 {
        output.remark(&format!(
            "          {} can be mended by itself: installer check --fix",
            counted(fixable, "finding")
        ));
    }
    let told = |finding: &&Finding| answered.is_ok() || finding.state != State::Blocked;
    let found = in_the_way(&blocking.into_iter().filter(told).collect::<Vec<_>>());
    match (answered, found) {
        (Err(silent), Err(found)) => Err(Failure {
            message: format!("{}; besides, {}", silent.message, found.message),
            causes: [silent.causes, found.causes].concat(),
            hints: [silent.hints, found.hints].concat(),
            ..silent
        }),
        (answered, found) => answered.and(found),
    }
}

/// Findings that block are a failure.
fn in_the_way(blocking: &[&Finding]) -> Result<(), Failure> {
    if blocking.is_empty() {
        return Ok(());
    }
    let stand = if blocking.len() == 1 { "stands" } else { "stand" };
    let message = format!("{} {stand} in the way; nothing was changed", counted(blocking.len(), "finding"));
    let mut failure = Failure::new(Kind::Checks, message);
    failure.causes = matrix::reasons(blocking);
    Err(failure
        .hint("mend these and run the same command again, or accept a risk by name under `acceptedRisks`"))
}

/// An acceptance that accepts nothing is a mistake of the profile, told before any host is asked.
pub(crate) fn risks_make_sense(site: &Site) -> Result<(), Failure> {
    let faults = sealift_checks::risk_faults(site);
    if faults.is_empty() {
        return Ok(());
    }
    let message = format!("{} of the accepted risks make no sense; no host was looked at", faults.len());
    let failure = Failure { causes: faults, ..Failure::new(Kind::Usage, message) };
    Err(failure.hint("correct them under `acceptedRisks`; `installer check --list` names every check"))
}

/// For the closing line of verbs that change nothing.
pub(crate) fn nothing_changed(output: Output) {
    output.line("done", "nothing was changed on any host", &json!({}));
}

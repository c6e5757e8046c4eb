//! What `check`, `plan` and `install` have in common: verified bundle, loaded profile, probed hosts, findings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealift_bundle::Bundle;
use sealift_checks::facts::Facts;
use sealift_checks::{CheckInput, Finding, State};
use sealift_host::protocol::ProbeOptions;
use sealift_plan::inputs::Inputs;
use sealift_plan::{Plan, PlanInput};
use sealift_profile::Site;
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::matrix;
use crate::output::Output;
use crate::services;
use crate::sessions::{Sessions, own_program};
use crate::site::{OpenSite, verify_bundle};
use crate::trust::Trust;

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

    /// The part of [`Prepared::new`] that speaks to no host.
    pub(crate) fn open(arguments: &Arguments, output: Output) -> Result<Self, Failure> {
        let site = OpenSite::load(&arguments.profile, output)?;
        risks_make_sense(&site.site)?;
        let bundle = arguments.trust.open(&arguments.bundle, output)?;
        verify_bundle(&bundle, output)?;
        let sessions = Sessions::new(site.targets(), own_program()?);
        Ok(Self { bundle, site, sessions, facts: BTreeMap::new() })
    }

    /// Connects and probes.
    pub(crate) fn probe(&mut self) -> Result<(), Failure> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let options = ProbeOptions {
            paths: words(&sealift_checks::PATHS),
            modules: words(&sealift_checks::MODULES),
            commands: words(&sealift_checks::COMMANDS),
            settings: words(&sealift_checks::SETTINGS),
        };
        self.facts = self.sessions.probe(&options).inspect_err(|_| self.sessions.close())?;
        services::try_from_all(&self.site, &self.sessions, &mut self.facts);
        Ok(())
    }

    /// What all checks find.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        sealift_checks::run(&CheckInput::new(&self.site.site, self.bundle.document(), &self.facts))
    }

    /// Runs all checks and shows what they found; blocking findings that nobody accepted are a failure.
    pub(crate) fn check(&self, output: Output) -> Result<(), Failure> {
        let findings = self.findings();
        let blocking = sealift_checks::blocking(&findings, &self.site.site);
        let count = |state: State| findings.iter().filter(|finding| finding.state == state).count();
        let text = format!(
            "{} checks on {} hosts: {} failed, {} warnings",
            sealift_checks::catalogue().len(),
            self.facts.len(),
            count(State::Fail) + count(State::Error) + count(State::Blocked),
            count(State::Warn)
        );
        output.line("check", &text, &findings);
        let others: Vec<&Finding> = findings
            .iter()
            .filter(|finding| !blocking.iter().any(|one| std::ptr::eq(*one, *finding)))
            .collect();
        for line in matrix::exceptions(&others) {
            output.remark(&line);
        }
        if blocking.is_empty() {
            return Ok(());
        }
        let message = format!("{} findings stand in the way; nothing was changed", blocking.len());
        let mut failure = Failure::new(Kind::Checks, message);
        failure.causes = matrix::reasons(&blocking);
        Err(failure.hint(
            "mend these and run the same command again, or accept a risk by name under `acceptedRisks`",
        ))
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

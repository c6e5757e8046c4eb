//! From the values of the other rooms to a [`Report`].

mod acceptance;
mod annex;
mod answers;
mod decision;
mod estimate;
mod resources;
mod risks;
mod timeline;
mod topics;

pub(crate) use decision::word as readiness_word;
use sealift_events::state::RunState;
use sealift_events::{Record, RunResult, StepEvent};

use crate::input::Input;
use crate::message::Message;
use crate::report::{API_VERSION, Duty, Heading, KIND, Owner, Readiness, Report, RiskState, Stage};

/// Makes the report. Equal inputs give equal reports.
#[must_use]
pub fn report(input: &Input<'_>) -> Report {
    let mut risks = risks::risks(input);
    let must = risks.iter().filter(|risk| risk.state == RiskState::MustMend).count() as u64;
    let timeline = timeline::timeline(input, must);
    let due = |id: &str| timeline.phases.iter().find(|phase| phase.id == id).map(|phase| phase.due);
    for risk in &mut risks {
        let wanted = if risk.state == RiskState::MustMend { due("mend") } else { due("install") };
        risk.due = wanted.unwrap_or(risk.due);
    }
    let readiness = readiness(input, must, &risks);
    Report {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        heading: heading(input),
        decision: decision::decision(input, readiness, must, &timeline),
        answers: answers::answers(input),
        decided: answers::decided(input),
        resources: resources::resources(input),
        duties: duties(),
        acceptance: acceptance::tests(input),
        annex: annex::annex(input, &risks),
        timeline,
        risks,
    }
}

fn heading(input: &Input<'_>) -> Heading {
    let product = &input.document.product;
    Heading {
        product: product.title.clone(),
        version: product.version.clone(),
        site: input.site.metadata.name.clone(),
        stage: stage(input),
        made: input.made.at,
        by: input.made.by.clone(),
        tool: input.made.tool.clone(),
        looked: input.findings.is_some(),
    }
}

/// Where the run of the report stands; a run that ended well is a handover.
fn stage(input: &Input<'_>) -> Stage {
    match input.run.map(RunState::fold).map(|state| state.result) {
        None => Stage::Proposal,
        Some(Some(RunResult::Done)) => Stage::Handover,
        Some(_) => Stage::Running,
    }
}

fn readiness(input: &Input<'_>, must: u64, risks: &[crate::report::Risk]) -> Readiness {
    if let Some(run) = input.run {
        return match RunState::fold(run).result {
            Some(RunResult::Done) => Readiness::Installed,
            Some(_) => Readiness::Stopped,
            None => Readiness::Installing,
        };
    }
    if input.beyond_reach() {
        return Readiness::NotReady;
    }
    let Some(findings) = input.findings else { return Readiness::Unknown };
    let blocking = sealift_checks::blocking(findings, input.site);
    let stops = |finding: &&sealift_checks::Finding| finding.severity == sealift_checks::Severity::Stop;
    let watched = risks.iter().any(|risk| matches!(risk.state, RiskState::Accepted { .. }));
    if blocking.iter().any(stops) {
        Readiness::NotReady
    } else if must > 0 || watched {
        Readiness::WithConditions
    } else {
        Readiness::Ready
    }
}

/// Milliseconds that a run took, where it ended well.
fn took(run: &[Record]) -> Option<u64> {
    run.iter().find_map(|record| match record.event {
        StepEvent::RunFinished { result: RunResult::Done, millis, .. } => Some(millis),
        _ => None,
    })
}

/// The same on every site: who answers for what.
fn duties() -> Vec<Duty> {
    let duty = |owner: Owner, name: &str| Duty { owner, duty: Message::new(format!("duty.{name}")) };
    vec![
        duty(Owner::Vendor, "vendor"),
        duty(Owner::Lead, "lead"),
        duty(Owner::Machines, "machines"),
        duty(Owner::Storage, "storage"),
        duty(Owner::Network, "network"),
        duty(Owner::Security, "security"),
        duty(Owner::Management, "management"),
    ]
}

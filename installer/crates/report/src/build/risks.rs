//! The list of risks: what checks found, and what nobody checks but a reader of the numbers would see.

use std::collections::BTreeMap;

use sealift_checks::{Finding, Severity, State};
use sealift_profile::{AcceptedRisk, HostRole};
use sealift_sizing::{SizingError, TierKind};

use super::topics::{Topic, topic};
use crate::figure::Unit;
use crate::input::Input;
use crate::message::Message;
use crate::report::{Level, Owner, Risk, RiskState};

/// Percent of free room below which a growing site is soon too small.
const THIN_PERCENT: u64 = 15;
/// Days before its end from which an acceptance is a risk of its own.
const SOON_DAYS: i32 = 60;

/// All risks, the gravest first, numbered; their days are set by the timeline.
pub(crate) fn risks(input: &Input<'_>) -> Vec<Risk> {
    let mut risks = from_findings(input);
    risks.extend(from_sizing(input));
    risks.extend(from_site(input));
    risks.sort_by_key(|risk| {
        let grave = (risk.impact, risk.likelihood);
        (order(&risk.state), std::cmp::Reverse(grave))
    });
    for (index, risk) in risks.iter_mut().enumerate() {
        risk.id = format!("R{}", index + 1);
    }
    risks
}

fn order(state: &RiskState) -> u8 {
    match state {
        RiskState::MustMend => 0,
        RiskState::Watch => 1,
        RiskState::Accepted { .. } => 2,
    }
}

fn draft(input: &Input<'_>, topic: Topic, state: RiskState, (likelihood, impact): (Level, Level)) -> Risk {
    let say = |part: &str| Message::new(format!("topic.{}.{part}", topic.name));
    Risk {
        id: String::new(),
        topic: topic.name.to_owned(),
        checks: Vec::new(),
        hosts: Vec::new(),
        what: say("what"),
        effect: say("effect"),
        likelihood,
        impact,
        owner: topic.owner,
        action: say("action"),
        due: input.made.at.date(),
        state,
    }
}

/// One risk for each topic and what is to be done about it.
fn from_findings(input: &Input<'_>) -> Vec<Risk> {
    let findings = input.findings.unwrap_or_default();
    let blocking = sealift_checks::blocking(findings, input.site);
    let mut risks: Vec<Risk> = Vec::new();
    for finding in findings {
        let Some(state) = state(finding, &blocking, input) else { continue };
        let topic = match finding.state {
            State::Error | State::Blocked => Topic { name: "unseen", ..topic(finding.check) },
            _ => topic(finding.check),
        };
        let levels = levels(finding, &state);
        let same = risks.iter().position(|risk| risk.topic == topic.name && risk.state == state);
        let index = same.unwrap_or_else(|| {
            risks.push(draft(input, topic, state, levels));
            risks.len() - 1
        });
        let risk = &mut risks[index];
        risk.impact = risk.impact.max(levels.1);
        if !risk.checks.iter().any(|check| check == finding.check) {
            risk.checks.push(finding.check.to_owned());
        }
        if let Some(host) = finding.host.as_ref().filter(|host| !risk.hosts.contains(host)) {
            risk.hosts.push(host.clone());
        }
    }
    risks
}

/// What is to be done about a finding; nothing where all is well.
fn state(finding: &Finding, blocking: &[&Finding], input: &Input<'_>) -> Option<RiskState> {
    if blocking.iter().any(|one| std::ptr::eq(*one, finding)) {
        return Some(RiskState::MustMend);
    }
    match finding.state {
        State::Fail => Some(accepted(finding, input).unwrap_or(RiskState::Watch)),
        State::Warn | State::Error => Some(RiskState::Watch),
        State::Pass | State::NotRun | State::Blocked => None,
    }
}

fn accepted(finding: &Finding, input: &Input<'_>) -> Option<RiskState> {
    let named = |risk: &&AcceptedRisk| {
        risk.check == finding.check && (risk.host.is_none() || risk.host == finding.host)
    };
    input.site.accepted_risks.iter().find(named).map(|risk| RiskState::Accepted {
        person: risk.person.clone(),
        reason: risk.reason.clone(),
        until: risk.until.clone(),
    })
}

fn levels(finding: &Finding, state: &RiskState) -> (Level, Level) {
    match (state, finding.severity) {
        (RiskState::MustMend, Severity::Stop) => (Level::High, Level::High),
        (RiskState::MustMend | RiskState::Accepted { .. }, _) => (Level::High, Level::Medium),
        _ => (Level::Medium, Level::Low),
    }
}

/// Little room, data kept once, machines that do not suffice.
fn from_sizing(input: &Input<'_>) -> Vec<Risk> {
    let mut risks = Vec::new();
    if input.beyond_reach() {
        let topic = Topic { name: "beyond", owner: Owner::Vendor };
        let mut risk = draft(input, topic, RiskState::MustMend, (Level::High, Level::High));
        let part = match input.sizing {
            Err(SizingError::NothingFits { part, .. }) => part.clone(),
            _ => input.document.product.title.clone(),
        };
        risk.what = risk.what.word("part", part);
        risks.push(risk);
    }
    let lead = |name| Topic { name, owner: Owner::Lead };
    let lacking: Vec<_> = input
        .verdict
        .iter()
        .flat_map(|verdict| &verdict.tiers)
        .filter(|tier| tier.kind == TierKind::Recommended)
        .flat_map(|tier| &tier.shortfalls)
        .collect();
    if !lacking.is_empty() {
        let owner = Topic { name: "too-small", owner: Owner::Machines };
        risks.push(draft(input, owner, RiskState::Watch, (Level::High, Level::High)));
    }
    let Some(tier) = input.sized().and_then(|sizing| sizing.tier(TierKind::Recommended)) else {
        return risks;
    };
    let spare = tier.slack.cpu_percent_one_down.min(tier.slack.memory_percent_one_down);
    if tier.workers.count.amount > 1 && spare < THIN_PERCENT {
        let mut risk = draft(input, lead("headroom"), RiskState::Watch, (Level::Medium, Level::Medium));
        risk.what =
            risk.what.number("free", spare, Unit::Percent).number("least", THIN_PERCENT, Unit::Percent);
        risks.push(risk);
    }
    let parts = input.document.sizing.iter().flat_map(|model| &model.parts);
    let single: Vec<&str> = parts
        .filter(|part| part.disk.as_ref().is_some_and(|disk| disk.copies == 1))
        .map(|part| part.title.as_str())
        .collect();
    if !single.is_empty() && tier.workers.count.amount > 1 {
        let mut risk = draft(input, lead("single-copy"), RiskState::Watch, (Level::Low, Level::High));
        risk.what = risk.what.words("parts", single);
        risks.push(risk);
    }
    let assumed = input.sized().map_or(0, |sizing| sizing.answers.iter().filter(|one| one.assumed).count());
    if assumed > 0 {
        let mut risk = draft(input, lead("assumed"), RiskState::Watch, (Level::Medium, Level::Medium));
        risk.what = risk.what.number("answers", assumed as u64, Unit::Answers);
        risks.push(risk);
    }
    risks
}

/// What one part alone carries, and what runs out.
fn from_site(input: &Input<'_>) -> Vec<Risk> {
    let site = input.site;
    let mut risks = Vec::new();
    let named = |role: HostRole| site.hosts.iter().filter(|host| host.role == role).count();
    if named(HostRole::ControlPlane) == 1 || (named(HostRole::Worker) == 1 && site.hosts.len() > 1) {
        let topic = Topic { name: "single-machine", owner: Owner::Management };
        risks.push(draft(input, topic, RiskState::Watch, (Level::Low, Level::High)));
    }
    if site.hosts.len() > 1 && places(input) < 2 {
        let topic = Topic { name: "one-place", owner: Owner::Machines };
        risks.push(draft(input, topic, RiskState::Watch, (Level::Low, Level::High)));
    }
    let backups = serde_json::to_value(site).is_ok_and(|site| site.get("backup").is_some());
    if !backups {
        let topic = Topic { name: "backup", owner: Owner::Management };
        risks.push(draft(input, topic, RiskState::Watch, (Level::Low, Level::High)));
    }
    if let Some(until) = ends_soon(input) {
        let topic = Topic { name: "acceptance-ends", owner: Owner::Management };
        let mut risk = draft(input, topic, RiskState::Watch, (Level::High, Level::Medium));
        risk.what = risk.what.day("until", until);
        risks.push(risk);
    }
    risks
}

/// How many places (racks, power supplies, switches) the machines are said to stand in.
fn places(input: &Input<'_>) -> usize {
    let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
    for host in &input.site.hosts {
        let zone = host.labels.get("topology.kubernetes.io/zone");
        *zones.entry(zone.map_or("", String::as_str)).or_default() += 1;
    }
    zones.len()
}

/// The first day on which an acceptance ends, where that is soon.
fn ends_soon(input: &Input<'_>) -> Option<jiff::civil::Date> {
    let today = input.made.at.date();
    let ends = input.site.accepted_risks.iter().filter_map(|risk| risk.until.parse().ok());
    ends.filter(|until: &jiff::civil::Date| today.until(*until).is_ok_and(|span| span.get_days() < SOON_DAYS))
        .min()
}

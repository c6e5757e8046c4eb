//! Running the catalogue over a site.

use std::collections::BTreeMap;

use sealift_bundle::document::BundleDocument;
use sealift_profile::{AcceptedRisk, Host, HostRole, Site};

use crate::catalogue::{BUNDLE, Check, HostInput, Peer, SEAT, Scope, Severity, Verdict, catalogue};
use crate::environment;
use crate::facts::Facts;
use crate::finding::{Finding, State};
use crate::requirements::Requirements;
use crate::text::ago;

/// Everything that checks may look at.
#[derive(Debug, Clone)]
pub struct CheckInput<'a> {
    /// The site profile.
    pub site: &'a Site,
    /// The bundle document; without one, what compares with it is *not run*.
    pub document: Option<&'a BundleDocument>,
    /// Facts by host name in the profile. A host without an entry is *blocked*, or *not run* where facts came in files.
    pub facts: &'a BTreeMap<String, Facts>,
    /// Where facts came in files: milliseconds since each host was measured, 0 for just now.
    pub ages: Option<&'a BTreeMap<String, i64>>,
    /// What hosts must have.
    pub need: Requirements,
}

impl<'a> CheckInput<'a> {
    /// With the requirements that follow from bundle and site.
    #[must_use]
    pub fn new(site: &'a Site, document: &'a BundleDocument, facts: &'a BTreeMap<String, Facts>) -> Self {
        let need = Requirements::new(site, Some(document));
        Self { site, document: Some(document), facts, ages: None, need }
    }

    /// The same with facts that came in files, each so many milliseconds old.
    #[must_use]
    pub fn aged(mut self, ages: &'a BTreeMap<String, i64>) -> Self {
        self.ages = Some(ages);
        self
    }

    /// Without a bundle.
    #[must_use]
    pub fn without_bundle(site: &'a Site, facts: &'a BTreeMap<String, Facts>) -> Self {
        Self { site, document: None, facts, ages: None, need: Requirements::new(site, None) }
    }
}

/// Runs all checks. One finding per check and host that it concerns, in the catalogue's and the profile's order.
#[must_use]
pub fn run(input: &CheckInput<'_>) -> Vec<Finding> {
    let findings = catalogue().iter().flat_map(|check| run_one(check, input));
    findings.map(|finding| environment::judged(finding, input.site)).collect()
}

/// Runs the checks that look at one host and at nothing else: what a host's owner can know beforehand.
#[must_use]
pub fn run_alone(input: &CheckInput<'_>) -> Vec<Finding> {
    let alone = |check: &&Check| matches!(check.scope, Scope::Host(_) | Scope::Masters(_));
    catalogue().iter().filter(alone).flat_map(|check| run_one(check, input)).collect()
}

fn run_one(check: &'static Check, input: &CheckInput<'_>) -> Vec<Finding> {
    match check.scope {
        Scope::Site(look) => {
            let verdict = input.document.map_or_else(without_bundle, |document| look(input, document));
            vec![finding(check, input, None, verdict)]
        }
        Scope::Host(look) => input.site.hosts.iter().map(|host| on_host(check, look, input, host)).collect(),
        Scope::Masters(look) => {
            let masters = input.site.hosts.iter().filter(|host| host.role == HostRole::ControlPlane);
            masters.map(|host| on_host(check, look, input, host)).collect()
        }
        Scope::Peers(look) => {
            let mut findings = Vec::new();
            let mut peers = Vec::new();
            for host in &input.site.hosts {
                match readable(check, input, host) {
                    Ok(facts) => peers.push(Peer { host, facts }),
                    Err(verdict) => findings.push(finding(check, input, Some(&host.name), verdict)),
                }
            }
            let seen = look(&peers).into_iter();
            findings.extend(
                seen.map(|(host, verdict)| {
                    finding(check, input, host.map(|host| host.name.as_str()), verdict)
                }),
            );
            let order = |finding: &Finding| {
                input.site.hosts.iter().position(|host| Some(&host.name) == finding.host.as_ref())
            };
            findings.sort_by_key(order);
            findings
        }
    }
}

fn on_host(
    check: &'static Check,
    look: fn(&HostInput<'_>) -> Verdict,
    input: &CheckInput<'_>,
    host: &Host,
) -> Finding {
    let verdict = match readable(check, input, host) {
        Ok(facts) => look(&HostInput::new(input, host, facts)),
        Err(verdict) => verdict,
    };
    finding(check, input, Some(&host.name), verdict)
}

fn without_bundle() -> Verdict {
    Verdict::not_run("compares with the bundle, and none was given")
}

/// The facts that a check needs, or why it cannot be made.
fn readable<'a>(check: &Check, input: &CheckInput<'a>, host: &Host) -> Result<&'a Facts, Verdict> {
    if input.document.is_none() && check.facts.contains(&BUNDLE) {
        return Err(without_bundle());
    }
    if input.ages.is_some() && check.facts.contains(&SEAT) {
        return Err(Verdict::not_run("seen only when the installer asks the host over the network"));
    }
    let Some(facts) = input.facts.get(&host.name) else {
        if input.ages.is_some() {
            return Err(Verdict::not_run("no facts file of this host was given"));
        }
        return Err(Verdict {
            state: State::Blocked,
            remedy: format!("make {} ({}) reachable, then check again", host.name, host.address),
            ..Verdict::pass("this host was not measured")
        });
    };
    let six = (host.address.is_ipv6() && check.facts.contains(&"routes")).then_some("routes6");
    let missing = check.facts.iter().copied().chain(six).find_map(|fact| facts.why_unreadable(fact));
    missing.map_or(Ok(facts), |reason| Err(Verdict::error(format!("could not be read: {reason}"))))
}

fn finding(check: &Check, input: &CheckInput<'_>, host: Option<&str>, verdict: Verdict) -> Finding {
    let Verdict { state, severity, measured, threshold, remedy, fixes } = verdict;
    let age = host.and_then(|host| input.ages?.get(host)).filter(|age| **age > 0);
    let measured = match age {
        Some(age) if state != State::NotRun => format!("{} (as of {})", tame(&measured), ago(*age)),
        _ => tame(&measured),
    };
    Finding {
        check: check.id,
        title: check.title,
        host: host.map(str::to_owned),
        group: check.group,
        state,
        severity: severity.unwrap_or(check.severity),
        measured,
        threshold: tame(&threshold),
        why: check.why.to_owned(),
        remedy: tame(&remedy),
        // What was seen days ago is mended when it is seen again.
        fixes: if input.ages.is_some() { Vec::new() } else { fixes },
    }
}

/// Longest text of a finding, characters.
const LONGEST: usize = 1200;

/// What a host said goes to terminals and reports: no control characters, no endless lines.
fn tame(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    if text.chars().nth(LONGEST).is_none() {
        return plain.collect();
    }
    let mut short: String = plain.take(LONGEST).collect();
    short.push_str(" … (cut short)");
    short
}

/// The findings that stand in the way of an install.
///
/// That is every *fail*, *error* and *blocked* but for fails of a check whose risk may be accepted, and which the
/// profile accepts for that host or for all, and for errors of checks that only advise. (Whether an acceptance has
/// run out is decided when the profile is loaded.) An error cannot be accepted: nobody knows what would be.
#[must_use]
pub fn blocking<'a>(findings: &'a [Finding], site: &Site) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| stands_in_the_way(finding, &site.accepted_risks)).collect()
}

/// Whether a finding stands in the way of an install as long as these risks are accepted; see [`blocking`].
#[must_use]
pub fn stands_in_the_way(finding: &Finding, risks: &[AcceptedRisk]) -> bool {
    match finding.state {
        State::Fail => acceptance(finding, risks).is_none(),
        State::Error => finding.severity != Severity::Advice,
        State::Blocked => true,
        State::Pass | State::Warn | State::NotRun => false,
    }
}

/// Whether this is something that somebody may accept.
#[must_use]
pub fn may_be_accepted(finding: &Finding) -> bool {
    finding.state == State::Fail && finding.severity == Severity::Block
}

/// Who accepts this failure, if somebody does and may.
#[must_use]
pub fn acceptance<'a>(finding: &Finding, risks: &'a [AcceptedRisk]) -> Option<&'a AcceptedRisk> {
    let named = |risk: &&AcceptedRisk| {
        risk.check == finding.check && (risk.host.is_none() || risk.host == finding.host)
    };
    risks.iter().find(named).filter(|_| may_be_accepted(finding))
}

/// Whether the profile accepts this failure, and may.
#[must_use]
pub fn accepted(finding: &Finding, site: &Site) -> bool {
    acceptance(finding, &site.accepted_risks).is_some()
}

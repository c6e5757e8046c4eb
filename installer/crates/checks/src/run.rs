//! Running the catalogue over a site.

use std::collections::BTreeMap;

use sealift_bundle::document::BundleDocument;
use sealift_profile::{Host, Site};

use crate::catalogue::{Check, HostInput, Peer, Scope, Severity, Verdict, catalogue, check};
use crate::facts::Facts;
use crate::finding::{Finding, State};
use crate::requirements::Requirements;

/// Everything that checks may look at.
#[derive(Debug, Clone)]
pub struct CheckInput<'a> {
    /// The site profile.
    pub site: &'a Site,
    /// The bundle document.
    pub document: &'a BundleDocument,
    /// Facts by host name in the profile. A host without an entry is *blocked*.
    pub facts: &'a BTreeMap<String, Facts>,
    /// What hosts must have.
    pub need: Requirements,
}

impl<'a> CheckInput<'a> {
    /// With the requirements that follow from bundle and site.
    #[must_use]
    pub fn new(site: &'a Site, document: &'a BundleDocument, facts: &'a BTreeMap<String, Facts>) -> Self {
        Self { site, document, facts, need: Requirements::new(site, document) }
    }
}

/// Runs all checks. One finding per check and host that it concerns, in the catalogue's and the profile's order.
#[must_use]
pub fn run(input: &CheckInput<'_>) -> Vec<Finding> {
    catalogue().iter().flat_map(|check| run_one(check, input)).collect()
}

fn run_one(check: &'static Check, input: &CheckInput<'_>) -> Vec<Finding> {
    match check.scope {
        Scope::Site(look) => vec![finding(check, None, look(input))],
        Scope::Host(look) => {
            let of = |host: &Host| {
                let verdict = match readable(check, input, host) {
                    Ok(facts) => look(&HostInput::new(input, host, facts)),
                    Err(verdict) => verdict,
                };
                finding(check, Some(&host.name), verdict)
            };
            input.site.hosts.iter().map(of).collect()
        }
        Scope::Peers(look) => {
            let mut findings = Vec::new();
            let mut peers = Vec::new();
            for host in &input.site.hosts {
                match readable(check, input, host) {
                    Ok(facts) => peers.push(Peer { host, facts }),
                    Err(verdict) => findings.push(finding(check, Some(&host.name), verdict)),
                }
            }
            let seen = look(&peers).into_iter();
            findings.extend(
                seen.map(|(host, verdict)| finding(check, host.map(|host| host.name.as_str()), verdict)),
            );
            let order = |finding: &Finding| {
                input.site.hosts.iter().position(|host| Some(&host.name) == finding.host.as_ref())
            };
            findings.sort_by_key(order);
            findings
        }
    }
}

/// The facts that a check needs, or why it cannot be made.
fn readable<'a>(check: &Check, input: &CheckInput<'a>, host: &Host) -> Result<&'a Facts, Verdict> {
    let Some(facts) = input.facts.get(&host.name) else {
        return Err(Verdict {
            state: State::Blocked,
            measured: "this host was not measured".to_owned(),
            threshold: String::new(),
            remedy: format!("make {} ({}) reachable, then check again", host.name, host.address),
        });
    };
    let six = (host.address.is_ipv6() && check.facts.contains(&"routes")).then_some("routes6");
    let missing = check.facts.iter().copied().chain(six).find_map(|fact| facts.why_unreadable(fact));
    missing.map_or(Ok(facts), |reason| Err(Verdict::error(format!("could not be read: {reason}"))))
}

fn finding(check: &Check, host: Option<&str>, verdict: Verdict) -> Finding {
    let Verdict { state, measured, threshold, remedy } = verdict;
    Finding {
        check: check.id,
        title: check.title,
        host: host.map(str::to_owned),
        state,
        measured,
        threshold,
        why: check.why.to_owned(),
        remedy,
    }
}

/// The findings that stand in the way of an install.
///
/// That is every *fail*, *error* and *blocked* but for fails of a check whose risk may be accepted, and which the
/// profile accepts for that host or for all. (Whether an acceptance has run out is decided when the profile is
/// loaded.) An error cannot be accepted: nobody knows what would be.
#[must_use]
pub fn blocking<'a>(findings: &'a [Finding], site: &Site) -> Vec<&'a Finding> {
    let accepted = |finding: &Finding| {
        finding.state == State::Fail
            && check(finding.check).is_some_and(|check| check.severity == Severity::Block)
            && site
                .accepted_risks
                .iter()
                .any(|risk| risk.check == finding.check && (risk.host.is_none() || risk.host == finding.host))
    };
    let stands = |finding: &&Finding| matches!(finding.state, State::Fail | State::Error | State::Blocked);
    findings.iter().filter(stands).filter(|finding| !accepted(finding)).collect()
}

//! What a site's environment changes in the judgement (`environment:` of the profile, `sealift_profile::Environment`).

use sealift_profile::{Environment, Site};

use crate::catalogue::Severity;
use crate::finding::{Finding, State};

/// Slow or shared disks and links: the cluster works all the same, only not under load and not for years.
const HEADROOM: [&str; 5] =
    ["disk.headroom", "disk.etcd-alone", "disk.etcd-rotational", "disk.etcd-fsync", "network.latency"];
/// Spare machines: advice that a production site has to follow, or to accept.
const SPARE: [&str; 2] = ["site.masters", "site.workers"];

/// On a test site what concerns headroom means one step less: what blocks warns, what warns is silent. What no acceptance
/// helps against stays.
pub(crate) fn judged(finding: Finding, site: &Site) -> Finding {
    if site.environment != Some(Environment::Test) || !HEADROOM.contains(&finding.check) {
        return finding;
    }
    match (finding.state, finding.severity) {
        (State::Fail, Severity::Block) => {
            Finding { state: State::Warn, severity: Severity::Advice, ..finding }
        }
        (State::Warn, _) => Finding { state: State::Pass, remedy: String::new(), ..finding },
        _ => finding,
    }
}

/// Whether this advice blocks here unless somebody accepts the risk.
pub(crate) fn blocks(check: &str, site: &Site) -> bool {
    site.environment == Some(Environment::Production) && SPARE.contains(&check)
}

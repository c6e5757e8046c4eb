//! Where the hosts stand, as the profile says it.

use std::collections::BTreeSet;

use sealift_bundle::document::BundleDocument;
use sealift_profile::Host;

use super::{Check, Severity, Verdict};
use crate::run::CheckInput;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[Check::of_site(
    Severity::Advice,
    "site.zones",
    "Zones",
    "copies are spread over zones, and masters that stand in one zone fail with it.",
    zones,
)];

fn zones(input: &CheckInput<'_>, _: &BundleDocument) -> Verdict {
    let hosts = &input.site.hosts;
    let zones: BTreeSet<&str> = hosts.iter().filter_map(Host::zone).collect();
    let limit = "every host in a zone, or none; masters in more than one where there are several";
    if zones.is_empty() {
        return Verdict::pass("no zone is named").limit(limit);
    }
    let without: Vec<&str> =
        hosts.iter().filter(|host| host.zone().is_none()).map(|host| host.name.as_str()).collect();
    let of_masters: BTreeSet<Option<&str>> = input.site.masters().map(Host::zone).collect();
    let together = zones.len() > 1 && input.site.masters().count() > 1 && of_masters.len() == 1;
    let mut measured = Vec::new();
    let mut remedy = Vec::new();
    if !without.is_empty() {
        measured.push(format!("{} in no zone", list(&without)));
        remedy.push("say under placement.zone where they stand");
    }
    if let Some(zone) = of_masters.first().copied().flatten().filter(|_| together) {
        measured.push(format!("all masters in {zone}, other hosts elsewhere"));
        remedy.push("let masters stand in three zones, or in two at least");
    }
    let names: Vec<&str> = zones.into_iter().collect();
    if measured.is_empty() {
        Verdict::pass(list(&names)).limit(limit)
    } else {
        Verdict::warn(measured.join("; "), remedy.join("; ")).limit(limit)
    }
}

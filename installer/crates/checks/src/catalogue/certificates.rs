//! The site's certificates: how long they still hold.

use sealift_bundle::document::BundleDocument;

use super::{Check, Scope, Severity, Verdict};
use crate::finding::Group;
use crate::run::CheckInput;

const DAY: i64 = 86_400;
/// Days left from which on the install is refused: too few to get another certificate in time.
const FAIL: i64 = 14;
/// Days left from which on there is a warning.
const WARN: i64 = 90;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "certificates.validity",
    title: "The site's certificates",
    why: "when the certificate of an authority runs out, nothing that it has signed is trusted any more: nobody logs in, and the product reaches no server of the site.",
    group: Group::Time,
    severity: Severity::Block,
    beyond: Some(Severity::Stop),
    deep: false,
    fixable: false,
    facts: &[],
    scope: Scope::Site(validity),
}];

/// The one that runs out first, by the clock of the machine that runs the installer.
fn validity(input: &CheckInput<'_>, _: &BundleDocument) -> Verdict {
    let site = input.site;
    let named = [
        ("customerCa", site.customer_ca.as_ref()),
        ("api.oidc.ca", site.api.oidc.as_ref().and_then(|oidc| oidc.ca.as_ref())),
    ];
    let named: Vec<_> = named.into_iter().filter_map(|(path, one)| Some((path, one?))).collect();
    if named.is_empty() {
        return Verdict::pass("the profile names none");
    }
    let mut all = Vec::new();
    for (path, certificates) in named {
        match certificates.authorities() {
            Some(found) => all.extend(found.into_iter().map(|authority| (path, authority))),
            None => return Verdict::error(format!("the certificates of {path} were not read")),
        }
    }
    let clocks = input.facts.values().map(|facts| &facts.clock);
    let Some(now) = clocks.map(|clock| clock.unix_millis.saturating_sub(clock.skew_millis) / 1000).next()
    else {
        return Verdict::error("no clock was read");
    };
    let Some((path, first)) = all.into_iter().min_by_key(|(_, authority)| authority.until) else {
        return Verdict::error("no certificate was read");
    };
    let left = first.until.saturating_sub(now).div_euclid(DAY);
    let measured = format!("{left} days left for {} ({path})", first.subject);
    let remedy = "ask the authority's owner for the certificate that follows, and write both into the file";
    match left {
        ..0 => Verdict::fail(format!("{} ({path}) has run out", first.subject), remedy).beyond_acceptance(),
        0..FAIL => Verdict::fail(measured, remedy),
        FAIL..WARN => Verdict::warn(measured, remedy),
        _ => Verdict::pass(measured),
    }
    .limit(format!("{FAIL} days or more (warning below {WARN}, no acceptance when it has run out)"))
}

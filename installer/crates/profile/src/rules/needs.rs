//! Needs within their ranges; overrides that can be, and that say why.

use super::Report;
use crate::site::Site;

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    for finding in site.needs.iter().flat_map(crate::needs::Needs::findings) {
        report.find("needs", format!("needs.{}", finding.key), finding.message, finding.remedy);
    }
    let Some(overrides) = &site.sizing else { return };
    let counts = [("workers", &overrides.workers), ("masters", &overrides.masters)];
    for (key, given) in counts.into_iter().filter_map(|(key, given)| Some((key, given.as_ref()?))) {
        reason(key, &given.reason, report);
    }
    if let Some(machine) = &overrides.machine {
        reason("machine", &machine.reason, report);
    }
    if let Some(masters) = overrides.masters.as_ref().filter(|masters| ![1, 3, 5].contains(&masters.count)) {
        let message = format!("{} masters cannot agree safely", masters.count);
        let remedy = "write 1, 3 or 5: more than half of them must be alive";
        report.find("sizing", "sizing.masters.count", message, remedy);
    }
}

fn reason(key: &str, text: &str, report: &mut Report<'_>) {
    if text.trim().is_empty() {
        let path = format!("sizing.{key}.reason");
        let message = format!("`{path}` is empty");
        report.find("sizing", path, message, "write why, for those who read the report later");
    }
}

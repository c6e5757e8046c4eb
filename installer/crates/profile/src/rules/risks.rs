//! Accepted risks: somebody, for a reason, until a day.

use jiff::civil::Date;

use super::Report;
use crate::circumstances::Circumstances;
use crate::names::nearest;
use crate::site::Site;

pub(super) fn check(site: &Site, circumstances: &Circumstances<'_>, report: &mut Report<'_>) {
    let today = circumstances.today;
    // Nobody can name hosts that are not written yet.
    let hosts_are_open = site.interactive.iter().any(|section| section == "hosts");
    for (i, risk) in site.accepted_risks.iter().enumerate() {
        let path = |key: &str| format!("acceptedRisks[{i}].{key}");
        let named = [
            ("check", &risk.check, "the id of the check, as `check` prints it"),
            ("person", &risk.person, "the name of the person who accepts it"),
            ("reason", &risk.reason, "the reason, for those who read the report later"),
        ];
        for (key, text, what) in named {
            if text.trim().is_empty() {
                report.find("risk", path(key), format!("`{}` is empty", path(key)), format!("write {what}"));
            }
        }
        if let Some(known) = circumstances.checks
            && !risk.check.trim().is_empty()
            && !known.contains(&risk.check.as_str())
        {
            let remedy = nearest(&risk.check, known.iter().copied()).map_or_else(
                || "write the id as a finding of `installer check` has it".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            report.find("risk-check", path("check"), format!("there is no check `{}`", risk.check), remedy);
        }
        if let Some(host) = risk.host.as_deref().filter(|host| !hosts_are_open && site.host(host).is_none()) {
            let near = nearest(host, site.hosts.iter().map(|host| host.name.as_str()));
            let remedy = near.map_or_else(
                || "name a host of this site, or take the line out for all hosts".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            report.find("risk", path("host"), format!("there is no host `{host}`"), remedy);
        }
        match day(&risk.until) {
            None => {
                let message = format!("`{}` is no date", risk.until);
                report.find("risk", path("until"), message, "write year, month and day: 2026-12-31");
            }
            Some(until) if until < today => {
                let message =
                    format!("the acceptance of `{}` by {} ran out on {until}", risk.check, risk.person);
                let remedy = "mend the cause, or let somebody accept it again with a new date";
                report.find("risk-expired", path("until"), message, remedy);
            }
            Some(_) => {}
        }
    }
}

/// Strictly `YYYY-MM-DD`: a date that can be read in two ways is none.
fn day(text: &str) -> Option<Date> {
    let form = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    form.then(|| text.parse().ok()).flatten()
}

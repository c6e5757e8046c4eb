//! Meaning: what a well-formed profile may still have wrong. Every rule looks at the whole site and says all it finds.

mod api;
mod etcd;
mod hosts;
mod logins;
mod needs;
mod networks;
mod operation;
mod risks;
mod services;

use crate::circumstances::Circumstances;
use crate::error::{Places, ProfileFinding};
use crate::names::{is_dns_label, is_yaml_word};
use crate::site::Site;

/// All findings, in the order of the rules.
pub(crate) fn check(site: &Site, places: &Places, circumstances: &Circumstances<'_>) -> Vec<ProfileFinding> {
    let mut report = Report { places, findings: Vec::new() };
    if !is_dns_label(&site.metadata.name) {
        report.find(
            "site-name",
            "metadata.name",
            format!("`{}` is no name for a site", site.metadata.name),
            LABEL,
        );
    }
    if is_yaml_word(&site.metadata.name) {
        report.yaml_word("metadata.name", &site.metadata.name);
    }
    hosts::check(site, &mut report);
    networks::check(site, &mut report);
    api::check(site, circumstances, &mut report);
    etcd::check(site, &mut report);
    logins::check(site, &mut report);
    needs::check(site, &mut report);
    operation::check(site, &mut report);
    services::check(site, &mut report);
    risks::check(site, circumstances, &mut report);
    report.findings
}

/// What a DNS label looks like, as a remedy.
const LABEL: &str = "use lowercase letters, digits and hyphens, at most 63, a letter or digit at both ends";

struct Report<'a> {
    places: &'a Places,
    findings: Vec<ProfileFinding>,
}

impl Report<'_> {
    fn find(
        &mut self,
        rule: &'static str,
        path: impl Into<String>,
        message: String,
        remedy: impl Into<String>,
    ) {
        let path = path.into();
        let place = self.places.nearest(&path).cloned();
        self.findings.push(ProfileFinding { rule, path, place, message, remedy: remedy.into() });
    }

    fn yaml_word(&mut self, path: &str, name: &str) {
        let message =
            format!("`{name}` is a name that readers of YAML take for a truth value, a number or nothing");
        self.find("yaml-word", path, message, format!("choose another, such as `{name}-1`"));
    }

    /// ` (harbin.yaml:12:14)`, for a message about two places; empty where nothing is known.
    fn also_at(&self, path: &str) -> String {
        self.places.exact(path).map_or_else(String::new, |place| format!(" ({place})"))
    }
}

//! Findings and accepted risks against each other: what stands in the way, and what fits.

use sealift_checks::{Finding, Wish, acceptance, stands_in_the_way};
use sealift_profile::AcceptedRisk;
use serde_json::Value as Json;

use crate::model::{Model, Task};
use crate::part::{FindingName, Part};

/// The section of the profile with accepted risks.
pub(crate) const RISKS: &str = "acceptedRisks";

/// The path of an accepted risk.
pub(crate) fn path_of(index: usize) -> String {
    format!("{RISKS}[{index}]")
}

impl Model {
    /// The part of the page that is looked at by itself, if one is.
    #[must_use]
    pub fn part(&self) -> Option<&Part> {
        self.parts.last()
    }

    /// All parts that lie over each other, the one that is looked at last.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether there is such a part now.
    pub(crate) fn is_there(&self, part: &Part) -> bool {
        let findings = || self.checked.value().into_iter().flatten();
        match part {
            Part::Group(group) => findings().any(|finding| finding.group == *group),
            Part::Finding(name) => findings().any(|finding| name.is_of(finding)),
            Part::Risk(index) => *index < self.risk_count(),
            Part::Fixes => !self.wishes().is_empty(),
            Part::PlannedHost(index) => {
                self.planned.value().is_some_and(|planned| *index < planned.hosts.len())
            }
        }
    }

    /// A finding, as far as findings are known.
    pub(crate) fn finding(&self, name: &FindingName) -> Option<&Finding> {
        self.checked.value()?.iter().find(|finding| name.is_of(finding))
    }

    /// What the checks found, unless an answer has changed since.
    fn current_findings(&self) -> &[Finding] {
        match &self.checked {
            Task::Done { value, outdated: false } => value,
            _ => &[],
        }
    }

    /// The findings that stand in the way, accepted risks taken out; none where nobody knows.
    #[must_use]
    pub fn in_the_way(&self) -> Vec<&Finding> {
        let risks = self.accepted_risks();
        self.current_findings().iter().filter(|finding| stands_in_the_way(finding, &risks)).collect()
    }

    /// What can be mended by itself.
    pub(crate) fn wishes(&self) -> Vec<Wish> {
        sealift_checks::wishes(self.current_findings())
    }

    /// How many risks the profile accepts, or begins to.
    pub(crate) fn risk_count(&self) -> usize {
        self.draft.get(RISKS).and_then(Json::as_array).map_or(0, Vec::len)
    }

    /// Whether something of an accepted risk is missing or wrong.
    pub(crate) fn risk_is_open(&self, index: usize) -> bool {
        let path = path_of(index);
        let of_it = |found: &str| {
            found.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.judged.all().chain(&self.found).any(|finding| of_it(&finding.path))
    }

    /// A risk that somebody accepts wholly: with name, reason and a day that has not passed.
    pub(crate) fn accepted_risk(&self, index: usize) -> Option<AcceptedRisk> {
        if self.risk_is_open(index) {
            return None;
        }
        serde_json::from_value(self.draft.get(&path_of(index))?.clone()).ok()
    }

    /// All risks that somebody accepts wholly.
    pub(crate) fn accepted_risks(&self) -> Vec<AcceptedRisk> {
        (0..self.risk_count()).filter_map(|index| self.accepted_risk(index)).collect()
    }

    /// A value of an accepted risk as text.
    pub(crate) fn of_risk(&self, index: usize, key: &str) -> Option<&str> {
        self.draft.get(&format!("{}.{key}", path_of(index)))?.as_str()
    }

    /// The risk that is about a finding, accepted wholly or not yet.
    pub(crate) fn risk_about(&self, finding: &FindingName) -> Option<usize> {
        let about = |index: &usize| {
            let host = self.of_risk(*index, "host");
            self.of_risk(*index, "check") == Some(finding.check)
                && (host.is_none() || host == finding.host.as_deref())
        };
        (0..self.risk_count()).find(about)
    }

    /// How many findings an accepted risk takes out; none where nobody knows.
    pub(crate) fn fits(&self, risk: &AcceptedRisk) -> Option<usize> {
        let risk = std::slice::from_ref(risk);
        let findings = self.checked.value()?;
        Some(findings.iter().filter(|finding| acceptance(finding, risk).is_some()).count())
    }
}

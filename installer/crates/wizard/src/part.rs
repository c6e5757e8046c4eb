//! Parts of a page that are looked at by themselves, over the page: a group of findings, one finding, an accepted risk,
//! a question, what changes on one host. They lie over each other; back leads to the one below.

use sealift_checks::{Finding, Group};

use crate::page::PageId;

/// A finding by what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingName {
    /// The check's id.
    pub check: &'static str,
    /// The host's name; none for the site as a whole.
    pub host: Option<String>,
}

impl FindingName {
    /// Of this finding.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self { check: finding.check, host: finding.host.clone() }
    }

    /// Whether it is this finding's.
    #[must_use]
    pub fn is_of(&self, finding: &Finding) -> bool {
        self.check == finding.check && self.host == finding.host
    }
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What the checks of a group found.
    Group(Group),
    /// One finding.
    Finding(FindingName),
    /// A risk that somebody accepts, by its number from 0.
    Risk(usize),
    /// Whether what can be mended by itself shall be.
    Fixes,
    /// What a plan changes on a host, by its number from 0.
    PlannedHost(usize),
}

impl Part {
    /// The page that it is of.
    #[must_use]
    pub fn page(&self) -> PageId {
        match self {
            Self::Group(_) | Self::Finding(_) | Self::Risk(_) | Self::Fixes => PageId::Checks,
            Self::PlannedHost(_) => PageId::Review,
        }
    }

    /// Its name in the tables of words.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Group(_) => "group",
            Self::Finding(_) => "finding",
            Self::Risk(_) => "risk",
            Self::Fixes => "fixes",
            Self::PlannedHost(_) => "plannedHost",
        }
    }
}

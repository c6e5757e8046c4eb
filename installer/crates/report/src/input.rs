//! What a report is made from. Which of these are there decides whether it is a proposal, a state or a handover.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use sealift_bundle::document::BundleDocument;
use sealift_checks::Finding;
use sealift_checks::facts::Facts;
use sealift_events::Record;
use sealift_plan::Plan;
use sealift_profile::Site;
use sealift_sizing::{Sizing, SizingError, Verdict};

/// When and by whom the data were gathered: a report looks at no clock.
#[derive(Debug, Clone)]
pub struct Made {
    /// When, local time of whoever did.
    pub at: DateTime,
    /// Who.
    pub by: String,
    /// The program and its version.
    pub tool: String,
}

/// Which bundle.
#[derive(Debug, Clone)]
pub struct BundleFacts {
    /// Bytes of the file.
    pub bytes: u64,
    /// Id of the key that signed it.
    pub key: String,
    /// Digest of its index, from which every byte follows.
    pub index: String,
}

/// What a report is made from.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The site's answers.
    pub site: &'a Site,
    /// The bundle's document.
    pub document: &'a BundleDocument,
    /// Which bundle it is.
    pub bundle: BundleFacts,
    /// What the site needs, or why that cannot be said.
    pub sizing: Result<&'a Sizing, &'a SizingError>,
    /// Whether the machines that are there suffice; none where nobody looked.
    pub verdict: Option<&'a Verdict>,
    /// What the checks found; none where nobody looked.
    pub findings: Option<&'a [Finding]>,
    /// Facts of the hosts that were looked at.
    pub facts: &'a BTreeMap<String, Facts>,
    /// What will be done, where that could be said.
    pub plan: Option<&'a Plan>,
    /// The run that this report is about.
    pub run: Option<&'a [Record]>,
    /// Earlier runs, whose times calibrate the estimate.
    pub earlier: &'a [Vec<Record>],
    /// When and by whom.
    pub made: Made,
}

impl<'a> Input<'a> {
    /// What the site needs, where that could be calculated.
    pub(crate) fn sized(&self) -> Option<&'a Sizing> {
        self.sizing.ok()
    }

    /// Whether the vendor gave numbers, and no machine or cluster to choose from is large enough for them.
    pub(crate) fn beyond_reach(&self) -> bool {
        matches!(self.sizing, Err(error) if !matches!(error, SizingError::NoModel { .. }))
    }
}

/// Whether every host was seen to reach every other one's ports.
pub(crate) fn reached(input: &Input<'_>) -> bool {
    let tries: Vec<&Finding> =
        input.findings.unwrap_or_default().iter().filter(|one| one.check == "network.mesh-tcp").collect();
    !tries.is_empty() && tries.iter().all(|one| one.state == sealift_checks::State::Pass)
}
